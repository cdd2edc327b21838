//! A document, TOML or JSON, with the position of each of its parts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A part of a document.
#[derive(Debug)]
pub(crate) struct Item {
    /// Offset in the text of a TOML document in bytes; in JSON a running number.
    pub at: usize,
    pub value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// JSON's null: the same as nothing.
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Item>),
    /// In the document's order.
    Table(Vec<Entry>),
    /// What no part of a lab is: a date, or a number beyond all bounds.
    Other(&'static str),
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: String,
    /// Position of the key.
    pub at: usize,
    pub item: Item,
}

impl Item {
    /// Says what stands there.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value:?}"),
            Value::Text(value) => format!("{value:?}"),
            Value::List(_) => "a list".into(),
            Value::Table(_) => "a table".into(),
            Value::Other(what) => (*what).into(),
        }
    }
}

/// Takes a TOML document over.
pub(crate) fn of_toml(document: &Spanned<DeTable<'_>>) -> Item {
    Item {
        at: 0,
        value: table(document.get_ref()),
    }
}

fn table(table: &DeTable<'_>) -> Value {
    let entry = |(key, value): (&Spanned<toml::de::DeString<'_>>, &Spanned<DeValue<'_>>)| Entry {
        key: key.get_ref().clone().into_owned(),
        at: key.span().start,
        item: item(value),
    };
    Value::Table(table.iter().map(entry).collect())
}

fn item(value: &Spanned<DeValue<'_>>) -> Item {
    let at = value.span().start;
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("a number with too many digits"),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => Value::Other("a number that cannot be read"),
        },
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(items) => Value::List(items.iter().map(item).collect()),
        DeValue::Table(inner) => table(inner),
    };
    Item { at, value }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyItem)
    }
}

/// Reads whatever comes, in its order.
struct AnyItem;

fn plain<E>(value: Value) -> Result<Item, E> {
    Ok(Item { at: 0, value })
}

impl<'de> Visitor<'de> for AnyItem {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lab document")
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        plain(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Item, E> {
        plain(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Item, E> {
        plain(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Item, E> {
        plain(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Item, E> {
        plain(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Item, E> {
        plain(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        plain(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((key, item)) = map.next_entry::<String, Item>()? {
            entries.push(Entry { key, at: 0, item });
        }
        plain(Value::Table(entries))
    }
}

/// Numbers the parts of a JSON document in its order.
pub(crate) fn number(item: &mut Item, next: &mut usize) {
    item.at = *next;
    *next += 1;
    match &mut item.value {
        Value::List(items) => items.iter_mut().for_each(|item| number(item, next)),
        Value::Table(entries) => {
            for entry in entries {
                entry.at = *next;
                number(&mut entry.item, next);
            }
        }
        _ => {}
    }
}
