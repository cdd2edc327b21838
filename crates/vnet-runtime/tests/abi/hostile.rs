//! Guests that lie.

use vnet_runtime::{Fate, Reason};

use crate::support::*;

#[test]
fn descriptors_that_leave_their_slot_cost_that_frame_alone() {
    let arena = i64::from(ARENA);
    let outside = [
        (0, 60),
        (arena - 1, 60),
        (arena, 60),
        (arena + 15, 60),
        (arena + 2048, 1),
        (arena + 2047, 2),
        (arena + 2048 + 128, 60),
        (arena + 128, 1921),
        (arena + 128, -1),
        (-1, 60),
        (-1, -1),
        (-60, 60),
        (i64::from(i32::MAX), 60),
        (arena + 128, i64::from(i32::MIN)),
        // 32-bit sums of these wrap to something inside the slot.
        (arena + 128, 0x1_0000_0000 - 64),
        (0xffff_ff00, i64::from(ARENA) + 1024),
    ];
    for (off, len) in outside {
        let (off, len) = (off as i32, len as i32);
        let body = format!(
            r"(if (i32.eqz (local.get $i)) (then
                (i32.store (local.get $d) (i32.const {off})) (i32.store offset=4 (local.get $d) (i32.const {len}))))
              (i32.store8 offset=12 (local.get $d) (i32.const 0))"
        );
        let mut rig = Batch::each(&body).rig();
        assert_eq!(
            rig.fates(&[&[1; 60], &[2; 60]]),
            [Fate::Drop(Reason::BadDesc), Fate::Pass],
            "off {off} len {len}"
        );
        assert_eq!(
            (rig.fault("bad_desc"), rig.drops("bad_desc"), rig.stats().restarts),
            (1, 1, 0)
        );
    }
}

#[test]
fn slots_cannot_be_swapped() {
    let body = format!(
        r"(i32.store (local.get $desc) (i32.const {})) (i32.store offset=40 (local.get $desc) (i32.const {})) (i32.const 0)",
        ARENA + 2048 + 128,
        ARENA + 128
    );
    let mut rig = Batch {
        body,
        ..Batch::default()
    }
    .rig();
    assert_eq!(rig.fates(&[&[1; 60], &[2; 60]]), [Fate::Drop(Reason::BadDesc); 2]);
}

#[test]
fn appended_descriptors_are_checked_too() {
    for (off, len, fate) in [
        (ARENA, 60_i64, Fate::Drop(Reason::BadDesc)),
        (ARENA + 2048 + 128, 1921, Fate::Drop(Reason::BadDesc)),
        (ARENA + 2048 + 128, -1, Fate::Drop(Reason::BadDesc)),
        (ARENA + 2048 + 128, 0, Fate::Drop(Reason::Empty)),
        (ARENA + 2048 + 16, 2032, Fate::Tx),
    ] {
        let body = format!(
            r"(i32.store offset=40 (local.get $desc) (i32.const {off})) (i32.store offset=44 (local.get $desc) (i32.const {}))
              (i32.store8 offset=52 (local.get $desc) (i32.const 3)) (i32.const 1)",
            len as i32
        );
        let mut rig = Batch {
            body,
            ..Batch::default()
        }
        .rig();
        assert_eq!(rig.fates(&[&[1; 60]]), [Fate::Pass, fate], "off {off} len {len}");
    }
}

#[test]
fn every_descriptor_of_noise_is_survived() {
    // The ring is overwritten with the frame's bytes; whatever they say, every frame is accounted for.
    let body = format!(
        "(memory.copy (local.get $desc) (i32.const {}) (i32.const 640)) (i32.load8_u (i32.const {}))",
        ARENA + 128,
        ARENA + 128 + 700
    );
    let mut rig = Rig::with(
        &Batch {
            body,
            ..Batch::default()
        }
        .text(),
        two_ports(),
    );
    let mut state = 1_u64;
    for _ in 0..5_000 {
        let noise: Vec<u8> = (0..800)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8 & if state & 1 == 0 { 0xff } else { 3 }
            })
            .collect();
        rig.run(&[&noise, &[2; 60], &[3; 60]]);
    }
    assert_eq!(rig.stats().restarts, 0);
}

#[test]
fn memory_may_grow_and_be_used() {
    let body = r"(local.set $x (memory.grow (i32.const 1)))
        (if (i32.eq (local.get $x) (i32.const -1)) (then unreachable))
        (i32.store (i32.mul (local.get $x) (i32.const 65536)) (i32.const 1))
        (i32.const 0)";
    let mut rig = Batch {
        body: body.into(),
        ..Batch::default()
    }
    .rig();
    for i in 0..100 {
        assert_eq!(rig.one(&[i; 60]).bytes, [i; 60]);
    }
    assert_eq!(rig.stats().restarts, 0);
}

#[test]
fn memory_grows_up_to_the_cap_and_then_answers_minus_one() {
    // 4 pages and 252 more are 16 MiB; the reason code of each drop tells how often growing worked.
    let body = format!(
        "(loop $more (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (local.set $x (i32.add (local.get $x) (i32.const 1))) (br $more)))) {}
         (i32.const 0)",
        each("(i32.store16 offset=22 (local.get $d) (local.get $x)) (i32.store8 offset=12 (local.get $d) (i32.const 1))")
    );
    let mut rig = Batch {
        body,
        ..Batch::default()
    }
    .rig();
    assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Plugin(252)));
    assert_eq!(rig.one(&[1; 60]).fate, PLAIN);
    assert_eq!(rig.stats().restarts, 0);
    let mut bomb = Batch {
        body: "(memory.grow (i32.const 65535))".into(),
        ..Batch::default()
    }
    .rig();
    assert_eq!(
        bomb.one(&[1; 60]).fate,
        Fate::Drop(Reason::Fault),
        "what memory.grow answered is a negative return"
    );
    assert_eq!(bomb.fault("error"), 1);
}

#[test]
fn tables_do_not_grow_without_end() {
    let tail = "(table $t 1 funcref)";
    let body = "(table.grow $t (ref.null func) (i32.const 100000000))";
    let mut rig = Batch {
        body: body.into(),
        tail: tail.into(),
        ..Batch::default()
    }
    .rig();
    rig.one(&[1; 60]);
    assert_eq!(rig.fault("error"), 1, "table.grow answered -1");
}

#[test]
fn bad_pointers_to_imports_have_no_effect() {
    let head = r#"(import "vnet" "log" (func $log (param i32 i32 i32)))
        (import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
        (import "vnet" "count" (func $count (param i32 i64)))
        (import "vnet" "config_int" (func $int (param i32 i32 i64) (result i64)))
        (import "vnet" "config_str" (func $str (param i32 i32 i32 i32) (result i32)))"#;
    // The answer is DROP with a reason: how many of the imports answered -1.
    let body = r"
        (call $log (i32.const 0) (i32.const -1) (i32.const 1))
        (call $log (i32.const 0) (i32.const 0) (i32.const -1))
        (call $log (i32.const 0) (i32.const 196608) (i32.const 1))
        (call $log (i32.const 0) (i32.const -1) (i32.const -1))
        (call $count (i32.const -1) (i64.const 1))
        (call $count (i32.const 0) (i64.const 1))
        (local.set $i (i32.add (local.get $i) (i32.eq (call $counter (i32.const 196600) (i32.const 9)) (i32.const -1))))
        (local.set $i (i32.add (local.get $i) (i64.eq (call $int (i32.const -4) (i32.const 8) (i64.const 5)) (i64.const -1))))
        (local.set $i (i32.add (local.get $i) (i32.eq (call $str (i32.const 0) (i32.const 4) (i32.const 196600) (i32.const 9)) (i32.const -1))))
        (local.set $i (i32.add (local.get $i) (i32.eq (call $str (i32.const -1) (i32.const 4) (i32.const 0) (i32.const 9)) (i32.const -1))))
        (i32.or (i32.const 1) (i32.shl (local.get $i) (i32.const 8)))";
    let mut rig = Rig::new(&simple(head, body));
    assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Plugin(4)));
    assert_eq!((rig.fault("bad_pointer"), rig.stats().restarts), (10, 0));
    assert!(rig.log_lines().is_empty());
    assert!(rig.stats().counters.is_empty());
}
