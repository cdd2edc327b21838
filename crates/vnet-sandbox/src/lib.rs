//! Devices and commands in one network namespace.
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
//! # Concepts
//! - A [`Namespace`] is a namespace and a netlink socket in it; its functions never
//!   move the calling thread.
//! - What cannot die with a descriptor (veth pairs, bridges) carries an alias that
//!   names its owner ([`Owner`]), so that [`Namespace::stale`] finds what a killed
//!   process left behind.
//! - A command runs below a helper process ([`helper`]) that ends the command and
//!   all its descendants when the process that started it dies, by whatever cause.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bridge;
mod child;
mod command;
mod error;
pub mod helper;
mod namespace;
mod owner;
mod port;
mod protocol;
mod stale;
mod tap;
mod veth;

pub use bridge::BridgeSpec;
pub use child::Child;
pub use command::{Command, Stdio, helper_path, set_helper_path, spawn};
pub use error::SandboxError;
pub use namespace::{Namespace, READY_TIMEOUT};
pub use owner::Owner;
pub use stale::Stale;
pub use tap::{TapDevice, TapSpec};
pub use veth::{EndSpec, VethSpec};

/// Both are handed from thread to thread.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Namespace>();
    shared::<Child>();
};
