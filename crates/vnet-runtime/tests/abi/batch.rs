//! The batch form: descriptors, headroom, flags, appended frames.

use vnet_abi::{Desc, flags, verdict as v};
use vnet_runtime::{Fate, Layer, Reason, StageOptions};

use crate::support::*;

#[test]
fn drops_broadcast_and_counts_it() {
    let mut rig = drop_bcast().rig();
    let mut unicast = [0; 60];
    unicast[6..12].fill(0xff);
    assert_eq!(
        rig.fates(&[&[0xff; 60], &unicast, &[0xff; 13], &[0xff; 14]]),
        [PLAIN, Fate::Pass, Fate::Pass, PLAIN]
    );
    assert_eq!(rig.stats().form, "batch");
}

#[test]
fn unset_counts_as_pass_after_a_normal_return() {
    assert_eq!(
        Batch::default().rig().fates(&[&[1; 60], &[2; 60]]),
        [Fate::Pass, Fate::Pass]
    );
}

#[test]
fn traits_come_from_vn_info() {
    let traits = Batch {
        flags: 6,
        ring_len: 12,
        slot: 1700,
        ..Batch::default()
    }
    .rig()
    .stage
    .traits();
    assert!(!traits.gso && traits.csum && traits.pure);
    // 1700 is rounded down to 1664; 128 of it are headroom.
    assert_eq!((traits.batch, traits.max_frame), (6, 1664 - 128));
    let gso = Batch {
        flags: 1,
        ring_len: 8,
        slot: 65_536 + 256,
        pages: 16,
        ..Batch::default()
    }
    .rig();
    assert!(gso.stage.traits().gso);
    assert_eq!(
        Batch {
            ring_len: 1024,
            slot: 1664,
            pages: 40,
            ..Batch::default()
        }
        .rig()
        .stage
        .traits()
        .batch,
        64
    );
}

/// Copies all descriptors into the first frame, as the guest sees them.
fn showing_descriptors() -> Batch {
    let copy = format!(
        "(memory.copy (i32.const {}) (local.get $desc) (i32.const 640)) (i32.store offset=4 (local.get $desc) (i32.const 640)) (i32.const 0)",
        ARENA + 128
    );
    Batch {
        body: copy,
        ..Batch::default()
    }
}

#[test]
fn the_guest_sees_what_the_host_knows() {
    let mut rig = showing_descriptors().rig();
    rig.put(0, 128, &[1; 60]);
    rig.put(1, 124, &[2; 70]);
    let list = rig.frames.as_mut_slice();
    list[0].port = 5;
    list[1].port = 6;
    list[1].flags = flags::CSUM_PARTIAL | flags::GSO | flags::EGRESS | flags::L3;
    list[1].gso_size = 1448;
    list[1].mark = 77;
    list[1].ts_ns = 123_456_789_012;
    let seen = rig.go().remove(0).bytes;
    let desc = |i: usize| Desc::from_bytes(seen[i * 40..].first_chunk().unwrap());
    let blank = Desc {
        verdict: v::UNSET,
        ..Desc::default()
    };
    assert_eq!(
        desc(0),
        Desc {
            off: ARENA + 128,
            len: 60,
            cap: 1920,
            port: 5,
            ts_ns: 7000,
            ..blank
        }
    );
    assert_eq!(
        desc(1),
        Desc {
            off: ARENA + 2048 + 124,
            len: 70,
            cap: 1924,
            port: 6,
            flags: 23,
            gso_size: 1448,
            mark: 77,
            ts_ns: 123_456_789_012,
            ..blank
        }
    );
    for i in 2..16 {
        assert_eq!(
            desc(i),
            Desc {
                off: ARENA + 2048 * i as u32 + 128,
                cap: 1920,
                port: 5,
                ..blank
            },
            "free {i}"
        );
    }
}

#[test]
fn free_descriptors_are_fresh_in_every_run() {
    let mut batch = showing_descriptors();
    // Afterwards everything behind the first descriptor is overwritten.
    batch.body = batch.body.replace(
        "(i32.const 0)",
        "(memory.fill (i32.add (local.get $desc) (i32.const 40)) (i32.const 0xaa) (i32.const 600)) (i32.const 0)",
    );
    let mut rig = batch.rig();
    let first = rig.one(&[1; 60]).bytes;
    assert_eq!(rig.one(&[1; 60]).bytes, first);
    rig.port = 3;
    let other = rig.one(&[1; 60]).bytes;
    assert_eq!(Desc::from_bytes(other[40..].first_chunk().unwrap()).port, 3);
}

#[test]
fn larger_descriptors_have_their_stride() {
    let body = format!(
        "(i32.store8 offset=12 (local.get $desc) (i32.const 1)) (i32.store8 offset={} (local.get $desc) (i32.const 3)) (i32.const 0)",
        48 + 12
    );
    let mut rig = Batch {
        desc_size: 48,
        body,
        ..Batch::default()
    }
    .rig();
    assert_eq!(
        rig.fates(&[&[1; 60], &[2; 60], &[3; 60]]),
        [PLAIN, Fate::Tx, Fate::Pass]
    );
}

/// Moves each frame's start by `by` bytes and leaves its end where it is.
fn moving(by: i32) -> Batch {
    Batch::each(&format!(
        r"(i32.store (local.get $d) (i32.add (i32.load (local.get $d)) (i32.const {by})))
          (i32.store offset=4 (local.get $d) (i32.sub (i32.load offset=4 (local.get $d)) (i32.const {by})))"
    ))
}

#[test]
fn pops_a_tag_by_moving_the_start_up() {
    let out = moving(4).rig().one(&(0..60).collect::<Vec<u8>>());
    assert_eq!(out.bytes, (4..60).collect::<Vec<u8>>());
    assert_eq!((out.frame.off, out.frame.len), (132, 56));
}

#[test]
fn pushes_into_the_headroom_down_to_the_hosts_bytes() {
    let out = moving(-4).rig().one(&[7; 60]);
    assert_eq!((out.frame.off, out.frame.len, out.bytes.len()), (124, 64, 64));
    assert_eq!(moving(-112).rig().one(&[7; 60]).fate, Fate::Pass);
    let mut rig = moving(-113).rig();
    assert_eq!(rig.one(&[7; 60]).fate, Fate::Drop(Reason::BadDesc));
    assert_eq!((rig.fault("bad_desc"), rig.stats().restarts), (1, 0));
}

#[test]
fn lengthens_up_to_the_slots_end() {
    let lengthen = |len: i32| Batch::each(&format!("(i32.store offset=4 (local.get $d) (i32.const {len}))"));
    assert_eq!(lengthen(1920).rig().one(&[7; 60]).bytes.len(), 1920);
    assert_eq!(
        lengthen(1921).rig().one(&[7; 60]).fate,
        Fate::Drop(Reason::BadDesc)
    );
    assert_eq!(lengthen(-1).rig().one(&[7; 60]).fate, Fate::Drop(Reason::BadDesc));
    assert_eq!(lengthen(0).rig().one(&[7; 60]).fate, Fate::Drop(Reason::Empty));
}

#[test]
fn host_fields_are_the_hosts() {
    // Everything that is not the guest's is overwritten: cap, pad, port, gso_size, ts_ns, reason and out_port beside PASS.
    let mut rig = Batch::each(
        r"(i32.store offset=8 (local.get $d) (i32.const -1)) (i32.store8 offset=13 (local.get $d) (i32.const -1))
          (i64.store offset=16 (local.get $d) (i64.const -1)) (i64.store offset=32 (local.get $d) (i64.const -1))
          (i32.store offset=28 (local.get $d) (i32.const -1))",
    )
    .rig();
    rig.put(0, 128, &[1; 60]);
    rig.frames.as_mut_slice()[0].gso_size = 1000;
    let before = rig.frames.as_slice()[0];
    let out = rig.go().remove(0);
    assert_eq!(
        out.frame,
        vnet_runtime::Frame {
            fate: Fate::Pass,
            ..before
        }
    );
}

#[test]
fn mark_is_carried() {
    let mut rig = Batch::each(
        "(i32.store offset=24 (local.get $d) (i32.add (i32.load offset=24 (local.get $d)) (i32.const 1)))",
    )
    .rig();
    rig.put(0, 128, &[1; 60]);
    rig.frames.as_mut_slice()[0].mark = 41;
    assert_eq!(rig.go()[0].frame.mark, 42);
}

fn setting_flags(flags: u16) -> Rig {
    Batch::each(&format!(
        "(i32.store16 offset=14 (local.get $d) (i32.const {flags}))"
    ))
    .rig()
}

#[test]
fn csum_dirty_is_handed_on() {
    assert!(setting_flags(flags::CSUM_DIRTY).one(&[1; 60]).frame.csum_dirty);
    assert!(!setting_flags(0).one(&[1; 60]).frame.csum_dirty);
}

#[test]
fn of_the_hosts_flags_only_csum_partial_may_be_cleared() {
    let mut rig = setting_flags(0);
    rig.flags = flags::CSUM_PARTIAL | flags::EGRESS | flags::INJECTED;
    let frame = rig.one(&[1; 60]).frame;
    assert_eq!(
        (frame.flags, frame.csum_finished),
        (flags::EGRESS | flags::INJECTED, true)
    );
    let mut rig = setting_flags(flags::HOST);
    let frame = rig.one(&[1; 60]).frame;
    assert_eq!((frame.flags, frame.csum_finished), (0, false));
    rig.flags = flags::CSUM_PARTIAL;
    let frame = rig.one(&[1; 60]).frame;
    assert_eq!((frame.flags, frame.csum_finished), (flags::CSUM_PARTIAL, false));
}

#[test]
fn delay_comes_out_with_every_verdict_but_drop() {
    let delaying = |verdict: u8, flags: u16, us: u32| {
        Batch::each(&format!(
            "(i32.store8 offset=12 (local.get $d) (i32.const {verdict}))
             (i32.store16 offset=14 (local.get $d) (i32.const {flags}))
             (i32.store16 offset=18 (local.get $d) (i32.const 1))
             (i32.store offset=28 (local.get $d) (i32.const {us}))"
        ))
    };
    let most = vnet_abi::DELAY_MAX_US;
    for (verdict, fate) in [
        (0, Fate::Pass),
        (255, Fate::Pass),
        (3, Fate::Tx),
        (2, Fate::Redirect(1)),
    ] {
        for us in [0, 1, most] {
            let mut rig = Rig::with(&delaying(verdict, flags::DELAY, us).text(), two_ports());
            let out = rig.one(&[1; 60]);
            assert_eq!((out.fate, out.frame.delay_us), (fate, us));
        }
        let mut rig = Rig::with(&delaying(verdict, 0, 7).text(), two_ports());
        assert_eq!(rig.one(&[1; 60]).frame.delay_us, 0, "without the flag");
        for us in [most + 1, u32::MAX] {
            let mut rig = Rig::with(&delaying(verdict, flags::DELAY, us).text(), two_ports());
            assert_eq!(
                rig.fates(&[&[1; 60], &[1; 60]]),
                [Fate::Drop(Reason::BadDelay); 2]
            );
            assert_eq!((rig.drops("bad_delay"), rig.fault("bad_delay")), (2, 2));
            assert_eq!(rig.stats().restarts, 0);
        }
    }
    let mut rig = delaying(1, flags::DELAY, u32::MAX).rig();
    let out = rig.one(&[1; 60]);
    assert_eq!(
        (out.fate, out.frame.delay_us, rig.fault("bad_delay")),
        (PLAIN, 0, 0)
    );
}

#[test]
fn verdicts_and_ports() {
    // Verdict, then out port, are the frame's first bytes.
    let batch = Batch::each(
        r"(local.set $x (i32.load (local.get $d)))
          (i32.store8 offset=12 (local.get $d) (i32.load8_u (local.get $x)))
          (i32.store16 offset=18 (local.get $d) (i32.load16_u offset=1 (local.get $x)))",
    );
    let mut rig = Rig::with(&batch.text(), two_ports());
    rig.port = 1;
    let fates = rig.fates(&[
        &[2, 0, 0, 9],
        &[2, 1, 0, 9],
        &[2, 2, 0, 9],
        &[2, 0xff, 0xff, 9],
        &[3, 1, 0, 9],
        &[7, 0, 0, 9],
        &[254, 0, 0, 9],
        &[0, 9, 9, 9],
    ]);
    let bad_port = Fate::Drop(Reason::BadPort);
    let bad_verdict = Fate::Drop(Reason::BadVerdict);
    assert_eq!(
        fates,
        [
            Fate::Redirect(0),
            bad_port,
            bad_port,
            Fate::Redirect(0xffff),
            Fate::Tx,
            bad_verdict,
            bad_verdict,
            Fate::Pass
        ]
    );
    let stats = rig.stats();
    assert_eq!(
        (
            stats.redirected,
            stats.tx,
            stats.passed,
            stats.dropped,
            stats.restarts
        ),
        (2, 1, 1, 4, 0)
    );
    assert_eq!((rig.fault("bad_port"), rig.fault("bad_verdict")), (2, 2));
}

/// Appends `count` frames of 3 bytes; the descriptors' verdict and out port are as given.
fn appending(count: u32, verdict: u8, out_port: u16) -> Batch {
    let body = format!(
        r"(local.set $d (i32.add (local.get $desc) (i32.mul (local.get $n) (i32.const 40))))
          (loop $next
            (if (i32.lt_u (local.get $i) (i32.const {count})) (then
              (i32.store (i32.load (local.get $d)) (i32.const 0x030201))
              (i32.store offset=4 (local.get $d) (i32.const 3))
              (i32.store8 offset=12 (local.get $d) (i32.const {verdict}))
              (i32.store16 offset=18 (local.get $d) (i32.const {out_port}))
              (i32.store offset=24 (local.get $d) (i32.const 9))
              (local.set $d (i32.add (local.get $d) (i32.const 40)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br $next))))
          (i32.const {count})"
    );
    Batch {
        body,
        ..Batch::default()
    }
}

#[test]
fn appended_frames_follow_in_order() {
    for (verdict, fate) in [(0, Fate::Pass), (3, Fate::Tx), (2, Fate::Redirect(1))] {
        let mut rig = Rig::with(&appending(2, verdict, 1).text(), two_ports());
        rig.flags = flags::EGRESS;
        let outs = rig.run(&[&[1; 60], &[2; 60]]);
        assert_eq!(outs.len(), 4);
        assert_eq!((outs[1].bytes[0], outs[1].frame.appended), (2, false));
        for out in &outs[2..] {
            assert_eq!(
                (out.fate, out.bytes.as_slice(), out.frame.appended),
                (fate, &[1, 2, 3][..], true)
            );
            assert_eq!(
                (out.frame.port, out.frame.mark, out.frame.flags),
                (0, 9, flags::EGRESS)
            );
        }
        assert_eq!((rig.stats().appended, rig.stats().packets_in), (2, 2));
    }
}

#[test]
fn an_appended_frame_must_have_a_verdict_that_sends_it() {
    for verdict in [v::UNSET, v::DROP, 7] {
        let mut rig = appending(1, verdict, 0).rig();
        assert_eq!(
            rig.run(&[&[1; 60]])[1].fate,
            Fate::Drop(Reason::BadVerdict),
            "{verdict}"
        );
        assert_eq!((rig.fault("bad_verdict"), rig.stats().appended), (1, 1));
    }
    let mut rig = appending(1, v::REDIRECT, 0).rig();
    assert_eq!(rig.run(&[&[1; 60]])[1].fate, Fate::Drop(Reason::BadPort));
}

#[test]
fn appends_up_to_the_end_of_the_ring_and_none_beyond() {
    assert_eq!(appending(15, 3, 0).rig().run(&[&[1; 60]]).len(), 16);
    let mut rig = appending(15, 3, 0).rig();
    let outs = rig.run(&[&[1; 60], &[2; 60]]);
    assert_eq!(outs.len(), 2);
    assert_eq!((outs[0].fate, outs[1].fate), (Fate::Pass, Fate::Pass));
    assert_eq!(
        (
            rig.fault("bad_append"),
            rig.stats().appended,
            rig.stats().restarts
        ),
        (1, 0, 0)
    );
    let mut rig = Batch {
        body: "(i32.const 0x7fffffff)".into(),
        ..Batch::default()
    }
    .rig();
    assert_eq!(rig.run(&[&[1; 60]]).len(), 1);
    assert_eq!(rig.fault("bad_append"), 1);
}

#[test]
fn csum_dirty_and_delay_apply_to_appended_frames() {
    let flagged = |flags: u16| {
        let mut batch = appending(1, 3, 0);
        batch.body = batch.body.replace(
            "(i32.store offset=24",
            &format!(
                "(i32.store16 offset=14 (local.get $d) (i32.const {flags}))
                 (i32.store offset=28 (local.get $d) (i32.const 8)) (i32.store offset=24"
            ),
        );
        batch.rig().run(&[&[1; 60]]).remove(1)
    };
    assert!(flagged(flags::CSUM_DIRTY).frame.csum_dirty);
    let delayed = flagged(flags::DELAY);
    assert_eq!((delayed.fate, delayed.frame.delay_us), (Fate::Tx, 8));
    assert_eq!(flagged(flags::HOST).frame.flags, 0);
}

#[test]
fn frames_that_are_empty_or_too_long_cost_only_themselves() {
    let mut rig =
        Batch::each("(i32.store8 (i32.load (local.get $d)) (i32.add (local.get $i) (i32.const 100)))").rig();
    rig.put(0, 128, &[1; 60]);
    rig.put(1, 128, &[]);
    rig.put(2, 128, &[3; 60]);
    rig.put(3, 128, &[4; 1920]);
    rig.put(4, 128, &[5; 60]);
    rig.frames.as_mut_slice()[3].len = 1921;
    let outs = rig.go();
    let fates: Vec<_> = outs.iter().map(|out| out.fate).collect();
    let (pass, empty, oversize) = (
        Fate::Pass,
        Fate::Drop(Reason::Empty),
        Fate::Drop(Reason::Oversize),
    );
    assert_eq!(fates, [pass, empty, pass, oversize, pass]);
    // The plugin saw three frames, numbered 0 to 2, each in the slot of its descriptor.
    assert_eq!(
        [&outs[0].bytes[..2], &outs[2].bytes[..2], &outs[4].bytes[..2]],
        [[100, 1], [101, 3], [102, 5]]
    );
    assert_eq!((rig.drops("empty"), rig.drops("oversize")), (1, 1));
}

#[test]
fn frames_may_leave_slots_out() {
    let mut rig = drop_bcast().rig();
    rig.put(1, 128, &[0xff; 60]);
    rig.put(4, 124, &[7; 64]);
    rig.put(5, 128, &[0xff; 60]);
    let outs = rig.go();
    assert_eq!(
        (outs[0].fate, outs[1].fate, outs[2].fate),
        (PLAIN, Fate::Pass, PLAIN)
    );
    assert_eq!(outs[1].bytes, [7; 64]);
}

#[test]
fn config_lies_at_the_arenas_start() {
    let tail = format!(
        r#"(global $ok (mut i32) (i32.const 0))
        (func (export "vnet_configure") (param $p i32) (param $len i32) (result i32)
          (i32.sub (i32.const 0)
            (i32.or (i32.ne (local.get $p) (i32.const {ARENA}))
              (i32.or (i32.ne (local.get $len) (i32.const 2)) (i32.ne (i32.load16_u (local.get $p)) (i32.const 0x7d7b))))))"#
    );
    Batch {
        tail,
        ..Batch::default()
    }
    .rig();
}

#[test]
fn start_order_is_initialize_info_configure() {
    // Each step checks that the one before it was made, and says which was not.
    let tail = r#"(global $step (mut i32) (i32.const 0))
        (func $start (if (global.get $step) (then unreachable)) (global.set $step (i32.const 1)))
        (start $start)
        (func (export "_initialize")
          (if (i32.ne (global.get $step) (i32.const 1)) (then unreachable)) (global.set $step (i32.const 2)))
        (func (export "vnet_configure") (param i32 i32) (result i32)
          (if (i32.ne (global.get $step) (i32.const 3)) (then unreachable)) (global.set $step (i32.const 4)) (i32.const 0))"#;
    let text = Batch { tail: tail.into(), ..Batch::default() }.text().replace(
        r#"(func (export "vnet_info") (result i32) "#,
        r#"(func (export "vnet_info") (result i32)
          (if (i32.ne (global.get $step) (i32.const 2)) (then unreachable)) (global.set $step (i32.const 3)) "#,
    );
    assert_eq!(Rig::new(&text).one(&[1; 60]).fate, Fate::Pass);
}

#[test]
fn layers_of_the_manifest_decide_where_it_may_be_attached() {
    let on = |layers: &[&str], layer| {
        let head = manifest(&serde_json::json!({ "layers": layers }));
        Rig::try_with(
            &Batch {
                head,
                ..Batch::default()
            }
            .text(),
            StageOptions {
                layer,
                ..StageOptions::default()
            },
        )
    };
    assert!(on(&["l2"], Layer::L2).is_ok() && on(&["l3"], Layer::L3).is_ok());
    assert!(on(&["l2", "l3"], Layer::L2).is_ok() && on(&["l2", "l3"], Layer::L3).is_ok());
    let error = on(&["l2"], Layer::L3).err().unwrap().to_string();
    assert!(error.contains("l2 only") && error.contains("TUN"), "{error}");
    let error = on(&["l3"], Layer::L2).err().unwrap().to_string();
    assert!(error.contains("l3 only") && error.contains("Ethernet"), "{error}");
    let default = Rig::try_with(
        &Batch::default().text(),
        StageOptions {
            layer: Layer::L3,
            ..StageOptions::default()
        },
    );
    assert!(default.is_err());
}

#[test]
fn an_mtu_that_does_not_fit_a_slot_is_refused() {
    let text = Batch {
        slot: 1664,
        ..Batch::default()
    }
    .text();
    let with = |mtu| {
        Rig::try_with(
            &text,
            StageOptions {
                mtu,
                ..StageOptions::default()
            },
        )
    };
    assert!(with(1514).is_ok());
    assert!(with(1515).err().unwrap().to_string().contains("1537"));
}
