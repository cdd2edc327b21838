//! What is to become of the impairments of a link, as a user says it.

use vnet_impair::{Given, Impairment};

use crate::error::{Place, TopologyError};
use crate::read;

/// A value as it was written; what it means depends on its key.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// A whole number, in the unit of its key: seconds, bits a second, a share of 1, packets.
    Integer(i128),
    /// Another number.
    Float(f64),
    /// A text with its unit, such as `10ms`.
    Text(String),
}

impl Wanted {
    /// Returns it as the reader of impairments takes it.
    #[must_use]
    pub fn given(&self) -> Given<'_> {
        match self {
            Self::Integer(value) => Given::Integer(*value),
            Self::Float(value) => Given::Float(*value),
            Self::Text(text) => Given::Text(text),
        }
    }
}

/// Impairments to set, key by key, for both directions of a link: a to b, and b to a. Keys that are not named stay as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub(crate) changes: Vec<(&'static str, [Option<Wanted>; 2])>,
}

impl Changes {
    /// Reads a JSON object of keys and values; each value is one for both directions or a list of two, `"none"` for
    /// nothing.
    ///
    /// # Errors
    /// [`TopologyError`] with the key, and what was expected there.
    pub fn from_json(text: &str) -> Result<Self, TopologyError> {
        read::changes(text)
    }

    /// Adds a change of both directions, as texts such as `10ms`; `none` takes the impairment off.
    ///
    /// # Errors
    /// [`TopologyError::BadValue`] with the key, and what was expected there.
    pub fn set(&mut self, key: &str, texts: [&str; 2]) -> Result<(), TopologyError> {
        let [there, back] = texts;
        let value = if there == back {
            serde_json::json!({ key: there })
        } else {
            serde_json::json!({ key: texts })
        };
        self.changes.extend(Self::from_json(&value.to_string())?.changes);
        Ok(())
    }

    /// Returns whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Changes both directions, or none of them.
    ///
    /// # Errors
    /// [`TopologyError::BadValue`] for what cannot be, alone or together; `link` is the link's name for it.
    pub fn apply(&self, link: &str, impair: &mut [Impairment; 2]) -> Result<(), TopologyError> {
        self.apply_at(impair, |key| {
            Place::named(match key {
                Some(key) => format!("{key} of link {link}"),
                None => format!("link {link}"),
            })
        })
    }

    /// Changes both directions, or none of them; `place` is that of a key, or of them all.
    pub(crate) fn apply_at(
        &self,
        impair: &mut [Impairment; 2],
        place: impl Fn(Option<&str>) -> Place,
    ) -> Result<(), TopologyError> {
        let mut changed = impair.clone();
        // What goes with something else is set after it, whatever the order it was said in.
        let order = |key: &str| Impairment::KEYS.iter().position(|known| *known == key);
        let mut ordered: Vec<&(&str, [Option<Wanted>; 2])> = self.changes.iter().collect();
        ordered.sort_by_key(|(key, _)| order(key));
        for (key, wanted) in ordered {
            for (direction, wanted) in changed.iter_mut().zip(wanted) {
                let set = direction.set(key, wanted.as_ref().map(Wanted::given));
                set.map_err(|error| TopologyError::BadValue {
                    at: place(Some(key)),
                    found: error.found,
                    expected: error.expected,
                })?;
            }
        }
        check(&changed, || place(None))?;
        *impair = changed;
        Ok(())
    }
}

/// Refuses impairments that do not go together.
pub(crate) fn check(impair: &[Impairment; 2], place: impl Fn() -> Place) -> Result<(), TopologyError> {
    let sides = impair.iter().zip(["from a to b", "from b to a"]);
    for (direction, side) in sides {
        direction.check().map_err(|error| TopologyError::BadValue {
            at: place(),
            found: if impair[0] == impair[1] {
                error.found
            } else {
                format!("{}, {side}", error.found)
            },
            expected: error.expected,
        })?;
    }
    Ok(())
}
