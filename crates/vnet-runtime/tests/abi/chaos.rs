//! Any mix of good and bad frames in one batch, against a model of the fault rules.

use proptest::prelude::*;
use vnet_runtime::{Fate, Reason};

use crate::support::*;

const PASS: u8 = 0;
const DROP: u8 = 1;
const REDIRECT: u8 = 2;
const TX: u8 = 3;
const BAD_VERDICT: u8 = 7;
const TRAP: u8 = 9;
const NEGATIVE: u8 = 10;
const BAD_DESC: u8 = 11;
const PUSH: u8 = 12;
const EMPTY: u8 = 13;
const OPS: [u8; 10] = [
    PASS,
    DROP,
    REDIRECT,
    TX,
    BAD_VERDICT,
    TRAP,
    NEGATIVE,
    BAD_DESC,
    PUSH,
    EMPTY,
];

/// Does what each frame's first byte says, then appends a frame of 4 bytes.
fn obedient() -> String {
    let body = format!(
        r"{}
          (local.set $d (i32.add (local.get $desc) (i32.mul (local.get $n) (i32.const 40))))
          (i32.store (i32.load (local.get $d)) (i32.const 0x7e7e7e7e))
          (i32.store offset=4 (local.get $d) (i32.const 4)) (i32.store8 offset=12 (local.get $d) (i32.const 3))
          (i32.const 1)",
        each(&format!(
            r"(local.set $x (i32.load8_u (i32.load (local.get $d))))
              (if (i32.eq (local.get $x) (i32.const {TRAP})) (then unreachable))
              (if (i32.eq (local.get $x) (i32.const {NEGATIVE})) (then (return (i32.const -1))))
              (i32.store16 offset=18 (local.get $d) (i32.const 1))
              (i32.store8 offset=12 (local.get $d) (local.get $x))
              (if (i32.eq (local.get $x) (i32.const {BAD_DESC})) (then
                (i32.store (local.get $d) (i32.const 0)) (i32.store8 offset=12 (local.get $d) (i32.const 0))))
              (if (i32.eq (local.get $x) (i32.const {PUSH})) (then
                (i32.store (local.get $d) (i32.sub (i32.load (local.get $d)) (i32.const 4)))
                (i32.store (i32.load (local.get $d)) (i32.const 0x55555555))
                (i32.store offset=4 (local.get $d) (i32.add (i32.load offset=4 (local.get $d)) (i32.const 4)))
                (i32.store8 offset=12 (local.get $d) (i32.const 0))))"
        ))
    );
    Batch {
        ring_len: 40,
        body,
        pages: 6,
        ..Batch::default()
    }
    .text()
}

/// What the rules of ABI.md make of the frames, and whether a frame is appended.
fn model(ops: &[u8]) -> (Vec<Fate>, bool) {
    let mut faults = 0;
    // Whether a call returned normally after the last fault.
    let mut answered = true;
    let fates = ops
        .iter()
        .map(|op| match *op {
            EMPTY => Fate::Drop(Reason::Empty),
            _ if faults == 2 => Fate::Drop(Reason::Backoff),
            TRAP | NEGATIVE => {
                faults += 1;
                answered = false;
                Fate::Drop(Reason::Fault)
            }
            op => {
                answered = true;
                match op {
                    PASS | PUSH => Fate::Pass,
                    DROP => PLAIN,
                    REDIRECT => Fate::Redirect(1),
                    TX => Fate::Tx,
                    BAD_VERDICT => Fate::Drop(Reason::BadVerdict),
                    _ => Fate::Drop(Reason::BadDesc),
                }
            }
        })
        .collect();
    let called = ops.iter().any(|op| *op != EMPTY);
    (fates, called && answered && faults < 2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_gets_the_fate_of_the_rules_and_keeps_its_bytes(
        ops in prop::collection::vec(prop::sample::select(OPS.to_vec()), 1..=20),
        lens in prop::collection::vec(2..600_usize, 20),
    ) {
        static MODULE: std::sync::OnceLock<vnet_runtime::Module> = std::sync::OnceLock::new();
        let module = MODULE.get_or_init(|| load(&obedient()));
        let stage = vnet_runtime::Stage::new(module, two_ports()).unwrap();
        let logs = stage.logs();
        let mut rig = Rig { stage, logs, frames: vnet_runtime::Frames::with_capacity(1024), port: 0, flags: 0 };
        let frames: Vec<Vec<u8>> = ops.iter().zip(&lens).enumerate().map(|(i, (op, len))| {
            let mut frame = vec![i as u8; *len];
            frame[0] = *op;
            if *op == EMPTY { Vec::new() } else { frame }
        }).collect();
        let outs = rig.run(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (fates, appended) = model(&ops);
        prop_assert_eq!(outs[..ops.len()].iter().map(|out| out.fate).collect::<Vec<_>>(), fates);
        for ((out, frame), op) in outs.iter().zip(&frames).zip(&ops) {
            match out.fate {
                Fate::Drop(_) => {}
                _ if *op == PUSH => prop_assert_eq!(&out.bytes, &[&[0x55; 4], frame.as_slice()].concat()),
                _ => prop_assert_eq!(&out.bytes, frame),
            }
        }
        prop_assert_eq!(outs.len(), ops.len() + usize::from(appended));
        if appended {
            prop_assert_eq!(&outs[ops.len()].bytes, &[0x7e; 4]);
        }
    }
}
