//! The Linux system calls vnet stands on: TUN/TAP, packet sockets, network
//! namespaces and processes.
//!
//! This is the only crate of the host side that makes unsafe system calls; each
//! `unsafe` block says why it is sound. What is safe in [`rustix`] is called
//! through it, the rest through [`libc`].
//!
//! ```no_run
//! use vnet_sys::{NetNs, tun::{Mode, OffloadMask, TunConfig, TunTap}};
//!
//! # fn main() -> Result<(), vnet_sys::SysError> {
//! let ns = NetNs::create()?;
//! let tap = ns.run(|| TunTap::create(&TunConfig::new("tap0", Mode::Tap)))??;
//! let granted = tap.set_offload(OffloadMask::ALL)?;
//! println!("{} offers {granted:?}", tap.name());
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//! - A system call acts in the network namespace of the *calling thread*.
//!   [`NetNs::run`] runs a closure on a thread of its own inside another
//!   namespace, and never moves the caller.
//! - Every descriptor made here is close-on-exec; those of the packet path are
//!   also non-blocking.
//! - Constants come from [`libc`], whose values are those of the kernel headers
//!   named at each module (`include/uapi/linux/...`).

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod caps;
pub mod ethtool;
pub mod inet;
pub mod io;
pub mod mount;
pub mod namespace;
pub mod netns;
pub mod packet;
pub mod process;
pub mod seqpacket;
pub mod socket;
pub mod thread;
pub mod tun;
pub mod uring;
pub mod vnet_hdr;

mod error;
mod local_time;
mod name;

pub use error::SysError;
pub use local_time::utc_offset;
pub use mount::private_sysfs;
pub use name::{NAME_MAX, check_name};
pub use netns::NetNs;
pub use packet::{PacketOptions, PacketRing, PacketSocket, RecvSlot, RingOptions, Seen, Shown};
pub use tun::{TunConfig, TunTap};
pub use uring::WriteRing;
pub use vnet_hdr::VnetHdr;
