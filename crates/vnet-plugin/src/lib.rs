//! SDK for writing vnet plugins in Rust: filters and rewriters of every frame a device carries.
//!
//! A plugin is one function and the attribute [`plugin`] on it:
//!
//! ```
//! use vnet_plugin::{plugin, Packet, Verdict};
//! #[plugin(gso, csum, pure)]
//! fn drop_bcast(pkt: &mut Packet) -> Verdict {
//!     if pkt.eth().dst().is_broadcast() { Verdict::Drop } else { Verdict::Pass }
//! }
//! ```
//!
//! Built as a `cdylib` for `wasm32-unknown-unknown` this is a `.wasm` file that vnet loads. The
//! attribute adds what the plugin ABI (version 1, batch form) asks for: the ring of descriptors,
//! the arena that frames are read into, the exports and the manifest.
//!
//! - [`Packet`] is one frame: its bytes, checked views of its headers, headroom, marks and flags.
//! - [`Verdict`] says what is to become of it.
//! - [`Config`] is the configuration as a `configure` function takes it.
//! - [`State`] is what a plugin remembers between frames.
//! - [`Map`] is a table that the host sees.
//! - [`Flow`] is a packet's addresses, protocol and ports, [`Prefix`] an address with a length.
//! - [`track`] says how far a conversation has come, and when a silent one is forgotten.
//! - [`Counter`] counts, and [`info!`] and its siblings log.
//! - [`timer`], [`inject`] and [`random`] are what an operator must grant.
//! - [`append`] sends further frames: answers and copies.
//! - [`neighbor`] answers and asks ARP and Neighbour Discovery.
//! - [`datagram`] puts the headers of IP and UDP around a payload.
//! - [`wire`] and [`checksum`] are the views and sums of `vnet-packet`.
//!
//! # Features
//! `std` (default) is for plugins that link the standard library, as a crate without
//! `#![no_std]` does. Small plugins are `#![no_std]`: they turn the default features off and
//! either `panic-handler` (logs a panic's message) or `panic-trap` (only traps) on. A panic is a
//! trap: the host drops the frame at hand, counts a fault and makes a fresh instance.
//!
//! # Tests
//! On any other target than WebAssembly the same crate runs a plugin's function inside a test:
//! see `testing`.
#![no_std]

#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod append;
mod config;
mod counter;
pub mod datagram;
mod granted;
mod header;
mod headroom;
mod imports;
mod json;
mod log;
mod map;
mod memory;
pub mod neighbor;
mod packet;
mod panic;
mod rewrite;
mod state;
mod values;
mod verdict;

#[doc(hidden)]
pub mod rt;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod track;

pub use append::{AppendError, append, append_to, append_to_with, append_with};
pub use config::{Config, config_int, config_str};
pub use counter::Counter;
pub use granted::{inject, random, timer, timer_off};
pub use headroom::NoRoom;
pub use json::{Entries, Items, Value};
pub use log::Level;
pub use map::Map;
#[doc(hidden)]
pub use map::MapsCell;
pub use packet::Packet;
pub use rewrite::End;
pub use state::State;
pub use verdict::Verdict;
pub use vnet_abi as abi;
pub use vnet_packet::{Flow, Layer, ParsePrefixError, Prefix, checksum, wire};
pub use vnet_plugin_macros::plugin;

/// Compiles the examples of the page on writing plugins.
#[cfg(doctest)]
#[doc = include_str!("../../../plugins/README.md")]
struct Readme;
