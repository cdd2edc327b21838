//! Measures vnet against the kernel and a plain loop, both sides in one run, and holds the ratios to their bars.
#![forbid(unsafe_code)]

mod lab;
mod memory;
mod pairs;
mod plain;
mod report;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::lab::{Between, Lab, Result};
use crate::pairs::ratios;
use crate::report::{Bar, Report};

/// Paired benchmarks: every round runs every side once; ratios are taken round by round.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds; the medians are over these.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Milliseconds each TCP stream and each flood is measured in a round.
    #[arg(long, default_value_t = 500)]
    ms: u64,
    /// Folder with the plugins.
    #[arg(long, default_value = "plugins")]
    plugins: PathBuf,
    /// Where the same numbers are written as JSON.
    #[arg(long, default_value = "tests/bench/results/latest.json")]
    json: PathBuf,
}

/// The sides that are compared, in the order each round runs them.
const SIDES: [&str; 8] = [
    "direct veth",
    "kernel bridge",
    "plain TAP loop",
    "TAP wire",
    "TAP wire, drop_bcast simple",
    "TAP wire, drop_bcast batch",
    "lab link, rootless",
    "lab link with drop_bcast",
];
const VETH: usize = 0;
const BRIDGE: usize = 1;
const PLAIN: usize = 2;
const NONE: usize = 3;
const SIMPLE: usize = 4;
const BATCH: usize = 5;
const LINK: usize = 6;
const FILTERED: usize = 7;

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(report) => {
            report.print();
            if report.missed() {
                eprintln!("error: a bar was missed");
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<Report> {
    if args.rounds < 7 {
        return Err("fewer than 7 rounds give no interval worth printing".into());
    }
    let simple = args.plugins.join("drop_bcast/simple.wat");
    let batch = args.plugins.join("shipped/drop_bcast.wasm");
    let sides = [
        Between::Veth,
        Between::Bridge,
        Between::Plain,
        Between::Wire,
        Between::Plugin(&simple),
        Between::Plugin(&batch),
        Between::Link,
        Between::LinkPlugin(&batch),
    ];
    let labs = sides
        .iter()
        .map(|side| Lab::build(*side))
        .collect::<Result<Vec<_>>>()?;
    let time = Duration::from_millis(args.ms);
    let mut tcp = vec![Vec::new(); labs.len()];
    let mut delivered = vec![Vec::new(); labs.len()];
    let mut cpu = vec![Vec::new(); labs.len()];
    for round in 0..args.rounds {
        for i in 0..labs.len() {
            // Each round begins with another side, so that none always runs on a warmer machine.
            let side = (i + round) % labs.len();
            tcp[side].push(traffic::tcp(&labs[side], time)? / 1e9);
            let flood = traffic::flood(&labs[side], time)?;
            delivered[side].push(flood.delivered / 1e3);
            cpu[side].extend(flood.cpu_ns);
        }
        eprintln!("round {} of {}", round + 1, args.rounds);
    }
    let mut report = Report {
        machine: report::machine(),
        rounds: args.rounds,
        ..Report::default()
    };
    for (i, side) in SIDES.iter().enumerate() {
        report.measured(&format!("{side}: TCP, Gbit/s"), &tcp[i]);
        report.measured(&format!("{side}: 60 B frames, kframes/s"), &delivered[i]);
        if !cpu[i].is_empty() {
            report.measured(&format!("{side}: 60 B frames, CPU ns/frame"), &cpu[i]);
        }
    }
    let mut row = |what: &str, values: &[Vec<f64>], a: usize, b: usize, bar| {
        report.row(
            &format!("{what}: {} / {}", SIDES[a], SIDES[b]),
            &ratios(&values[a], &values[b]),
            bar,
        );
    };
    row("CPU", &cpu, BATCH, NONE, Some(Bar::AtMost(1.10)));
    row("CPU", &cpu, SIMPLE, NONE, None);
    row("CPU", &cpu, BATCH, PLAIN, None);
    row("TCP", &tcp, BATCH, VETH, Some(Bar::AtLeast(0.5)));
    row("TCP", &tcp, BATCH, PLAIN, Some(Bar::AtLeast(4.0)));
    row("TCP", &tcp, LINK, VETH, Some(Bar::AtLeast(0.9)));
    row("TCP", &tcp, FILTERED, VETH, None);
    row("TCP", &tcp, NONE, VETH, None);
    row("TCP", &tcp, SIMPLE, VETH, None);
    row("TCP", &tcp, BRIDGE, VETH, None);
    row("frames", &delivered, LINK, VETH, None);
    row("frames", &delivered, FILTERED, VETH, None);
    row("frames", &delivered, BATCH, VETH, None);
    row("frames", &delivered, BATCH, BRIDGE, None);
    row("frames", &delivered, BATCH, PLAIN, None);
    drop(labs);
    for (name, file) in plugins(&args.plugins, &simple) {
        let ns = memory::ns_per_packet(&file, 64, Duration::from_millis(200))?;
        report.plugins_ns_per_packet.insert(name, ns);
    }
    report.write(&args.json)?;
    Ok(report)
}

fn plugins(folder: &Path, simple: &Path) -> Vec<(String, PathBuf)> {
    let mut list: Vec<_> = ["drop_bcast", "icmp_echo", "count"]
        .map(|name| {
            (
                name.to_owned(),
                folder.join("shipped").join(name).with_extension("wasm"),
            )
        })
        .into();
    list.push(("drop_bcast, simple form in WAT".to_owned(), simple.to_owned()));
    list
}
