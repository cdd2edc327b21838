//! What happens when a plugin fails while it has frames.

use std::time::Duration;

use serde_json::json;
use vnet_runtime::{Fate, OnFault, Reason, StageOptions, Trip};

use crate::maps::MAP;
use crate::support::*;

const FAULT: Fate = Fate::Drop(Reason::Fault);
const BACKOFF: Fate = Fate::Drop(Reason::Backoff);

/// Marks each frame's second byte; a first byte of 9 traps, 8 loops, 7 answers -5, 6 overflows the stack.
fn fragile() -> Batch {
    let body = format!(
        r"{}
          (i32.const 0)",
        each(
            r"(local.set $x (i32.load8_u (i32.load (local.get $d))))
              (i32.store8 offset=1 (i32.load (local.get $d)) (i32.const 0x55))
              (if (i32.eq (local.get $x) (i32.const 9)) (then unreachable))
              (if (i32.eq (local.get $x) (i32.const 8)) (then (loop $ever (br $ever))))
              (if (i32.eq (local.get $x) (i32.const 7)) (then (return (i32.const -5))))
              (if (i32.eq (local.get $x) (i32.const 6)) (then (call $deep)))
              (i32.store8 offset=12 (local.get $d) (i32.const 3))"
        )
    );
    Batch {
        body,
        tail: "(func $deep (call $deep))".into(),
        ..Batch::default()
    }
}

fn fragile_simple() -> String {
    simple(
        "(func $deep (call $deep))",
        r"(local.set $i (i32.load8_u (local.get $p)))
          (i32.store8 offset=1 (local.get $p) (i32.const 0x55))
          (if (i32.eq (local.get $i) (i32.const 9)) (then unreachable))
          (if (i32.eq (local.get $i) (i32.const 8)) (then (loop $ever (br $ever))))
          (if (i32.eq (local.get $i) (i32.const 7)) (then (return (i32.const -5))))
          (if (i32.eq (local.get $i) (i32.const 6)) (then (call $deep)))
          (i32.const 3)",
    )
}

#[test]
fn judged_frames_keep_their_verdict_the_first_unjudged_is_dropped_the_rest_is_offered_again() {
    for text in [fragile().text(), fragile_simple()] {
        for (kind, name) in [(9, "trap"), (8, "timeout"), (7, "error"), (6, "trap")] {
            let mut rig = Rig::new(&text);
            let outs = rig.run(&[&[1; 60], &[2; 61], &[kind; 62], &[4; 63], &[5; 64]]);
            let fates: Vec<_> = outs.iter().map(|out| out.fate).collect();
            assert_eq!(fates, [Fate::Tx, Fate::Tx, FAULT, Fate::Tx, Fate::Tx], "{name}");
            for (i, first) in [(0, 1), (1, 2), (3, 4), (4, 5)] {
                let mut bytes = vec![first; 60 + i];
                bytes[1] = 0x55;
                assert_eq!(outs[i].bytes, bytes, "frame {i}");
            }
            let stats = rig.stats();
            assert_eq!(
                (stats.faults[name], stats.restarts, stats.state.as_str()),
                (1, 1, "running")
            );
            assert_eq!(stats.drops["fault"], 1);
            let fault = stats.last_fault.unwrap();
            assert_eq!(fault.kind, name);
            assert!(
                fault
                    .hexdump
                    .starts_with(&format!("0000  {kind:02x} 55 {kind:02x}")),
                "{}",
                fault.hexdump
            );
            if name == "trap" {
                assert!(fault.backtrace.contains("function"), "{fault:?}");
                let expected = if kind == 6 {
                    "stack overflow"
                } else {
                    "unreachable"
                };
                assert!(fault.message.contains(expected), "{fault:?}");
            }
        }
    }
}

#[test]
fn the_rest_is_offered_as_the_failed_instance_left_it() {
    // The first pass marks all frames, pops 4 bytes and sets the mark, the second one traps; the fresh instance,
    // which sees marked frames, sends them back.
    let body = format!(
        "{} {} (i32.const 0)",
        each(
            r"(if (i32.ne (i32.load8_u (i32.load (local.get $d))) (i32.const 0xaa)) (then
                (i32.store (local.get $d) (i32.add (i32.load (local.get $d)) (i32.const 4)))
                (i32.store offset=4 (local.get $d) (i32.sub (i32.load offset=4 (local.get $d)) (i32.const 4)))
                (i32.store offset=24 (local.get $d) (i32.const 77))
                (i32.store8 (i32.load (local.get $d)) (i32.const 0xaa))
                (local.set $x (i32.const 1))))"
        ),
        each("(if (local.get $x) (then unreachable)) (i32.store8 offset=12 (local.get $d) (i32.const 3))")
    );
    let mut rig = Batch {
        body,
        ..Batch::default()
    }
    .rig();
    let outs = rig.run(&[&[1; 60], &[2; 60], &[3; 60]]);
    assert_eq!(
        outs.iter().map(|out| out.fate).collect::<Vec<_>>(),
        [FAULT, Fate::Tx, Fate::Tx]
    );
    for out in &outs[1..] {
        assert_eq!((out.bytes[0], out.bytes.len(), out.frame.mark), (0xaa, 56, 77));
        assert_eq!(out.frame.off as usize % 2048, 132);
    }
}

#[test]
fn nothing_is_appended_after_a_fault() {
    // Frame 0 is answered and one frame written behind the ring's n; then it fails.
    for end in ["unreachable", "(i32.const -1)"] {
        let body = format!(
            r"(i32.store8 offset=12 (local.get $desc) (i32.const 3))
              (i32.store offset=44 (local.get $desc) (i32.const 60)) (i32.store8 offset=52 (local.get $desc) (i32.const 3))
              {end}"
        );
        let mut rig = Batch {
            body,
            ..Batch::default()
        }
        .rig();
        assert_eq!(rig.fates(&[&[1; 60]]), [Fate::Tx], "{end}");
        assert_eq!((rig.stats().appended, rig.stats().restarts), (0, 1));
    }
}

#[test]
fn frames_appended_by_the_fresh_instance_come_out() {
    // Traps on 9; else it appends one frame per call.
    let body = format!(
        r"{}
          (local.set $d (i32.add (local.get $desc) (i32.mul (local.get $n) (i32.const 40))))
          (i32.store (i32.load (local.get $d)) (i32.const 0x04030201))
          (i32.store offset=4 (local.get $d) (i32.const 4)) (i32.store8 offset=12 (local.get $d) (i32.const 3))
          (i32.const 1)",
        each(
            r"(if (i32.eq (i32.load8_u (i32.load (local.get $d))) (i32.const 9)) (then unreachable))
              (i32.store8 offset=12 (local.get $d) (i32.const 0))"
        )
    );
    let mut rig = Batch {
        body,
        ..Batch::default()
    }
    .rig();
    let outs = rig.run(&[&[1; 60], &[9; 60], &[3; 60], &[4; 60]]);
    let fates: Vec<_> = outs.iter().map(|out| out.fate).collect();
    assert_eq!(fates, [Fate::Pass, FAULT, Fate::Pass, Fate::Pass, Fate::Tx]);
    let firsts: Vec<_> = outs.iter().map(|out| out.bytes.first().copied()).collect();
    assert_eq!(firsts, [Some(1), None, Some(3), Some(4), Some(1)]);
    assert_eq!(outs[4].bytes, [1, 2, 3, 4]);
}

#[test]
fn a_second_fault_waits_and_frames_fail_closed_meanwhile() {
    for text in [fragile().text(), fragile_simple()] {
        let mut rig = Rig::new(&text);
        let fates = rig.fates(&[&[1; 60], &[9; 60], &[2; 60], &[9; 60], &[3; 60], &[4; 60]]);
        assert_eq!(fates, [Fate::Tx, FAULT, Fate::Tx, FAULT, BACKOFF, BACKOFF]);
        assert_eq!(
            (
                rig.stats().state.as_str(),
                rig.stats().restarts,
                rig.drops("backoff")
            ),
            ("backoff", 1, 2)
        );
        wait_for("a restart after the back-off", || {
            rig.one(&[5; 60]).fate == Fate::Tx
        });
        assert_eq!((rig.stats().state.as_str(), rig.stats().restarts), ("running", 2));
    }
}

#[test]
fn frames_pass_meanwhile_when_told_so() {
    let open = StageOptions {
        on_fault: Some(OnFault::Open),
        ..StageOptions::default()
    };
    for text in [fragile().text(), fragile_simple()] {
        let mut rig = Rig::with(&text, open.clone());
        let outs = rig.run(&[&[1; 60], &[9; 60], &[2; 60], &[9; 60], &[3; 60], &[4; 60]]);
        let fates: Vec<_> = outs.iter().map(|out| out.fate).collect();
        assert_eq!(fates, [Fate::Tx, FAULT, Fate::Tx, FAULT, Fate::Pass, Fate::Pass]);
        assert_eq!((outs[4].bytes[0], outs[4].bytes[1], outs[5].bytes[0]), (3, 3, 4));
        assert_eq!((outs[0].bytes[1], outs[2].bytes[1]), (0x55, 0x55));
        let next = rig.one(&[8; 60]);
        assert_eq!(
            (next.fate, next.bytes),
            (Fate::Pass, vec![8; 60]),
            "the arena works without an instance"
        );
    }
}

#[test]
fn the_manifest_may_say_what_a_fault_does_and_the_operator_decides() {
    let head = manifest(&json!({ "on_fault": "open" }));
    let text = Batch { head, ..fragile() }.text();
    let fates = |options| Rig::with(&text, options).fates(&[&[9; 60], &[9; 60], &[3; 60]]);
    assert_eq!(fates(StageOptions::default())[2], Fate::Pass);
    assert_eq!(
        fates(StageOptions {
            on_fault: Some(OnFault::Closed),
            ..StageOptions::default()
        })[2],
        BACKOFF
    );
}

#[test]
fn trips_then_tries_again_half_open() {
    let trip = Trip {
        faults: 3,
        within: Duration::from_millis(800),
        retry: Duration::from_millis(60),
    };
    let mut rig = Rig::with(
        &fragile().text(),
        StageOptions {
            trip: Some(trip),
            ..StageOptions::default()
        },
    );
    wait_for("a trip", || {
        rig.one(&[9; 60]);
        rig.stats().state == "tripped"
    });
    assert_eq!(rig.fault("trap"), 3);
    assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Tripped));
    assert_eq!(rig.drops("tripped"), 1);
    wait_for("a half-open retry", || rig.one(&[1; 60]).fate == Fate::Tx);
    assert_eq!(rig.stats().state, "half-open");
    rig.one(&[9; 60]);
    assert_eq!(rig.stats().state, "tripped", "one fault is enough then");
    wait_for("another retry", || rig.one(&[1; 60]).fate == Fate::Tx);
    wait_for("recovery", || rig.stats().state == "running");
    assert_eq!(
        rig.fates(&[&[9; 60], &[1; 60]]),
        [FAULT, Fate::Tx],
        "the first fault restarts at once again"
    );
}

#[test]
fn without_a_trip_every_tenth_of_100_000_frames_costs_itself_alone() {
    for on_fault in [OnFault::Closed, OnFault::Open] {
        let options = StageOptions {
            trip: None,
            on_fault: Some(on_fault),
            ..StageOptions::default()
        };
        let mut rig = Rig::with(&fragile().text(), options);
        let (bad, good) = ([9; 60], [1; 60]);
        for batch in 0..100_000 / 8 {
            let kind = |n| {
                if (8 * batch + n) % 10 == 0 {
                    &bad[..]
                } else {
                    &good
                }
            };
            let frames: Vec<&[u8]> = (0..8).map(kind).collect();
            for (frame, fate) in frames.iter().zip(rig.fates(&frames)) {
                assert_eq!(fate, if frame[0] == 9 { FAULT } else { Fate::Tx });
            }
        }
        let stats = rig.stats();
        assert_eq!((stats.faults["trap"], stats.restarts), (10_000, 10_000));
        assert_eq!(
            (stats.packets_in, stats.tx, stats.dropped),
            (100_000, 90_000, 10_000)
        );
        assert_eq!(stats.drops["fault"], 10_000);
    }
}

#[test]
fn never_trips_when_told_so() {
    let mut rig = Rig::with(
        &fragile().text(),
        StageOptions {
            trip: None,
            ..StageOptions::default()
        },
    );
    wait_for("seven faults", || {
        rig.one(&[9; 60]);
        assert_ne!(rig.stats().state, "tripped");
        rig.fault("trap") >= 7
    });
}

#[test]
fn counters_survive_a_restart() {
    let head = r#"(import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
        (import "vnet" "count" (func $count (param i32 i64)))
        (data (i32.const 0) "seen") (global $id (mut i32) (i32.const -1))
        (func (export "_initialize") (global.set $id (call $counter (i32.const 0) (i32.const 4))))"#;
    let body = r"(call $count (global.get $id) (i64.const 1))
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 9)) (then unreachable)) (i32.const 0)";
    let mut rig = Rig::new(&simple(head, body));
    rig.run(&[&[1; 60], &[9; 60], &[1; 60], &[9; 60]]);
    assert_eq!(rig.stats().counters["seen"], 4);
    wait_for("a restart", || rig.one(&[1; 60]).fate == Fate::Pass);
    assert_eq!(rig.stats().counters.len(), 1);
    assert_eq!(rig.stats().counters["seen"], 5);
}

#[test]
fn a_fresh_instance_is_configured_again() {
    let head = r#"(import "vnet" "config_int" (func $int (param i32 i32 i64) (result i64)))
        (data (i32.const 0) "code") (global $code (mut i32) (i32.const 0))
        (func (export "vnet_configure") (param i32 i32) (result i32)
          (global.set $code (i32.wrap_i64 (call $int (i32.const 0) (i32.const 4) (i64.const 0)))) (i32.const 0))"#;
    let body = r"(if (i32.eq (i32.load8_u (local.get $p)) (i32.const 9)) (then unreachable))
        (i32.or (i32.const 1) (i32.shl (global.get $code) (i32.const 8)))";
    let mut rig = Rig::with(&simple(head, body), config(json!({ "code": 12 })));
    let expected = Fate::Drop(Reason::Plugin(12));
    assert_eq!(
        rig.fates(&[&[1; 60], &[9; 60], &[1; 60]]),
        [expected, FAULT, expected]
    );
}

#[test]
fn maps_are_carried_over_to_a_fresh_instance() {
    // A first byte of 1 writes key 5 (FNV-1a 0x4b7d6a90... computed by the host) straight into its slot.
    let hash = vnet_abi::fnv1a(&5_u32.to_le_bytes());
    let slot = 256 + 24 * (hash & 7);
    let body = format!(
        r"(local.set $i (i32.load8_u (local.get $p)))
          (if (i32.eq (local.get $i) (i32.const 9)) (then unreachable))
          (if (i32.eq (local.get $i) (i32.const 1)) (then
            (i32.store (i32.const {slot}) (i32.const 1)) (i32.store (i32.const {}) (i32.const {}))
            (i32.store (i32.const {}) (i32.const 5)) (i64.store (i32.const {}) (i64.const 42))
            (i32.store (i32.const 96) (i32.const 1))))
          (if (i32.eq (local.get $i) (i32.const 2)) (then (i32.store (i32.const 96) (i32.const 3))))
          (i32.or (i32.const 1) (i32.shl (i32.load (i32.const {})) (i32.const 8)))",
        slot + 4,
        hash as i32,
        slot + 8,
        slot + 16,
        slot + 16
    );
    let text = simple(MAP, &body);
    let carried = Fate::Drop(Reason::Plugin(42));
    assert_eq!(
        Rig::new(&text).fates(&[&[1; 60], &[9; 60], &[3; 60]]),
        [carried, FAULT, carried]
    );
    // Where the count does not agree with the slots, the map is broken and left behind.
    assert_eq!(
        Rig::new(&text).fates(&[&[1; 60], &[2; 60], &[9; 60], &[3; 60]])[3],
        PLAIN
    );
}

#[test]
fn a_restart_that_fails_counts_as_a_fault_and_is_reported() {
    // Starts once: `random` gives the first instance another number than the next.
    let head = manifest(&json!({ "capabilities": ["random"] }))
        + r#"(import "vnet" "random" (func $random (result i64)))
          (func (export "_initialize") (if (i64.ne (call $random) (i64.const FIRST)) (then unreachable)))"#;
    let options = || StageOptions {
        grants: vec!["random".into()],
        trip: None,
        ..StageOptions::default()
    };
    // Ask for the first number by dropping with it as reason, 16 bits at a time.
    let ask = simple(
        &(manifest(&json!({ "capabilities": ["random"] }))
            + r#"(import "vnet" "random" (func $random (result i64))) (global $r (mut i64) (i64.const 0))
               (func (export "_initialize") (global.set $r (call $random)))"#),
        "(local.set $l (i64.shr_u (global.get $r) (i64.extend_i32_u (i32.load8_u (local.get $p)))))
         (i32.or (i32.const 1) (i32.shl (i32.and (i32.wrap_i64 (local.get $l)) (i32.const 0xffff)) (i32.const 8)))",
    );
    let mut rig = Rig::with(&ask, options());
    let first = rig
        .fates(&[&[0; 9], &[16; 9], &[32; 9], &[48; 9]])
        .iter()
        .rev()
        .fold(0_u64, |number, fate| match fate {
            Fate::Drop(Reason::Plugin(part)) => number << 16 | u64::from(*part),
            other => panic!("{other:?}"),
        });
    let text = simple(
        &head.replace("FIRST", &(first as i64).to_string()),
        "(if (i32.eq (i32.load8_u (local.get $p)) (i32.const 9)) (then unreachable)) (i32.const 0)",
    );
    let mut rig = Rig::with(&text, options());
    assert_eq!(
        rig.fates(&[&[1; 60], &[9; 60], &[1; 60]]),
        [Fate::Pass, FAULT, BACKOFF]
    );
    let stats = rig.stats();
    assert_eq!((stats.faults["trap"], stats.restarts), (2, 0));
    assert!(stats.last_fault.unwrap().message.contains("_initialize"));
}

#[test]
fn faults_are_logged_with_what_happens_then() {
    let mut rig = fragile().rig();
    rig.fates(&[&[9; 60], &[7; 60]]);
    let lines = rig.log_lines();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|(level, _)| *level == 0));
    assert!(
        lines[0].1.contains("unreachable") && lines[0].1.contains("fresh instance"),
        "{lines:?}"
    );
    assert!(
        lines[1].1.contains("answered -5") && lines[1].1.contains("pause"),
        "{lines:?}"
    );
}

#[test]
fn another_stage_of_the_same_module_goes_on() {
    let module = load(&fragile().text());
    let stage = || vnet_runtime::Stage::new(&module, StageOptions::default()).unwrap();
    let rig = |stage: vnet_runtime::Stage| {
        let logs = stage.logs();
        Rig {
            stage,
            logs,
            frames: vnet_runtime::Frames::with_capacity(1024),
            port: 0,
            flags: 0,
        }
    };
    let (mut one, mut other) = (rig(stage()), rig(stage()));
    one.fates(&[&[9; 60], &[8; 60], &[1; 60]]);
    assert_eq!(other.one(&[1; 60]).fate, Fate::Tx);
    assert!(other.stats().faults.is_empty());
}

#[test]
fn a_stage_may_move_to_another_thread() {
    let mut rig = fragile().rig();
    rig.one(&[1; 60]);
    let fates = std::thread::spawn(move || rig.fates(&[&[1; 60], &[9; 60], &[1; 60]]))
        .join()
        .unwrap();
    assert_eq!(fates, [Fate::Tx, FAULT, Fate::Tx]);
}

#[test]
fn odd_frames_and_faults_in_one_batch() {
    let mut rig = fragile().rig();
    rig.put(0, 128, &[]);
    rig.put(1, 128, &[1; 60]);
    rig.put(2, 128, &[9; 60]);
    rig.put(3, 128, &[]);
    rig.put(4, 128, &[3; 60]);
    let outs = rig.go();
    let empty = Fate::Drop(Reason::Empty);
    assert_eq!(
        outs.iter().map(|out| out.fate).collect::<Vec<_>>(),
        [empty, Fate::Tx, FAULT, empty, Fate::Tx]
    );
    assert_eq!((outs[1].bytes[0], outs[4].bytes[0]), (1, 3));
}
