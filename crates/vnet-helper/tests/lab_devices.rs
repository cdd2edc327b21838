//! Devices of a lab: made by its helper, used by this process.

#![allow(clippy::unwrap_used)]

use std::io::{Read, pipe};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vnet_netlink::{Cidr, Mac, NetlinkError};
use vnet_sandbox::{
    BridgeSpec, Command, EndSpec, Lab, LabOptions, Namespace, NodeSetup, SandboxError, Space, Stdio, Step,
    TapSpec, VethSpec, set_helper_path,
};
use vnet_sys::process::Exit;
use vnet_sys::tun::Mode;
use vnet_sys::{PacketOptions, RecvSlot, SysError, VnetHdr, caps, io};

/// More than anything here takes on a loaded machine.
const LONG: Duration = Duration::from_secs(20);

/// Opens a lab with two nodes, `a` and `b`, or says why it cannot.
fn in_lab(test: impl FnOnce(&Namespace, &Namespace)) {
    set_helper_path(PathBuf::from(env!("CARGO_BIN_EXE_vnet-helper")));
    let options = LabOptions {
        name: "devices".into(),
        rootless: None,
    };
    let lab = match Lab::open(&options) {
        Err(error @ SandboxError::Isolation { .. }) => {
            eprintln!("skipped: {error}");
            return;
        }
        lab => Arc::new(lab.unwrap()),
    };
    let node = |space, name: &str| Step::Node {
        space,
        spec: NodeSetup {
            name: name.into(),
            hostname: name.into(),
            ..NodeSetup::default()
        },
    };
    let quiet = |space| Step::Sysctl {
        space,
        key: "net.ipv6.conf.default.disable_ipv6".into(),
        value: "1".into(),
    };
    lab.apply(&[quiet(0), node(1, "a"), node(2, "b"), quiet(1), quiet(2)])
        .unwrap();
    let space = |number| Namespace::in_lab(Arc::clone(&lab), Space(number)).unwrap();
    test(&space(1), &space(2));
    lab.close(LONG).unwrap();
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn names(namespace: &Namespace) -> Vec<String> {
    namespace
        .links()
        .unwrap()
        .into_iter()
        .map(|link| link.name)
        .collect()
}

/// Runs a shell line in the node and returns how it ended and what it printed.
fn run(node: &Namespace, line: &str) -> (Exit, String) {
    let (lab, space) = node.lab().unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let mut command = Command::shell(line);
    command.stdout = Stdio::Fd(writer.into());
    let child = lab.spawn(space, command).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (child.wait(Some(LONG)).unwrap().unwrap(), text)
}

fn frame_of(socket: &mut vnet_sys::PacketSocket, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        vnet_sys::process::readable(socket.as_fd(), Some(Duration::from_millis(100))).unwrap();
        let mut slots = [RecvSlot::new(&mut buffer)];
        if let Ok(1) = socket.recv_batch(&mut slots)
            && wanted(&slots[0].buf[..slots[0].len])
        {
            return slots[0].buf[..slots[0].len].to_vec();
        }
    }
    panic!("the frame did not come");
}

#[test]
fn a_tap_of_a_node_is_read_and_written_here() {
    in_lab(|a, _| {
        let spec = TapSpec {
            ip: vec![cidr("10.0.0.1/24")],
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            ..TapSpec::new("tap0", Mode::Tap)
        };
        let tap = match a.make_tap(&spec) {
            Err(SandboxError::Sys(error @ (SysError::MissingDevice { .. } | SysError::Privilege { .. }))) => {
                eprintln!("skipped: {error}");
                return;
            }
            tap => tap.unwrap(),
        };
        assert!(tap.info.ready() && tap.info.index >= 2_000_000, "{:?}", tap.info);
        assert_eq!(tap.info.addresses, [cidr("10.0.0.1/24")]);
        let (exit, out) = run(
            a,
            "ping -c1 -W1 10.0.0.2 >/dev/null; cat /proc/net/dev | grep -c tap0",
        );
        assert_eq!((exit, out.as_str()), (Exit::Code(0), "1\n"));
        let (mut hdr, mut frame) = ([0; 10], vec![0; 65_550]);
        let len = io::readv2(&tap.fd, &mut hdr, &mut frame).unwrap() - hdr.len();
        assert_eq!(
            &frame[6..14],
            [2, 0, 0, 0, 0, 1, 8, 6],
            "an ARP request of {len} bytes"
        );
        // The name is taken for a second one, and free when the descriptor is closed.
        let error = a.make_tap(&spec).unwrap_err();
        assert!(matches!(error, SandboxError::Busy { .. }), "{error:?}");
        assert!(error.to_string().contains("this process"), "{error}");
        drop(tap);
        assert_eq!(names(a), ["lo"]);
    });
}

#[test]
fn a_veth_stands_for_a_tap_and_for_a_tun() {
    in_lab(|a, _| {
        for (mode, kind) in [(Mode::Tap, [8, 6]), (Mode::Tun, [8, 0])] {
            let spec = TapSpec {
                ip: vec![cidr("10.0.0.1/24")],
                mtu: Some(1400),
                ..TapSpec::new("dev0", mode)
            };
            let mut tap = a.make_packet_tap(&spec, PacketOptions::default()).unwrap();
            assert!(tap.info.ready(), "{:?}", tap.info);
            assert_eq!(
                (tap.info.mtu, tap.info.addresses.as_slice()),
                (1400, &[cidr("10.0.0.1/24")][..])
            );
            let (exit, _) = run(a, "ping -c1 -W1 10.0.0.2 >/dev/null");
            assert_eq!(exit, Exit::Code(1), "nobody answers");
            // What the kernel sent before anybody read is there: a TUN asks nobody for an address.
            let sent = frame_of(&mut tap.socket, |frame| frame[12..14] == kind);
            let own = tap.info.mac.unwrap().0;
            assert_eq!(sent[6..12], own);
            if mode == Mode::Tun {
                assert_eq!(sent[..6], own, "the packet goes to the interface itself");
                let before = a.link("dev0").unwrap().stats.rx_packets;
                tap.socket.send(&VnetHdr::default(), &sent).unwrap();
                assert_eq!(a.link("dev0").unwrap().stats.rx_packets, before + 1);
            }
            let (lab, _) = a.lab().unwrap();
            let middle = Namespace::in_lab(Arc::clone(lab), Space::LAB).unwrap();
            assert_eq!(names(&middle).len(), 2, "the far end lies in the middle");
            a.release(&tap.info).unwrap();
            assert_eq!((names(a).len(), names(&middle).len()), (1, 1));
        }
    });
}

#[test]
fn what_only_a_tap_has_is_refused_to_a_veth() {
    in_lab(|a, _| {
        let refused = |spec: TapSpec| {
            let error = a.make_packet_tap(&spec, PacketOptions::default()).unwrap_err();
            assert!(matches!(error, SandboxError::BadArgument { .. }), "{error:?}");
        };
        let tap = TapSpec::new("tap0", Mode::Tap);
        refused(TapSpec {
            multi_queue: true,
            ..tap.clone()
        });
        refused(TapSpec {
            owner: Some(1000),
            ..tap.clone()
        });
        refused(TapSpec { persist: true, ..tap });
        refused(TapSpec {
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            ..TapSpec::new("tun0", Mode::Tun)
        });
        assert_eq!(names(a), ["lo"]);
    });
}

#[test]
fn a_pair_between_two_nodes_carries_tcp() {
    in_lab(|a, b| {
        let end = |name: &str, ip: &str| EndSpec {
            name: name.into(),
            ip: vec![cidr(ip)],
            ..EndSpec::default()
        };
        let spec = VethSpec {
            a: end("eth0", "10.0.0.1/24"),
            b: end("eth0", "10.0.0.2/24"),
            ..VethSpec::new("", "")
        };
        let (first, second) = a.make_veth(&spec, b).unwrap();
        assert!(first.ready() && second.ready() && first.index != second.index);
        let (exit, out) = run(b, "ping -c1 -W5 10.0.0.1 >/dev/null && echo answered");
        assert_eq!((exit, out.as_str()), (Exit::Code(0), "answered\n"));
        let error = a.make_veth(&spec, b).unwrap_err();
        assert!(
            matches!(&error, SandboxError::Busy { owner: Some(owner), .. } if owner.contains("this process"))
        );
        b.release(&second).unwrap();
        assert_eq!(
            (names(a), names(b)),
            (vec!["lo".to_owned()], vec!["lo".to_owned()])
        );
        // A lab cannot reach out of itself.
        let outside = Namespace::current().unwrap();
        for error in [
            a.make_veth(&spec, &outside).unwrap_err(),
            outside.make_veth(&spec, a).unwrap_err(),
        ] {
            assert!(matches!(error, SandboxError::BadArgument { .. }), "{error:?}");
        }
    });
}

#[test]
fn a_bridge_and_everything_ip_does_work_through_the_helper() {
    in_lab(|a, _| {
        let (ep, _) = a.make_veth(&VethSpec::new("ep1", "ep2"), a).unwrap();
        let bridge = a
            .make_bridge(&BridgeSpec {
                ports: vec!["ep1".into()],
                ip: vec![cidr("10.1.0.1/24")],
                ..BridgeSpec::new("br0")
            })
            .unwrap();
        assert!(bridge.ready());
        assert_eq!(a.link("ep1").unwrap().bridge, Some(bridge.index));
        a.remove_port(ep.index).unwrap();
        a.add_port(bridge.index, ep.index).unwrap();
        a.set_mtu(ep.index, 1300).unwrap();
        a.add_address(ep.index, cidr("10.2.0.1/32")).unwrap();
        a.add_neighbour(ep.index, "10.2.0.9".parse().unwrap(), Mac([2, 0, 0, 0, 0, 9]))
            .unwrap();
        a.flush_neighbours(ep.index).unwrap();
        a.set_down(ep.index).unwrap();
        let now = a.link_by_index(ep.index).unwrap();
        assert_eq!(
            (now.mtu, now.state(), now.addresses),
            (1300, "down", vec![cidr("10.2.0.1/32")])
        );
        a.del_address(ep.index, cidr("10.2.0.1/32")).unwrap();
        a.set_up(ep.index).unwrap();
        a.wait_ready(ep.index).unwrap();

        let error = a.set_mtu(ep.index, 70_000).unwrap_err();
        assert!(
            matches!(
                error,
                SandboxError::Netlink(NetlinkError::BadMtu { max: 65_535, .. })
            ),
            "{error:?}"
        );
        let error = a.link("nope").unwrap_err();
        assert!(
            matches!(error, SandboxError::Netlink(NetlinkError::NoSuchInterface { .. })),
            "{error:?}"
        );
        let error = a.del_address(ep.index, cidr("10.9.0.1/32")).unwrap_err();
        assert_eq!(error.errno(), 99, "{error}");
        let error = a.link("a-name-of-20-bytes--").unwrap_err();
        assert!(error.to_string().contains("bad interface name"), "{error}");
        let error = a
            .make_bridge(&BridgeSpec {
                persist: true,
                ..BridgeSpec::new("br1")
            })
            .unwrap_err();
        assert!(
            error.to_string().contains("cannot outlive this process"),
            "{error}"
        );

        a.release(&bridge).unwrap();
        a.release(&ep).unwrap();
        assert_eq!(names(a), ["lo"]);
    });
}

#[test]
fn devices_of_a_node_that_was_removed_are_closed_without_an_error() {
    in_lab(|a, b| {
        let bridge = a.make_bridge(&BridgeSpec::new("br0")).unwrap();
        let (far, near) = a.make_veth(&VethSpec::new("far0", "near0"), b).unwrap();
        let tap = a
            .make_packet_tap(&TapSpec::new("tap0", Mode::Tap), PacketOptions::default())
            .unwrap();
        let (lab, space) = a.lab().unwrap();
        lab.apply(&[Step::DropNode { space: space.0 }]).unwrap();
        for interface in [&bridge, &far, &tap.info] {
            a.release(interface).unwrap();
        }
        b.release(&near).unwrap();
        let error = a.set_up(bridge.index).unwrap_err();
        assert!(
            matches!(error, SandboxError::NoSuchSpace { space: 1 }),
            "{error:?}"
        );
    });
}

#[test]
fn a_thousand_interfaces_are_listed() {
    in_lab(|a, _| {
        let (lab, _) = a.lab().unwrap();
        let bridge = |index: u32| Step::Net {
            space: 1,
            change: vnet_netlink::Change::Bridge {
                index,
                name: format!("br{index}"),
                mac: None,
                mtu: None,
            },
        };
        lab.apply(&(100..1100).map(bridge).collect::<Vec<_>>()).unwrap();
        assert_eq!(a.links().unwrap().len(), 1001);
    });
}

#[test]
fn devices_of_a_lab_that_has_ended_say_so() {
    if !caps::has_sys_admin() {
        eprintln!("skipped: needs CAP_SYS_ADMIN");
        return;
    }
    in_lab(|a, _| {
        let (lab, _) = a.lab().unwrap();
        lab.close(LONG).unwrap();
        let error = a.make_bridge(&BridgeSpec::new("br0")).unwrap_err();
        assert!(matches!(error, SandboxError::LabClosed { .. }), "{error:?}");
        assert!(matches!(a.links().unwrap_err(), SandboxError::LabClosed { .. }));
    });
}
