//! A part of a document on its way to becoming a part of a spec.

use crate::error::{Place, TopologyError};
use crate::read::tree::{Entry, Item, Value};

/// A text with the offsets at which its lines begin.
pub(crate) struct Lines<'a> {
    file: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// Returns file, line and column of an offset; columns count characters.
    fn find(&self, at: usize) -> (String, usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let before = self.text.get(self.starts[line - 1]..at).unwrap_or_default();
        (self.file.to_owned(), line, before.chars().count() + 1)
    }
}

/// What a document was read from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A TOML file.
    Toml(&'a Lines<'a>),
    /// JSON, which is another program's and has no lines worth naming; with the name of its file, if it has one.
    Json(Option<&'a str>),
}

impl Source<'_> {
    /// Returns the place of a key; `at` is its offset in the text.
    pub fn place(self, at: usize, key: &str) -> Place {
        Place {
            file: match self {
                // The reader of JSON tells no positions.
                Self::Json(file) => file.map(|file| (file.to_owned(), 0, 0)),
                Self::Toml(lines) => Some(lines.find(at)),
            },
            key: key.to_owned(),
        }
    }
}

/// One part of a document, its key path, and where it stands.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    source: Source<'a>,
    pub item: &'a Item,
    pub path: String,
}

impl<'a> Cursor<'a> {
    pub fn new(source: Source<'a>, item: &'a Item) -> Self {
        Self {
            source,
            item,
            path: String::new(),
        }
    }

    pub fn place(&self) -> Place {
        self.place_at(self.item.at)
    }

    /// Returns the place of this part where its key stands elsewhere than its value.
    pub fn place_at(&self, at: usize) -> Place {
        self.source.place(at, &self.path)
    }

    /// Refuses the value as it is.
    pub fn bad(&self, found: impl Into<String>, expected: &str) -> TopologyError {
        TopologyError::BadValue {
            at: self.place(),
            found: found.into(),
            expected: expected.to_owned(),
        }
    }

    /// Refuses a value of this type.
    pub fn unexpected(&self, expected: &str) -> TopologyError {
        self.bad(self.item.describe(), expected)
    }

    pub fn text(&self, expected: &str) -> Result<&'a str, TopologyError> {
        match &self.item.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.unexpected(expected)),
        }
    }

    pub fn boolean(&self, expected: &str) -> Result<bool, TopologyError> {
        match self.item.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.unexpected(expected)),
        }
    }

    pub fn integer<T: TryFrom<i128>>(&self, expected: &str) -> Result<T, TopologyError> {
        match self.item.value {
            Value::Integer(value) => T::try_from(value).map_err(|_| self.unexpected(expected)),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Reads a list, or one element that stands for a list of one.
    pub fn one_or_more(&self) -> Vec<Cursor<'a>> {
        match &self.item.value {
            Value::List(items) => self.elements(items),
            _ => vec![self.clone()],
        }
    }

    pub fn elements(&self, items: &'a [Item]) -> Vec<Cursor<'a>> {
        let element = |(number, item)| Cursor {
            source: self.source,
            item,
            path: format!("{}[{number}]", self.path),
        };
        items.iter().enumerate().map(element).collect()
    }

    /// Reads a table of any keys.
    pub fn entries(&self, expected: &str) -> Result<Vec<Field<'a>>, TopologyError> {
        let Value::Table(entries) = &self.item.value else {
            return Err(self.unexpected(expected));
        };
        let mut fields: Vec<Field<'a>> = Vec::new();
        for entry in entries {
            let field = self.field(entry);
            // TOML's reader refuses these itself, JSON's does not.
            if let Some(first) = fields.iter().find(|first| first.key == entry.key) {
                return Err(TopologyError::Duplicate {
                    at: field.key_place(),
                    what: format!("the key {}", entry.key),
                    first: Box::new(first.key_place()),
                    fix: "leave one of them out".into(),
                });
            }
            fields.push(field);
        }
        Ok(fields)
    }

    /// Reads a table that has these keys and no others.
    pub fn fields(&self, keys: &[&str], expected: &str) -> Result<Fields<'a>, TopologyError> {
        let fields = self.entries(expected)?;
        if let Some(unknown) = fields.iter().find(|field| !keys.contains(&field.key)) {
            return Err(TopologyError::UnknownKey {
                at: unknown.key_place(),
                expected: keys.join(", "),
            });
        }
        Ok(Fields { fields })
    }

    fn field(&self, entry: &'a Entry) -> Field<'a> {
        let key = if entry
            .key
            .contains(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)))
            || entry.key.is_empty()
        {
            format!("{:?}", entry.key)
        } else {
            entry.key.clone()
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        Field {
            key: &entry.key,
            at: entry.at,
            value: Cursor {
                source: self.source,
                item: &entry.item,
                path: format!("{}{dot}{key}", self.path),
            },
        }
    }

    /// Says that a key is not there.
    pub fn missing(&self, key: &str, expected: &str) -> TopologyError {
        TopologyError::Missing {
            at: self.absent(key),
            expected: expected.to_owned(),
        }
    }

    /// Returns the place of a table that lacks a key, with the key's path.
    pub fn absent(&self, key: &str) -> Place {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.source
            .place(self.item.at, &format!("{}{dot}{key}", self.path))
    }
}

/// A key of a table and its value.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    pub key: &'a str,
    /// Position of the key.
    pub at: usize,
    pub value: Cursor<'a>,
}

impl Field<'_> {
    pub fn key_place(&self) -> Place {
        self.value.source.place(self.at, &self.value.path)
    }
}

/// The fields of a table that are known.
pub(crate) struct Fields<'a> {
    fields: Vec<Field<'a>>,
}

impl<'a> Fields<'a> {
    /// Returns the value of a key; JSON's null is none.
    pub fn get(&self, key: &str) -> Option<&Cursor<'a>> {
        self.fields
            .iter()
            .find(|field| field.key == key)
            .map(|field| &field.value)
            .filter(|value| !matches!(value.item.value, Value::Null))
    }
}
