//! The queues towards and from a pipeline, and its MTU.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::time::Duration;

use support::{PASS, batch, frame, port, settled, stage, wait_for};
use vnet_datapath::{Direction, EngineError, Pipeline, Place, Port, PortInfo};
use vnet_packet::Layer;
use vnet_packet::gso::Offload;

#[test]
fn frames_that_were_sent_leave_before_the_pipeline_ends() {
    for _ in 0..50 {
        let (a, mut ea) = port("a");
        let pipeline = Pipeline::sink(a).unwrap();
        for n in 0..250 {
            pipeline.send(0, &frame(2, n)).unwrap();
        }
        let parts = pipeline.into_parts().unwrap();
        assert_eq!(parts.stats.sent_in, 250);
        for n in 0..250 {
            assert_eq!(ea.pop(), Some(frame(2, n)));
        }
    }
}

#[test]
fn what_was_sent_comes_before_what_was_asked_for_later() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    for _ in 0..200 {
        let place = Place::Port(0, Direction::Egress);
        let drop_all = stage(
            &batch(0, "(i32.store8 offset=12 (local.get $d) (i32.const 1))"),
            1,
        );
        let id = pipeline.attach(place, drop_all, None).unwrap();
        for n in 0..10 {
            pipeline.send(0, &frame(2, n)).unwrap();
        }
        assert_eq!(pipeline.detach(id).unwrap().dropped, 10);
    }
    assert_eq!(ea.pop(), None);
}

#[test]
fn a_time_beyond_every_clock_waits_for_ever() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    assert!(ea.push(&frame(2, 1), Offload::default()));
    let got = pipeline.recv(Some(Duration::MAX)).unwrap().unwrap();
    assert_eq!(got.bytes, frame(2, 1));
}

#[test]
fn a_changed_mtu_holds_for_what_is_sent_and_attached() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    let jumbo = vec![2; 9014];
    assert!(matches!(
        pipeline.send(0, &jumbo),
        Err(EngineError::BadFrame { .. })
    ));
    pipeline.set_mtu(0, 9000).unwrap();
    pipeline.send(0, &jumbo).unwrap();
    assert_eq!(wait_for("jumbo frame", || ea.pop()), jumbo);
    let refused = pipeline.attach(Place::Port(0, Direction::Egress), stage(PASS, 1), None);
    assert!(matches!(
        refused,
        Err(EngineError::PluginTooSmall { need: 9022, .. })
    ));
    pipeline.set_mtu(0, 1000).unwrap();
    assert!(matches!(
        pipeline.send(0, &jumbo[..1100]),
        Err(EngineError::BadFrame { .. })
    ));
    let parts = pipeline.into_parts().unwrap();
    assert_eq!(parts.ports[0].info().mtu, 1000);
}

#[test]
fn a_batch_of_the_largest_frames_turns_back_whole() {
    let (a, mut ea) = Port::memory(PortInfo {
        name: "big".into(),
        layer: Layer::L2,
        mtu: 65_000,
    })
    .unwrap();
    let pipeline = Pipeline::sink(a).unwrap();
    let back = batch(3, "(i32.store8 offset=12 (local.get $d) (i32.const 3))");
    let pass = batch(3, "(i32.store8 offset=12 (local.get $d) (i32.const 0))");
    for (wat, direction) in [(back, Direction::Ingress), (pass, Direction::Egress)] {
        let place = Place::Port(0, direction);
        pipeline.attach(place, stage(&wat, 1), None).unwrap();
    }
    let big = vec![2; 65_000];
    for _ in 0..60 {
        assert!(ea.push(&big, Offload::default()));
    }
    let stats = settled(&pipeline, 60);
    assert_eq!(stats.drops.get("turn_full"), None, "{stats:?}");
    assert_eq!(stats.ports[0].tx_packets, 60);
}
