//! Measures what carries packets between two namespaces: vnet, the kernel, plain loops and other people's bridges.
//!
//! It prints samples as JSON, metric → side → one number a round; `tests/bench/bench.py` runs it and holds them to their bars.
#![forbid(unsafe_code)]

mod bare;
mod calls;
mod chain;
mod lab;
mod memory;
mod peer;
mod plain;
mod sides;
mod stream;
mod traffic;
mod uring;
mod work;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::lab::{Lab, Result};
use crate::peer::Places;
use crate::sides::{ON_ONE_PROCESSOR, SIDES};
use crate::stream::{Carried, Ends, Stream, last_processor};

/// Every round measures every side once, each metric on all sides in turn, so that ratios can be taken round by round.
#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds each side is measured for each metric in a round.
    #[arg(long, default_value_t = 400)]
    ms: u64,
    /// Only these metrics.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Metric>,
    /// Only sides whose name is among these.
    #[arg(long, value_delimiter = ';')]
    sides: Vec<String>,
    /// Folder with the plugins.
    #[arg(long, default_value = "plugins")]
    plugins: PathBuf,
    /// Folder with the programs of the peers.
    #[arg(long, default_value = "tests/bench/peers")]
    peers: PathBuf,
    /// Python with the peers' packages.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Metric {
    /// One TCP connection by the congestion control that the machine's programs get, Gbit/s.
    Tcp,
    /// The same with both ends on one processor and in more slices, and by CUBIC too: what the kernel's own ways take.
    Core,
    /// A flood of 60-byte frames: those delivered, and the CPU time for each of the thread that carries them.
    Frames,
    /// A 60-byte frame to and fro, median in microseconds.
    Rtt,
    /// Plugins by themselves, ns a packet.
    Memory,
    /// Shipped plugins at their work, ns a packet.
    Plugins,
    /// System calls by themselves, ns a frame.
    Calls,
}

/// Metric → side → one number a round.
type Samples = BTreeMap<&'static str, BTreeMap<String, Vec<f64>>>;

fn main() -> ExitCode {
    let samples = measure(&Args::parse()).and_then(|samples| Ok(serde_json::to_string(&samples)?));
    match samples {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<Samples> {
    let asked = |metric| args.only.is_empty() || args.only.contains(&metric);
    let places = Places {
        plugins: args.plugins.clone(),
        programs: args.peers.clone(),
        python: args.python.clone(),
    };
    let mut samples = Samples::new();
    let mut keep = |metric, side: &str, value| {
        let sides = samples.entry(metric).or_default();
        sides.entry(side.to_owned()).or_default().push(value);
    };
    let mut labs = Vec::new();
    if [Metric::Tcp, Metric::Core, Metric::Frames, Metric::Rtt]
        .into_iter()
        .any(asked)
    {
        for (name, between) in SIDES {
            if args.sides.is_empty() || args.sides.iter().any(|side| side == name) {
                match Lab::build(*between, &places) {
                    Ok(lab) => labs.push((*name, lab)),
                    // Whatever is held to a bar beside it then misses that.
                    Err(error) => eprintln!("packets: {name} is left out: {error}"),
                }
            }
        }
    }
    let time = Duration::from_millis(args.ms);
    let plugin = args.plugins.join("shipped/drop_bcast.wasm");
    let mut chain = if asked(Metric::Memory) {
        Some(chain::Chain::new(&plugin, 8)?)
    } else {
        None
    };
    for round in 0..args.rounds {
        if asked(Metric::Tcp) {
            let ends = Ends {
                warm_up: Duration::from_millis(150),
                ..Ends::default()
            };
            for i in 0..labs.len() {
                let alone = (i + round) % labs.len();
                for (name, carried) in streams(&labs[alone..=alone], 0, time, 1, ends)? {
                    keep("tcp", name, carried.bits_per_s() / 1e9);
                    if let Some(ns) = carried.cpu_ns() {
                        keep("tcp_cpu", name, ns);
                    }
                }
            }
        }
        if asked(Metric::Core) {
            let compared: Vec<_> = labs
                .iter()
                .filter(|(name, _)| ON_ONE_PROCESSOR.contains(name))
                .collect();
            for (metric, congestion) in [("core", None), ("core_cubic", Some("cubic"))] {
                let ends = Ends {
                    congestion,
                    processor: Some(last_processor()?),
                    warm_up: Duration::from_millis(20),
                };
                for (name, carried) in streams(&compared, round, time / 10, TURNS, ends)? {
                    keep(metric, name, carried.bits_per_s() / 1e9);
                }
            }
        }
        for metric in [Metric::Frames, Metric::Rtt] {
            if !asked(metric) {
                continue;
            }
            for i in 0..labs.len() {
                // Each round begins with another side, so that none always runs on a warmer machine.
                let (name, lab) = &labs[(i + round) % labs.len()];
                let mut measured = || -> Result<()> {
                    match metric {
                        Metric::Rtt => keep("rtt", name, traffic::round_trip(lab, time / 2)?),
                        _ => {
                            let flood = traffic::flood(lab, time)?;
                            keep("frames", name, flood.delivered / 1e3);
                            if let Some(ns) = flood.cpu_ns {
                                keep("cpu", name, ns);
                            }
                        }
                    }
                    Ok(())
                };
                measured().map_err(|e| format!("{name}: {e}"))?;
            }
        }
        if asked(Metric::Memory) {
            for row in memory::ROWS {
                keep(
                    "memory",
                    row.name,
                    memory::ns_per_packet(&args.plugins, row, time / 2)?,
                );
            }
        }
        if let Some(chain) = &mut chain {
            keep("memory", "chain of 8, 1500 B", chain.ns_per_packet(time / 2)?);
        }
        if asked(Metric::Plugins) {
            for row in work::ROWS {
                keep(
                    "plugins",
                    row.name,
                    work::ns_per_packet(&args.plugins, row, time / 4)?,
                );
            }
        }
        if asked(Metric::Calls) {
            for (name, ns) in calls::ns_per_frame()? {
                keep("calls", name, ns);
            }
        }
        eprintln!("packets: round {} of {}", round + 1, args.rounds);
    }
    Ok(samples)
}

/// Times a round that those sides take turns whose difference is a few hundredths.
const TURNS: u32 = 12;

/// Gives every side in turn its slices of a stream.
fn streams<L: Borrow<(&'static str, Lab)>>(
    labs: &[L],
    round: usize,
    slice: Duration,
    turns: u32,
    ends: Ends,
) -> Result<Vec<(&str, Carried)>> {
    let mut open = Vec::new();
    for (name, lab) in labs.iter().map(Borrow::borrow) {
        let stream = Stream::open(lab, ends).map_err(|e| format!("{name}: {e}"))?;
        open.push((*name, stream));
    }
    let sides = open.len();
    for turn in 0..turns {
        for i in 0..sides {
            // Each turn begins with another side, so that none always runs on a warmer machine.
            let (name, stream) = &mut open[(i + round + turn as usize) % sides];
            stream.slice(slice).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    for (name, stream) in &mut open {
        // A slow way may lose so much at first that it stands still until the sender's timer has run out.
        for _ in 0..3 {
            if stream.carried.bits_per_s() == 0.0 {
                stream.slice(slice).map_err(|e| format!("{name}: {e}"))?;
            }
        }
    }
    if let Some((name, _)) = open.iter().find(|(_, stream)| stream.carried.bits_per_s() == 0.0) {
        return Err(format!("{name}: the stream came to a halt").into());
    }
    Ok(open
        .iter()
        .map(|(name, stream)| (*name, stream.carried.clone()))
        .collect())
}
