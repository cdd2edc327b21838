//! Switches over in-memory ports: where verdicts lead at each place, and ports that come and go.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::switch::{Bench, eth};
use support::{PASS, batch, port, stage, wait_for};
use vnet_datapath::{Direction, EngineError, LinkSide, Pipeline, Place, Port, PortInfo, SWITCH_STAGE_PORTS};
use vnet_packet::Layer;

/// Answers with the verdict that a frame carries at offset `at`, and counts itself in the byte behind it.
fn oracle(at: usize) -> String {
    format!(
        r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $n i32) (result i32)
    (i32.store8 offset={} (local.get $p) (i32.add (i32.load8_u offset={} (local.get $p)) (i32.const 1)))
    (i32.load offset={at} (local.get $p))))"#,
        at + 4,
        at + 4
    )
}

/// Writes the port and the flags it is told into the frame at 40.
const WITNESS: &str = r"(i32.store offset=40 (i32.load (local.get $d))
    (i32.or (i32.shl (i32.load16_u offset=14 (local.get $d)) (i32.const 16)) (i32.load16_u offset=16 (local.get $d))))
  (i32.store8 offset=44 (i32.load (local.get $d)) (i32.add (i32.load8_u offset=44 (i32.load (local.get $d))) (i32.const 1)))";

const TX: u32 = 3;
const FLOOD: u32 = 2 | 0xffff << 8;

fn redirect(port: u32) -> u32 {
    2 | port << 8
}

/// A frame that carries verdicts for the oracles at 20 and 30.
fn with(mut frame: Vec<u8>, at: usize, verdict: u32) -> Vec<u8> {
    frame[at..at + 4].copy_from_slice(&verdict.to_le_bytes());
    frame
}

#[test]
fn learns_floods_and_forwards_with_books_that_add_up() {
    let mut bench = Bench::new(4);
    bench.sends(0, &eth(1, 2, 1), &[1, 2, 3]);
    bench.sends(2, &eth(2, 1, 2), &[0]);
    bench.sends(0, &eth(1, 2, 3), &[2]);
    bench.sends(3, &eth(1, 0xff, 4), &[0, 1, 2]);
    bench.sends(2, &eth(2, 1, 5), &[3]);
    bench.sends(2, &eth(3, 2, 6), &[]);
    let stats = bench.settled();
    assert_eq!((stats.flooded, stats.drops["same_port"]), (4, 1));
    let learned: Vec<_> = bench
        .switch
        .fdb()
        .unwrap()
        .iter()
        .map(|e| (e.mac[5], e.vlan, e.port))
        .collect();
    assert_eq!(learned, [(1, None, 3), (2, None, 2), (3, None, 2)]);
}

#[test]
fn a_stage_of_the_switch_decides_where_a_frame_goes() {
    let mut bench = Bench::new(4);
    bench.attach(
        Place::Switch(Direction::Both),
        stage(&oracle(20), SWITCH_STAGE_PORTS),
    );
    let judged = |from, to, verdict| {
        let mut seen = with(eth(from, to, 1), 20, verdict);
        seen[24] = 1;
        (with(eth(from, to, 1), 20, verdict), seen)
    };
    for (verdict, out) in [
        (0, &[1, 2, 3][..]),
        (TX, &[0]),
        (FLOOD, &[1, 2, 3]),
        (redirect(2), &[2]),
        (redirect(77), &[]),
        (1, &[]),
    ] {
        let (sent, seen) = judged(1, 2, verdict);
        bench.exchange(0, &sent, out, &seen);
    }
    // Own port: a fault of the plugin.
    let (sent, seen) = judged(1, 2, redirect(0));
    bench.exchange(0, &sent, &[], &seen);
    let stats = bench.settled();
    assert_eq!(
        (stats.drops["no_port"], stats.stage_drops, stats.flooded),
        (1, 2, 4)
    );
    // What a stage sent elsewhere teaches the switch nothing; what it let pass does.
    assert_eq!(bench.switch.fdb().unwrap().len(), 1);
}

#[test]
fn a_link_is_a_wire_between_node_and_switch() {
    for (side, from_node, from_switch) in [(LinkSide::A, 0, 1), (LinkSide::B, 1, 0)] {
        let mut bench = Bench::new(3);
        bench.attach(Place::Link(1, Direction::Both, side), stage(&oracle(20), 2));
        let seen = |mut frame: Vec<u8>, times| {
            frame[24] = times;
            frame
        };
        let judged = |from, to, verdict| with(eth(from, to, 1), 20, verdict);
        bench.push(0, &eth(1, 0xff, 0)).taken();
        // From the node: on, back, and to the link's other end.
        for (verdict, out) in [(0, &[0][..]), (TX, &[1]), (redirect(from_switch), &[0]), (1, &[])] {
            let sent = judged(2, 1, verdict);
            bench.exchange(1, &sent, out, &seen(sent.clone(), 1));
        }
        // From the switch: on, and to the other end.
        for verdict in [0, redirect(from_node)] {
            let sent = judged(1, 2, verdict);
            bench.exchange(0, &sent, &[1], &seen(sent.clone(), 1));
        }
        // Back into the switch, as if the node had sent it: to its receiver, which is behind this very port.
        let sent = judged(1, 2, TX);
        bench.exchange(0, &sent, &[], &sent);
        let stats = bench.settled();
        assert_eq!(stats.drops["same_port"], 1, "{side:?}: {stats:?}");
        assert_eq!(
            bench
                .switch
                .fdb()
                .unwrap()
                .iter()
                .find(|e| e.mac[5] == 1)
                .unwrap()
                .port,
            1,
            "station 1 seems to be behind the link now"
        );
        // To a third station it goes on from there.
        bench.push(2, &eth(3, 0xff, 0)).taken();
        let sent = judged(9, 0xff, TX);
        let mut back = bench.push(0, &sent).taken();
        back.sort();
        // The copy for port 1 came back and was flooded to 0 and 2; port 2 has the first copy, too.
        let (plain, again) = (sent.clone(), seen(sent, 1));
        assert_eq!(back, [(0, again.clone()), (2, plain), (2, again)], "{side:?}");
    }
}

#[test]
fn each_place_is_told_port_and_direction_as_documented() {
    const EGRESS: u32 = 4;
    let word = |frame: &[u8]| u32::from_le_bytes(frame[40..44].try_into().unwrap());
    for (place, ports, up, down) in [
        (Place::Port(1, Direction::Both), 1, Some(0), Some(EGRESS << 16)),
        (Place::Port(1, Direction::Ingress), 1, Some(0), None),
        (Place::Port(1, Direction::Egress), 1, None, Some(EGRESS << 16)),
        (Place::Link(1, Direction::Both, LinkSide::A), 2, Some(0), Some(1)),
        (Place::Link(1, Direction::Ingress, LinkSide::A), 2, Some(0), None),
        (Place::Link(1, Direction::Egress, LinkSide::A), 2, None, Some(1)),
        (Place::Link(1, Direction::Both, LinkSide::B), 2, Some(1), Some(0)),
        (Place::Link(1, Direction::Ingress, LinkSide::B), 2, None, Some(0)),
        (Place::Link(1, Direction::Egress, LinkSide::B), 2, Some(1), None),
        (
            Place::Switch(Direction::Ingress),
            SWITCH_STAGE_PORTS,
            Some(1),
            Some(0),
        ),
    ] {
        let mut bench = Bench::new(2);
        bench.attach(place, stage(&batch(3, WITNESS), ports));
        for (from, to, expected) in [(1, 0, up), (0, 1, down)] {
            let got = bench.push(from, &eth(1, 0xff, 0)).take(to);
            let seen = (got[44] == 1).then(|| word(&got));
            assert_eq!(seen, expected, "{place:?}, from port {from}");
        }
    }
}

#[test]
fn every_stage_meets_a_frame_once_and_only_on_its_own_way() {
    let mut bench = Bench::new(3);
    // Each counts itself in a byte of its own: 24, 28, 32, ...
    for (i, (place, ports)) in [
        (Place::Port(0, Direction::Ingress), 1),
        (Place::Link(0, Direction::Both, LinkSide::A), 2),
        (Place::Switch(Direction::Ingress), SWITCH_STAGE_PORTS),
        (Place::Link(1, Direction::Both, LinkSide::B), 2),
        (Place::Port(1, Direction::Egress), 1),
        (Place::Port(2, Direction::Both), 1),
    ]
    .into_iter()
    .enumerate()
    {
        bench.attach(place, stage(&oracle(20 + 5 * i), ports));
    }
    bench.push(0, &eth(1, 0xff, 0));
    let met = |frame: &[u8]| (0..6).map(|i| frame[24 + 5 * i]).collect::<Vec<_>>();
    assert_eq!(met(&bench.take(1)), [1, 1, 1, 1, 1, 0]);
    assert_eq!(met(&bench.take(2)), [1, 1, 1, 0, 0, 1]);
    bench.push(1, &eth(2, 1, 0));
    assert_eq!(met(&bench.take(0)), [0, 1, 1, 1, 0, 0]);
    // What is sent by a port meets what is attached to the port, not the link.
    bench.switch.send(1, &eth(7, 8, 0)).unwrap();
    assert_eq!(met(&bench.take(1)), [0, 0, 0, 0, 1, 0]);
    bench.settled();
}

#[test]
fn stages_that_send_everything_back_end_in_a_named_drop() {
    let mut bench = Bench::new(3);
    let back = batch(3, "(i32.store8 offset=12 (local.get $d) (i32.const 3))");
    for port in [1, 2] {
        let place = Place::Link(port, Direction::Ingress, LinkSide::B);
        bench.attach(place, stage(&back, 2));
    }
    bench.push(0, &eth(1, 0xff, 0));
    let stats = bench.settled();
    assert!(stats.drops["loop"] > 0, "{stats:?}");
    assert!(stats.ports[0].tx_packets > 0, "what came back was forwarded");
}

/// Appends a copy of the first frame, sent back.
const ECHO: &str = r#"(module (memory (export "memory") 16)
  (data (i32.const 1024) "VNET\01\00\00\00\28\00\00\00\10\00\00\00\00\08\00\00\00\10\00\00\00\00\02\00\00\00\00\00")
  (func (export "vnet_info") (result i32) (i32.const 1024))
  (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32) (local $a i32)
    (local.set $a (i32.add (local.get $d) (i32.mul (local.get $n) (i32.const 40))))
    (memory.copy (i32.load (local.get $a)) (i32.load (local.get $d)) (i32.load offset=4 (local.get $d)))
    (i32.store offset=4 (local.get $a) (i32.load offset=4 (local.get $d)))
    (i32.store8 offset=12 (local.get $a) (i32.const 3))
    (i32.const 1)))"#;

#[test]
fn what_stages_append_goes_their_way_and_cannot_multiply_for_ever() {
    let mut bench = Bench::new(3);
    for port in [1, 2] {
        let place = Place::Link(port, Direction::Both, LinkSide::B);
        bench.attach(place, stage(ECHO, 2));
    }
    bench.push(0, &eth(1, 0xff, 0));
    let stats = bench.settled();
    assert!(stats.appended >= 2 && stats.drops["loop"] > 0, "{stats:?}");
}

#[test]
fn ports_come_and_go_and_numbers_are_never_used_again() {
    let mut bench = Bench::new(2);
    bench.sends(0, &eth(1, 0xff, 0), &[1]);
    assert_eq!(bench.add(), 2);
    bench.sends(2, &eth(2, 1, 0), &[0]);
    let id = bench.attach(Place::Port(2, Direction::Egress), stage(PASS, 1));
    let link = bench.attach(Place::Link(2, Direction::Both, LinkSide::A), stage(PASS, 2));
    let removed = bench.switch.remove_port(2).unwrap();
    assert_eq!(removed.info().name, "p2");
    assert!(bench.switch.stage_stats(id).is_err() && bench.switch.stage_stats(link).is_err());
    // What was learned there is forgotten, so the frame is flooded.
    bench.sends(0, &eth(1, 2, 0), &[1]);
    assert!(matches!(
        bench.switch.remove_port(2),
        Err(EngineError::NoSuchPlace { .. })
    ));
    assert!(matches!(
        bench.switch.send(2, &eth(1, 2, 0)),
        Err(EngineError::NoSuchPlace { .. })
    ));
    assert!(matches!(
        bench
            .switch
            .attach(Place::Port(2, Direction::Both), stage(PASS, 1), None),
        Err(EngineError::NoSuchPlace { .. })
    ));
    let stats = bench.settled();
    assert_eq!(
        (stats.ports[2].name.as_str(), stats.ports[2].rx_packets),
        ("p2", 1)
    );
    assert_eq!(bench.add(), 3);
    bench.sends(3, &eth(3, 0xff, 0), &[0, 1]);
    // The stage on the port goes with it into its next pipeline.
    let (other, _end) = port("other");
    let wire = Pipeline::wire(other, removed).unwrap();
    assert_eq!(wire.stage_stats(id).unwrap().name, "test");
}

#[test]
fn a_held_switch_reads_nothing_and_may_begin_without_ports() {
    let mut bench = Bench::held(0);
    assert_eq!((bench.add(), bench.add()), (0, 1));
    bench.push(0, &eth(1, 0xff, 0));
    bench
        .switch
        .seed_fdb(vec![
            ([2, 0, 0, 0, 0, 9], Some(7), 1),
            ([3; 6], None, 1),
            ([2; 6], None, 5),
        ])
        .unwrap();
    assert_eq!(bench.switch.stats().unwrap().ports[0].rx_packets, 0);
    assert!(
        bench
            .switch
            .settle(0, Duration::from_secs(9), Duration::ZERO)
            .unwrap()
    );
    bench.switch.start().unwrap();
    assert_eq!(bench.take(1), eth(1, 0xff, 0));
    let known: Vec<_> = bench
        .switch
        .fdb()
        .unwrap()
        .iter()
        .map(|e| (e.mac[5], e.vlan, e.port))
        .collect();
    assert_eq!(known, [(1, None, 0), (9, Some(7), 1)]);
    bench.settled();
}

#[test]
fn a_port_settles_once_nothing_comes_by_it() {
    let mut bench = Bench::new(2);
    let (idle, limit) = (Duration::from_millis(50), Duration::from_millis(400));
    assert!(bench.switch.settle(0, idle, limit).unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (busy, quiet) = bench.ends.split_at_mut(1);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = busy[0].push(&eth(1, 0xff, 0), Default::default());
                while quiet[0].pop().is_some() {}
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        wait_for("traffic", || {
            (bench.switch.stats().unwrap().ports[0].rx_packets > 3).then_some(())
        });
        assert!(!bench.switch.settle(0, idle, limit).unwrap());
        assert!(
            bench.switch.settle(1, idle, limit).unwrap(),
            "the other port is quiet"
        );
        stop.store(true, Ordering::Relaxed);
        let start = Instant::now();
        assert!(bench.switch.settle(0, idle, Duration::from_secs(10)).unwrap());
        assert!(start.elapsed() >= Duration::from_millis(40));
    });
}

#[test]
fn what_a_switch_does_not_take_is_refused_in_words() {
    let tun = || {
        Port::memory(PortInfo {
            name: "tun".into(),
            layer: Layer::L3,
            mtu: 1500,
        })
        .unwrap()
        .0
    };
    assert!(matches!(
        Pipeline::switch_held("s1", vec![tun()]),
        Err(EngineError::NotEthernet { .. })
    ));
    let many = || (0..1025).map(|n| port(&format!("p{n}")).0).collect();
    assert!(matches!(
        Pipeline::switch_held("s1", many()),
        Err(EngineError::TooManyPorts { most: 1024, .. })
    ));
    let bench = Bench::new(2);
    assert!(matches!(
        bench.switch.add_port(tun()),
        Err(EngineError::NotEthernet { .. })
    ));
    for place in [
        Place::Wire(Direction::Both),
        Place::Switch(Direction::Egress),
        Place::Link(2, Direction::Both, LinkSide::A),
    ] {
        let refused = bench.switch.attach(place, stage(PASS, 2), None);
        assert!(
            matches!(refused, Err(EngineError::NoSuchPlace { .. })),
            "{place:?}"
        );
    }
    bench.attach(Place::Switch(Direction::Ingress), stage(PASS, SWITCH_STAGE_PORTS));
    let (jumbo, _end) = Port::memory(PortInfo {
        name: "jumbo".into(),
        layer: Layer::L2,
        mtu: 9000,
    })
    .unwrap();
    assert!(matches!(
        bench.switch.add_port(jumbo),
        Err(EngineError::PluginTooSmall { need: 9022, .. })
    ));
    let (alone, _end) = port("alone");
    let sink = Pipeline::sink(alone).unwrap();
    assert!(matches!(sink.fdb(), Err(EngineError::NotASwitch { .. })));
    assert!(matches!(
        sink.attach(Place::Switch(Direction::Ingress), stage(PASS, 1), None),
        Err(EngineError::NoSuchPlace { .. })
    ));
}

#[test]
fn a_thousand_ports_take_part_and_few_of_them_wake_the_worker() {
    let mut bench = Bench::new(1000);
    for n in 0..20 {
        bench.push(n, &eth(n as u8, 0xff, 0));
    }
    let stats = bench.settled();
    assert_eq!(stats.flooded, 20 * 998);
    assert_eq!(stats.ports.iter().map(|p| p.tx_packets).sum::<u64>(), 20 * 999);
    let before = bench.settled().wakeups;
    for n in 0..100 {
        bench.push(n % 20 + 20, &eth((n % 20 + 20) as u8, (n % 20) as u8, 0));
    }
    let stats = bench.settled();
    assert_eq!(stats.flooded, 20 * 998, "every receiver is known");
    assert!(stats.wakeups - before < 400, "{}", stats.wakeups - before);
}
