//! Header views, checksums, segmentation, one-line summaries and capture files.
//!
//! The core needs neither `std` nor an allocator and holds for hosts and WebAssembly guests alike; the feature `alloc`
//! adds [`filter`], and `std` (on by default) [`summary`], [`pcap`] and [`walk`]. Nothing here panics on any bytes, and
//! nothing in the core allocates.
//!
//! - [`wire`]: views that read and write header fields in place.
//! - [`checksum`]: Internet checksums, of one buffer and of a whole frame.
//! - [`Flow`]: a packet's addresses, protocol and ports, and where its headers stand.
//! - [`Prefix`]: an address and how many of its bits count.
//! - [`gso`]: super-frames cut into the segments that go over a wire.
//!
//! ```
//! use vnet_packet::wire::{Ethernet, MacAddr, ether_type};
//!
//! let frame = [0xff; 60];
//! let eth = Ethernet::new_checked(&frame[..])?;
//! assert!(eth.dst().is_broadcast());
//! assert_ne!(eth.ether_type(), ether_type::ARP);
//! # Ok::<(), vnet_packet::wire::Truncated>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod bytes;
mod flow;
mod headers;
mod layer;
mod prefix;

pub mod checksum;
#[cfg(feature = "alloc")]
pub mod filter;
pub mod gso;
#[cfg(feature = "std")]
pub mod pcap;
#[cfg(feature = "std")]
mod summary;
#[cfg(feature = "std")]
pub mod walk;
pub mod wire;

pub use flow::Flow;
pub use layer::Layer;
pub use prefix::{ParsePrefixError, Prefix};
#[cfg(feature = "std")]
pub use summary::summary;
