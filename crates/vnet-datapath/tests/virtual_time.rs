//! Captures replayed through lines and delaying plugins: their timestamps are the clock.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{frame, stage};
use vnet_datapath::{ReplayOptions, ReplayReport, replay};
use vnet_impair::{Chance, Impairment, Loss, Rate, Ready, key};
use vnet_packet::pcap;

const MS: u64 = 1_000_000;
const START: u64 = 1_700_000_000_000 * MS;

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("vnet-virtual-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, frames: impl Iterator<Item = (u64, Vec<u8>)>) {
    let file = File::create(path).unwrap();
    let mut out = pcap::Writer::pcapng(file, pcap::Linktype::ETHERNET, 262_144, "test").unwrap();
    for (ts_ns, frame) in frames {
        out.write(ts_ns, &frame, frame.len() as u32, None).unwrap();
    }
    out.flush().unwrap();
}

/// Time since the start and last number byte of each frame.
fn read(path: &Path) -> Vec<(u64, u8)> {
    let mut reader = pcap::Reader::open(File::open(path).unwrap()).unwrap();
    let (mut all, mut bytes) = (Vec::new(), Vec::new());
    while let Some(record) = reader.next(&mut bytes).unwrap() {
        all.push((record.ts_ns - START, bytes[20]));
    }
    all
}

fn options(input: &Path, output: &Path) -> ReplayOptions {
    ReplayOptions {
        input: input.to_owned(),
        output: Some(output.to_owned()),
        stages: Vec::new(),
        diff: false,
        line: None,
        stop: Arc::default(),
    }
}

fn through(input: &Path, output: &Path, seed: u64, impairment: &Impairment) -> ReplayReport {
    let ready: Ready = impairment.ready(&mut |_| unreachable!()).unwrap();
    replay(ReplayOptions {
        line: Some((key(seed, "l", "a-b"), ready)),
        ..options(input, output)
    })
    .unwrap()
}

#[test]
fn an_hour_of_traffic_is_delayed_exactly_and_takes_no_time() {
    let dir = Dir::new("hour");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    let times = |n: u64| n * 36_000 * MS;
    write(&input, (0..100).map(|n| (START + times(n), frame(2, n as u8))));
    let start = Instant::now();
    let impairment = Impairment {
        delay_ns: 45_000 * MS,
        ..Impairment::default()
    };
    let report = through(&input, &output, 1, &impairment);
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!((report.frames_in, report.frames_out), (100, 100));
    let expected: Vec<_> = (0..100).map(|n| (times(n) + 45_000 * MS, n as u8)).collect();
    assert_eq!(read(&output), expected);
    let line = report.line.unwrap();
    assert_eq!(
        line.delay.error.unwrap().max_ns,
        0,
        "no machine is that exact but this one"
    );
}

#[test]
fn one_seed_meets_the_same_fates_and_another_others() {
    let dir = Dir::new("fates");
    let input = dir.file("in.pcapng");
    write(&input, (0..2000).map(|n| (START + n * MS, frame(2, n as u8))));
    let chance = |p| Chance { p, correlation: 0.0 };
    let run = |seed, name: &str| {
        let output = dir.file(name);
        let impairment = Impairment {
            delay_ns: 10 * MS,
            jitter_ns: 5 * MS,
            loss: Loss::Random(chance(0.1)),
            duplicate: chance(0.1),
            corrupt: chance(0.1),
            reorder: chance(0.1),
            ..Impairment::default()
        };
        let report = through(&input, &output, seed, &impairment);
        assert_eq!(report.drops["loss"], report.line.as_ref().unwrap().lost);
        assert_eq!(
            report.frames_out,
            report.frames_in - report.drops["loss"] + report.duplicated
        );
        (report, std::fs::read(output).unwrap())
    };
    let (first, again, other) = (run(1, "a.pcapng"), run(1, "b.pcapng"), run(2, "c.pcapng"));
    assert_eq!(first.1, again.1);
    assert_eq!(first.0, again.0);
    assert_ne!(first.1, other.1);
    let times: Vec<u64> = read(&dir.file("a.pcapng")).iter().map(|(ts, _)| *ts).collect();
    assert!(
        times.is_sorted(),
        "they are written in the order in which they leave"
    );
}

#[test]
fn a_rate_spreads_a_burst_in_virtual_time() {
    let dir = Dir::new("rate");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    write(&input, (0..100).map(|n| (START, frame(2, n))));
    // 60 bytes at 480 kbit/s are a millisecond.
    let rate = Rate {
        bits_per_s: 480_000,
        burst: 0,
        overhead: 0,
    };
    let impairment = Impairment {
        rate: Some(rate),
        ..Impairment::default()
    };
    through(&input, &output, 1, &impairment);
    let expected: Vec<_> = (0..100).map(|n| ((u64::from(n) + 1) * MS, n)).collect();
    assert_eq!(read(&output), expected);
}

#[test]
fn what_a_plugin_delays_leaves_later_and_in_order() {
    // Delays every frame by 20 ms less 2 ms for its number's lowest bit.
    let delaying = r#"(module (memory (export "memory") 4)
      (data (i32.const 1024) "VNET\01\00\00\00\28\00\00\00\20\00\00\00\00\08\00\00\00\00\01\00\00\00\02\00\00\00\00\00")
      (func (export "vnet_info") (result i32) (i32.const 1024))
      (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
        (loop $next
          (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
          (i32.store8 offset=12 (local.get $d) (i32.const 0))
          (i32.store16 offset=14 (local.get $d) (i32.or (i32.load16_u offset=14 (local.get $d)) (i32.const 512)))
          (i32.store offset=28 (local.get $d) (i32.sub (i32.const 20000)
            (i32.mul (i32.const 2000) (i32.and (i32.const 1) (i32.load8_u offset=20 (i32.load (local.get $d)))))))
          (local.set $d (i32.add (local.get $d) (i32.const 40)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next))
        (i32.const 0)))"#;
    let dir = Dir::new("delay");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    write(&input, (0..200).map(|n| (START + n * MS, frame(2, n as u8))));
    let report = replay(ReplayOptions {
        stages: vec![stage(delaying, 1)],
        diff: true,
        ..options(&input, &output)
    })
    .unwrap();
    assert_eq!(
        (report.frames_out, report.missing.len(), report.changed.len()),
        (200, 0, 0)
    );
    let mut expected: Vec<_> = (0..200)
        .map(|n| (n * MS + if n % 2 == 0 { 20 } else { 18 } * MS, n as u8))
        .collect();
    // Even ones wait for the odd ones behind them, who were read later and are due a millisecond before.
    expected.sort_by_key(|(at, n)| (*at, *n));
    assert_eq!(read(&output), expected);
}
