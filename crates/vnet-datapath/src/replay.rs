use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use vnet_impair::{LineStats, Ready};
use vnet_packet::{Layer, pcap};
use vnet_runtime::{MapCopy, MapInfo, Stage, StageStats};

use crate::capture::{create, refuse};
use crate::error::EngineError;
use crate::forward::{Forwarder, LineAt, Place, Scratch};
use crate::frame::FRAME_MAX;
use crate::path::{End, Shape};
use crate::port::{Change, Io, Port, PortInfo, REMEMBERED, Replay};
use crate::stage::{Direction, StageBox};

/// Says which capture goes through which stages.
#[derive(Debug)]
pub struct ReplayOptions {
    /// The pcap or pcapng file to read.
    pub input: PathBuf,
    /// Where frames that leave again are written; pcapng, or pcap when the name ends in `.pcap`.
    pub output: Option<PathBuf>,
    /// The chain, first stage first.
    pub stages: Vec<Stage>,
    /// Tell which frames were changed, and which are missing.
    pub diff: bool,
    /// What the frames meet behind the chain, with the key of their fates. Their timestamps are its clock, so that a capture of
    /// any length takes no time, and they leave with the time at which they would.
    pub line: Option<([u8; 32], Ready)>,
    /// Ends the run early, with an error, when somebody sets it.
    pub stop: Arc<AtomicBool>,
}

/// What became of a capture's frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayReport {
    /// Frames read.
    pub frames_in: u64,
    /// Frames that left again: passed, sent back, or made by a plugin.
    pub frames_out: u64,
    /// Frames dropped by plugins.
    pub dropped: u64,
    /// Frames the engine itself dropped, by cause.
    pub drops: BTreeMap<String, u64>,
    /// Frames the line made: the second copies of duplicated ones.
    pub duplicated: u64,
    /// With a line: what it did.
    pub line: Option<Box<LineStats>>,
    /// One entry for each stage.
    pub stages: Vec<StageStats>,
    /// One entry for each stage: its maps as they were at the end, but for those it broke.
    #[serde(skip)]
    pub maps: Vec<Vec<(MapInfo, MapCopy)>>,
    /// With `diff`: the frames that left otherwise than they came.
    pub changed: Vec<Change>,
    /// With `diff`: numbers, from 1, of the frames that did not leave.
    pub missing: Vec<u64>,
}

fn open(path: &Path) -> Result<pcap::Reader<BufReader<File>>, EngineError> {
    let file = File::open(path).map_err(|e| refuse(path, format!("cannot open it: {e}")))?;
    pcap::Reader::open(BufReader::new(file)).map_err(|e| refuse(path, e.to_string()))
}

fn first_record(path: &Path) -> Result<Option<pcap::Record>, EngineError> {
    open(path)?
        .next(&mut Vec::new())
        .map_err(|e| refuse(path, e.to_string()))
}

/// Tells what a capture's frames begin with, by the linktype of its first; Ethernet when it holds none.
///
/// # Errors
/// [`EngineError::Capture`] when the file cannot be read or its linktype is neither Ethernet nor IP.
pub fn capture_layer(path: &Path) -> Result<Layer, EngineError> {
    match first_record(path)? {
        None => Ok(Layer::L2),
        Some(first) => first.linktype.layer().map_err(|e| refuse(path, e.to_string())),
    }
}

/// Runs a capture file through a chain of stages. Needs no privilege.
///
/// # Errors
/// [`EngineError::Capture`] with the reason; a partly written output file is left for inspection.
pub fn replay(options: ReplayOptions) -> Result<ReplayReport, EngineError> {
    let input = options.input.as_path();
    let first = first_record(input)?;
    let linktype = first
        .as_ref()
        .map_or(pcap::Linktype::ETHERNET, |first| first.linktype);
    let start = first.map_or(0, |first| first.ts_ns);
    let layer = linktype.layer().map_err(|e| refuse(input, e.to_string()))?;
    if let Some(output) = &options.output
        && same_file(input, output)
    {
        return Err(refuse(
            output,
            "it is also the input; name another file for the output",
        ));
    }
    let reader = open(input)?;
    let writer = options
        .output
        .as_deref()
        .map(|path| create(path, linktype, "replay"))
        .transpose()?;
    // A line may hold more frames than ever are in one batch.
    let diff = match (options.diff, &options.line) {
        (false, _) => 0,
        (true, None) => REMEMBERED,
        (true, Some(_)) => 16 * REMEMBERED,
    };
    let info = PortInfo {
        name: input.display().to_string(),
        layer,
        mtu: FRAME_MAX as u32,
    };
    let port = Port::replay(Replay::new(reader, writer, diff), info);
    let mut forwarder = Forwarder::new(vec![port], Shape::Lone(End::Port(0)), layer, None);
    forwarder.scratch = Scratch::new();
    for stage in options.stages {
        let place = Place::Port(0, Direction::Ingress);
        forwarder.attach(place, StageBox::new(stage, Direction::Ingress), None);
    }
    forwarder.lines.is_virtual = true;
    forwarder.now = start;
    let is_impaired = options.line.is_some();
    if let Some((key, ready)) = options.line {
        forwarder.set_line(LineAt::From(0), key, Some(ready), start);
    }
    forwarder.arm_timers(start);
    let has_timers = forwarder.has_timers();
    if has_timers {
        // Timers come between two frames, each at its time.
        forwarder.scratch.keep_turns_short(true);
    }
    while !forwarder.ports[0].is_gone() {
        if has_timers
            && let Io::Replay(replay) = &mut forwarder.ports[0].io
            && let Some(next) = replay.next_alone()
        {
            forwarder.run_timers_to(next);
        }
        forwarder.pump(0, forwarder.now);
        if options.stop.load(Ordering::Relaxed) {
            return Err(refuse(input, "its replay was stopped"));
        }
    }
    forwarder.run_out();
    let now = forwarder.now;
    let line = is_impaired
        .then(|| forwarder.line_stats(LineAt::From(0), now))
        .flatten();
    let stages = forwarder.all_stats();
    let maps = forwarder.all_maps();
    let ledger = forwarder.ledger.clone();
    let Some(port) = forwarder.into_ports().pop() else {
        return Err(refuse(input, "its port vanished"));
    };
    let counters = port.counters;
    let Io::Replay(replay) = port.io else {
        return Err(refuse(input, "its port vanished"));
    };
    let outcome = replay.finish();
    if let Some(why) = outcome.error {
        return Err(refuse(input, why));
    }
    let mut drops = ledger.drops.named();
    for (name, n) in counters.drops.named() {
        *drops.entry(name).or_default() += n;
    }
    Ok(ReplayReport {
        frames_in: counters.rx_packets,
        frames_out: counters.tx_packets,
        dropped: ledger.stage_drops,
        drops,
        duplicated: ledger.duplicated,
        line: line.map(Box::new),
        stages,
        maps,
        changed: outcome.changed,
        missing: outcome
            .kept
            .iter()
            .zip(1..)
            .filter(|(kept, _)| !**kept)
            .map(|(_, number)| number)
            .collect(),
    })
}

/// Compares the files, not their names: hard links and symbolic links count.
fn same_file(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|m| (m.dev(), m.ino()));
    matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
}
