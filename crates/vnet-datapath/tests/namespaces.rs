//! Switches between real interfaces: namespaces joined through packet sockets.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::path::Path;
use std::time::Duration;

use support::lan::{Lan, NODE_END, can_run, lab_end, shadow};
use support::recording::{record, scope};
use support::wait_for;
use vnet_datapath::{Direction, LinkSide, Place, SWITCH_STAGE_PORTS};
use vnet_netlink::Change;
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};
use vnet_sys::PacketSocket;

const MIB: usize = 1 << 20;

fn shipped(name: &str, ports: u16) -> Stage {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../plugins/shipped")
        .join(name);
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    let module = Module::load(&Source::File(file), &options).unwrap();
    Stage::new(
        &module,
        StageOptions {
            ports,
            ..StageOptions::default()
        },
    )
    .unwrap()
}

fn exchange_files(lan: &Lan) {
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        lan.transfer(from, to, 8 * MIB);
    }
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.balance(), 0, "{stats:?}");
    let (frames, bytes) = stats
        .ports
        .iter()
        .fold((0, 0), |(f, b), p| (f + p.rx_packets, b + p.rx_bytes));
    assert!(bytes >= 24 * MIB as u64);
    // TCP sends super-frames of many segments each; acknowledgements are small.
    assert!(bytes / frames > 1600, "{frames} frames for {bytes} bytes");
    assert_eq!(stats.segmented, 0, "nothing on the way needs segments");
    assert!(stats.flooded < 1000, "known receivers are not flooded: {stats:?}");
}

#[test]
fn three_namespaces_exchange_files_through_a_switch() {
    if !can_run() {
        return;
    }
    exchange_files(&Lan::started(3));
}

#[test]
fn files_pass_plugins_at_every_place() {
    if !can_run() {
        return;
    }
    let lan = Lan::held(3);
    for (place, plugin, ports) in [
        (
            Place::Switch(Direction::Ingress),
            "learning_switch.wasm",
            SWITCH_STAGE_PORTS,
        ),
        (Place::Port(0, Direction::Both), "count.wasm", 1),
        (Place::Link(1, Direction::Both, LinkSide::A), "count.wasm", 2),
        (Place::Link(2, Direction::Both, LinkSide::B), "drop_bcast.wasm", 2),
    ] {
        let id = lan.switch.attach(place, shipped(plugin, ports), None).unwrap();
        if plugin == "drop_bcast.wasm" {
            // Its broadcasts are needed once, for address resolution.
            lan.switch.detach(id).unwrap();
        }
    }
    lan.switch.start().unwrap();
    exchange_files(&lan);
    assert!(lan.switch.fdb().unwrap().is_empty(), "the plugin alone forwards");
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.stages.len(), 3);
    assert!(
        stats
            .stages
            .iter()
            .all(|stage| stage.packets_in > 0 && stage.faults.is_empty()),
        "{stats:?}"
    );
}

#[test]
fn a_plugin_that_takes_no_super_frames_gets_segments_and_the_file_arrives() {
    if !can_run() {
        return;
    }
    let lan = Lan::held(3);
    let place = Place::Link(1, Direction::Both, LinkSide::A);
    lan.switch
        .attach(place, support::stage(support::PASS, 2), None)
        .unwrap();
    lan.switch.start().unwrap();
    lan.transfer(0, 1, 2 * MIB);
    lan.transfer(1, 2, 2 * MIB);
    lan.transfer(2, 0, 8 * MIB);
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.balance(), 0);
    assert!(stats.segmented > 1000, "{stats:?}");
    assert!(
        stats.ports[0].tx_bytes / stats.ports[0].tx_packets > 1600,
        "the other links stay whole"
    );
}

#[test]
fn an_interface_that_goes_down_or_away_disturbs_no_other() {
    if !can_run() {
        return;
    }
    let mut lan = Lan::started(3);
    lan.transfer(0, 2, MIB);
    // The device behind port 2 goes down, under the engine that reads it.
    lan.set_up(shadow(2), false);
    lan.set_up(lab_end(2), false);
    lan.transfer(0, 1, 4 * MIB);
    lan.set_up(lab_end(2), true);
    lan.set_up(shadow(2), true);
    lan.transfer(0, 2, 4 * MIB);
    lan.transfer(2, 1, 4 * MIB);
    // It goes away altogether.
    lan.change(&[
        Change::Delete { index: lab_end(2) },
        Change::Delete { index: shadow(2) },
    ]);
    lan.transfer(1, 0, 4 * MIB);
    wait_for("the vanished device", || {
        lan.switch.is_gone(2).unwrap().then_some(())
    });
    let wakeups = lan.switch.stats().unwrap().wakeups;
    // Some traffic, and no spinning on the dead descriptor.
    lan.transfer(0, 1, MIB);
    let port = lan.switch.remove_port(2).unwrap();
    assert!(port.is_gone());
    assert!(!lan.switch.is_gone(0).unwrap() && !lan.switch.is_gone(1).unwrap());
    assert_eq!(lan.add_node(), 3);
    lan.transfer(3, 0, 4 * MIB);
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.balance(), 0, "{stats:?}");
    assert!(stats.wakeups - wakeups < 50_000, "{}", stats.wakeups - wakeups);
}

#[test]
fn a_port_that_goes_down_is_forgotten_once_it_is_sent_to() {
    if !can_run() {
        return;
    }
    let lan = Lan::started(3);
    lan.transfer(0, 1, MIB);
    lan.transfer(2, 0, MIB);
    let ports = || {
        let mut ports: Vec<usize> = lan.switch.fdb().unwrap().iter().map(|e| e.port).collect();
        ports.dedup();
        ports.sort_unstable();
        ports
    };
    let known = lan.switch.fdb().unwrap();
    let mac = |port: usize| known.iter().find(|e| e.port == port).unwrap().mac;
    assert_eq!(ports(), [0, 1, 2]);
    let mut frame = vec![0x5a; 60];
    frame[..6].copy_from_slice(&mac(1));
    frame[6..12].copy_from_slice(&mac(0));
    lan.set_up(lab_end(1), false);
    let flooded = lan.switch.stats().unwrap().flooded;
    wait_for("the switch to forget", || {
        lan.nodes[0]
            .run(|| {
                let sender = PacketSocket::open_sender(NODE_END).unwrap();
                sender.send(&Default::default(), &frame).unwrap();
            })
            .unwrap();
        (ports() == [0, 2] && lan.switch.stats().unwrap().flooded > flooded).then_some(())
    });
    // A station that is asked to be forgotten is; the others stay.
    lan.switch.forget_learned(2).unwrap();
    assert_eq!(ports(), [0]);
    lan.set_up(lab_end(1), true);
    lan.transfer(1, 2, MIB);
    assert_eq!(ports(), [0, 1, 2]);
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.balance(), 0, "{stats:?}");
    assert!(lan.switch.forget_learned(7).is_err());
}

#[test]
fn a_recording_of_a_link_holds_both_directions_of_every_port_on_one_clock() {
    if !can_run() {
        return;
    }
    let lan = Lan::started(2);
    let file = std::env::temp_dir().join(format!("vnet-switch-{}.pcapng", std::process::id()));
    let names = [(0, "h0-eth0".to_owned()), (1, "h1-eth0".to_owned())];
    let recorder = record(&file);
    let id = lan.switch.record_scope(scope(&names), &recorder).unwrap();
    lan.transfer(0, 1, 64 << 10);
    for port in [0, 1] {
        let idle = Duration::from_millis(5);
        assert!(lan.switch.settle(port, idle, Duration::from_secs(10)).unwrap());
    }
    let stats = lan.switch.stats().unwrap();
    assert!(lan.switch.stop_record(id).unwrap());
    let recorded = recorder.finish().unwrap();
    let text = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(recorded.lost, 0);
    let crossed: u64 = stats.ports.iter().map(|p| p.rx_packets + p.tx_packets).sum();
    assert!(
        recorded.frames >= 20 && crossed >= recorded.frames,
        "{recorded:?} of {crossed}"
    );
    let mut reader = vnet_packet::pcap::Reader::open(&text[..]).unwrap();
    let (mut bytes, mut seen, mut last) = (Vec::new(), [0u64; 2], 0);
    while let Some(record) = reader.next(&mut bytes).unwrap() {
        seen[record.interface as usize] += 1;
        assert!(record.ts_ns >= last, "one clock, in order");
        last = record.ts_ns;
    }
    assert_eq!(seen[0] + seen[1], recorded.frames);
    assert!(seen.iter().all(|n| *n >= 10), "{seen:?}");
}
