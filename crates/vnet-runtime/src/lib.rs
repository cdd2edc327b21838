//! Runs WebAssembly plugins on batches of frames.
//!
//! A [`Module`] is a plugin that was read, checked and compiled. A [`Stage`] is one in a chain: it owns an
//! instance, judges the [`Frames`] that lie in its [`Arena`], and keeps going when the plugin fails. The
//! interface between host and guest is `vnet-abi`'s; everything a guest answers is checked.
//!
//! ```
//! use vnet_runtime::{Fate, Frame, Frames, LoadOptions, Module, Source, Stage, StageOptions};
//!
//! # fn main() -> Result<(), vnet_runtime::PluginError> {
//! let text = r#"(module
//!   (memory (export "memory") 2)
//!   (global (export "vnet_frame") i32 (i32.const 65536))
//!   (func (export "vnet_on_packet") (param i32 i32) (result i32)
//!     (i32.eq (i32.load8_u (local.get 0)) (i32.const 0xff))))"#;
//! let source = Source::Bytes { name: "drop_ff".into(), bytes: text.into() };
//! let module = Module::load(&source, &LoadOptions::default())?;
//! let mut stage = Stage::new(&module, StageOptions::default())?;
//!
//! let mut frames = Frames::with_capacity(vnet_abi::RING_MAX);
//! let arena = stage.arena();
//! arena.bytes[128..142].copy_from_slice(&[0xff; 14]);
//! frames.push(Frame { off: 128, len: 14, ..Frame::default() });
//! stage.run(&mut frames);
//! assert!(matches!(frames.as_slice()[0].fate, Fate::Drop(_)));
//! # Ok(())
//! # }
//! ```

mod asked;
mod attach;
mod batch;
mod cache;
mod check;
mod config;
mod counters;
mod effort;
mod elsewhere;
mod error;
mod event;
mod exports;
mod failure;
mod fixed;
mod frames;
mod guest;
mod imports;
mod instance;
mod items;
mod judge;
mod layout;
mod life;
mod log;
mod manifest;
mod maps;
mod module;
mod options;
mod plain;
mod random;
mod record;
mod recover;
mod restart;
mod ring;
mod runtime;
mod samples;
mod screen;
mod shared;
mod simple;
mod source;
mod stage;
mod stats;
mod succeed;
mod table;
mod tally;
mod ticker;
mod timers;
mod wide;

pub use asked::Injected;
pub use check::{CheckOptions, CheckReport, check};
pub use error::PluginError;
pub use event::{EventReader, StageEvent, StageEventKind};
pub use exports::Form;
pub use frames::{Arena, Fate, Frame, Frames, Layer, Reason, Traits};
pub use log::{LogReader, LogRecord};
pub use manifest::Manifest;
pub use module::Module;
pub use options::{LoadOptions, OnFault, Source, StageOptions, Trip};
pub use record::{MapLayout, Record, RecordField};
pub use runtime::{GUEST_STACK, MEMORY_CAP, Runtime};
pub use shared::{ArenaShape, SharedArena};
pub use stage::Stage;
pub use stats::{FaultReport, StageStats};
pub use succeed::CarriedState;
pub use table::{MapCopy, MapError, MapInfo};
pub use vnet_abi::record::FieldType;
