//! What a plugin says of itself, read without instantiating it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use vnet_abi::{ABI_VERSION, COUNTER_NAME_MAX, COUNTERS_MAX, MAJOR, MINOR, import};

use crate::config::Schema;
use crate::error::Refusal;
use crate::frames::Layer;
use crate::options::OnFault;
use crate::record::MapLayout;

/// Longest name a plugin may have, in bytes.
const NAME_MAX: usize = 64;

/// The manifest of a module; one without it has the defaults.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Manifest {
    /// Name; the file's stem when the manifest gives none.
    pub name: String,
    /// The plugin's own version.
    pub version: Option<String>,
    /// Version of the plugin ABI it was made for.
    pub abi: String,
    /// What it does, for people.
    pub description: Option<String>,
    /// Capabilities it asks for.
    pub capabilities: Vec<String>,
    /// Which frames it understands.
    pub layers: Vec<Layer>,
    /// Version of the state it saves.
    pub state_version: u32,
    /// What the keys and values of its maps are.
    pub maps: BTreeMap<String, MapLayout>,
    /// Texts of its reason codes.
    pub reasons: BTreeMap<u16, String>,
    /// Counters that exist from the start.
    pub counters: Vec<String>,
    /// JSON schema of its configuration.
    pub config: Option<Value>,
    /// What its failure does to frames, where the operator does not decide.
    pub on_fault: Option<OnFault>,
    /// Whether the module has a manifest at all.
    pub present: bool,
    #[serde(skip)]
    pub(crate) schema: Option<Arc<Schema>>,
}

impl Manifest {
    /// Returns the manifest of a module that has none.
    pub(crate) fn absent(name: &str) -> Manifest {
        Manifest {
            name: name.to_owned(),
            version: None,
            abi: ABI_VERSION.to_owned(),
            description: None,
            capabilities: Vec::new(),
            layers: vec![Layer::L2],
            state_version: 0,
            maps: BTreeMap::new(),
            reasons: BTreeMap::new(),
            counters: Vec::new(),
            config: None,
            on_fault: None,
            present: false,
            schema: None,
        }
    }

    /// Reads a manifest; `name` is taken when it gives none.
    pub(crate) fn parse(json: &[u8], name: &str) -> Result<Manifest, Refusal> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| Refusal::new(format!("its manifest is not JSON: {error}")))?;
        let Value::Object(map) = value else {
            return Err(Refusal::new(format!(
                "its manifest is {}; it must be a JSON object",
                kind(&value)
            )));
        };
        let fields = Fields(&map);
        let mut manifest = Manifest {
            present: true,
            ..Manifest::absent(name)
        };
        if let Some(name) = fields.text("name")? {
            if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
                return Err(bad(
                    "name",
                    "must be 1 to 64 bytes without control characters",
                    &Value::from(name),
                ));
            }
            name.clone_into(&mut manifest.name);
        }
        manifest.version = fields.text("version")?.map(str::to_owned);
        manifest.description = fields.text("description")?.map(str::to_owned);
        if let Some(abi) = fields.text("abi")? {
            check_abi(abi)?;
            abi.clone_into(&mut manifest.abi);
        }
        manifest.capabilities = fields.texts("capabilities")?;
        for capability in &manifest.capabilities {
            check_capability(capability)?;
        }
        if map.contains_key("layers") {
            manifest.layers = layers(&fields.texts("layers")?)?;
        }
        if let Some(version) = map.get("state_version") {
            manifest.state_version = version
                .as_u64()
                .and_then(|v| u32::try_from(v).ok())
                .ok_or_else(|| bad("state_version", "must be an unsigned 32-bit integer", version))?;
        }
        if let Some(maps) = fields.object("maps")? {
            manifest.maps = maps
                .iter()
                .map(|(name, entry)| Ok((name.clone(), MapLayout::read(name, entry)?)))
                .collect::<Result<_, Refusal>>()?;
        }
        if let Some(reasons) = fields.object("reasons")? {
            manifest.reasons = reasons
                .iter()
                .map(|(code, text)| reason(code, text))
                .collect::<Result<_, _>>()?;
        }
        manifest.counters = fields.texts("counters")?;
        check_counters(&manifest.counters)?;
        if let Some(schema) = map.get("config") {
            manifest.schema = Some(Arc::new(Schema::new(schema)?));
            manifest.config = Some(schema.clone());
        }
        manifest.on_fault = match fields.text("on_fault")? {
            None => None,
            Some("closed") => Some(OnFault::Closed),
            Some("open") => Some(OnFault::Open),
            Some(other) => {
                return Err(bad(
                    "on_fault",
                    "must be \"closed\" or \"open\"",
                    &Value::from(other),
                ));
            }
        };
        Ok(manifest)
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn text(&self, key: &str) -> Result<Option<&'a str>, Refusal> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(bad(key, "must be a string", other)),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Refusal> {
        let Some(value) = self.0.get(key) else {
            return Ok(Vec::new());
        };
        let refusal = || bad(key, "must be an array of strings", value);
        value
            .as_array()
            .ok_or_else(refusal)?
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(refusal))
            .collect()
    }

    fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(bad(key, "must be an object", other)),
        }
    }
}

fn bad(key: &str, expected: &str, found: &Value) -> Refusal {
    Refusal::new(format!("manifest key {key:?} {expected}; it is {found}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn check_abi(abi: &str) -> Result<(), Refusal> {
    let parsed = abi
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match parsed {
        Some((major, minor)) => check_version(major, minor),
        None => Err(bad("abi", "must be \"MAJOR.MINOR\"", &Value::from(abi))),
    }
}

/// Refuses a guest made for another major version, or for a later minor one.
pub(crate) fn check_version(major: u16, minor: u16) -> Result<(), Refusal> {
    #[expect(
        clippy::absurd_extreme_comparisons,
        reason = "the minor version is not 0 for ever"
    )]
    let known = major == MAJOR && minor <= MINOR;
    if known {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "is made for version {major}.{minor} of the plugin ABI; this host has {ABI_VERSION}"
    ))
    .hint(if (major, minor) > (MAJOR, MINOR) {
        "update vnet"
    } else {
        "build it against this version's SDK"
    }))
}

/// Refuses a capability that does not exist.
pub(crate) fn check_capability(name: &str) -> Result<(), Refusal> {
    match name {
        import::RANDOM | import::INJECT | import::TIMER => Ok(()),
        _ => Err(Refusal::new(format!("asks for the unknown capability {name:?}"))
            .hint("capabilities are random, inject and timer")),
    }
}

/// Refuses a grant of what does not exist.
pub(crate) fn check_grant(name: &str) -> Result<(), Refusal> {
    check_capability(name).map_err(|_| {
        Refusal::new(format!("is granted the unknown capability {name:?}"))
            .hint("capabilities are random, inject and timer")
    })
}

fn layers(names: &[String]) -> Result<Vec<Layer>, Refusal> {
    let refusal = |found: &Value| bad("layers", "must name l2, l3 or both", found);
    if names.is_empty() {
        return Err(refusal(&Value::Array(Vec::new())));
    }
    names
        .iter()
        .map(|name| match name.as_str() {
            "l2" => Ok(Layer::L2),
            "l3" => Ok(Layer::L3),
            other => Err(refusal(&Value::from(other))),
        })
        .collect()
}

fn reason(code: &str, text: &Value) -> Result<(u16, String), Refusal> {
    let number = code.parse().ok().filter(|code| *code != 0).ok_or_else(|| {
        Refusal::new(format!(
            "manifest key \"reasons\" has the code {code:?}; codes are 1 to 65535"
        ))
    })?;
    match text.as_str() {
        Some(text) if !text.is_empty() => Ok((number, text.to_owned())),
        _ => Err(bad(&format!("reasons.{code}"), "must be a text", text)),
    }
}

fn check_counters(names: &[String]) -> Result<(), Refusal> {
    if names.len() > COUNTERS_MAX {
        return Err(Refusal::new(format!(
            "its manifest declares {} counters; {COUNTERS_MAX} is the most",
            names.len()
        )));
    }
    match names
        .iter()
        .find(|name| name.is_empty() || name.len() > COUNTER_NAME_MAX)
    {
        None => Ok(()),
        Some(name) => Err(bad(
            "counters",
            "must be names of 1 to 64 bytes",
            &Value::from(name.as_str()),
        )),
    }
}
