//! Plugins and captures on links, interfaces and switches.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread;
use std::time::Duration;

use support::{DROP, DROP_BCAST, PASS, as_root_and_user, attach, close, soon, spec, stage, up};
use vnet_datapath::{Direction, Output, RecordOptions};
use vnet_lab::{At, Captured, LabError, Network, PingOptions, PingReport, Recording, Target, never};
use vnet_topology::{LinkSpec, NodeKind, NodeSpec};

fn ping(net: &Network, from: &str, to: &str) -> PingReport {
    let options = PingOptions {
        count: 3,
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(400),
        ..PingOptions::default()
    };
    net.ping(from, &Target::parse(to), &options, &never).unwrap()
}

/// Waits until a host is reached again: it asks for its neighbour's address once a second.
fn comes_back(net: &Network, from: &str, to: &str) {
    soon("an answer", || ping(net, from, to).received == 3);
}

fn link(name: &str) -> At {
    At::Link(name.into())
}

fn eth0(node: &str) -> At {
    At::Interface {
        node: node.into(),
        interface: "eth0".into(),
    }
}

/// Drops frames of the EtherType for experiments (IEEE 802), 0x88b5.
const DROP_MARKED: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param i32) (result i32)
    (i32.eq (i32.load16_u offset=12 (local.get $p)) (i32.const 0xb588))))"#;

/// Three hosts on a switch.
fn star() -> Network {
    let links = [("h1", "s1"), ("h2", "s1"), ("h3", "s1")];
    up(spec(&["h1", "h2", "h3"], &["s1"], &[], &links))
}

#[test]
fn a_plugin_judges_one_link_alone() {
    as_root_and_user("a_plugin_judges_one_link_alone", || {
        let net = star();
        for at in [link("h1-s1"), eth0("h1")] {
            let (id, island) = attach(&net, &at, DROP.as_bytes(), Direction::Both);
            assert_eq!(ping(&net, "h1", "h2").received, 0, "{at:?}");
            assert_eq!(ping(&net, "h2", "h3").received, 3, "{at:?}");
            assert!(net.link_state("h2-s1").unwrap().engine);
            let (stats, swap) = net.detach(&island, id).unwrap();
            assert!(
                stats.dropped > 0 && stats.dropped == stats.packets_in,
                "{stats:?}"
            );
            assert!(swap.given_back);
            comes_back(&net, "h1", "h2");
            // The last numbers stay.
            assert_eq!(net.detach(&island, id).unwrap().0, stats);
            assert_eq!(island.stage_stats(id).unwrap(), stats);
            assert!(island.with_pipeline(|_| ()).is_err());
        }
        close(&net);
    });
}

#[test]
fn a_direction_is_seen_from_the_link_and_from_the_node() {
    as_root_and_user("a_direction_is_seen_from_the_link_and_from_the_node", || {
        let net = up(spec(
            &["h1", "h2"],
            &["s1"],
            &[],
            &[("h1", "h2"), ("s1", "h2"), ("h1", "s1")],
        ));
        // Five marked frames, from one side to nobody; how many of them does the plugin see?
        let seen = |at: &At, direction, from: &str, interface: &str| {
            let (id, island) = attach(&net, at, DROP_MARKED.as_bytes(), direction);
            let links = net.interfaces(from).unwrap();
            let index = links.iter().find(|link| link.name == interface).unwrap().index;
            let (lab, space) = (net.lab().unwrap(), net.space(from).unwrap());
            let socket = lab
                .packet(space, index, vnet_sys::PacketOptions::default())
                .unwrap();
            let mut frame = [0u8; 60];
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 0xff, 0xff]);
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0xff, 0xfe]);
            frame[12..14].copy_from_slice(&[0x88, 0xb5]);
            for _ in 0..5 {
                socket.send(&vnet_sys::VnetHdr::default(), &frame).unwrap();
            }
            let passed = || {
                island
                    .with_pipeline(|pipeline| pipeline.stats().unwrap())
                    .unwrap()
            };
            soon("five frames", || {
                passed().ports.iter().map(|port| port.rx_packets).sum::<u64>() >= 5 && passed().balance() == 0
            });
            net.detach(&island, id).unwrap().0.dropped
        };
        for (at, direction, from, interface, count) in [
            (link("h1-h2"), Direction::Ingress, "h1", "eth0", 5),
            (link("h1-h2"), Direction::Egress, "h1", "eth0", 0),
            (link("h1-h2"), Direction::Ingress, "h2", "eth0", 0),
            (link("h1-h2"), Direction::Egress, "h2", "eth0", 5),
            (eth0("h1"), Direction::Ingress, "h1", "eth0", 5),
            (eth0("h1"), Direction::Egress, "h1", "eth0", 0),
            (eth0("h2"), Direction::Egress, "h1", "eth0", 5),
            // The switch is the first end of this link, the host of the next.
            (link("s1-h2"), Direction::Egress, "h2", "eth1", 5),
            (link("s1-h2"), Direction::Ingress, "h2", "eth1", 0),
            (link("h1-s1"), Direction::Ingress, "h1", "eth1", 5),
            (link("h1-s1"), Direction::Egress, "h1", "eth1", 0),
            (At::Switch("s1".into()), Direction::Ingress, "h1", "eth1", 5),
        ] {
            assert_eq!(
                seen(&at, direction, from, interface),
                count,
                "{at:?} {direction:?} from {from}"
            );
        }
        close(&net);
    });
}

#[test]
fn what_a_switch_has_learnt_goes_with_the_frames() {
    as_root_and_user("what_a_switch_has_learnt_goes_with_the_frames", || {
        let net = star();
        for (a, b) in [("h1", "h2"), ("h2", "h3"), ("h3", "h1")] {
            assert_eq!(ping(&net, a, b).received, 3);
        }
        let ports = |net: &Network| {
            let mut ports: Vec<String> = net
                .fdb("s1")
                .unwrap()
                .into_iter()
                .map(|row| row.neighbour)
                .collect();
            ports.sort();
            ports.dedup();
            ports
        };
        let all = ["h1:eth0", "h2:eth0", "h3:eth0"];
        assert_eq!(ports(&net), all);
        let (id, island) = attach(&net, &At::Switch("s1".into()), DROP_BCAST, Direction::Ingress);
        assert_eq!(
            ports(&net),
            all,
            "the engine begins with what the bridge had learnt"
        );
        net.detach(&island, id).unwrap();
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        close(&net);
    });
}

#[test]
fn hosts_come_and_go_while_the_engine_is_the_switch() {
    as_root_and_user("hosts_come_and_go_while_the_engine_is_the_switch", || {
        let net = star();
        let (id, island) = attach(
            &net,
            &At::Switch("s1".into()),
            PASS.as_bytes(),
            Direction::Ingress,
        );
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        net.add_node(NodeSpec::new("h4", NodeKind::Host)).unwrap();
        net.add_link(LinkSpec::new("h4", "s1")).unwrap();
        let before = island.stage_stats(id).unwrap().packets_in;
        assert_eq!(ping(&net, "h4", "h2").received, 3);
        assert!(island.stage_stats(id).unwrap().packets_in > before);
        // A stage on a link that goes ends with it, and its numbers stay.
        let (other, _) = attach(&net, &link("h4-s1"), PASS.as_bytes(), Direction::Both);
        assert_eq!(ping(&net, "h4", "h1").received, 3);
        net.remove_link("h4-s1").unwrap();
        assert!(island.has_ended(other));
        assert!(net.detach(&island, other).unwrap().0.packets_in >= 6);
        assert!(!island.is_given_back());
        assert_eq!(ping(&net, "h1", "h3").received, 3);
        net.add_link(LinkSpec::new("h4", "s1")).unwrap();
        assert_eq!(ping(&net, "h4", "h1").received, 3);
        net.detach(&island, id).unwrap();
        assert_eq!(ping(&net, "h4", "h1").received, 3);
        // The island goes with its switch.
        let (id, island) = attach(
            &net,
            &At::Switch("s1".into()),
            PASS.as_bytes(),
            Direction::Ingress,
        );
        assert_eq!(ping(&net, "h4", "h1").received, 3);
        net.remove_node("s1").unwrap();
        assert!(island.is_given_back());
        assert!(net.detach(&island, id).unwrap().0.packets_in >= 6);
        close(&net);
    });
}

#[test]
fn a_link_goes_away_with_its_plugin() {
    as_root_and_user("a_link_goes_away_with_its_plugin", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let (id, island) = attach(&net, &link("h1-h2"), PASS.as_bytes(), Direction::Both);
        let dir = tempfile::tempdir().unwrap();
        let recording = record(&net, "h1-h2", &dir.path().join("a.pcapng")).unwrap();
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        net.remove_link("h1-h2").unwrap();
        assert!(island.is_given_back());
        assert!(net.detach(&island, id).unwrap().0.packets_in >= 6);
        assert!(recording.stop().unwrap().frames >= 6);
        let left = net.lab().unwrap().links(vnet_sandbox::Space::LAB).unwrap();
        assert!(
            left.iter().all(|link| link.kind.as_deref() != Some("veth")),
            "{left:?}"
        );
        close(&net);
    });
}

#[test]
fn a_link_goes_down_and_up_while_the_engine_has_it() {
    as_root_and_user("a_link_goes_down_and_up_while_the_engine_has_it", || {
        let net = up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("h2", "s1")]));
        let (id, island) = attach(&net, &link("h1-s1"), PASS.as_bytes(), Direction::Both);
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        for _ in 0..3 {
            net.set_link_up("h1-s1", false).unwrap();
            assert_eq!(ping(&net, "h1", "h2").received, 0);
            net.set_link_up("h1-s1", true).unwrap();
            comes_back(&net, "h1", "h2");
        }
        net.detach(&island, id).unwrap();
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        close(&net);
    });
}

#[test]
fn frames_find_the_other_way_when_a_link_between_switches_goes_down() {
    as_root_and_user(
        "frames_find_the_other_way_when_a_link_between_switches_goes_down",
        || {
            let mut spec = spec(&["h1", "h2"], &["s1", "s2"], &[], &[("h1", "s1"), ("h2", "s2")]);
            let spare = LinkSpec {
                name: Some("spare".into()),
                up: false,
                ..LinkSpec::new("s1", "s2")
            };
            spec.links.extend([LinkSpec::new("s1", "s2"), spare]);
            let net = up(spec);
            for switch in ["s1", "s2"] {
                attach(
                    &net,
                    &At::Switch(switch.into()),
                    PASS.as_bytes(),
                    Direction::Ingress,
                );
            }
            assert_eq!(ping(&net, "h1", "h2").received, 3);
            for (down, up) in [("s1-s2", "spare"), ("spare", "s1-s2")] {
                net.set_link_up(down, false).unwrap();
                for switch in ["s1", "s2"] {
                    let known = net.fdb(switch).unwrap();
                    assert!(known.iter().all(|row| row.port != down), "{known:?}");
                }
                net.set_link_up(up, true).unwrap();
                assert_eq!(ping(&net, "h1", "h2").received, 3, "by {up}");
            }
            close(&net);
        },
    );
}

fn record(net: &Network, name: &str, path: &std::path::Path) -> Result<Recording, LabError> {
    let output = Output::File(path.to_owned());
    net.record(&Captured::At(link(name)), output, RecordOptions::default())
}

#[test]
fn the_last_one_gives_the_link_back() {
    as_root_and_user("the_last_one_gives_the_link_back", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let at = link("h1-h2");
        let (first, island) = attach(&net, &at, PASS.as_bytes(), Direction::Both);
        let (second, _) = attach(&net, &eth0("h2"), PASS.as_bytes(), Direction::Both);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link.pcapng");
        let recording = record(&net, "h1-h2", &path).unwrap();
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        assert!(!net.detach(&island, first).unwrap().1.given_back);
        // A capture keeps no link from the kernel.
        assert!(net.detach(&island, second).unwrap().1.given_back);
        assert!(island.is_given_back());
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        let recorded = recording.stop().unwrap();
        assert!(recorded.frames >= 12 && recorded.lost == 0, "{recorded:?}");
        assert_eq!(recording.stop().unwrap(), recorded);
        assert!(island.is_given_back());
        assert!(std::fs::metadata(&path).unwrap().len() > 1_000);
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        close(&net);
    });
}

#[test]
fn many_attach_at_once() {
    as_root_and_user("many_attach_at_once", || {
        let links = [("h1", "s1"), ("h2", "s1"), ("h3", "s1"), ("h1", "h2")];
        let net = up(spec(&["h1", "h2", "h3"], &["s1"], &[], &links));
        thread::scope(|scope| {
            for at in [
                link("h1-s1"),
                link("h2-s1"),
                link("h1-h2"),
                At::Switch("s1".into()),
            ] {
                let net = &net;
                scope.spawn(move || {
                    for _ in 0..10 {
                        let (id, island) = attach(net, &at, PASS.as_bytes(), Direction::Ingress);
                        net.detach(&island, id).unwrap();
                    }
                });
            }
        });
        assert!(net.stats().unwrap().islands.is_empty());
        for (a, b) in [("h1", "h2"), ("h2", "h3")] {
            assert_eq!(ping(&net, a, b).received, 3);
        }
        close(&net);
    });
}

#[test]
fn what_cannot_be_attached_changes_nothing() {
    as_root_and_user("what_cannot_be_attached_changes_nothing", || {
        let mut jumbo = spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]);
        jumbo.links[0].mtu = Some(9_000);
        let net = up(jumbo);
        let small = star();
        // Made for another link, too small for this one.
        let stage = stage(&small, &link("h1-s1"), PASS.as_bytes());
        let refused = net
            .attach(&link("h1-h2"), stage, Direction::Both, None)
            .unwrap_err();
        assert!(matches!(refused, LabError::Engine(_)), "{refused:?}");
        assert!(!net.link_state("h1-h2").unwrap().engine);
        let nowhere = std::path::Path::new("/there/is/no/such/directory/a.pcapng");
        assert!(record(&net, "h1-h2", nowhere).is_err());
        assert!(!net.link_state("h1-h2").unwrap().engine);
        for unknown in [link("h1-h3"), eth0("h9"), At::Switch("h1".into())] {
            assert!(net.fit(&unknown).is_err(), "{unknown:?}");
        }
        let options = PingOptions {
            size: 8_000,
            count: 1,
            ..PingOptions::default()
        };
        let report = net.ping("h1", &Target::parse("h2"), &options, &never).unwrap();
        assert_eq!(report.received, 1, "{report:?}");
        close(&net);
        close(&small);
    });
}

#[test]
fn counters_count_what_passed() {
    as_root_and_user("counters_count_what_passed", || {
        let net = up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("s1", "h2")]));
        let (id, island) = attach(
            &net,
            &At::Switch("s1".into()),
            PASS.as_bytes(),
            Direction::Ingress,
        );
        let before = net.stats().unwrap();
        assert_eq!(ping(&net, "h1", "h2").received, 3);
        let after = net.stats().unwrap();
        let of = |stats: &vnet_lab::NetworkStats, name: &str| {
            stats.links.iter().find(|link| link.name == name).unwrap().clone()
        };
        for (name, asks) in [("h1-s1", true), ("s1-h2", false)] {
            let (old, new) = (of(&before, name), of(&after, name));
            let sent = [
                new.from_a.packets - old.from_a.packets,
                new.from_b.packets - old.from_b.packets,
            ];
            let come = [
                new.to_b.packets - old.to_b.packets,
                new.to_a.packets - old.to_a.packets,
            ];
            assert!(sent.iter().all(|sent| *sent >= 3), "{name} {asks}: {sent:?}");
            assert_eq!(sent, come, "{name}");
            assert!(new.engine && new.up);
        }
        let rows = &after.interfaces;
        assert!(
            rows.iter()
                .any(|row| row.node == "h1" && row.interface == "eth0" && row.kernel.tx_packets >= 3)
        );
        assert_eq!(after.islands.len(), 1);
        assert_eq!(after.islands[0].stats.balance(), 0);
        net.detach(&island, id).unwrap();
        close(&net);
    });
}
