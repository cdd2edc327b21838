//! vnet opens real Linux TUN, TAP, veth and bridge devices and runs WebAssembly plugins on every packet they carry.
//!
//! ```no_run
//! use std::time::Duration;
//! use vnet::{Command, Direction, Plugin, Tap};
//!
//! # fn main() -> Result<(), vnet::Error> {
//! let tap = Tap::new("tap0").ip("10.0.0.1/24").create()?;
//! let answer = tap.attach(&Plugin::new("icmp_echo"), Direction::Ingress)?;
//! let ping = Command::shell("ping -c1 10.0.0.2").timeout(Duration::from_secs(5)).run()?;
//! println!("ping ended with {}: {:?}", ping.returncode, answer.stats()?);
//! # Ok(())
//! # }
//! ```
//!
//! - A [`Device`] is an interface vnet opened: made by [`Tap`], [`Tun`], [`Veth`], [`Bridge`], or found by [`open`]. It is
//!   released by [`Device::close`], or when the last handle is dropped. A device that was made is removed then.
//! - [`Device::attach`] puts a [`Plugin`] on its packets and gives an [`Attachment`]. A [`Wire`] forwards between two devices.
//! - A [`Network`] is a private lab of hosts, switches, routers and links that an ordinary user may make; a [`Node`] of it runs
//!   commands and a [`Link`] takes plugins.
//! - [`Command`] runs a program in the namespace of the devices; [`replay()`] runs plugins over a capture file.
//! - [`doctor()`] says what works on this machine, why not, and what fixes it.
//! - Every failure is an [`Error`] that says what, to which thing, and what to do.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attachment;
mod author;
mod bridge;
mod callable;
mod check;
mod command;
mod device;
mod doctor;
mod error;
mod events;
mod failures;
mod fork;
mod fork_lock;
mod logs;
mod maps;
mod netns;
mod network;
mod notice;
mod numbers;
mod open;
mod outside;
mod packets;
mod plugin;
mod recent;
mod recording;
mod replay;
mod sandbox;
mod shipped;
mod swap;
mod tap;
mod veth;
mod watch;
mod wire;

pub use attachment::Attachment;
pub use author::{bench, inspect, test_plugin};
pub use bridge::Bridge;
pub use callable::{Answer, Callable, CallerSlot, Question, Verdict};
pub use check::check;
pub use command::{Command, Completed, Running};
pub use device::{Backend, Device, DeviceKind, DeviceState, DeviceStats, Frame, KernelStats};
pub use doctor::{Doctor, Finding, Severity, Way, apparmor_profile, doctor, seccomp_profile};
pub use error::{Error, ErrorKind};
pub use events::{Occurrence, Scope, next_events};
pub use fork::{after_fork, before_fork, forked};
pub use logs::{LogRecord, next_logs};
pub use netns::{LabPlace, Netns};
pub use network::{
    Cancel, GraphFormat, Link, LinkOptions, Network, Node, NodeInterface, NodeOptions, Pipes, Popen, Process,
    Stream, Transport, capture_filter, nanoseconds, never, pools, routing,
};
pub use numbers::{Keep, NumbersDoor, NumbersEntry, Row, Series, numbers_entries, rows_of_devices};
pub use open::open;
pub use outside::{CaptureRequest, Tapping};
pub use packets::{NodeNames, Packets, filter};
pub use plugin::{Config, Direction, Plugin};
pub use recent::{Recent, RecentFrame};
pub use recording::{Filter, Output, RecordOptions, Recorded, Recording, Rotate, numbered};
pub use replay::{Replay, replay};
pub use sandbox::{announcement as sandbox_announcement, close as close_sandbox};
pub use shipped::{Shipped, shipped};
pub use swap::{Swapped, swap_all};
pub use tap::{Tap, Tun};
pub use veth::Veth;
pub use watch::Watch;
pub use wire::Wire;

pub use vnet_datapath::{PipelineStats, PortStats, ReplayReport};
pub use vnet_impair::{Given, Impairment, LineStats, size, time};
pub use vnet_kit as kit;
pub use vnet_lab::{
    Forward, IperfOptions, IperfReport, LinkState, Listener, NetworkStats, PingAllOptions, PingMatrix,
    PingOptions, PingReport, Progress,
};
pub use vnet_packet::pcap;
pub use vnet_packet::pcap::Direction as CaptureDirection;
pub use vnet_packet::walk::{
    Hop, Kind as WalkKind, Link as WalkLink, Place as WalkPlace, Plan as WalkPlan, Walk,
};
pub use vnet_packet::{Flow, Layer, summary};
pub use vnet_runtime::{
    CarriedState, CheckOptions, CheckReport, FaultReport, FieldType, MapCopy, MapInfo, OnFault, Record,
    RecordField, StageStats, Trip,
};
pub use vnet_sandbox::{
    Child, ExecRequest, LabDescription, LabEntry, SocketSpec, Stale, Stdio, labs, set_helper_path,
};
pub use vnet_sys::process::Exit;
pub use vnet_sys::utc_offset;
pub use vnet_topology::{
    Changes, EndSpec, Event, Gateway, GraphNote, GraphNotes, GraphState, LinkSpec, NodeKind, NodeSpec,
    PluginUse, Routing, Spec as NetworkSpec,
};

/// Version of this build of vnet.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
