//! How an operator wants a plugin loaded and run.

use std::path::PathBuf;
use std::time::Duration;

use crate::frames::Layer;

/// Says how a module is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Most bytes of a module. 1 MiB unless changed; modules made by Go need 2.
    pub module_cap: usize,
    /// Most bytes of one function's body, looked at before the compiler is.
    pub function_cap: usize,
    /// Keep the compiled module in the user's cache directory, and take it from there.
    pub cache: bool,
    /// Compile it so that it counts the instructions it executes, for [`Stage::instructions`](crate::Stage::instructions).
    ///
    /// Such code is slower, and stops at two thousand million instructions instead of at a time.
    pub metered: bool,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            module_cap: 1 << 20,
            function_cap: 128 << 10,
            cache: true,
            metered: false,
        }
    }
}

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A `.wasm` file, or a `.wat` text.
    File(PathBuf),
    /// The same, in memory.
    Bytes {
        /// Name the plugin has when its manifest gives none.
        name: String,
        /// The module, binary or text.
        bytes: Vec<u8>,
    },
}

/// What becomes of frames that a failed plugin cannot judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// They are dropped.
    #[default]
    Closed,
    /// They pass.
    Open,
}

/// When a plugin that keeps failing is taken out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// This many faults ...
    pub faults: u32,
    /// ... within this time take it out of service.
    pub within: Duration,
    /// After this time one fresh instance is tried; it goes out of service again at its first fault.
    pub retry: Duration,
}

impl Default for Trip {
    fn default() -> Trip {
        Trip {
            faults: 5,
            within: Duration::from_secs(10),
            retry: Duration::from_secs(30),
        }
    }
}

/// Says how a module is run as one stage of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct StageOptions {
    /// The configuration: a JSON object.
    pub config: serde_json::Value,
    /// What a failure does to frames; the manifest decides when `None`, and `closed` when it says nothing.
    pub on_fault: Option<OnFault>,
    /// When to take the plugin out of service; never when `None`.
    pub trip: Option<Trip>,
    /// Capabilities granted: `random`.
    pub grants: Vec<String>,
    /// The lab's seed.
    pub seed: u64,
    /// What the frames start with.
    pub layer: Layer,
    /// How many port numbers exist: 1 for a device, 2 for a wire.
    pub ports: u16,
    /// Largest MTU of the ports in bytes, without the Ethernet header.
    pub mtu: u32,
    /// Tells instances of one plugin in one lab apart; a part of the seed of `random`.
    pub instance: u32,
}

impl Default for StageOptions {
    fn default() -> StageOptions {
        StageOptions {
            config: serde_json::Value::Object(serde_json::Map::new()),
            on_fault: None,
            trip: Some(Trip::default()),
            grants: Vec::new(),
            seed: 0,
            layer: Layer::L2,
            ports: 1,
            mtu: 1500,
            instance: 0,
        }
    }
}
