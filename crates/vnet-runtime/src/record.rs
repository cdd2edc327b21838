//! What a manifest says the keys and values of a map are.

use serde::{Serialize, Serializer};
use serde_json::Value;
use vnet_abi::record::{self, FieldType};

use crate::error::Refusal;

/// The fields of a key or of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    text: String,
    fields: Vec<RecordField>,
    size: u64,
}

/// One field of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordField {
    /// Its name; empty where a record of one field has none. Padding is left out.
    pub name: String,
    /// What its bytes are.
    pub ty: FieldType,
    /// Where it begins, in bytes.
    pub offset: usize,
}

impl Record {
    /// Reads the text of a record.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Record, String> {
        let fields = record::fields(text).map_err(|error| error.to_string())?;
        Ok(Record {
            text: text.to_owned(),
            size: record::size(text).map_err(|error| error.to_string())?,
            fields: fields
                .filter(|field| field.name != "_")
                .map(|field| RecordField {
                    name: field.name.to_owned(),
                    ty: field.ty,
                    offset: field.offset as usize,
                })
                .collect(),
        })
    }

    /// Returns the record of bytes that nobody described.
    pub(crate) fn bytes(size: u32) -> Record {
        Record {
            text: format!("bytes[{size}]"),
            size: u64::from(size),
            fields: vec![RecordField {
                name: String::new(),
                ty: FieldType::Bytes(size),
                offset: 0,
            }],
        }
    }

    /// Returns the fields but for padding, in order.
    #[must_use]
    pub fn fields(&self) -> &[RecordField] {
        &self.fields
    }

    /// Returns the record as the manifest writes it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns how many bytes the fields add up to.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// What a manifest says of one map; what it leaves open is bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MapLayout {
    /// The fields of its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Record>,
    /// The fields of its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Record>,
}

impl MapLayout {
    /// Reads the entry of a manifest's `maps`.
    pub(crate) fn read(name: &str, entry: &Value) -> Result<MapLayout, Refusal> {
        let Value::Object(entry) = entry else {
            return Err(Refusal::new(format!(
                "manifest key \"maps.{name}\" must be an object with `key` and `value`; it is {entry}"
            )));
        };
        let part = |key: &str| match entry.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Record::parse(text).map(Some).map_err(|wrong| {
                Refusal::new(format!("manifest key \"maps.{name}.{key}\" is {text:?}: {wrong}"))
            }),
            Some(other) => Err(Refusal::new(format!(
                "manifest key \"maps.{name}.{key}\" must be a text such as \"src: ip4, port: be16\"; it is {other}"
            ))),
        };
        Ok(MapLayout {
            key: part("key")?,
            value: part("value")?,
        })
    }

    /// Refuses a layout whose fields do not add up to what the map itself says.
    pub(crate) fn check(&self, name: &str, key_size: u32, value_size: u32) -> Result<(), Refusal> {
        for (what, record, size) in [("key", &self.key, key_size), ("value", &self.value, value_size)] {
            if let Some(record) = record
                && record.size != u64::from(size)
            {
                return Err(Refusal::new(format!(
                    "its manifest describes the {what}s of the map {name:?} as {:?}, which is {} bytes; the map's {what}s have {size}",
                    record.text, record.size
                ))
                .hint("fields are packed: write padding as `_: bytes[N]`"));
            }
        }
        Ok(())
    }
}
