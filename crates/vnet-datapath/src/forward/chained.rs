//! A chain carries frames as if each stage stood alone, whichever of its arenas are the same pages.

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_packet::gso::Offload;
use vnet_runtime::Source;

use super::Place;
use super::rig::{Rig, shipped, text};
use crate::stage::Direction;

/// Bytes of a slot of the plugins below, and descriptors of their rings.
const SLOT: usize = 2048;

/// A batch-form plugin whose arena is whole pages; `body` judges the frame at `$p` whose descriptor is `$d`.
///
/// The first byte of a frame's last address octet, its sixth, is a number that tells the plugins what to do.
fn batch(ring_len: usize, body: &str) -> Source {
    let (ring, arena, pages) = (2048, 65_536, 1 + (ring_len * SLOT).div_ceil(65_536));
    let word = |n: usize| (n as u32).to_le_bytes().map(|b| format!("\\{b:02x}")).concat();
    let info = [40, ring_len, ring, arena, ring_len * SLOT, 0].map(word).concat();
    text(&format!(
        r#"(module
          (memory (export "memory") {pages})
          (data (i32.const 1024) "VNET\01\00\00\00{info}")
          (func (export "vnet_info") (result i32) (i32.const 1024))
          (func (export "vnet_on_batch") (param $desc i32) (param $n i32) (result i32)
            (local $i i32) (local $d i32) (local $p i32) (local $what i32) (local $more i32)
            (loop $next
              (if (i32.lt_u (local.get $i) (local.get $n)) (then
                (local.set $d (i32.add (local.get $desc) (i32.mul (local.get $i) (i32.const 40))))
                (local.set $p (i32.load (local.get $d)))
                (local.set $what (i32.load8_u offset=5 (local.get $p)))
                {body}
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next))))
            (local.get $more)))"#
    ))
}

fn on(what: u8, then: &str) -> String {
    format!("(if (i32.eq (local.get $what) (i32.const {what})) (then {then}))")
}

/// What the stages of a chain may be.
fn plugin(kind: u8) -> Source {
    let verdict = |v: u8| format!("(i32.store8 offset=12 (local.get $d) (i32.const {v}))");
    match kind {
        // Drops, counts up in the frame, and writes the verdict of each.
        0 => batch(
            128,
            &format!(
                "(i32.store8 offset=20 (local.get $p) (i32.add (i32.load8_u offset=20 (local.get $p)) (i32.const 1)))
                 {} {}",
                verdict(0),
                on(1, &verdict(1))
            ),
        ),
        // Puts four bytes before the frame, or takes four off.
        1 => batch(
            128,
            &(on(
                2,
                "(i32.store (local.get $d) (i32.sub (local.get $p) (i32.const 4)))
                 (i32.store offset=4 (local.get $d) (i32.add (i32.load offset=4 (local.get $d)) (i32.const 4)))
                 (i64.store (i32.sub (local.get $p) (i32.const 4)) (i64.load (local.get $p)))",
            ) + &on(
                3,
                "(i32.store (local.get $d) (i32.add (local.get $p) (i32.const 4)))
                 (i32.store offset=4 (local.get $d) (i32.sub (i32.load offset=4 (local.get $d)) (i32.const 4)))
                 (i64.store offset=4 (local.get $p) (i64.const 0x0905030202020202))",
            )),
        ),
        // Sends frames back, or off the wire's other end, and marks and delays none.
        2 => batch(
            128,
            &(on(4, &verdict(3)) + &on(5, &format!("{} (i32.store16 offset=18 (local.get $d) (i32.const 0xffff))", verdict(2)))),
        ),
        // Appends a frame that goes on along the chain.
        3 => batch(
            128,
            &on(
                6,
                "(if (i32.lt_u (local.get $more) (local.get $n)) (then
                   (local.set $d (i32.add (local.get $desc)
                     (i32.mul (i32.add (local.get $n) (local.get $more)) (i32.const 40))))
                   (memory.fill (i32.load (local.get $d)) (i32.const 3) (i32.const 60))
                   (i64.store (i32.load (local.get $d)) (i64.const 0x01020c0202020202))
                   (i64.store offset=8 (i32.load (local.get $d)) (i64.const 0x0008000000000000))
                   (i32.store offset=4 (local.get $d) (i32.const 60))
                   (i32.store8 offset=12 (local.get $d) (i32.const 0))
                   (local.set $more (i32.add (local.get $more) (i32.const 1)))))",
            ),
        ),
        // Fails in the middle of a batch.
        4 => batch(128, &(verdict(0) + &on(7, "(i32.store8 offset=12 (local.get $d) (i32.const 255)) (unreachable)"))),
        // Has another ring, so another arena.
        5 => batch(16, &on(8, &verdict(1))),
        6 => text(
            r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
              (func (export "vnet_on_packet") (param $p i32) (param i32) (result i32)
                (i32.eq (i32.load8_u offset=5 (local.get $p)) (i32.const 9))))"#,
        ),
        _ => shipped("drop_bcast.wasm"),
    }
}

/// Carries frames along a chain of these kinds, and returns what left by each port.
fn carried(kinds: &[u8], frames: &[(u8, u16)], together: bool) -> Vec<Vec<Vec<u8>>> {
    let mut rig = Rig::wire();
    for kind in kinds {
        rig.attach(Place::Wire(Direction::Both), &plugin(*kind));
    }
    let mut stages = rig.forwarder.stages.iter().flatten();
    let shared = stages.any(|stage| stage.stage.shares_arena());
    if together {
        // What has the same ring and slots can share.
        let ring = |kind: u8| [0, 0, 0, 0, 0, 1, 2, 3][usize::from(kind)];
        let alike = |pair: &[u8]| ring(pair[0]) == ring(pair[1]) && pair[0] != 6;
        assert_eq!(shared, kinds.windows(2).any(alike), "{kinds:?}");
    } else {
        for stage in rig.forwarder.stages.iter_mut().flatten() {
            stage.stage.unshare_arena();
        }
    }
    for (i, (what, len)) in frames.iter().enumerate() {
        let mut frame = vec![2; usize::from(*len)];
        frame[5] = *what;
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[22..24].copy_from_slice(&(i as u16).to_be_bytes());
        assert!(rig.ends[i % 3 % 2].push(&frame, Offload::default()));
        if i % 150 == 149 {
            rig.pump(0, 1);
            rig.pump(1, 1);
        }
    }
    rig.pump(0, 1);
    rig.pump(1, 1);
    let mut left = rig.left();
    // Frames that a stage sends elsewhere overtake those that pass it and wait for the next, by how many depends on
    // when that one runs.
    let class = |frame: &Vec<u8>| match frame[5] {
        what @ (4 | 5 | 12) => what,
        _ => 0,
    };
    for port in &mut left {
        port.sort_by_key(class);
    }
    left
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_chain_that_shares_pages_carries_what_one_that_copies_does(
        kinds in vec(0_u8..8, 1..6),
        mut frames in vec((prop_oneof![9 => 10_u8..12, 2 => 0_u8..7, 1 => 8_u8..10], 60_u16..1500), 1..400),
        // A second fault would be followed by a pause, and that by chance.
        fault in any::<prop::sample::Index>(),
    ) {
        let at = fault.index(frames.len());
        frames[at].0 = 7;
        let (shared, copied) = (carried(&kinds, &frames, true), carried(&kinds, &frames, false));
        prop_assert!(shared == copied);
    }

    #[test]
    fn a_batch_that_passes_or_is_dropped_arrives_in_order_and_unchanged(
        n in 1_usize..8,
        frames in vec((0_u8..2, 60_u16..1500), 1..300),
    ) {
        let left = carried(&vec![0; n], &frames, true);
        let passed: Vec<u16> = (0..frames.len() as u16).filter(|i| frames[usize::from(*i)].0 != 1).collect();
        for port in 0..2 {
            let number = |frame: &Vec<u8>| u16::from_be_bytes([frame[22], frame[23]]);
            let wanted: Vec<u16> = passed.iter().copied().filter(|i| usize::from(*i) % 3 % 2 != port).collect();
            prop_assert_eq!(left[port].iter().map(number).collect::<Vec<_>>(), wanted);
            for frame in &left[port] {
                let i = usize::from(number(frame));
                prop_assert_eq!(frame.len(), usize::from(frames[i].1));
                prop_assert_eq!(frame[20], 2 + n as u8);
                prop_assert!(frame[24..].iter().all(|byte| *byte == 2));
            }
        }
    }
}
