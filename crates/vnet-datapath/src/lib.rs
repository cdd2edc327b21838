//! The packet engine: ports, chains and pipelines.
//!
//! A [`Port`] is where frames enter and leave: a TUN or TAP descriptor, a packet socket, memory. A [`Pipeline`] owns
//! one port whose frames go to a receive queue, two ports joined by a wire, or the ports of a switch. Plugins are
//! attached to a [`Place`] in it and judge the frames in batches, in their own memory, into which frames are read
//! straight from the device. One worker thread owns a pipeline entirely, and others beside it in turns; nothing on the
//! path of a frame takes a lock or allocates.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use vnet_datapath::{Direction, Pipeline, Place, Port, PortInfo};
//! use vnet_packet::Layer;
//! use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};
//! use vnet_sys::tun::{Mode, TunConfig, TunTap};
//!
//! let tap = TunTap::create(&TunConfig::new("tap0", Mode::Tap))?;
//! let info = PortInfo { name: "tap0".into(), layer: Layer::L2, mtu: 1500 };
//! let pipeline = Pipeline::sink(Port::tap(tap.into_fd(), info))?;
//! let module = Module::load(&Source::File("drop_bcast.wasm".into()), &LoadOptions::default())?;
//! let stage = Stage::new(&module, StageOptions::default())?;
//! let id = pipeline.attach(Place::Port(0, Direction::Ingress), stage, None)?;
//! while let Some(frame) = pipeline.recv(Some(std::time::Duration::from_secs(1)))? {
//!     println!("{}", vnet_packet::summary(&frame.bytes, Layer::L2));
//! }
//! println!("{:?}", pipeline.detach(id)?);
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to a frame
//! `port → stages attached to its ingress → stages on the wire → stages attached to the other port's egress → port`,
//! or, with one port, `→ receive queue`. A frame a plugin answers with TX or REDIRECT leaves through the egress
//! stages of the port it goes to, except the one that sent it; an egress stage's own TX goes straight out.
//!
//! In a switch it is `port → stages attached to its ingress → stages on its link → stages of the switch → forwarding`,
//! and from there, for each port the frame is for, `→ stages on that link → stages attached to that port's egress →
//! port`. Every copy of a flooded frame is made of the same bytes and judged on its own way. A frame that stages keep
//! turning round is dropped (`loop`).
//!
//! A line ([`Pipeline::set_line`]) stands behind the plugins of its link and keeps each frame for as long as its impairment
//! says: `port → its ingress stages → stages on the wire → line → stages attached to the other port's egress → port`. What
//! a plugin delays is held at the end of its path. Such frames lie in memory of their own, which is allocated as their
//! number grows.
//!
//! At the door of every stage or port that does not take super-frames or partial checksums, the engine segments and
//! completes in software. [`PipelineStats::balance`] is the number of frames under way.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod callout;
mod capture;
mod carried;
mod cause;
mod clock;
mod deadlines;
mod error;
mod fdb;
mod forward;
mod frame;
mod local;
mod offload;
mod path;
mod pipeline;
mod pool;
mod port;
mod record;
mod replay;
mod ring;
mod sink;
mod stage;
mod stats;
mod store;
mod turn;
mod worker;

pub use callout::{Answer, Caller, Question, Seated, Verdict, callout};
pub use error::EngineError;
pub use fdb::Learned;
pub use forward::{LineAt, Place};
pub use frame::BIG_TCP_MAX;
pub use local::LocalWire;
pub use pipeline::{Exchanged, Parts, Pipeline, Replacement, SWITCH_STAGE_PORTS};
pub use pool::{after_fork, before_fork, forked};
pub use port::{Change, MemoryEnd, Port, PortInfo, PortStats};
pub use record::{
    Filter, Memory, Output, RecordId, RecordOptions, Recorded, Recorder, Records, Remembered, Rotate, Scope,
    ScopePort, Tapped, Whole, numbered,
};
pub use replay::{ReplayOptions, ReplayReport, capture_layer, replay};
pub use sink::Received;
pub use stage::{Direction, LinkSide, StageId};
pub use stats::PipelineStats;
pub use vnet_sys::Shown;
