//! A plugin as a user names it: which module, which configuration, what to do when it fails.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value};
use vnet_datapath::{Seated, StageId};
use vnet_packet::Layer;
use vnet_runtime::{LoadOptions, Module, OnFault, Source, Stage, StageOptions, Trip};

use crate::callable::CallerSlot;
use crate::error::Error;
use crate::logs::LogTail;
use crate::shipped;

/// Says which frames of a device or wire a plugin judges.
///
/// Directions are the engine's: what the kernel sends on `tap0` is ingress, what [`Device::send`](crate::Device::send)
/// writes is egress. On a wire ingress is a to b, egress b to a.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Frames that enter the engine from the device; on a wire those from a to b.
    #[default]
    Ingress,
    /// Frames about to leave through the device; on a wire those from b to a.
    Egress,
    /// One instance judges both.
    Both,
}

/// Holds the configuration given to a plugin.
#[derive(Clone, Debug)]
pub enum Config {
    /// A JSON object.
    Json(Value),
    /// `key=value` pairs whose types the plugin's schema decides; without one: integer, true/false, else string.
    Text(Vec<(String, String)>),
}

impl Default for Config {
    fn default() -> Self {
        Config::Json(Value::Object(serde_json::Map::new()))
    }
}

/// Names a plugin and says how to run it.
#[derive(Clone, Debug, Default)]
pub struct Plugin {
    /// The path of a `.wasm` or `.wat` file, or a shipped plugin's name: `drop_bcast`, also `drop_bcast.wasm` where there is
    /// no such file.
    pub source: String,
    /// The module itself; `source` is then only its name.
    pub bytes: Option<Vec<u8>>,
    /// Its configuration.
    pub config: Config,
    /// What happens to frames while it cannot run; the manifest decides when `None`, and `closed` when it says nothing.
    pub on_fault: Option<OnFault>,
    /// When to stop restarting it; `Some(None)` never stops.
    pub trip: Option<Option<Trip>>,
    /// Capabilities granted: `random`, `inject`, `timer`.
    pub grants: Vec<String>,
    /// Seed of the plugin's `random`.
    pub seed: u64,
    /// Tells those of one name in one place apart: a part of what their random numbers depend on. Whoever attaches sets it.
    pub instance: u32,
    /// Largest module accepted in bytes; 1 MiB when `None`.
    pub module_cap: Option<usize>,
    /// Who judges in the module's place, if anybody: see [`Callable::of`](crate::Callable::of).
    pub caller: Option<Arc<CallerSlot>>,
}

impl Plugin {
    /// Names a plugin by a shipped name or by the path of a file.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            ..Self::default()
        }
    }

    /// Takes a module that is already in memory, binary or text.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            source: name.into(),
            bytes: Some(bytes),
            ..Self::default()
        }
    }

    /// Gives the configuration as a JSON object.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = Config::Json(config);
        self
    }

    /// Decides what happens to frames while the plugin cannot run.
    #[must_use]
    pub fn on_fault(mut self, policy: OnFault) -> Self {
        self.on_fault = Some(policy);
        self
    }

    /// Says which one it is of those in a place.
    pub(crate) fn numbered(&self, instance: u32) -> Self {
        Self {
            instance,
            ..self.clone()
        }
    }

    /// Loads the module: a shipped one, a file, or the bytes.
    ///
    /// # Errors
    /// [`Error::PluginRejected`] with the reason in words, [`Error::NotFound`] when there is no such plugin.
    pub fn module(&self) -> Result<Module, Error> {
        Ok(Module::load(&self.find()?, &self.load_options())?)
    }

    pub(crate) fn load_options(&self) -> LoadOptions {
        let mut options = LoadOptions::default();
        if let Some(cap) = self.module_cap {
            options.module_cap = cap;
        }
        options
    }

    pub(crate) fn find(&self) -> Result<Source, Error> {
        let name = self.source.clone();
        if let Some(bytes) = &self.bytes {
            return Ok(Source::Bytes {
                name,
                bytes: bytes.clone(),
            });
        }
        let path = PathBuf::from(&name);
        let is_file_name = name.contains('/') || path.extension().is_some();
        if is_file_name && path.exists() {
            return Ok(Source::File(path));
        }
        // A shipped plugin is also found under its file's name where no such file lies in the working directory.
        let bare = name.strip_suffix(".wasm").unwrap_or(&name);
        if is_file_name && shipped::find(bare).is_none() {
            return Err(Error::NotFound {
                what: format!("plugin file {name} does not exist"),
                hint: None,
            });
        }
        match shipped::find(bare) {
            Some(plugin) => Ok(Source::Bytes {
                name,
                bytes: plugin.bytes.to_vec(),
            }),
            None => {
                let names: Vec<_> = shipped::shipped().iter().map(|plugin| plugin.name).collect();
                Err(Error::NotFound {
                    what: format!("no plugin named {name:?} ships with vnet"),
                    hint: Some(format!(
                        "{} ship with vnet; write ./{name} for a file",
                        names.join(", ")
                    )),
                })
            }
        }
    }

    /// Returns the file it is read from; `None` for one that ships with vnet, or was given as bytes.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self.find() {
            Ok(Source::File(path)) => Some(path),
            _ => None,
        }
    }

    /// Returns the bare name of the plugin that ships with vnet where it is one.
    pub(crate) fn shipped_name(&self) -> Option<&'static str> {
        let bare = self.source.strip_suffix(".wasm").unwrap_or(&self.source);
        let is_shipped = self.bytes.is_none() && self.file().is_none();
        shipped::find(bare)
            .filter(|_| is_shipped)
            .map(|plugin| plugin.name)
    }

    /// Starts an instance for a place with `ports` ports, and the collection of what it logs.
    pub(crate) fn stage(&self, layer: Layer, ports: u16, mtu: u32) -> Result<(Seated, Arc<LogTail>), Error> {
        let (stage, tail) = self.own_stage(layer, ports, mtu)?;
        let seated = match &self.caller {
            Some(slot) => slot.fill(stage)?,
            None => stage.into(),
        };
        Ok((seated, tail))
    }

    /// The same for a place where only plugins judge.
    pub(crate) fn own_stage(
        &self,
        layer: Layer,
        ports: u16,
        mtu: u32,
    ) -> Result<(Stage, Arc<LogTail>), Error> {
        let stage = self.stage_of(&self.module()?, layer, ports, mtu)?;
        let tail = LogTail::follow(stage.logs());
        Ok((stage, tail))
    }

    /// Takes note of the stage that it is; a callable judges from then on.
    pub(crate) fn attached(&self, id: StageId) {
        if let Some(slot) = &self.caller {
            slot.begin(id);
        }
    }

    /// Starts an instance of a module that was loaded.
    pub(crate) fn stage_of(
        &self,
        module: &Module,
        layer: Layer,
        ports: u16,
        mtu: u32,
    ) -> Result<Stage, Error> {
        let mut options = StageOptions {
            config: self.config.json(module.manifest().config.as_ref()),
            on_fault: self.on_fault,
            grants: self.grants.clone(),
            seed: self.seed,
            layer: match layer {
                Layer::L2 => vnet_runtime::Layer::L2,
                Layer::L3 => vnet_runtime::Layer::L3,
            },
            ports,
            mtu,
            instance: self.instance,
            ..StageOptions::default()
        };
        if let Some(trip) = self.trip {
            options.trip = trip;
        }
        Ok(Stage::new(module, options)?)
    }
}

impl Config {
    /// Returns the configuration as JSON, with texts typed as the plugin's schema says.
    pub(crate) fn json(&self, schema: Option<&Value>) -> Value {
        match self {
            Config::Json(value) => value.clone(),
            Config::Text(pairs) => {
                let types = schema.and_then(|schema| schema.get("properties"));
                let typed = |key: &str, text: &str| {
                    let wanted = types.and_then(|types| types.get(key)?.get("type")?.as_str());
                    typed(wanted, text)
                };
                Value::Object(
                    pairs
                        .iter()
                        .map(|(key, text)| (key.clone(), typed(key, text)))
                        .collect::<Map<_, _>>(),
                )
            }
        }
    }
}

/// Reads a text as the JSON type a schema wants; what does not fit stays text, so that the schema check names it.
fn typed(wanted: Option<&str>, text: &str) -> Value {
    let integer = || {
        text.parse::<i64>()
            .map(Value::from)
            .or_else(|_| text.parse::<u64>().map(Value::from))
            .ok()
    };
    let boolean = || text.parse::<bool>().map(Value::from).ok();
    let value = match wanted {
        Some("string") => None,
        Some("integer") => integer(),
        Some("number") => integer().or_else(|| text.parse::<f64>().ok().map(Value::from)),
        Some("boolean") => boolean(),
        Some("null") => (text == "null").then_some(Value::Null),
        Some("array" | "object") => serde_json::from_str(text).ok(),
        _ => integer().or_else(boolean),
    };
    value.unwrap_or_else(|| Value::from(text))
}

impl From<Direction> for vnet_datapath::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Ingress => Self::Ingress,
            Direction::Egress => Self::Egress,
            Direction::Both => Self::Both,
        }
    }
}

impl FromStr for Direction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "ingress" => Ok(Direction::Ingress),
            "egress" => Ok(Direction::Egress),
            "both" => Ok(Direction::Both),
            other => Err(Error::Invalid {
                what: format!("{other:?} is not a direction"),
                hint: Some("write ingress, egress or both".into()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(pairs: &[(&str, &str)], schema: Option<&Value>) -> Value {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Config::Text(pairs.collect()).json(schema)
    }

    #[test]
    fn a_command_line_is_typed_by_the_schema() {
        let schema = json!({"properties": {"name": {"type": "string"}, "loss": {"type": "number"}, "n": {"type": "integer"}}});
        assert_eq!(
            config(
                &[("name", "7"), ("loss", "7"), ("n", "7"), ("other", "7")],
                Some(&schema)
            ),
            json!({"name": "7", "loss": 7, "n": 7, "other": 7})
        );
    }

    #[test]
    fn a_command_line_without_a_schema_is_integer_boolean_or_text() {
        assert_eq!(
            config(
                &[("a", "-1"), ("b", "true"), ("c", "1.5"), ("d", "10.0.0.1")],
                None
            ),
            json!({"a": -1, "b": true, "c": "1.5", "d": "10.0.0.1"})
        );
    }

    #[test]
    fn what_does_not_fit_its_type_stays_text_for_the_schema_to_refuse() {
        let schema = json!({"properties": {"n": {"type": "integer"}}});
        assert_eq!(config(&[("n", "many")], Some(&schema)), json!({"n": "many"}));
    }

    #[test]
    fn a_shipped_plugin_is_also_found_by_its_file_name() {
        assert_eq!(
            Plugin::new("drop_bcast.wasm").module().unwrap().name(),
            "drop_bcast"
        );
        let error = Plugin::new("./drop_bcast.wasm").module().unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }

    #[test]
    fn an_unknown_bare_name_lists_what_ships() {
        let error = Plugin::new("nonsense").module().unwrap_err();
        assert!(error.hint().unwrap().contains("drop_bcast"), "{error}");
    }
}
