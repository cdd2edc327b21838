//! The simple form.

use vnet_runtime::{Fate, Reason, StageOptions};

use crate::support::*;

const DROP_BCAST: &str = r#"(module
  (memory (export "memory") 2)
  (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
    (i32.and (i32.ge_u (local.get $len) (i32.const 14))
      (i32.and (i32.eq (i32.load (local.get $p)) (i32.const -1))
               (i32.eq (i32.load16_u offset=4 (local.get $p)) (i32.const 0xffff))))))"#;

#[test]
fn drops_broadcast_and_counts_it() {
    let mut rig = Rig::new(DROP_BCAST);
    let mut unicast = [0; 60];
    unicast[6..12].fill(0xff);
    let fates = rig.fates(&[&[0xff; 60], &unicast, &[0xff; 13], &[0xff; 14]]);
    assert_eq!(fates, [PLAIN, Fate::Pass, Fate::Pass, PLAIN]);
    let stats = rig.stats();
    assert_eq!(
        (stats.packets_in, stats.passed, stats.dropped, stats.bytes_in),
        (4, 2, 2, 147)
    );
    assert_eq!((stats.form.as_str(), stats.state.as_str()), ("simple", "running"));
    assert_eq!(stats.drops["drop"], 2);
}

#[test]
fn judges_whole_batches_with_many_runs() {
    let mut rig = Rig::new(DROP_BCAST);
    let bcast = [0xff; 60];
    let batch: Vec<&[u8]> = vec![&bcast; 64];
    for _ in 0..100 {
        assert!(rig.fates(&batch).iter().all(|fate| *fate == PLAIN));
    }
    assert_eq!(rig.stats().dropped, 6400);
    assert!(rig.stats().ns_per_packet > 0.0);
}

#[test]
fn keeps_what_is_rewritten_in_place() {
    let mut rig = Rig::new(&simple(
        "",
        r"(i32.store8 offset=5 (local.get $p) (i32.const 0x77)) (i32.const 0)",
    ));
    let out = rig.one(&[1; 60]);
    assert_eq!(
        (out.fate, out.bytes[5], out.bytes[4], out.bytes.len()),
        (Fate::Pass, 0x77, 1, 60)
    );
    assert!(!out.frame.csum_dirty);
}

#[test]
fn never_asks_for_super_frames_or_partial_checksums() {
    let traits = Rig::new(DROP_BCAST).stage.traits();
    assert!(!traits.gso && !traits.csum && !traits.pure);
    assert_eq!((traits.batch, traits.max_frame), (64, 2048));
}

#[test]
fn set_len_shortens_and_lengthens_with_zeros() {
    let head = r#"(import "vnet" "set_len" (func $set_len (param i32)))"#;
    let mut rig = Rig::new(&simple(
        head,
        "(call $set_len (i32.load8_u (local.get $p))) (i32.const 0)",
    ));
    assert_eq!(rig.one(&[20; 60]).bytes, [20; 20]);
    // A longer frame was in the buffer before: its bytes must not show.
    assert_eq!(rig.one(&[0xee; 255]).bytes.len(), 0xee);
    let out = rig.one(&[100; 60]);
    assert_eq!(out.bytes[..60], [100; 60]);
    assert_eq!(out.bytes[60..], [0; 40]);
}

#[test]
fn set_len_up_to_the_buffer_and_no_further() {
    let head = r#"(import "vnet" "set_len" (func $set_len (param i32)))"#;
    let body = |len: i64| simple(head, &format!("(call $set_len (i32.const {len})) (i32.const 0)"));
    assert_eq!(Rig::new(&body(2048)).one(&[1; 60]).bytes.len(), 2048);
    for len in [2049, 65_536, -1, i64::from(i32::MIN)] {
        let mut rig = Rig::new(&body(len));
        assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::BadDesc), "{len}");
        assert_eq!(
            (rig.fault("bad_desc"), rig.drops("bad_desc"), rig.stats().restarts),
            (1, 1, 0)
        );
    }
    assert_eq!(Rig::new(&body(0)).one(&[1; 60]).fate, Fate::Drop(Reason::Empty));
}

#[test]
fn csum_asks_for_checksums_of_that_frame_only() {
    let head = r#"(import "vnet" "csum" (func $csum))"#;
    let mut rig = Rig::new(&simple(
        head,
        "(if (i32.load8_u (local.get $p)) (then (call $csum))) (i32.const 0)",
    ));
    let outs = rig.run(&[&[1; 60], &[0; 60]]);
    assert_eq!(
        outs.iter().map(|out| out.frame.csum_dirty).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn set_len_and_csum_do_nothing_outside_of_a_packet() {
    let head = r#"(import "vnet" "csum" (func $csum)) (import "vnet" "set_len" (func $set_len (param i32)))
      (func (export "vnet_configure") (param i32 i32) (result i32)
        (call $csum) (call $set_len (i32.const 1)) (i32.const 0))"#;
    let out = Rig::new(&simple(head, "(i32.const 0)")).one(&[1; 60]);
    assert_eq!((out.bytes.len(), out.frame.csum_dirty), (60, false));
}

#[test]
fn answers_carry_verdict_and_argument() {
    // The frame's first four bytes are the answer.
    let text = simple("", "(i32.load (local.get $p))");
    let answer = |answer: u32| {
        let mut rig = Rig::with(&text, two_ports());
        let mut frame = [0; 60];
        frame[..4].copy_from_slice(&answer.to_le_bytes());
        (rig.one(&frame).fate, rig)
    };
    let cases = [
        (0, Fate::Pass),
        (255, Fate::Pass),
        (1, PLAIN),
        (1 | 9 << 8, Fate::Drop(Reason::Plugin(9))),
        (2 | 1 << 8, Fate::Redirect(1)),
        (2 | 0xffff << 8, Fate::Redirect(0xffff)),
        (3, Fate::Tx),
        (2, Fate::Drop(Reason::BadPort)),
        (2 | 2 << 8, Fate::Drop(Reason::BadPort)),
        (4, Fate::Drop(Reason::BadVerdict)),
        (7, Fate::Drop(Reason::BadVerdict)),
        (254, Fate::Drop(Reason::BadVerdict)),
        (1 << 24, Fate::Drop(Reason::BadVerdict)),
        (1 << 30, Fate::Drop(Reason::BadVerdict)),
        (1 << 31, Fate::Drop(Reason::Fault)),
        (u32::MAX, Fate::Drop(Reason::Fault)),
    ];
    for (number, expected) in cases {
        let (fate, rig) = answer(number);
        assert_eq!(fate, expected, "answer {number:#x}");
        let replaced = rig.fault("error");
        assert_eq!(replaced, u64::from(number >> 31), "answer {number:#x}");
        assert_eq!(rig.stats().restarts, replaced);
    }
}

#[test]
fn frame_cap_says_how_long_a_frame_may_be() {
    let head = r#"(func (export "vnet_frame_cap") (result i32) (i32.const 9100))"#;
    let text = simple(head, "(i32.const 0)");
    let mut rig = Rig::with(
        &text,
        StageOptions {
            mtu: 9000,
            ..StageOptions::default()
        },
    );
    assert_eq!(rig.stage.traits().max_frame, 9100);
    assert_eq!(rig.one(&[3; 9100]).bytes, [3; 9100]);
    assert_eq!(rig.one(&[3; 9101]).fate, Fate::Drop(Reason::Oversize));
}

#[test]
fn an_mtu_that_does_not_fit_is_refused() {
    let mtu = |mtu| {
        Rig::try_with(
            DROP_BCAST,
            StageOptions {
                mtu,
                ..StageOptions::default()
            },
        )
    };
    assert!(mtu(2026).is_ok());
    let error = mtu(2027).err().unwrap().to_string();
    assert!(error.contains("2048") && error.contains("MTU 2027"), "{error}");
}

#[test]
fn a_buffer_outside_of_memory_is_refused() {
    let text = |addr: i32, cap: i32| {
        format!(
            r#"(module (memory (export "memory") 1)
              (global (export "vnet_frame") i32 (i32.const {addr}))
              (func (export "vnet_frame_cap") (result i32) (i32.const {cap}))
              (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#
        )
    };
    assert!(try_load(&text(65_536 - 2048, 2048)).is_ok());
    for (addr, cap, part) in [
        (65_536 - 2047, 2048, "leave its memory"),
        (-1, 2048, "leave its memory"),
        (-2048, 2048, "leave its memory"),
        (0, 0, "answered 0"),
        (0, -1, "answered -1"),
        (0, i32::MAX, "answered 2147483647"),
    ] {
        assert_refused(&text(addr, cap), &[part]);
    }
}

#[test]
fn takes_frames_with_a_restored_tag_in_front_of_the_headroom() {
    let mut rig = Rig::new(&simple(
        "",
        "(i32.store8 (local.get $p) (i32.const 9)) (i32.const 0)",
    ));
    rig.put(0, 124, &[1; 64]);
    rig.put(1, 128, &[2; 64]);
    let outs = rig.go();
    assert_eq!(
        (outs[0].bytes[0], outs[0].bytes[1], outs[0].frame.off),
        (9, 1, 124)
    );
    assert_eq!((outs[1].bytes[0], outs[1].bytes[1]), (9, 2));
}

#[test]
fn empty_frames_are_not_shown_to_the_plugin() {
    let mut rig = Rig::new(&simple("", "unreachable"));
    rig.put(0, 128, &[]);
    assert_eq!(rig.go()[0].fate, Fate::Drop(Reason::Empty));
    assert_eq!(rig.drops("empty"), 1);
}
