//! `vnet wire`: two existing interfaces joined through plugins.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use vnet::{Direction, Netns, Wire};

use crate::args::{PluginOptions, direction};
use crate::failure::Failure;
use crate::impair_arg::ImpairOptions;
use crate::output;
use crate::session::Session;
use crate::signals::Signals;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Existing interface; packets from it are ingress
    a: String,
    /// The other existing interface
    b: String,
    #[command(flatten)]
    plugins: PluginOptions,
    #[command(flatten)]
    impair: ImpairOptions,
    /// Which packets the plugins judge: ingress (from A to B), egress (from B to A), both
    #[arg(long, value_parser = direction, default_value = "both")]
    direction: Direction,
    /// Record the packets of A: pcapng, or pcap when the name ends in .pcap
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Namespace of both interfaces and of CMD: host, sandbox, a name in /run/netns, or a path
    #[arg(long, value_name = "WHERE")]
    netns: Option<Netns>,
    /// Print one JSON document at the end instead of the table
    #[arg(long)]
    json: bool,
    /// Command to run; vnet ends with it, with its exit code
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    let changes = options.impair.changes()?;
    let mut signals = Signals::take()?;
    let netns = options.netns.clone().unwrap_or_default();
    let a = vnet::open(&options.a, &netns)?;
    let b = vnet::open(&options.b, &netns)?;
    let wire = match options.impair.seed {
        Some(seed) => Wire::seeded(&a, &b, seed)?,
        None => Wire::held(&a, &b)?,
    };
    wire.impair(&changes)?;
    let attach = |plugin| wire.attach(&plugin, options.direction);
    let attachments = options.plugins.plugins().map(attach).collect::<Result<_, _>>()?;
    let recording = options.pcap.as_ref().map(|path| a.record(path)).transpose()?;
    wire.start()?;
    if options.command.is_empty() {
        output::note(&format!("{a} and {b} are joined; Ctrl-C ends"));
    }
    let session = Session {
        recording,
        attachments,
        wire: Some(wire),
        devices: vec![a, b],
    };
    session.run(&mut signals, &netns, &options.command, options.json)
}
