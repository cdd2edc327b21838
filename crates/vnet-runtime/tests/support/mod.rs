//! What the tests share: small plugins as text, and a rig that runs frames through a stage.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vnet_runtime::{
    Fate, Frame, Frames, LoadOptions, LogReader, Module, PluginError, Reason, Source, Stage, StageOptions,
    StageStats,
};

pub const PLAIN: Fate = Fate::Drop(Reason::Plugin(0));

pub fn options() -> LoadOptions {
    LoadOptions {
        cache: false,
        ..LoadOptions::default()
    }
}

pub fn try_load_bytes(bytes: impl Into<Vec<u8>>) -> Result<Module, PluginError> {
    Module::load(
        &Source::Bytes {
            name: "test".into(),
            bytes: bytes.into(),
        },
        &options(),
    )
}

pub fn try_load(text: &str) -> Result<Module, PluginError> {
    try_load_bytes(text.as_bytes())
}

pub fn load(text: &str) -> Module {
    try_load(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The reason why a text is refused when it is loaded, or started.
pub fn refusal(text: &str) -> String {
    match try_load(text).and_then(|module| Stage::new(&module, StageOptions::default())) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
pub fn assert_refused(text: &str, parts: &[&str]) {
    let reason = refusal(text);
    for part in parts {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
}

/// A manifest as a custom section in text.
pub fn manifest(manifest: &Value) -> String {
    format!(
        "(@custom \"vnet.manifest\" {})",
        quoted(manifest.to_string().as_bytes())
    )
}

/// A string literal of the text format.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        text += &format!("\\{byte:02x}");
    }
    text + "\""
}

/// A simple-form plugin whose `vnet_on_packet` has this body; `$p` and `$len` are its parameters.
pub fn simple(head: &str, body: &str) -> String {
    format!(
        r#"(module {head}
          (memory (export "memory") 3)
          (global (export "vnet_frame") i32 (i32.const 65536))
          (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
            (local $i i32) (local $l i64)
            {body}))"#
    )
}

/// A batch-form plugin.
pub struct Batch {
    pub ring_len: u32,
    pub slot: u32,
    pub desc_size: u32,
    pub flags: u32,
    pub pages: u32,
    /// Imports and manifest, before everything else.
    pub head: String,
    /// Other fields.
    pub tail: String,
    /// Body of `vnet_on_batch`; `$desc` and `$n` are its parameters, `$i`, `$d` and `$x` locals.
    pub body: String,
}

pub const INFO: u32 = 1024;
pub const RING: u32 = 2048;
pub const ARENA: u32 = 131_072;

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            ring_len: 16,
            slot: 2048,
            desc_size: 40,
            flags: 0,
            pages: 4,
            head: String::new(),
            tail: String::new(),
            body: "(i32.const 0)".into(),
        }
    }
}

impl Batch {
    /// A plugin that does `body` for each descriptor `$d` and appends nothing.
    pub fn each(body: &str) -> Batch {
        Batch {
            body: format!("{} (i32.const 0)", each(body)),
            ..Batch::default()
        }
    }

    pub fn info(&self) -> Vec<u8> {
        let mut info = b"VNET\x01\0\0\0".to_vec();
        for word in [
            self.desc_size,
            self.ring_len,
            RING,
            ARENA,
            self.ring_len * self.slot,
            self.flags,
        ] {
            info.extend(word.to_le_bytes());
        }
        info
    }

    pub fn text(&self) -> String {
        self.with_info(&self.info())
    }

    pub fn with_info(&self, info: &[u8]) -> String {
        format!(
            r#"(module {}
              (memory (export "memory") {})
              (data (i32.const {INFO}) {})
              (func (export "vnet_info") (result i32) (i32.const {INFO}))
              {}
              (func (export "vnet_on_batch") (param $desc i32) (param $n i32) (result i32)
                (local $i i32) (local $d i32) (local $x i32)
                {}))"#,
            self.head,
            self.pages,
            quoted(info),
            self.tail,
            self.body
        )
    }

    pub fn rig(&self) -> Rig {
        Rig::new(&self.text())
    }
}

/// A loop over the descriptors.
pub fn each(body: &str) -> String {
    format!(
        r"(local.set $i (i32.const 0))
          (loop $next
            (if (i32.lt_u (local.get $i) (local.get $n)) (then
              (local.set $d (i32.add (local.get $desc) (i32.mul (local.get $i) (i32.const 40))))
              {body}
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br $next))))"
    )
}

/// Sets a descriptor's verdict.
pub fn verdict(verdict: u8) -> String {
    format!("(i32.store8 offset=12 (local.get $d) (i32.const {verdict}))")
}

/// The batch form of the first example of any filter.
pub fn drop_bcast() -> Batch {
    Batch::each(
        r"(local.set $x (i32.load (local.get $d)))
          (i32.store8 offset=12 (local.get $d)
            (i32.and (i32.ge_u (i32.load offset=4 (local.get $d)) (i32.const 14))
              (i32.and (i32.eq (i32.load (local.get $x)) (i32.const -1))
                       (i32.eq (i32.load16_u offset=4 (local.get $x)) (i32.const 0xffff)))))",
    )
}

/// What became of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Out {
    pub fate: Fate,
    pub bytes: Vec<u8>,
    pub frame: Frame,
}

pub struct Rig {
    pub stage: Stage,
    pub frames: Frames,
    pub logs: LogReader,
    pub port: u16,
    pub flags: u16,
}

impl Rig {
    pub fn new(text: &str) -> Rig {
        Rig::with(text, StageOptions::default())
    }

    pub fn with(text: &str, options: StageOptions) -> Rig {
        Rig::try_with(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub fn try_with(text: &str, options: StageOptions) -> Result<Rig, PluginError> {
        let stage = Stage::new(&try_load(text)?, options)?;
        let logs = stage.logs();
        Ok(Rig {
            stage,
            frames: Frames::with_capacity(1024),
            logs,
            port: 0,
            flags: 0,
        })
    }

    /// Puts bytes into a slot, at some place within it.
    pub fn put(&mut self, slot: usize, inside: usize, bytes: &[u8]) {
        let arena = self.stage.arena();
        let off = slot * arena.stride + inside;
        arena.bytes[off..off + bytes.len()].copy_from_slice(bytes);
        self.frames.push(Frame {
            off: off as u32,
            len: bytes.len() as u32,
            port: self.port,
            flags: self.flags,
            ts_ns: 7_000,
            ..Frame::default()
        });
    }

    /// Judges what was put.
    pub fn go(&mut self) -> Vec<Out> {
        self.stage.run(&mut self.frames);
        let arena = self.stage.arena();
        let outs = self
            .frames
            .as_slice()
            .iter()
            .map(|frame| Out {
                fate: frame.fate,
                bytes: match frame.fate {
                    Fate::Drop(_) => Vec::new(),
                    _ => arena.bytes[frame.off as usize..][..frame.len as usize].to_vec(),
                },
                frame: *frame,
            })
            .collect();
        self.frames.clear();
        assert_sums(&self.stage.stats());
        outs
    }

    pub fn run(&mut self, frames: &[&[u8]]) -> Vec<Out> {
        for (slot, bytes) in frames.iter().enumerate() {
            self.put(slot, 128, bytes);
        }
        self.go()
    }

    pub fn one(&mut self, bytes: &[u8]) -> Out {
        self.run(&[bytes]).remove(0)
    }

    pub fn fates(&mut self, frames: &[&[u8]]) -> Vec<Fate> {
        self.run(frames).into_iter().map(|out| out.fate).collect()
    }

    pub fn stats(&self) -> StageStats {
        self.stage.stats()
    }

    pub fn fault(&self, name: &str) -> u64 {
        self.stats().faults.get(name).copied().unwrap_or(0)
    }

    pub fn drops(&self, name: &str) -> u64 {
        self.stats().drops.get(name).copied().unwrap_or(0)
    }

    pub fn log_lines(&self) -> Vec<(u8, String)> {
        std::iter::from_fn(|| self.logs.pop())
            .map(|record| (record.level, record.message))
            .collect()
    }
}

#[track_caller]
pub fn assert_sums(stats: &StageStats) {
    assert_eq!(
        stats.packets_in + stats.appended,
        stats.passed + stats.dropped + stats.redirected + stats.tx,
        "{stats:?}"
    );
    assert_eq!(stats.drops.values().sum::<u64>(), stats.dropped, "{stats:?}");
}

/// Waits until a condition holds.
#[track_caller]
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn config(config: Value) -> StageOptions {
    StageOptions {
        config,
        ..StageOptions::default()
    }
}

pub fn two_ports() -> StageOptions {
    StageOptions {
        ports: 2,
        ..StageOptions::default()
    }
}

pub fn empty() -> Value {
    json!({})
}
