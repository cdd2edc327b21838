//! A plugin's configuration: checked against its schema, then ready for the guest.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Number, Value};

use crate::error::Refusal;
use crate::items;

/// Most problems named at once.
const SHOWN: usize = 5;

/// The JSON schema of a manifest, compiled.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    /// The keys that may occur, where the schema allows no others.
    known: Option<Vec<String>>,
}

impl Schema {
    pub(crate) fn new(schema: &Value) -> Result<Schema, Refusal> {
        let validator = jsonschema::validator_for(schema).map_err(|error| {
            Refusal::new(format!(
                "manifest key \"config\" is not a JSON schema this host can use: {error}"
            ))
        })?;
        Ok(Schema {
            validator,
            known: known_keys(schema),
        })
    }

    fn check(&self, config: &Map<String, Value>, whole: &Value) -> Result<(), Refusal> {
        let mut problems: Vec<_> = config.keys().filter_map(|key| self.unknown(key)).collect();
        let told = !problems.is_empty();
        // What the keys' names say better is left out.
        let errors = self.validator.iter_errors(whole).filter(|error| {
            !(told && error.instance_path().is_empty() && is_about_unknown_keys(error.kind()))
        });
        problems.extend(errors.map(|error| describe(&error)));
        problems.truncate(SHOWN);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Refusal::new(problems.join("; ")))
        }
    }

    fn unknown(&self, key: &str) -> Option<String> {
        let known = self.known.as_ref()?;
        if known.iter().any(|name| name == key) {
            return None;
        }
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        Some(format!(
            "config key {key:?} is unknown to this plugin, which knows {known}"
        ))
    }
}

/// Returns the keys of a schema that allows no others by name.
fn known_keys(schema: &Value) -> Option<Vec<String>> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false))
        || schema.get("patternProperties").is_some()
    {
        return None;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    Some(
        properties
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default(),
    )
}

fn is_about_unknown_keys(kind: &ValidationErrorKind) -> bool {
    matches!(
        kind,
        ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::FalseSchema
    )
}

/// Says which key is wrong and what was expected there.
fn describe(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let key = path.trim_start_matches('/').replace('/', ".");
    let at = |rest: String| {
        if key.is_empty() {
            format!("config {rest}")
        } else {
            format!("config key {key:?} {rest}")
        }
    };
    let found = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(single) => single.to_string(),
                TypeKind::Multiple(several) => several
                    .iter()
                    .map(|t| t.to_string())
                    .collect::<Vec<_>>()
                    .join(" or "),
            };
            at(format!("must be of type {expected}; it is {found}"))
        }
        ValidationErrorKind::Required { property } => match property.as_str() {
            Some(name) => format!("config key {:?} is required and missing", join(&key, name)),
            None => at(error.to_string()),
        },
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<_> = unexpected
                .iter()
                .map(|name| format!("{:?}", join(&key, name)))
                .collect();
            format!("config key {} is unknown to this plugin", names.join(", "))
        }
        ValidationErrorKind::Enum { options } => at(format!("must be one of {options}; it is {found}")),
        ValidationErrorKind::Minimum { limit } => at(format!("must be at least {limit}; it is {found}")),
        ValidationErrorKind::Maximum { limit } => at(format!("must be at most {limit}; it is {found}")),
        ValidationErrorKind::MaxLength { limit } => {
            let length = found.as_str().map_or(0, |text| text.chars().count());
            at(format!("must have at most {limit} characters; it has {length}"))
        }
        ValidationErrorKind::Pattern { pattern } => {
            at(format!("must match the pattern {pattern}; it is {found}"))
        }
        _ => at(format!("is wrong: {error}")),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// An integer no guest can be given.
struct OutOfRange;

/// Returns the integer that a number is, where it is one: 1.0 is, as JSON schema has it.
fn integer(number: &Number) -> Result<Option<i64>, OutOfRange> {
    // The f64 at i64's ends: what is rounded there may be beyond.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if let Some(exact) = number.as_i64() {
        return Ok(Some(exact));
    }
    // What JSON writes as an integer beyond u64 arrives as a float.
    match number.as_f64() {
        Some(float) if float.fract() != 0.0 => Ok(None),
        Some(float) if float.abs() < END => Ok(Some(float as i64)),
        _ => Err(OutOfRange),
    }
}

/// The configuration as the guest asks for it.
#[derive(Debug)]
pub(crate) struct Config {
    /// The whole, as `vnet_configure` gets it.
    pub(crate) json: String,
    values: BTreeMap<String, Entry>,
    /// The items of its lists in words, once somebody asked for one.
    items: OnceLock<BTreeMap<String, String>>,
}

#[derive(Debug)]
struct Entry {
    int: Option<i64>,
    text: Option<String>,
}

impl Config {
    /// Checks a configuration against the schema, where there is one.
    pub(crate) fn new(config: &Value, schema: Option<&Schema>) -> Result<Config, Refusal> {
        let Value::Object(map) = config else {
            return Err(Refusal::new(format!(
                "config must be a JSON object; it is {config}"
            )));
        };
        if let Some(schema) = schema {
            schema.check(map, config)?;
        }
        let mut values = BTreeMap::new();
        for (key, value) in map {
            let number = value.as_number().map(integer).transpose().map_err(|OutOfRange| {
                Refusal::new(format!(
                    "config key {key:?} must fit a signed 64-bit integer; it is {value}"
                ))
            })?;
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            let int = value.as_bool().map(i64::from).or(number.flatten());
            values.insert(key.clone(), Entry { int, text });
        }
        Ok(Config {
            json: config.to_string(),
            values,
            items: OnceLock::new(),
        })
    }

    /// Returns an integer, or a boolean as 0 or 1.
    pub(crate) fn int(&self, key: &[u8]) -> Option<i64> {
        self.get(key)?.int
    }

    /// Returns a string as it is, anything else but null as JSON.
    pub(crate) fn text(&self, key: &[u8]) -> Option<&str> {
        self.get(key)?.text.as_deref()
    }

    /// Returns in words what stands at a place of a list: `rule_3` is what comes fourth in the list `rules`.
    pub(crate) fn item(&self, name: &str) -> Option<&str> {
        let items = self.items.get_or_init(|| items::in_words(&self.json));
        items.get(name).map(String::as_str)
    }

    fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.values.get(std::str::from_utf8(key).ok()?)
    }
}
