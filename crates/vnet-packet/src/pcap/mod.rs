//! Capture files: pcap and pcapng, read and written as streams.
//!
//! [`Reader`] tells the format by the first bytes: pcap with micro- or nanoseconds in either byte
//! order, or pcapng with any number of interfaces and sections. [`Writer`] writes either, with
//! nanoseconds. Damaged files give errors that name the byte; they never panic, and memory grows
//! only with bytes that are really there.
//!
//! ```
//! use vnet_packet::pcap::{Linktype, Reader, Writer};
//!
//! let mut writer = Writer::pcapng(Vec::new(), Linktype::ETHERNET, 262_144, "tap0")?;
//! writer.write(1_700_000_000_000_000_001, &[0xff; 60], 60, Some("dropped by drop_bcast"))?;
//! let file = writer.into_inner()?;
//!
//! let mut reader = Reader::open(&file[..])?;
//! let mut frame = Vec::new();
//! let record = reader.next(&mut frame)?.expect("one frame was written");
//! assert_eq!((frame.len(), record.ts_ns), (60, 1_700_000_000_000_000_001));
//! assert_eq!(record.comment.as_deref(), Some("dropped by drop_bcast"));
//! # Ok::<(), vnet_packet::pcap::CaptureError>(())
//! ```
//!
//! Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

mod classic;
mod error;
mod linktype;
mod ng;
mod reader;
mod source;
mod timestamp;
mod writer;

pub use error::CaptureError;
pub use linktype::Linktype;
pub use reader::{Reader, Record};
pub use writer::{Crossing, Direction, Statistics, Writer};
