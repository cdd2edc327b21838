//! `vnet plugin inspect`: what a module says of itself, and what it may do.

use serde::Serialize;
use serde_json::Value;
use vnet_runtime::{Layer, Manifest, Module, Stage, StageOptions, Traits};

/// What a module says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Name of the plugin.
    pub name: String,
    /// `simple` or `batch`.
    pub form: String,
    /// Bytes of the module.
    pub size: usize,
    /// Bytes of memory it starts with.
    pub memory: u64,
    /// Its manifest, with defaults where it has none.
    pub manifest: Manifest,
    /// The keys of its configuration.
    pub config: Vec<ConfigKey>,
    /// What it takes of frames; `None` where it does not start without a configuration.
    pub traits: Option<Traits>,
    /// Why it does not start, where it does not.
    pub start_error: Option<String>,
    /// What it may do, in sentences.
    pub may: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
    /// Names of its imports.
    pub imports: Vec<String>,
}

/// One key of a configuration, as its schema describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigKey {
    /// The key; those of a nested object after a dot.
    pub key: String,
    /// The JSON type, or the values that are allowed.
    pub kind: String,
    /// It must be given.
    pub required: bool,
    /// What holds when it is not given.
    pub default: Option<String>,
    /// Bounds and patterns.
    pub limits: String,
    /// What it is for.
    pub description: String,
}

/// Describes a module; it is started once, without a configuration, to learn how large its buffers are.
#[must_use]
pub fn inspect(module: &Module) -> Inspection {
    let manifest = module.manifest().clone();
    let options = StageOptions {
        grants: manifest.capabilities.clone(),
        layer: manifest.layers.first().copied().unwrap_or(Layer::L2),
        ports: 2,
        mtu: 0,
        ..StageOptions::default()
    };
    let started = Stage::new(module, options);
    let mut config = Vec::new();
    if let Some(schema) = &manifest.config {
        keys(schema, "", &mut config);
    }
    Inspection {
        name: module.name().to_owned(),
        form: module.form().name().to_owned(),
        size: module.size(),
        memory: module.memory_pages() * 65_536,
        may: may(module, started.as_ref().ok().map(Stage::traits)),
        traits: started.as_ref().ok().map(Stage::traits),
        start_error: started.err().map(|error| error.to_string()),
        config,
        exports: module.exports().to_vec(),
        imports: module.imports().to_vec(),
        manifest,
    }
}

fn may(module: &Module, traits: Option<Traits>) -> Vec<String> {
    let imports = |name: &str| {
        module
            .imports()
            .iter()
            .any(|import| import == &format!("vnet.{name}"))
    };
    let mut may = Vec::new();
    may.push(if traits.is_some_and(|traits| traits.pure) {
        "judge frames by their bytes alone; it declares that it rewrites none".to_owned()
    } else {
        "read, rewrite, drop, redirect and delay the frames it is given".to_owned()
    });
    for (name, what) in [
        ("log", "write to the log"),
        ("count", "count"),
        ("config_int", "read its configuration"),
        ("random", "take random numbers, when it is granted `random`"),
        (
            "inject",
            "send frames of its own at any time, when it is granted `inject`",
        ),
        (
            "timer",
            "be woken at times it asks for, when it is granted `timer`",
        ),
    ] {
        if imports(name) {
            may.push(what.to_owned());
        }
    }
    if module.imports().iter().any(|import| import.starts_with("wasi_")) {
        may.push(
            "start a language's run-time on WASI, of which it gets the clock and its log alone".to_owned(),
        );
    }
    may
}

fn keys(schema: &Value, prefix: &str, found: &mut Vec<ConfigKey>) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let key = format!("{prefix}{name}");
        found.push(ConfigKey {
            kind: kind(property),
            required: required.contains(&name.as_str()),
            default: property.get("default").map(Value::to_string),
            limits: limits(property),
            description: property["description"].as_str().unwrap_or_default().to_owned(),
            key: key.clone(),
        });
        keys(property, &format!("{key}."), found);
        if property["items"].is_object() {
            keys(&property["items"], &format!("{key}[]."), found);
        }
    }
}

fn kind(property: &Value) -> String {
    if let Some(values) = property["enum"].as_array() {
        return values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" or ");
    }
    match &property["type"] {
        Value::String(kind) if kind == "array" => {
            let item = property["items"]["type"].as_str().unwrap_or("any");
            format!("array of {item}")
        }
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => {
            let options = ["oneOf", "anyOf"]
                .iter()
                .find_map(|key| property[*key].as_array());
            let kinds: Vec<String> = options.into_iter().flatten().map(kind).collect();
            if kinds.is_empty() {
                "any".into()
            } else {
                kinds.join(" or ")
            }
        }
    }
}

fn limits(property: &Value) -> String {
    const KEYS: [(&str, &str); 8] = [
        ("minimum", ">= "),
        ("exclusiveMinimum", "> "),
        ("maximum", "<= "),
        ("exclusiveMaximum", "< "),
        ("minLength", "length >= "),
        ("maxLength", "length <= "),
        ("maxItems", "items <= "),
        ("pattern", "matches "),
    ];
    KEYS.iter()
        .filter_map(|(key, sign)| property.get(*key).map(|value| format!("{sign}{value}")))
        .collect::<Vec<_>>()
        .join(", ")
}
