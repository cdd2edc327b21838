//! An impairment in a serialised form: a map of its keys to their text.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Given, Impairment};

impl Serialize for Impairment {
    /// Writes a map of what is set: `{"delay": "10ms", "loss": "1%"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries())
    }
}

impl<'de> Deserialize<'de> for Impairment {
    /// Reads a map of keys to numbers or text, and checks it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Impairment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of a link's impairments, such as {\"delay\": \"10ms\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Impairment, A::Error> {
        let mut impairment = Impairment::default();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            let given = match &value {
                Value::Integer(value) => Given::Integer(i128::from(*value)),
                Value::Float(value) => Given::Float(*value),
                Value::Text(text) => Given::Text(text),
            };
            impairment.set(&key, Some(given)).map_err(A::Error::custom)?;
        }
        impairment.check().map_err(A::Error::custom)?;
        Ok(impairment)
    }
}

/// A value as a file holds it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Integer(i64),
    Float(f64),
    Text(String),
}
