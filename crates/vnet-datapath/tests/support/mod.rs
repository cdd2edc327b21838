//! In-memory ports and plugins written as WebAssembly text.
#![allow(dead_code, unreachable_pub, reason = "every test file takes what it needs")]

pub mod impair;
pub mod lan;
pub mod recording;
pub mod switch;

use std::time::{Duration, Instant};

use vnet_datapath::{MemoryEnd, Pipeline, PipelineStats, Port, PortInfo};
use vnet_packet::Layer;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};

pub const PASS: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#;

pub fn stage(wat: &str, ports: u16) -> Stage {
    let source = Source::Bytes {
        name: "test".into(),
        bytes: wat.as_bytes().to_vec(),
    };
    let module = Module::load(
        &source,
        &LoadOptions {
            cache: false,
            ..LoadOptions::default()
        },
    )
    .unwrap();
    Stage::new(
        &module,
        StageOptions {
            ports,
            ..StageOptions::default()
        },
    )
    .unwrap()
}

pub fn port(name: &str) -> (Port, MemoryEnd) {
    Port::memory(PortInfo {
        name: name.into(),
        layer: Layer::L2,
        mtu: 1500,
    })
    .unwrap()
}

pub fn frame(first: u8, number: u8) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[0] = first;
    frame[20] = number;
    frame
}

pub fn wait_for<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = f() {
            return value;
        }
        assert!(Instant::now() < deadline, "no {what} within 10 s");
        std::thread::yield_now();
    }
}

pub fn settled(pipeline: &Pipeline, came: u64) -> PipelineStats {
    wait_for("balanced counters", || {
        let stats = pipeline.stats().unwrap();
        let rx: u64 = stats.ports.iter().map(|p| p.rx_packets).sum();
        (rx == came && stats.balance() == 0).then_some(stats)
    })
}

/// A batch plugin with a ring of 8 and slots of 68 KiB that takes super-frames and partial sums; `body` sees each descriptor as `$d`.
pub fn batch(info_flags: u8, body: &str) -> String {
    batch_with_slots(69_632, info_flags, body)
}

/// The same with slots of another length, in bytes.
pub fn batch_with_slots(slot: u32, info_flags: u8, body: &str) -> String {
    let arena_len = 8 * slot;
    let pages = 1 + arena_len.div_ceil(65_536);
    let [a, b, c, d] = arena_len.to_le_bytes();
    format!(
        r#"(module (memory (export "memory") {pages})
  (data (i32.const 1024) "VNET\01\00\00\00\28\00\00\00\08\00\00\00\00\08\00\00\00\10\00\00\{a:02x}\{b:02x}\{c:02x}\{d:02x}\{info_flags:02x}\00\00\00")
  (func (export "vnet_info") (result i32) (i32.const 1024))
  (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
    (loop $next
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      {body}
      (local.set $d (i32.add (local.get $d) (i32.const 40)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next))
    (i32.const 0)))"#
    )
}
