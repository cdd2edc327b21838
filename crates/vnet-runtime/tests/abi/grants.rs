//! Capabilities: timers, and frames that a plugin sends by itself.

use std::time::Duration;

use serde_json::json;
use vnet_runtime::{Fate, Injected, StageOptions, Trip};

use crate::support::*;

/// Imports and manifest of a plugin that asks for both.
fn head() -> String {
    manifest(&json!({ "capabilities": ["timer", "inject"] }))
        + r#"(import "vnet" "timer" (func $timer (param i32 i64)))
             (import "vnet" "inject" (func $inject (param i32 i32 i32) (result i32)))"#
}

fn options() -> StageOptions {
    StageOptions {
        grants: vec!["timer".into(), "inject".into()],
        ports: 2,
        // It never trips here, and pauses before it starts again.
        trip: Some(Trip {
            faults: 1_000,
            ..Trip::default()
        }),
        ..StageOptions::default()
    }
}

/// A plugin whose timer calls `$inject` with these operands, and keeps what it answered at 512.
fn rig(on_timer: &str, body: &str) -> Rig {
    let tail = format!(r#"(func (export "vnet_on_timer") (param $id i32) (param $now i64) {on_timer})"#);
    Rig::with(&simple(&(head() + &tail), body), options())
}

fn sent(rig: &mut Rig) -> Vec<(u16, Vec<u8>)> {
    let mut injected = Injected::default();
    rig.stage.take_injected(&mut injected);
    injected
        .iter()
        .map(|(port, frame)| (port, frame.to_vec()))
        .collect()
}

#[test]
fn a_timer_comes_once_at_its_time_with_its_id_and_the_time() {
    let mut rig = rig(
        "(i32.store (i32.const 512) (local.get $id)) (i64.store (i32.const 520) (local.get $now))
         (drop (call $inject (i32.const 1) (i32.const 512) (i32.const 16)))",
        "(call $timer (i32.const 9) (i64.const 1000000)) (i32.const 0)",
    );
    assert!(!rig.stage.has_asked());
    rig.one(&[1; 60]);
    assert!(rig.stage.has_asked());
    // Frames of the rig are of time 7,000.
    assert_eq!(rig.stage.next_timer(7_000), Some(1_007_000));
    assert!(!rig.stage.has_asked());
    rig.stage.fire(1_006_999);
    assert_eq!(sent(&mut rig), []);
    rig.stage.fire(1_007_000);
    let mut expected = vec![0; 16];
    expected[0] = 9;
    expected[8..].copy_from_slice(&1_007_000_u64.to_le_bytes());
    assert_eq!(sent(&mut rig), [(1, expected)]);
    assert_eq!(rig.stage.next_timer(2_000_000), None);
    let stats = rig.stats();
    assert_eq!((stats.timer_calls, stats.injected), (1, 1));
}

#[test]
fn timers_set_while_a_plugin_starts_count_from_when_the_host_says_what_time_it_is() {
    let tail = r#"(func (export "_initialize") (call $timer (i32.const 1) (i64.const 500000)))
        (func (export "vnet_on_timer") (param i32 i64) (call $timer (i32.const 1) (i64.const 500000)))"#;
    let mut rig = Rig::with(&simple(&(head() + tail), "(i32.const 0)"), options());
    assert!(rig.stage.has_asked());
    assert_eq!(rig.stage.next_timer(10_000_000), Some(10_500_000));
    rig.stage.fire(10_600_000);
    assert_eq!(rig.stage.next_timer(10_600_000), Some(11_100_000));
}

#[test]
fn a_storm_of_timers_is_served_in_pieces_and_never_at_once() {
    let storm = "(local.set $i (i32.const 0))
        (loop $next (call $timer (local.get $i) (i64.const 0))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300))))
        (i32.const 0)";
    let mut rig = rig("(call $timer (local.get $id) (i64.const 0))", storm);
    rig.one(&[1; 60]);
    assert_eq!(rig.fault("bad_pointer"), 44, "256 timers is the most");
    let mut now = 7_000;
    for round in 1..=20 {
        now = rig.stage.next_timer(now).unwrap().max(now);
        rig.stage.fire(now);
        assert_eq!(rig.stats().timer_calls, 32 * round);
    }
    let next = rig.stage.next_timer(now).unwrap();
    assert!(next > 7_000, "a timer set again comes later");
}

#[test]
fn a_bad_pointer_port_or_length_has_no_effect_and_is_counted() {
    for (operands, taken) in [
        ("(i32.const 1) (i32.const 512) (i32.const 60)", true),
        ("(i32.const 0) (i32.const 512) (i32.const 14)", true),
        ("(i32.const 2) (i32.const 512) (i32.const 60)", false),
        ("(i32.const -1) (i32.const 512) (i32.const 60)", false),
        ("(i32.const 0) (i32.const 512) (i32.const 13)", false),
        ("(i32.const 0) (i32.const 512) (i32.const 65559)", false),
        ("(i32.const 0) (i32.const 196600) (i32.const 60)", false),
        ("(i32.const 0) (i32.const -1) (i32.const 60)", false),
        ("(i32.const 0) (i32.const 512) (i32.const -1)", false),
    ] {
        let mut rig = rig("", &format!("(i32.eq (call $inject {operands}) (i32.const -1))"));
        let expected = if taken { Fate::Pass } else { PLAIN };
        assert_eq!(rig.one(&[1; 60]).fate, expected, "{operands}");
        assert_eq!(rig.fault("bad_pointer"), u64::from(!taken), "{operands}");
        assert_eq!(sent(&mut rig).len(), usize::from(taken), "{operands}");
    }
}

#[test]
fn a_flood_of_frames_is_taken_up_to_a_limit_and_counted() {
    let flood = "(local.set $i (i32.const 0))
        (loop $next (drop (call $inject (i32.const 0) (local.get $p) (local.get $len)))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))
        (i32.const 0)";
    let mut rig = rig("", flood);
    rig.one(&[1; 60]);
    assert_eq!(rig.fault("inject_full"), 2000 - 1024);
    assert_eq!(sent(&mut rig).len(), 1024);
    rig.one(&[1; 60]);
    assert_eq!(sent(&mut rig).len(), 1024, "an emptied queue takes frames again");
}

#[test]
fn a_timer_that_fails_costs_the_instance_and_a_fresh_one_has_no_timers() {
    for (on_timer, kind) in [
        ("unreachable", "trap"),
        ("(loop $for_ever (br $for_ever))", "timeout"),
    ] {
        let mut rig = rig(
            on_timer,
            "(call $timer (i32.const 1) (i64.const 0)) (call $timer (i32.const 2) (i64.const 0)) (i32.const 0)",
        );
        rig.one(&[1; 60]);
        rig.stage.fire(10_000_000);
        assert_eq!(rig.fault(kind), 1);
        assert_eq!(rig.stage.next_timer(10_000_000), None);
        assert_eq!(rig.one(&[1; 60]).fate, Fate::Pass);
        rig.stage.fire(20_000_000);
        assert_eq!(rig.fault(kind), 2);
        assert_eq!(rig.stats().state, "backoff");
        rig.stage.fire(30_000_000);
        assert_eq!(rig.fault(kind), 2, "without an instance no timer comes");
    }
}

#[test]
fn a_batch_plugin_whose_timer_fails_goes_on_judging() {
    let batch = Batch {
        head: head(),
        tail: r#"(func (export "_initialize") (call $timer (i32.const 1) (i64.const 0)))
                 (func (export "vnet_on_timer") (param i32 i64) unreachable)"#
            .into(),
        ..drop_bcast()
    };
    let trip = Some(Trip {
        faults: 2,
        within: Duration::from_secs(1000),
        retry: Duration::from_secs(1000),
    });
    let mut rig = Rig::with(&batch.text(), StageOptions { trip, ..options() });
    let broadcast = [0xff; 60];
    for (now, expected) in [(1, "running"), (2, "tripped")] {
        rig.stage.next_timer(now);
        rig.stage.fire(now + 1_000_000);
        assert_eq!(rig.stats().state, expected);
        assert!(matches!(rig.one(&broadcast).fate, Fate::Drop(_)));
    }
    assert_eq!(rig.drops("tripped"), 1);
}

#[test]
fn a_plugin_with_timers_comes_back_without_a_frame() {
    let batch = Batch {
        head: head(),
        tail: r#"(func (export "_initialize") (call $timer (i32.const 1) (i64.const 0)))
                 (func (export "vnet_on_timer") (param i32 i64) unreachable)"#
            .into(),
        ..drop_bcast()
    };
    for text in [
        batch.text(),
        simple(
            &(head()
                + r#"(func (export "_initialize") (call $timer (i32.const 1) (i64.const 0)))
                     (func (export "vnet_on_timer") (param i32 i64) unreachable)"#),
            "(i32.const 1)",
        ),
    ] {
        let mut rig = Rig::with(&text, options());
        for now in [1, 2] {
            assert_eq!(rig.stage.revival(now), None);
            rig.stage.next_timer(now);
            rig.stage.fire(now + 1_000_000);
        }
        assert_eq!(rig.stats().state, "backoff");
        assert!(rig.stage.revival(5).unwrap() > 5);
        wait_for("a fresh instance", || {
            rig.stage.fire(7);
            rig.stats().state == "running"
        });
        assert!(rig.stage.next_timer(7).is_some(), "it set its timer anew");
        assert!(matches!(rig.one(&[0xff; 60]).fate, Fate::Drop(_)));
        assert_eq!(rig.stats().restarts, 2);
    }
}

#[test]
fn what_was_not_granted_is_said() {
    let text = simple(
        &(head() + r#"(func (export "vnet_on_timer") (param i32 i64))"#),
        "(i32.const 0)",
    );
    let refused = |grants: &[&str]| {
        let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        let options = StageOptions {
            grants,
            ..StageOptions::default()
        };
        Rig::try_with(&text, options).err().map(|error| error.to_string())
    };
    assert!(
        refused(&["timer"])
            .unwrap()
            .contains("wants the capability \"inject\"")
    );
    assert!(
        refused(&["inject"])
            .unwrap()
            .contains("wants the capability \"timer\"")
    );
    assert!(
        refused(&["timer", "inject", "fly"])
            .unwrap()
            .contains("unknown capability \"fly\"")
    );
    assert_eq!(refused(&["timer", "inject", "random"]), None);
    // One that can do without runs, and the log says so.
    let rig = Rig::new(&simple(
        &manifest(&json!({ "capabilities": ["timer"] })),
        "(i32.const 0)",
    ));
    let lines = rig.log_lines();
    assert!(
        lines[0].1.contains("\"timer\", which was not granted"),
        "{lines:?}"
    );
}

#[test]
fn a_plugin_that_imports_what_it_does_not_declare_is_refused() {
    for (name, ty) in [
        ("timer", "(param i32 i64)"),
        ("inject", "(param i32 i32 i32) (result i32)"),
    ] {
        let import = format!(r#"(import "vnet" "{name}" (func {ty}))"#);
        let asks = format!("imports vnet.{name} without asking for it");
        assert_refused(&simple(&import, "(i32.const 0)"), &[&asks]);
    }
    let lacks =
        manifest(&json!({ "capabilities": ["timer"] })) + r#"(import "vnet" "timer" (func (param i32 i64)))"#;
    assert_refused(
        &simple(&lacks, "(i32.const 0)"),
        &["does not export vnet_on_timer"],
    );
}
