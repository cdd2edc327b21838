//! Stages take the places of others in chains, all of them or none.

use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};

use super::rig::{PASS, Rig, shipped, text};
use super::{Exchange, Place, Unchanged};
use crate::stage::{Direction, StageId};

/// Counts in its memory, writes the count behind the addresses, and takes its count along.
fn counting(version: u32) -> Source {
    text(&format!(
        r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
          (@custom "vnet.manifest" "{{\"name\": \"counting\", \"state_version\": {version}}}")
          (func (export "vnet_on_packet") (param $p i32) (param i32) (result i32)
            (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
            (i32.store8 offset=12 (local.get $p) (i32.const {version}))
            (i32.store offset=14 (local.get $p) (i32.load (i32.const 0))) (i32.const 0))
          (func (export "vnet_save") (param $at i32) (param $p i32) (param i32) (result i32)
            (if (local.get $at) (then (return (i32.const 0))))
            (i32.store (local.get $p) (i32.load (i32.const 0))) (i32.const 4))
          (func (export "vnet_load") (param i32) (param $p i32) (param $n i32) (param $v i32) (result i32)
            (if (local.get $n) (then (i32.store (i32.const 0) (i32.load (local.get $p)))))
            (i32.eq (local.get $v) (i32.const 9))))"#
    ))
}

fn stage(source: &Source) -> Stage {
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    let module = Module::load(source, &options).unwrap();
    let options = StageOptions {
        ports: 2,
        ..StageOptions::default()
    };
    Stage::new(&module, options).unwrap()
}

fn exchange(rig: &mut Rig, all: &[(StageId, &Source)]) -> bool {
    let each = |(id, source): &(StageId, &Source)| Exchange::new(*id, stage(source), true);
    let mut all: Vec<Exchange> = all.iter().map(each).collect();
    match rig.forwarder.exchange(&mut all) {
        Ok(carried) => carried.len() == all.len(),
        Err(Unchanged::Missing) => panic!("no such stage"),
        Err(Unchanged::Refused(_)) => false,
    }
}

fn crosses(rig: &mut Rig) -> Vec<u8> {
    let mut frame = vec![2; 60];
    frame[0] = 4;
    rig.push(0, &frame);
    rig.pump(0, 1);
    rig.left().swap_remove(1).swap_remove(0)
}

#[test]
fn a_chain_is_exchanged_as_a_whole_or_not_at_all() {
    let mut rig = Rig::wire();
    let place = Place::Wire(Direction::Both);
    let (one, two) = (counting(1), counting(2));
    let (first, second) = (rig.attach(place, &one), rig.attach(place, &one));
    assert_eq!(crosses(&mut rig)[12..18], [1, 2, 1, 0, 0, 0]);
    assert!(exchange(&mut rig, &[(first, &two), (second, &two)]));
    assert_eq!(
        crosses(&mut rig)[12..18],
        [2, 2, 2, 0, 0, 0],
        "both go on counting"
    );
    assert!(exchange(&mut rig, &[(second, &counting(9))]));
    // Nobody takes what a plugin of version 9 saves: the other, which would, stays, too.
    assert!(!exchange(&mut rig, &[(first, &one), (second, &one)]));
    assert_eq!(crosses(&mut rig)[12..18], [9, 2, 3, 0, 0, 0]);
    let stats = rig.forwarder.stage(first).unwrap().stats();
    assert_eq!((stats.packets_in, stats.passed, stats.swaps), (3, 3, 1));
}

#[test]
fn stages_that_share_their_arena_do_so_after_one_was_exchanged() {
    let mut rig = Rig::wire();
    let place = Place::Wire(Direction::Both);
    let drop = shipped("drop_bcast.wasm");
    let ids: Vec<StageId> = (0..3).map(|_| rig.attach(place, &drop)).collect();
    let shared = |rig: &Rig| {
        let stages = rig.forwarder.stages.iter().flatten();
        stages.filter(|stage| stage.stage.shares_arena()).count()
    };
    assert_eq!(shared(&rig), 3);
    assert_eq!(crosses(&mut rig).len(), 60);
    assert!(exchange(&mut rig, &[(ids[1], &drop)]));
    assert_eq!(shared(&rig), 3);
    assert_eq!(crosses(&mut rig).len(), 60);
    // One of another shape ends the sharing, and it comes back with it.
    assert!(exchange(&mut rig, &[(ids[1], &text(PASS))]));
    assert_eq!(shared(&rig), 0);
    assert_eq!(crosses(&mut rig).len(), 60);
    assert!(exchange(&mut rig, &[(ids[1], &drop)]));
    assert_eq!(shared(&rig), 3);
    assert_eq!(crosses(&mut rig).len(), 60);
    for id in ids {
        assert_eq!(rig.forwarder.stage(id).unwrap().stats().passed, 4);
    }
}
