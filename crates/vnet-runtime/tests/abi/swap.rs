//! A stage takes the place of another: what it goes on from, and what it refuses.

use serde_json::json;
use vnet_runtime::{CarriedState, PluginError, Stage, StageEventKind, StageOptions, Trip};

use crate::support::{Batch, PLAIN, Rig, each, load, manifest, quoted, simple, verdict};

/// State of a batch-form plugin at 512: its first byte is the number the plugin was loaded with.
const STATE: u32 = 120_000;

/// Saves `len` bytes at [`STATE`], as many as fit in each call, and loads them again.
fn keeper(len: u32, version: u32, load: &str) -> Batch {
    let saves = format!(
        r#"(func (export "vnet_save") (param $at i32) (param $p i32) (param $cap i32) (result i32) (local $n i32)
            (local.set $n (i32.sub (i32.const {len}) (local.get $at)))
            (if (i32.gt_u (local.get $n) (local.get $cap)) (then (local.set $n (local.get $cap))))
            (memory.copy (local.get $p) (i32.add (i32.const {STATE}) (local.get $at)) (local.get $n))
            (local.get $n))"#
    );
    Batch {
        head: manifest(&json!({"name": "keeper", "state_version": version})),
        tail: format!("{saves} {load}"),
        // Counts frames in the state's last four bytes and writes the number into each.
        body: format!(
            "{} (i32.const 0)",
            each(&format!(
                r"(i32.store (i32.const {last}) (i32.add (i32.load (i32.const {last})) (i32.const 1)))
                  (i32.store (i32.load (local.get $d)) (i32.load (i32.const {last})))",
                last = STATE + len - 4
            ))
        ),
        ..Batch::default()
    }
}

const LOADS: &str = r#"(func (export "vnet_load") (param $at i32) (param $p i32) (param $n i32) (param $v i32) (result i32)
    (memory.copy (i32.add (i32.const 120000) (local.get $at)) (local.get $p) (local.get $n)) (i32.const 0))"#;

fn number(rig: &mut Rig) -> u32 {
    let out = rig.one(&[0; 60]);
    u32::from_le_bytes(*out.bytes.first_chunk().unwrap())
}

/// Puts a plugin in the place of the rig's.
fn swap(rig: &mut Rig, text: &str, carry: bool) -> Result<CarriedState, PluginError> {
    let mut stage = Stage::new(&load(text), StageOptions::default())?;
    let carried = stage.take_over(&mut rig.stage, carry)?;
    rig.logs = stage.logs();
    rig.stage = stage;
    Ok(carried)
}

#[test]
fn state_larger_than_the_arena_is_carried_in_pieces() {
    // 10,000 bytes by way of an arena of 8 slots of 192.
    let small = |load| {
        Batch {
            ring_len: 8,
            slot: 192,
            ..keeper(10_000, 1, load)
        }
        .text()
    };
    let options = StageOptions {
        mtu: 40,
        ..StageOptions::default()
    };
    let mut rig = Rig::with(&small(LOADS), options.clone());
    assert_eq!((number(&mut rig), number(&mut rig)), (1, 2));
    let mut next = Stage::new(&load(&small(LOADS)), options).unwrap();
    let carried = next.take_over(&mut rig.stage, true).unwrap();
    assert_eq!(carried.state_bytes, 10_000);
    assert_eq!(number(&mut rig), 3, "the old one goes on until it is replaced");
    rig.stage = next;
    assert_eq!(number(&mut rig), 3, "the one that took over knows of two");
    let stats = rig.stats();
    assert_eq!((stats.packets_in, stats.passed, stats.swaps), (3, 3, 1));
}

#[test]
fn a_plugin_starts_with_nothing_where_nothing_is_to_be_carried() {
    let mut rig = keeper(64, 1, LOADS).rig();
    assert_eq!(number(&mut rig), 1);
    assert_eq!(
        swap(&mut rig, &keeper(64, 2, "").text(), false).unwrap(),
        CarriedState::default()
    );
    assert_eq!(number(&mut rig), 1);
    assert_eq!(rig.stats().packets_in, 2, "what the engine counted goes on");
}

#[test]
fn state_of_another_version_is_refused_where_nothing_can_read_it() {
    let mut rig = keeper(64, 1, LOADS).rig();
    number(&mut rig);
    let error = swap(&mut rig, &keeper(64, 2, "").text(), true).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("version 2") && text.contains("version 1"), "{text}");
    assert!(error.hint().unwrap().contains("carry=False"), "{error:?}");
    assert_eq!(number(&mut rig), 2, "the old one is as it was");
    assert_eq!(rig.stats().swaps, 0);
}

#[test]
fn a_plugin_that_refuses_the_state_says_why_and_the_old_one_stays() {
    let picky = Batch {
        head: r#"(import "vnet" "log" (func $log (param i32 i32 i32)))"#.to_owned()
            + &manifest(&json!({"name": "picky", "state_version": 2})),
        ..keeper(
            64,
            2,
            r#"(data (i32.const 600) "bad magic")
               (func (export "vnet_load") (param i32 i32 i32) (param $v i32) (result i32)
                 (call $log (i32.const 1) (i32.const 600) (i32.const 9)) (i32.add (local.get $v) (i32.const 40)))"#,
        )
    };
    let picky = Batch {
        head: r#"(import "vnet" "log" (func $log (param i32 i32 i32)))"#.to_owned()
            + &manifest(&json!({"name": "picky", "state_version": 2})),
        ..picky
    };
    let mut rig = keeper(64, 1, LOADS).rig();
    number(&mut rig);
    let error = swap(&mut rig, &picky.text(), true).unwrap_err().to_string();
    assert!(
        error.contains("version 1") && error.contains("code 41: bad magic"),
        "{error}"
    );
    assert_eq!(number(&mut rig), 2);
}

#[test]
fn state_that_no_one_loads_is_dropped_with_a_line_in_the_log() {
    let mut rig = keeper(64, 1, LOADS).rig();
    number(&mut rig);
    let carried = swap(&mut rig, &keeper(64, 1, "").text(), true).unwrap();
    assert_eq!(carried.state_bytes, 0);
    assert!(carried.left[0].contains("dropped"), "{carried:?}");
    assert!(
        rig.log_lines()
            .iter()
            .any(|(_, line)| line.contains("no vnet_load"))
    );
    assert_eq!(number(&mut rig), 1);
}

#[test]
fn a_plugin_that_fails_as_it_saves_has_had_a_fault_and_stays() {
    for (what, body) in [
        ("trap", "unreachable"),
        ("error", "(i32.const -3)"),
        ("error", "(i32.add (local.get $cap) (i32.const 1))"),
        ("timeout", "(loop $l (br $l)) (i32.const 0)"),
        // It never comes to an end.
        ("error", "(local.get $cap)"),
    ] {
        let save = format!(
            r#"(func (export "vnet_save") (param $at i32) (param $p i32) (param $cap i32) (result i32) {body})"#
        );
        let mut rig = Batch {
            tail: save,
            ..Batch::each(&verdict(0))
        }
        .rig();
        let takes_all = r#"(func (export "vnet_load") (param i32 i32 i32 i32) (result i32) (i32.const 0))"#;
        assert!(
            swap(&mut rig, &keeper(64, 0, takes_all).text(), true).is_err(),
            "{what}"
        );
        assert_eq!(rig.fault(what), 1, "{what}: {:?}", rig.stats());
        assert_eq!(rig.one(&[1; 60]).bytes.len(), 60);
        assert_eq!((rig.stats().swaps, rig.stats().restarts), (0, 1));
        assert_eq!(rig.stage.events().pop().unwrap().kind, StageEventKind::Fault);
    }
}

/// Counts each frame in the counter `seen`, and drops it with a reason of its own.
fn counting(name: &str, declared: bool, code: u8) -> String {
    let counters = if declared { json!(["seen"]) } else { json!([]) };
    let head = manifest(
        &json!({"name": name, "version": name, "counters": counters, "reasons": {code.to_string(): format!("by {name}")}}),
    );
    simple(
        &format!(
            r#"{head}
            (import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
            (import "vnet" "count" (func $count (param i32 i64)))
            (data (i32.const 64) "seen")"#
        ),
        &format!(
            "(call $count (call $counter (i32.const 64) (i32.const 4)) (i64.const 1))
             (i32.or (i32.const 1) (i32.shl (i32.const {code}) (i32.const 8)))"
        ),
    )
}

#[test]
fn counters_and_drops_go_on_under_their_names() {
    for declared in [true, false] {
        let mut rig = Rig::new(&counting("one", declared, 1));
        for _ in 0..3 {
            rig.one(&[0; 60]);
        }
        let carried = swap(&mut rig, &counting("two", declared, 1), true).unwrap();
        assert_eq!(carried.counters.len(), usize::from(declared));
        rig.one(&[0; 60]);
        let stats = rig.stats();
        assert_eq!(
            (stats.counters["seen"], stats.version.as_deref()),
            (4, Some("two"))
        );
        assert_eq!((stats.drops["by one"], stats.drops["by two"]), (3, 1));
        assert_eq!((stats.packets_in, stats.dropped), (4, 4));
        swap(&mut rig, &counting("one", declared, 2), true).unwrap();
        assert_eq!(rig.stats().drops["by one"], 3, "{:?}", rig.stats());
        assert_eq!(rig.stats().swaps, 2);
    }
}

/// Has a map `m` of 4-byte keys and values with `capacity` slots, into which it puts each frame's first four bytes; it drops
/// what it knows already.
fn mapping(capacity: u32, version: u32) -> String {
    let mut header = b"VMAP".to_vec();
    for word in [4, 4, capacity, 0, 96, 1, 0, 4096_u32] {
        header.extend(word.to_le_bytes());
    }
    // The hash of a 4-byte key, written out.
    let hash = "(local.set $h (i32.const 0x811c9dc5)) (local.set $i (i32.const 0))
      (loop $l (local.set $h (i32.mul (i32.xor (local.get $h) (i32.load8_u (i32.add (local.get $p) (local.get $i))))
        (i32.const 0x01000193)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 4))))";
    // Slots have 24 bytes: state, hash, key and value, each padded to 8.
    format!(
        r#"(module {}
          (memory (export "memory") 3)
          (global (export "vnet_frame") i32 (i32.const 65536))
          (data (i32.const 16) "\01\00\00\00\20\00\00\00")
          (data (i32.const 32) {})
          (data (i32.const 96) "m")
          (func (export "vnet_maps") (result i32) (i32.const 16))
          (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
            (local $h i32) (local $i i32) (local $s i32)
            {hash}
            (local.set $i (local.get $h))
            (loop $probe
              (local.set $s (i32.add (i32.const 4096)
                (i32.mul (i32.and (local.get $i) (i32.const {mask})) (i32.const 24))))
              (if (i32.eqz (i32.load (local.get $s))) (then
                (i32.store (local.get $s) (i32.const 1))
                (i32.store offset=4 (local.get $s) (local.get $h))
                (i32.store offset=8 (local.get $s) (i32.load (local.get $p)))
                (i32.store (i32.const 48) (i32.add (i32.load (i32.const 48)) (i32.const 1)))
                (return (i32.const 0))))
              (if (i32.eq (i32.load offset=8 (local.get $s)) (i32.load (local.get $p))) (then (return (i32.const 1))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br $probe))
            unreachable))"#,
        manifest(&json!({"state_version": version})),
        quoted(&header),
        mask = capacity - 1,
    )
}

#[test]
fn maps_of_the_same_name_and_sizes_are_carried_whatever_their_capacity() {
    for capacity in [256, 128, 1024] {
        let mut rig = Rig::new(&mapping(256, 0));
        for key in 0..100_u32 {
            assert_ne!(rig.one(&[&key.to_le_bytes()[..], &[0; 56]].concat()).fate, PLAIN);
        }
        let carried = swap(&mut rig, &mapping(capacity, 0), true).unwrap();
        assert_eq!((carried.maps, carried.entries), (vec!["m".to_owned()], 100));
        for key in 0..100_u32 {
            assert_eq!(
                rig.one(&[&key.to_le_bytes()[..], &[0; 56]].concat()).fate,
                PLAIN,
                "{key}"
            );
        }
    }
}

#[test]
fn entries_without_room_are_left_behind_and_said() {
    let mut rig = Rig::new(&mapping(256, 0));
    for key in 0..100_u32 {
        rig.one(&[&key.to_le_bytes()[..], &[0; 56]].concat());
    }
    let carried = swap(&mut rig, &mapping(64, 0), true).unwrap();
    assert_eq!(carried.entries, 64);
    assert!(carried.left[0].contains("36 map entries"), "{carried:?}");
}

#[test]
fn a_table_that_names_one_map_again_and_again_does_not_have_it_walked_each_time() {
    let many: Vec<u8> = std::iter::once(200_u32)
        .chain([32; 200])
        .flat_map(u32::to_le_bytes)
        .collect();
    let table = r#"(func (export "vnet_maps") (result i32) (i32.const 16))"#;
    let long = format!(
        r#"(func (export "vnet_maps") (result i32) (i32.const 1024)) (data (i32.const 1024) {})"#,
        quoted(&many)
    );
    let text = mapping(2048, 0).replace(table, &long);
    assert!(text.contains(&long));
    let mut rig = Rig::new(&text);
    rig.one(&[7; 60]);
    let carried = swap(&mut rig, &text, true).unwrap();
    // Four times its 48 KiB is all of the memory; an entry that is there already is no entry without room.
    assert_eq!(
        (carried.maps.len(), carried.entries, carried.left.len()),
        (4, 4, 0),
        "{carried:?}"
    );
}

#[test]
fn maps_of_another_state_version_are_refused_unless_they_are_empty() {
    let mut rig = Rig::new(&mapping(256, 1));
    assert!(swap(&mut rig, &mapping(256, 2), true).is_ok());
    rig.one(&[7; 60]);
    let error = swap(&mut rig, &mapping(256, 3), true).unwrap_err().to_string();
    assert!(error.contains("state of version 3"), "{error}");
    assert_eq!(rig.one(&[7; 60]).fate, PLAIN, "the old one still knows it");
}

#[test]
fn a_swap_puts_a_tripped_plugin_s_place_into_service_again() {
    let trip = Trip {
        faults: 1,
        ..Trip::default()
    };
    let options = StageOptions {
        trip: Some(trip),
        ..StageOptions::default()
    };
    let mut rig = Rig::with(&Batch::each("unreachable").text(), options);
    rig.one(&[0; 60]);
    assert_eq!(rig.stats().state, "tripped");
    swap(&mut rig, &Batch::each(&verdict(0)).text(), true).unwrap();
    assert_eq!(rig.one(&[0; 60]).bytes.len(), 60);
    let stats = rig.stats();
    assert_eq!(
        (stats.state.as_str(), stats.faults["trap"], stats.packets_in),
        ("running", 1, 2)
    );
}

#[test]
fn a_reset_puts_a_tripped_plugin_to_work_and_forgets_its_faults() {
    for text in [
        Batch::each("(if (i32.load8_u (i32.load (local.get $d))) (then unreachable))").text(),
        simple(
            "",
            "(if (i32.load8_u (local.get $p)) (then unreachable)) (i32.const 0)",
        ),
    ] {
        let mut rig = Rig::with(
            &text,
            StageOptions {
                trip: Some(Trip {
                    faults: 2,
                    ..Trip::default()
                }),
                ..StageOptions::default()
            },
        );
        for _ in 0..2 {
            rig.run(&[&[1; 60], &[1; 60]]);
            std::thread::sleep(std::time::Duration::from_millis(15));
        }
        assert_eq!(rig.stats().state, "tripped", "{:?}", rig.stats());
        rig.stage.reset().unwrap();
        assert_eq!(rig.stats().state, "running");
        assert_eq!(rig.one(&[0; 60]).bytes.len(), 60);
        rig.one(&[1; 60]);
        assert_eq!(rig.stats().state, "running", "one fault is the first again");
        let kinds: Vec<_> = std::iter::from_fn(|| rig.stage.events().pop())
            .map(|event| event.kind.name())
            .collect();
        assert_eq!(
            kinds,
            [
                "fault",
                "restarted",
                "fault",
                "tripped",
                "restarted",
                "revived",
                "fault",
                "restarted"
            ]
        );
    }
}

#[test]
fn an_instance_tried_after_a_trip_is_revived_once_it_has_worked_long_enough() {
    let trip = Trip {
        faults: 1,
        within: std::time::Duration::from_millis(50),
        retry: std::time::Duration::from_millis(10),
    };
    let mut rig = Rig::with(
        &Batch::each("(if (i32.load8_u (i32.load (local.get $d))) (then unreachable))").text(),
        StageOptions {
            trip: Some(trip),
            ..StageOptions::default()
        },
    );
    rig.one(&[1; 60]);
    crate::support::wait_for("a revival", || {
        rig.one(&[0; 60]);
        rig.stats().state == "running" && rig.stats().restarts == 1
    });
    rig.one(&[0; 60]);
    let kinds: Vec<_> = std::iter::from_fn(|| rig.stage.events().pop())
        .map(|event| (event.kind.name(), event.took_ns > 0, event.fault.is_some()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("fault", false, true),
            ("tripped", false, false),
            ("half-open", true, false),
            ("revived", false, false)
        ]
    );
}
