//! Prints what a stage costs per frame; run with `cargo test --release --workspace --test speed -- --ignored --nocapture`.
//! `ONLY=drop_bcast` takes the rows whose names hold that text, `ROUNDS` another number of rounds than 31.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use support::*;
use vnet_runtime::{Frame, Frames, MapCopy, Module, Source, Stage};

/// The thread's CPU time, which a loaded machine changes less than the clock on the wall.
fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// A batch that is judged again and again.
struct Bench {
    stage: Stage,
    template: Vec<Frame>,
    frames: Frames,
}

impl Bench {
    /// `n` frames of `len` bytes, or as many as the plugin takes at once, from one of eight stations to another, all from port 0.
    fn new(module: &Module, n: usize, len: usize) -> Bench {
        let mut stage = Stage::new(module, two_ports()).unwrap();
        let n = n.min(stage.traits().batch);
        let stride = stage.arena().stride;
        let template: Vec<Frame> = (0..n)
            .map(|i| Frame {
                off: (i * stride + 128) as u32,
                len: len as u32,
                ts_ns: 1_000_000_000,
                ..Frame::default()
            })
            .collect();
        for (i, frame) in template.iter().enumerate() {
            let bytes = &mut stage.arena().bytes[frame.off as usize..][..len];
            bytes.fill(1);
            bytes[..6].copy_from_slice(&[2, 0, 0, 0, 1, i as u8 % 8]);
            bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, i as u8 % 8]);
            bytes[12..14].copy_from_slice(&[8, 0]);
        }
        // The receivers are heard on port 1.
        let mut frames = Frames::with_capacity(1024);
        for frame in template.iter().take(8) {
            stage.arena().bytes[frame.off as usize..][..12].rotate_left(6);
            frames.push(Frame { port: 1, ..*frame });
        }
        stage.run(&mut frames);
        for frame in template.iter().take(8) {
            stage.arena().bytes[frame.off as usize..][..12].rotate_left(6);
        }
        Bench {
            stage,
            template,
            frames,
        }
    }

    /// CPU nanoseconds per frame over `runs` runs.
    fn round(&mut self, runs: usize) -> f64 {
        let begun = cpu_ns();
        for _ in 0..runs {
            self.frames.clear();
            self.frames.extend_from_slice(&self.template);
            self.stage.run(&mut self.frames);
        }
        (cpu_ns() - begun) as f64 / (runs * self.template.len()) as f64
    }

    /// The least and the median of some rounds.
    fn cost(&mut self, rounds: usize) -> (f64, f64) {
        let runs = 64_000 / self.template.len();
        let mut rounds: Vec<f64> = (0..rounds).map(|_| self.round(runs)).collect();
        rounds.sort_by(f64::total_cmp);
        (rounds[0], rounds[rounds.len() / 2])
    }
}

fn shipped(name: &str) -> Module {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../plugins/shipped")
        .join(name);
    Module::load(&Source::File(file), &options()).unwrap()
}

#[test]
#[ignore = "prints figures, asserts nothing"]
fn nanoseconds_per_frame() {
    let wide = |batch: Batch, ring_len, pages| {
        let batch = Batch {
            ring_len,
            slot: 2048,
            pages,
            ..batch
        };
        load(&batch.text())
    };
    let bcast = wide(drop_bcast(), 128, 8);
    let nothing = wide(Batch::default(), 128, 8);
    let pass = load(&simple("", "(i32.const 0)"));
    let rows = [
        ("drop_bcast.wasm, 64 of 64 B", &shipped("drop_bcast.wasm"), 64, 64),
        ("drop_bcast.wasm, 8 of 64 B", &shipped("drop_bcast.wasm"), 8, 64),
        ("drop_bcast.wasm, 1 of 64 B", &shipped("drop_bcast.wasm"), 1, 64),
        (
            "learning_switch.wasm, 64 of 64 B",
            &shipped("learning_switch.wasm"),
            64,
            64,
        ),
        (
            "learning_switch.wasm, 1 of 64 B",
            &shipped("learning_switch.wasm"),
            1,
            64,
        ),
        ("count.wasm, 64 of 64 B", &shipped("count.wasm"), 64, 64),
        ("batch drop_bcast in text, 64 of 64 B", &bcast, 64, 64),
        (
            "the same, 64 of 64 B, ring of 1024",
            &wide(drop_bcast(), 1024, 40),
            64,
            64,
        ),
        ("batch that does nothing, 64 of 64 B", &nothing, 64, 64),
        ("batch that does nothing, 1 of 64 B", &nothing, 1, 64),
        ("simple that passes, 64 of 64 B", &pass, 64, 64),
        ("simple that passes, 64 of 1500 B", &pass, 64, 1500),
        ("simple that passes, 1 of 64 B", &pass, 1, 64),
    ];
    let rounds = std::env::var("ROUNDS").map_or(31, |rounds| rounds.parse().unwrap());
    // Only the rows whose names hold this text, where it is given.
    let only = std::env::var("ONLY").unwrap_or_default();
    for (what, module, n, len) in rows.into_iter().filter(|row| row.0.contains(&only)) {
        let (least, median) = Bench::new(module, n, len).cost(rounds);
        println!("{least:8.2} {median:8.2} ns per frame, least and median  {what}");
    }
}

/// How long frames wait while a map is copied, and while one key of it is looked up.
#[test]
#[ignore = "prints times"]
fn maps_by_size() {
    for (name, capacity) in [
        ("8 KiB", 256_u32),
        ("512 KiB", 16_384),
        ("4 MiB", 131_072),
        ("8 MiB", 262_144),
    ] {
        let header: String = [
            *b"VMAP",
            8_u32.to_le_bytes(),
            16_u32.to_le_bytes(),
            capacity.to_le_bytes(),
        ]
        .iter()
        .chain(&[
            [0; 4],
            128_u32.to_le_bytes(),
            1_u32.to_le_bytes(),
            [0; 4],
            1024_u32.to_le_bytes(),
        ])
        .flatten()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
        let text = format!(
            r#"(module (memory (export "memory") 200) (global (export "vnet_frame") i32 (i32.const 12582912))
              (data (i32.const 64) "\01\00\00\00\50\00\00\00") (data (i32.const 80) "{header}") (data (i32.const 128) "m")
              (func (export "vnet_maps") (result i32) (i32.const 64))
              (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#
        );
        let mut rig = Rig::new(&text);
        for n in 0..u64::from(capacity) / 2 {
            rig.stage.map_set("m", &n.to_le_bytes(), &[1; 16]).unwrap();
        }
        let (mut copies, mut gets) = (Vec::new(), Vec::new());
        for n in 0..51_u64 {
            let room = MapCopy::with_room(rig.stage.map_bytes("m").unwrap());
            let start = cpu_ns();
            let copy = rig.stage.map_copy("m", room).unwrap();
            let copied = cpu_ns();
            rig.stage.map_get("m", &n.to_le_bytes()).unwrap();
            gets.push(cpu_ns() - copied);
            copies.push(copied - start);
            assert_eq!(copy.entries().unwrap().len(), capacity as usize / 2);
        }
        copies.sort_unstable();
        gets.sort_unstable();
        println!(
            "map of {name}: copy {} us, get {} ns",
            copies[25] / 1000,
            gets[25]
        );
    }
}
