//! `vnet tap`: a TAP device with plugins on its packets.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use vnet::{Device, Direction, Netns, Tap, Wire};

use crate::args::{PluginOptions, direction};
use crate::failure::Failure;
use crate::output;
use crate::session::Session;
use crate::signals::Signals;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Name of the device, at most 15 bytes
    name: String,
    /// Address with prefix length, such as 10.0.0.1/24; a bare address is a /32; repeated for more
    #[arg(long, value_name = "CIDR")]
    ip: Vec<String>,
    /// Ethernet address [default: the kernel's choice]
    #[arg(long, value_name = "MAC")]
    mac: Option<String>,
    /// MTU in bytes
    #[arg(long, default_value_t = 1500)]
    mtu: u32,
    #[command(flatten)]
    plugins: PluginOptions,
    /// Which packets the plugins judge: ingress (sent by the kernel), egress, both [default: ingress; both with --peer]
    #[arg(long, value_parser = direction)]
    direction: Option<Direction>,
    /// Existing interface to join the device with: every packet goes on to the other one
    #[arg(long, value_name = "DEV")]
    peer: Option<String>,
    /// Record the device's packets: pcapng, or pcap when the name ends in .pcap
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Namespace of the device and of CMD: host, sandbox, a name in /run/netns, or a path
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
    let mut signals = Signals::take()?;
    let netns = options.netns.clone().unwrap_or_default();
    let device = make(options, netns.clone())?;
    let peer = options
        .peer
        .as_ref()
        .map(|name| vnet::open(name, &netns))
        .transpose()?;
    let wire = peer.as_ref().map(|peer| Wire::held(&device, peer)).transpose()?;
    let attach = |plugin| match &wire {
        Some(wire) => wire.attach(&plugin, options.direction.unwrap_or(Direction::Both)),
        None => device.attach(&plugin, options.direction.unwrap_or(Direction::Ingress)),
    };
    let attachments = options.plugins.plugins().map(attach).collect::<Result<_, _>>()?;
    let recording = options
        .pcap
        .as_ref()
        .map(|path| device.record(path))
        .transpose()?;
    wire.as_ref().map(Wire::start).transpose()?;
    device.up()?;
    if options.command.is_empty() {
        output::note(&format!("{device}: {}; Ctrl-C ends", device.describe()?));
    }
    let session = Session {
        recording,
        attachments,
        wire,
        devices: std::iter::once(device).chain(peer).collect(),
    };
    session.run(&mut signals, &netns, &options.command, options.json)
}

/// Makes the device, down: it comes up once its plugins are in place, so no packet passes them by.
fn make(options: &Options, netns: Netns) -> Result<Device, Failure> {
    let mut tap = Tap::new(&options.name).mtu(options.mtu).netns(netns).up(false);
    for address in &options.ip {
        tap = tap.ip(address);
    }
    if let Some(mac) = &options.mac {
        tap = tap.mac(mac);
    }
    Ok(tap.create()?)
}
