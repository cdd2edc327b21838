//! Plugins over a capture file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vnet_datapath::{ReplayOptions, ReplayReport, capture_layer};
use vnet_impair::Impairment;
use vnet_lab::ready_lines;

use crate::error::Error;
use crate::plugin::Plugin;

/// MTU the plugins are told: longer frames of the file are dropped as `oversize` by plugins whose buffers they do not fit.
const MTU: u32 = 1500;

/// Says which capture goes through which plugins.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// The pcap or pcapng file to read.
    pub input: PathBuf,
    /// Where frames that leave again are written: pcapng, or pcap when the name ends in `.pcap`.
    pub output: Option<PathBuf>,
    /// The chain, first plugin first.
    pub plugins: Vec<Plugin>,
    /// The link that frames cross behind the plugins; its clock is the capture's own timestamps.
    pub impair: Impairment,
    /// Decides all that is random in it: the same frames meet the same fate with the same seed.
    pub seed: u64,
    /// Also tell which frames were changed, and which are missing.
    pub diff: bool,
    /// Ends the run early, with an error, when somebody sets it.
    pub stop: Arc<AtomicBool>,
}

/// Runs a capture file through a chain of plugins. Needs no privilege.
///
/// # Errors
/// [`Error::NotFound`] when there is no such file, [`Error::System`] with the byte offset where it is not a capture,
/// [`Error::PluginRejected`], [`Error::PluginTrap`], [`Error::PluginTimeout`], [`Error::Invalid`] for impairments that do not go
/// together, or whose files cannot be read.
pub fn replay(replay: Replay) -> Result<ReplayReport, Error> {
    if !replay.input.exists() {
        return Err(Error::NotFound {
            what: format!("capture file {} does not exist", replay.input.display()),
            hint: None,
        });
    }
    let [line, _] = ready_lines("of the replay", &[replay.impair, Impairment::default()], None)?;
    let layer = capture_layer(&replay.input)?;
    // The tails collect what the plugins log until the run is over.
    let (stages, _tails): (Vec<_>, Vec<_>) = replay
        .plugins
        .iter()
        .zip(0..)
        .map(|(plugin, number)| plugin.numbered(number).own_stage(layer, 1, MTU))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    Ok(vnet_datapath::replay(ReplayOptions {
        input: replay.input,
        output: replay.output,
        stages,
        diff: replay.diff,
        line: line.map(|ready| (vnet_impair::key(replay.seed, "replay", "a-b"), ready)),
        stop: replay.stop,
    })?)
}
