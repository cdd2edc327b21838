//! Live network labs: a declaration becomes hosts, switches, routers and links in a private lab, plugins and captures come
//! and go on them while frames flow, and the nodes can be measured.
//!
//! ```no_run
//! use std::time::Duration;
//! use vnet_lab::{Network, NetworkOptions, PingOptions, Target, never};
//! use vnet_topology::Spec;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spec = Spec::from_toml(
//!     r#"
//!     hosts = ["h1", "h2"]
//!     switches = ["s1"]
//!     links = [["h1", "s1"], ["h2", "s1"]]
//!     "#,
//!     "lab.toml",
//! )?;
//! let network = Network::new(NetworkOptions { spec, ..NetworkOptions::default() })?;
//! let report = network.ping("h1", &Target::parse("h2"), &PingOptions::default(), &never)?;
//! println!("{} of {} answered", report.received, report.sent);
//! network.close(Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//! - A [`Network`] is declared, then started; each step from one state to the next is planned whole, carried out by the lab's
//!   helper, and taken back whole when the kernel refuses a part of it.
//! - Every interface of a node is one end of a veth pair; the other one, its lab end, lies in the lab's own namespace. Two lab
//!   ends are joined there by redirects, those of a switch by a bridge.
//! - An [`Island`] is a link or switch whose frames the engine carries instead, from the first plugin, impairment or capture on it to
//!   the last. Frames change their way without loss or doubling.
//! - An impaired link is a user of its island like a plugin: the engine's lines delay, lose and shape its frames, by fates
//!   that follow from [`Network::seed`], the link's name and the direction.
//! - A [`Cancel`] is asked by everything that waits.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod cancel;
mod capture;
mod change;
mod error;
mod fdb;
mod forward;
mod forwarding;
mod ground;
mod impair;
mod iperf;
mod island;
mod lines;
mod links;
mod loops;
mod network;
mod node;
mod numbers;
mod ping;
mod plan;
mod progress;
mod schedule;
mod socket;
mod sockets;
mod stats;
mod target;

pub use cancel::{Cancel, never};
pub use capture::{Captured, Recording};
pub use error::LabError;
pub use fdb::FdbRow;
pub use forward::{Forward, ForwardOptions, ForwardStats};
pub use impair::any_seed;
pub use iperf::{Datagrams, IperfInterval, IperfOptions, IperfReport, IperfStream};
pub use island::{At, Fit, Island, Swap};
pub use lines::{LinkLines, ReadyLines, ready_lines};
pub use links::LinkState;
pub use network::{Network, NetworkOptions};
pub use ping::{PingAllOptions, PingMatrix, PingOptions, PingPair, PingReport, Reply};
pub use progress::{Listener, Progress, Teller};
pub use stats::{Count, InterfaceRow, IslandRow, LinkRow, NetworkStats};
pub use target::Target;
