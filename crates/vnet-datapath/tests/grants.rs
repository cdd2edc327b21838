//! Plugins that are called at a time and send frames of their own.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs::File;
use std::sync::Arc;

use support::switch::Bench;
use support::{frame, port, settled, wait_for};
use vnet_datapath::{Direction, LinkSide, Pipeline, Place, ReplayOptions, replay};
use vnet_packet::gso::Offload;
use vnet_packet::pcap;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};

const MS: u64 = 1_000_000;

/// A plugin with timer and inject; it passes frames of which the first byte is not 0xfe, and drops those that are.
///
/// Its timer `id` sends a frame of 60 bytes to port `id / 256`: 0xab, then how many were sent before. `tail` holds its
/// `_initialize`, `again` what its timer does besides.
fn clock(tail: &str, again: &str, body: &str, ports: u16) -> Stage {
    let manifest = r#"(@custom "vnet.manifest" "{\22capabilities\22: [\22timer\22, \22inject\22]}")"#;
    let wat = format!(
        r#"(module {manifest}
      (import "vnet" "timer" (func $timer (param i32 i64)))
      (import "vnet" "inject" (func $inject (param i32 i32 i32) (result i32)))
      (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
      (data (i32.const 1024) "\ab") (data (i32.const 1036) "\88\b5")
      (func (export "vnet_on_timer") (param $id i32) (param $now i64)
        (drop (call $inject (i32.shr_u (local.get $id) (i32.const 8)) (i32.const 1024) (i32.const 60)))
        (i32.store8 (i32.const 1044) (i32.add (i32.load8_u (i32.const 1044)) (i32.const 1)))
        {again})
      (func (export "vnet_on_packet") (param $p i32) (param $n i32) (result i32)
        {body}
        (i32.eq (i32.load8_u (local.get $p)) (i32.const 0xfe)))
      {tail})"#
    );
    granted(&wat, ports)
}

fn granted(wat: &str, ports: u16) -> Stage {
    let source = Source::Bytes {
        name: "clock".into(),
        bytes: wat.as_bytes().to_vec(),
    };
    let load = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    let options = StageOptions {
        ports,
        grants: vec!["timer".into(), "inject".into()],
        ..StageOptions::default()
    };
    Stage::new(&Module::load(&source, &load).unwrap(), options).unwrap()
}

/// Starts its timers at once.
fn starts(ids: &[i32]) -> String {
    let calls: String = ids
        .iter()
        .map(|id| format!("(call $timer (i32.const {id}) (i64.const 1000000))"))
        .collect();
    format!(r#"(func (export "_initialize") {calls})"#)
}

const AGAIN: &str = "(call $timer (local.get $id) (i64.const 1000000))";

fn made(number: u8) -> Vec<u8> {
    let mut made = frame(0xab, number);
    made[12..14].copy_from_slice(&[0x88, 0xb5]);
    made
}

#[test]
fn a_timer_sends_frames_by_both_ends_of_a_wire_while_nothing_else_comes() {
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    let pipeline = Pipeline::wire(a, b).unwrap();
    let id = pipeline
        .attach(
            Place::Wire(Direction::Both),
            clock(&starts(&[0, 256]), AGAIN, "", 2),
            None,
        )
        .unwrap();
    for _ in 0..10 {
        assert_eq!(wait_for("frame at a", || ea.pop())[0], 0xab);
        assert_eq!(wait_for("frame at b", || eb.pop())[0], 0xab);
    }
    let last = pipeline.detach(id).unwrap();
    assert!(last.injected >= 20 && last.timer_calls >= 20, "{last:?}");
    assert_eq!(last.packets_in, 0, "it does not see what it sends itself");
    let stats = settled(&pipeline, 0);
    assert_eq!(stats.appended, last.injected);
}

#[test]
fn frames_of_a_plugin_take_the_way_of_frames_to_that_port_and_say_what_they_are() {
    // Behind it another one drops what has the INJECTED flag, and counts it.
    let see = r#"(module (memory (export "memory") 2)
      (data (i32.const 1024) "VNET\01\00\00\00\28\00\00\00\08\00\00\00\00\08\00\00\00\10\00\00\00\40\00\00\00\00\00\00")
      (func (export "vnet_info") (result i32) (i32.const 1024))
      (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
        (loop $next
          (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
          (i32.store8 offset=12 (local.get $d)
            (i32.ne (i32.const 0) (i32.and (i32.const 8) (i32.load16_u offset=14 (local.get $d)))))
          (local.set $d (i32.add (local.get $d) (i32.const 40)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next))
        (i32.const 0)))"#;
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    let pipeline = Pipeline::wire(a, b).unwrap();
    let seeing = pipeline
        .attach(Place::Port(1, Direction::Egress), support::stage(see, 1), None)
        .unwrap();
    // Each frame that comes has it send one to port 1.
    let on_packet = "(drop (call $inject (i32.const 1) (i32.const 1024) (i32.const 60)))";
    let sending = clock("", "", on_packet, 2);
    pipeline
        .attach(Place::Wire(Direction::Both), sending, None)
        .unwrap();
    for n in 0..50 {
        assert!(ea.push(&frame(2, n), Offload::default()));
    }
    for n in 0..50 {
        assert_eq!(wait_for("frame at b", || eb.pop()), frame(2, n));
    }
    let stats = settled(&pipeline, 50);
    assert_eq!(stats.appended, 50);
    let seen = pipeline.stage_stats(seeing).unwrap();
    assert_eq!((seen.packets_in, seen.passed, seen.dropped), (100, 50, 50));
    assert_eq!(ea.pop(), None);
}

#[test]
fn on_a_switch_and_on_its_links_a_plugin_sends_where_its_ports_lead() {
    let mut bench = Bench::new(3);
    let at_switch = clock(&starts(&[2 * 256]), "", "", 16);
    bench.attach(Place::Switch(Direction::Ingress), at_switch);
    assert_eq!(bench.take(2), made(0));
    // The node is the link's second end: port 1 is towards it, port 0 towards the switch, which floods it.
    let towards_node = clock(&starts(&[256]), "", "", 2);
    bench.attach(Place::Link(1, Direction::Both, LinkSide::B), towards_node);
    assert_eq!(bench.take(1), made(0));
    let towards_switch = clock(&starts(&[0]), "", "", 2);
    bench.attach(Place::Link(1, Direction::Both, LinkSide::B), towards_switch);
    assert_eq!(bench.take(0), made(0));
    assert_eq!(bench.take(2), made(0));
    // A port that is not there is a named drop.
    bench.attach(
        Place::Switch(Direction::Ingress),
        clock(&starts(&[9 * 256]), "", "", 16),
    );
    wait_for("the drop", || {
        (bench.switch.stats().unwrap().drops.get("no_port") == Some(&1)).then_some(())
    });
    bench.settled();
}

#[test]
fn storms_and_floods_leave_frames_their_turn() {
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    let pipeline = Pipeline::wire(a, b).unwrap();
    let ids: Vec<i32> = (0..256).map(|id| 256 * (id % 2) + id).collect();
    let storm = "(call $timer (local.get $id) (i64.const 0))";
    // Every frame has it send as many as it can.
    let flood =
        "(loop $more (br_if $more (i32.eqz (call $inject (i32.const 1) (i32.const 1024) (i32.const 60)))))";
    let id = pipeline
        .attach(
            Place::Wire(Direction::Both),
            clock(&starts(&ids), storm, flood, 2),
            None,
        )
        .unwrap();
    let mut came = 0;
    for n in 0..100 {
        let expected = frame(2, n);
        // The flood may leave no room at the port, for any one of them.
        wait_for("frame among the flood", || {
            came += u64::from(ea.push(&expected, Offload::default()));
            while ea.pop().is_some() {}
            std::iter::from_fn(|| eb.pop()).find(|frame| *frame == expected)
        });
    }
    let last = pipeline.detach(id).unwrap();
    assert!(last.faults["inject_full"] >= 100, "{:?}", last.faults);
    assert!(last.timer_calls > 0, "{last:?}");
    settled(&pipeline, came);
}

#[test]
fn plugins_that_answer_each_other_with_frames_end() {
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    let pipeline = Pipeline::wire(a, b).unwrap();
    // Each sends two frames for each it sees, which the other one sees.
    let answer = "(drop (call $inject (i32.const 0) (i32.const 1024) (i32.const 60)))
        (drop (call $inject (i32.const 0) (i32.const 1024) (i32.const 60)))";
    for _ in 0..2 {
        let place = Place::Port(1, Direction::Egress);
        pipeline.attach(place, clock("", "", answer, 1), None).unwrap();
    }
    assert!(ea.push(&frame(2, 0), Offload::default()));
    let stats = settled(&pipeline, 1);
    assert!(stats.drops["loop"] > 0, "{:?}", stats.drops);
    assert!(eb.pop().is_some());
}

#[test]
fn in_a_replay_timers_come_in_the_time_of_the_capture() {
    let dir = std::env::temp_dir().join(format!("vnet-timers-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (input, output) = (dir.join("in.pcapng"), dir.join("out.pcapng"));
    let start = 1_700_000_000_000 * MS;
    let linktype = pcap::Linktype::ETHERNET;
    let mut out = pcap::Writer::pcapng(File::create(&input).unwrap(), linktype, 262_144, "test").unwrap();
    for (ms, number) in [(0, 1), (2, 2), (25, 3), (30, 4), (31, 5)] {
        let frame = frame(2, number);
        out.write(start + ms * MS, &frame, frame.len() as u32, None)
            .unwrap();
    }
    out.flush().unwrap();
    // The first frame starts a timer of 10 ms that goes on for ever.
    let again = "(call $timer (local.get $id) (i64.const 10000000))";
    let begin = "(if (i32.eq (i32.load8_u offset=20 (local.get $p)) (i32.const 1))
        (then (call $timer (i32.const 0) (i64.const 10000000))))";
    let report = replay(ReplayOptions {
        input,
        output: Some(output.clone()),
        stages: vec![clock("", again, begin, 1)],
        diff: false,
        line: None,
        stop: Arc::default(),
    })
    .unwrap();
    let mut reader = pcap::Reader::open(File::open(&output).unwrap()).unwrap();
    let (mut left, mut bytes) = (Vec::new(), Vec::new());
    while let Some(record) = reader.next(&mut bytes).unwrap() {
        left.push(((record.ts_ns - start) / MS, bytes[0], bytes[20]));
    }
    let expected = [
        (0, 2, 1),
        (2, 2, 2),
        (10, 0xab, 0),
        (20, 0xab, 1),
        (25, 2, 3),
        (30, 0xab, 2),
        (30, 2, 4),
        (31, 2, 5),
    ];
    assert_eq!(left, expected);
    assert_eq!((report.frames_in, report.frames_out), (5, 8));
    assert_eq!(report.stages[0].timer_calls, 3);
    let _ = std::fs::remove_dir_all(&dir);
}
