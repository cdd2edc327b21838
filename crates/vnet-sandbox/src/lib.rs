//! Devices and commands in network namespaces, and whole labs of them.
//!
//! ```no_run
//! use std::time::Duration;
//! use vnet_sandbox::{Command, Namespace, TapSpec};
//! use vnet_sys::tun::Mode;
//!
//! # fn main() -> Result<(), vnet_sandbox::SandboxError> {
//! let here = Namespace::current()?;
//! let mut spec = TapSpec::new("tap0", Mode::Tap);
//! spec.ip.push("10.0.0.1/24".parse()?);
//! let tap = here.make_tap(&spec)?; // up, with carrier, until `tap.fd` is closed
//! let ping = here.spawn(Command::new(["ping", "-c1", "10.0.0.1"]))?;
//! println!("{} ended with {:?}", ping.pid(), ping.wait(Some(Duration::from_secs(5)))?);
//! # drop(tap);
//! # Ok(())
//! # }
//! ```
//!
//! A whole network in namespaces of its own, without any privilege:
//!
//! ```no_run
//! use std::time::Duration;
//! use vnet_sandbox::{Command, Lab, LabOptions, NodeSetup, Space, Step};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lab = Lab::open(&LabOptions { name: "demo".into(), ..LabOptions::default() })?;
//! let spec = NodeSetup { name: "h1".into(), hostname: "h1".into(), ..NodeSetup::default() };
//! lab.apply(&[Step::Node { space: 1, spec }])?;
//! let child = lab.spawn(Space(1), Command::shell("hostname; ip link"))?;
//! child.wait(Some(Duration::from_secs(5)))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//! - A [`Namespace`] is where devices are made: one this process may enter, or one of a
//!   lab. Its functions never move the calling thread.
//! - A [`Lab`] is a tree of namespaces below a helper process, with all that is in them:
//!   nodes, their interfaces, their commands. It ends with the helper, and the helper with
//!   this process, so no death leaves anything. Who may come into a running lab finds it
//!   with [`labs`].
//! - A [`Space`] is a network namespace of a lab by its number. Who builds the lab chooses
//!   the numbers of spaces and interfaces, so nothing is looked up on the way.
//! - What cannot die with a descriptor in the machine's own namespaces (veth pairs,
//!   bridges) carries an alias that names its owner ([`Owner`]), so that
//!   [`Namespace::stale`] finds what a killed process left behind.
//! - A command outside of a lab runs below a helper process of its own ([`helper`]) that
//!   ends the command and all its descendants when the process that started it dies, by
//!   whatever cause.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod child;
mod command;
mod device;
mod error;
mod fault;
pub mod helper;
mod lab;
mod protocol;

pub use child::Child;
pub use command::{Command, Stdio, helper_path, set_helper_path, spawn};
pub use device::{
    BridgeSpec, EndSpec, Namespace, Owner, PacketTap, READY_TIMEOUT, Stale, TapDevice, TapSpec, VethSpec,
    after_fork, before_fork,
};
pub use error::SandboxError;
pub use lab::{
    ApplyError, ExecRequest, Lab, LabDescription, LabEntry, LabInfo, LabNode, LabOptions, NodeSetup,
    SocketSpec, Space, Step, TakenPort, labs,
};

/// Both are handed from thread to thread.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Namespace>();
    shared::<Child>();
};
