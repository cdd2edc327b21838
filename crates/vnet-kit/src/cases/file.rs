//! The file of cases as it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use vnet_packet::Layer;

use crate::capture;
use crate::frame::FrameSpec;

/// Most frames of a capture that a step judges.
const FRAMES_MAX: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Case>>,
}

/// One case: a fresh plugin, some steps, and what it has counted at the end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub name: String,
    #[serde(default = "empty")]
    pub config: Value,
    #[serde(default)]
    pub grants: Vec<String>,
    /// How many ports there are.
    #[serde(default = "two")]
    pub ports: u16,
    #[serde(default = "ethernet_mtu")]
    pub mtu: u32,
    /// The plugin refuses to start, and its words contain these.
    pub refused: Option<String>,
    #[serde(default)]
    pub step: Vec<Step>,
    /// Counters of the plugin at the end.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
    /// Drops by reason at the end.
    #[serde(default)]
    pub drops: BTreeMap<String, u64>,
    /// Faults that may happen: `trap`, `timeout`, ...
    #[serde(default)]
    pub faults: Vec<String>,
}

/// Frames that arrive, and what is expected to become of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Step {
    pub frame: Option<Value>,
    pub pcap: Option<PathBuf>,
    pub port: u16,
    /// The lab's clock in seconds.
    pub at: f64,
    /// The frame arrives so many times.
    pub repeat: Option<usize>,
    pub verdict: Option<String>,
    pub out_port: Option<u16>,
    pub reason: Option<String>,
    /// How many frames have which verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// The frame that leaves, in full.
    pub out: Option<Value>,
    /// The frame that leaves is the one that came, but for these fields.
    pub changed: Option<Value>,
    /// Frames that the plugin makes.
    pub appended: Option<Vec<Value>>,
    /// The frames that leave, in order.
    pub out_pcap: Option<PathBuf>,
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn two() -> u16 {
    2
}

fn ethernet_mtu() -> u32 {
    1500
}

/// What a step offers.
pub(super) struct Offered {
    pub layer: Layer,
    pub frames: Vec<Vec<u8>>,
}

/// Reads the cases, each with the line where it starts.
pub(super) fn parse(text: &str) -> Result<Vec<(Case, usize)>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.case.is_empty() {
        return Err("it has no [[case]]".into());
    }
    for case in file.case.iter().map(Spanned::get_ref) {
        if case.step.is_empty() && case.refused.is_none() {
            return Err(format!("case {:?} has no [[case.step]]", case.name));
        }
    }
    let line = |at: usize| 1 + text.get(..at).unwrap_or_default().matches('\n').count();
    let cases = file.case.into_iter().map(|case| (line(case.span().start), case));
    Ok(cases.map(|(line, case)| (case.into_inner(), line)).collect())
}

/// Reads a frame as a file writes it.
pub(super) fn spec(value: &Value) -> Result<FrameSpec, String> {
    FrameSpec::deserialize(value).map_err(|error| format!("its frame: {error}"))
}

pub(super) fn offered(step: &Step, dir: &Path) -> Result<Offered, String> {
    match (&step.frame, &step.pcap) {
        (Some(frame), None) => {
            let spec = spec(frame)?;
            let bytes = spec.bytes()?;
            Ok(Offered {
                layer: spec.layer(),
                frames: vec![bytes; step.repeat.unwrap_or(1)],
            })
        }
        (None, Some(path)) => {
            let capture = capture::read(&dir.join(path), FRAMES_MAX).map_err(|error| error.to_string())?;
            Ok(Offered {
                layer: capture.layer,
                frames: capture.frames,
            })
        }
        (None, None) => Err("it offers nothing: write frame = { ... } or pcap = \"FILE\"".into()),
        (Some(_), Some(_)) => Err("it offers a frame and a pcap: write one of them".into()),
    }
}

/// Puts the fields of `changes` over those of a frame, header by header.
pub(super) fn merged(frame: &Value, changes: &Value) -> Value {
    match (frame, changes) {
        (Value::Object(frame), Value::Object(changes)) => {
            let mut merge = frame.clone();
            for (key, change) in changes {
                let value = frame
                    .get(key)
                    .map_or_else(|| change.clone(), |old| merged(old, change));
                merge.insert(key.clone(), value);
            }
            Value::Object(merge)
        }
        (_, change) => change.clone(),
    }
}
