//! Interfaces, addresses, neighbours and routes of one network namespace, over
//! rtnetlink.
//!
//! The interface is blocking and belongs to the control plane; nothing here is
//! called per packet. Every refusal of the kernel carries its errno and, where the
//! kernel gives one, its own sentence (the extended acknowledgement).
//!
//! ```no_run
//! use vnet_netlink::{Netlink, VethSpec};
//!
//! # fn main() -> Result<(), vnet_netlink::NetlinkError> {
//! let netlink = Netlink::open(None)?;
//! let (a, b) = netlink.create_veth(&VethSpec::new("ep1", "ep2"))?;
//! netlink.add_address(a.index, "10.0.0.10/24".parse()?)?;
//! netlink.set_up(a.index)?;
//! netlink.set_up(b.index)?;
//! netlink.delete(a.index)?; // the peer goes with it
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//! - [`Netlink`] is a socket in one namespace; it stays there wherever its user
//!   goes.
//! - A [`Batch`] carries out [`Change`]s, values that a plan is made of, fast and in order;
//!   interfaces are named by numbers that the plan chooses.
//! - An [`Interface`] is a snapshot, taken when it was asked for. The index names
//!   the interface for as long as it exists, the name may change.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod batch;
mod change;
mod check;
mod cidr;
mod connection;
mod decode;
mod describe;
mod entry;
mod error;
mod exchange;
mod extack;
mod fault;
mod interface;
mod link;
mod listing;
mod mac;
mod neighbour;
mod query;
mod request;
mod route;
mod tc;
mod wait;

pub use batch::{Batch, BatchError, Spaces};
pub use change::{Change, Into, LinkSet, PeerEnd, RouteSpec};
pub use cidr::Cidr;
pub use connection::Netlink;
pub use entry::{FdbEntry, Neighbour, Route};
pub use error::NetlinkError;
pub use interface::{Interface, InterfaceStats};
pub use link::{BridgeSpec, VethEnd, VethSpec};
pub use mac::Mac;
