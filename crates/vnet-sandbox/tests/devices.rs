//! Devices in namespaces the tests make.

#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vnet_netlink::{Cidr, Mac, NetlinkError};
use vnet_sandbox::{BridgeSpec, EndSpec, Namespace, Owner, SandboxError, TapSpec, VethSpec};
use vnet_sys::tun::{Mode, OffloadMask};
use vnet_sys::{NetNs, SysError, caps, io};

/// Names the part of this file a second process runs.
const ROLE: &str = "VNET_TEST_ROLE";

/// Runs a test on a namespace of its own, or says why it cannot run.
fn in_namespace(test: impl FnOnce(&Namespace)) {
    if !caps::has_sys_admin() || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: needs CAP_SYS_ADMIN and /dev/net/tun");
        return;
    }
    test(&Namespace::at(NetNs::create().unwrap()).unwrap());
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn tap(name: &str) -> TapSpec {
    TapSpec::new(name, Mode::Tap)
}

/// Runs `role` of this file in a second process inside the namespace, until it has
/// said that it is ready.
fn second_process(there: &Namespace, role: &str) -> Child {
    let mut child = there
        .netns()
        .run(|| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "second_process_body", "--ignored", "--nocapture"])
                .env(ROLE, role)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .unwrap();
    let mut said = String::new();
    let out = child.stdout.as_mut().unwrap();
    while !said.contains("ready") {
        let mut byte = [0];
        assert_eq!(
            out.read(&mut byte).unwrap(),
            1,
            "the second process ended: {said}"
        );
        said.push(byte[0].into());
    }
    child
}

#[test]
#[ignore = "this is what the second process of other tests runs"]
fn second_process_body() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let here = Namespace::current().unwrap();
    let _held = match role.as_str() {
        "tap" => Some(here.make_tap(&tap("held0")).unwrap()),
        "cycles" => {
            cycles();
            None
        }
        "veth" => {
            here.make_veth(&VethSpec::new("left0", "left1"), &here).unwrap();
            here.make_bridge(&BridgeSpec::new("leftbr0")).unwrap();
            None
        }
        other => panic!("{other}"),
    };
    println!("ready");
    // Until the test kills it, or is killed itself.
    std::io::stdin().read_to_end(&mut Vec::new()).ok();
    loop {
        std::thread::park();
    }
}

/// Makes and closes everything thirty times and counts descriptors.
fn cycles() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let cycle = || {
        let here = Namespace::current().unwrap();
        let tap = here.make_tap(&tap("tap0")).unwrap();
        let (a, _) = here.make_veth(&VethSpec::new("ep1", "ep2"), &here).unwrap();
        let spec = BridgeSpec {
            ports: vec!["tap0".into(), "ep1".into()],
            ..BridgeSpec::new("br0")
        };
        let bridge = here.make_bridge(&spec).unwrap();
        here.packet_port("ep2", vnet_sys::PacketOptions::default())
            .unwrap();
        here.release(&bridge).unwrap();
        here.release(&a).unwrap();
        drop(tap);
    };
    cycle();
    let before = count();
    (0..30).for_each(|_| cycle());
    assert_eq!(count(), before);
}

#[test]
fn thirty_cycles_leave_neither_descriptor_nor_device() {
    in_namespace(|here| {
        let mut other = second_process(here, "cycles");
        other.kill().unwrap();
        other.wait().unwrap();
        let left: Vec<_> = here.links().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(left, ["lo"]);
    });
}

#[test]
fn a_tap_is_up_with_its_addresses_when_it_is_returned() {
    in_namespace(|here| {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let spec = TapSpec {
            ip: vec![cidr("10.0.0.1/24"), cidr("fd00::1/64")],
            mac: Some(mac),
            mtu: Some(9000),
            offloads: OffloadMask::ALL,
            ..tap("tap0")
        };
        let device = here.make_tap(&spec).unwrap();
        let info = &device.info;
        assert_eq!(
            (info.state(), info.kind.as_deref(), info.mac, info.mtu),
            ("up", Some("tap"), Some(mac), 9000)
        );
        assert!(
            info.ready() && spec.ip.iter().all(|ip| info.addresses.contains(ip)),
            "{info:?}"
        );
        assert!(device.offloads.contains(OffloadMask::TCP) && !device.adopted);
        assert_eq!(info.alias.as_ref().unwrap().parse(), Ok(Owner::this_process()));

        // The IPv6 address is usable at once, and what is sent through it comes out.
        here.netns()
            .run(|| {
                let socket = std::net::UdpSocket::bind("[fd00::1]:0").unwrap();
                socket.send_to(b"x", "[fd00::2]:9").unwrap();
            })
            .unwrap();
        let (mut hdr, mut frame) = ([0; 10], vec![0; 65_550]);
        loop {
            assert!(
                vnet_sys::process::readable(device.fd.as_fd(), Some(std::time::Duration::from_secs(5)))
                    .unwrap()
            );
            let len = io::readv2(&device.fd, &mut hdr, &mut frame).unwrap() - hdr.len();
            // A neighbour solicitation (ICMPv6 135) for the peer.
            if frame[..len].get(54) == Some(&135) && frame[..len].get(77) == Some(&2) {
                break;
            }
        }
        drop(device);
        assert!(here.try_link("tap0").unwrap().is_none());
    });
}

#[test]
fn a_tun_carries_packets_and_has_no_mac() {
    in_namespace(|here| {
        let spec = TapSpec {
            ip: vec![cidr("10.0.0.1/24")],
            ..TapSpec::new("tun0", Mode::Tun)
        };
        let device = here.make_tap(&spec).unwrap();
        assert_eq!(
            (device.info.kind.as_deref(), device.info.mac),
            (Some("tun"), None)
        );
        assert!(device.info.ready());
        drop(device);
        let error = here
            .make_tap(&TapSpec {
                mac: Some(Mac([2, 0, 0, 0, 0, 1])),
                ..spec
            })
            .unwrap_err();
        assert!(matches!(error, SandboxError::BadArgument { .. }), "{error}");
    });
}

#[test]
fn a_tap_that_is_not_to_be_up_is_down() {
    in_namespace(|here| {
        let device = here
            .make_tap(&TapSpec {
                up: false,
                ..tap("tap0")
            })
            .unwrap();
        assert_eq!(device.info.state(), "down");
    });
}

#[test]
fn a_persistent_tap_stays_without_carrier_and_is_adopted() {
    in_namespace(|here| {
        let spec = TapSpec {
            persist: true,
            ip: vec![cidr("10.0.0.1/24")],
            ..tap("keep0")
        };
        let device = here.make_tap(&spec).unwrap();
        assert_eq!(device.info.alias, None, "it is nobody's leftover");
        drop(device);
        assert_eq!(here.link("keep0").unwrap().state(), "no-carrier");
        let again = here.make_tap(&spec).unwrap();
        assert!(again.adopted && again.info.ready());
        drop(again);
        let left = here.link("keep0").unwrap();
        here.delete(left.index).unwrap();
    });
}

#[test]
fn a_failed_tap_leaves_nothing_even_when_it_was_to_persist() {
    in_namespace(|here| {
        for persist in [false, true] {
            let spec = TapSpec {
                mtu: Some(70_000),
                persist,
                ..tap("tap0")
            };
            let error = here.make_tap(&spec).unwrap_err();
            assert!(
                matches!(error, SandboxError::Netlink(NetlinkError::BadMtu { .. })),
                "{error:?}"
            );
            assert!(
                error
                    .to_string()
                    .contains("tap0 takes an MTU of 68 to 65521 bytes"),
                "{error}"
            );
            assert!(here.try_link("tap0").unwrap().is_none());
        }
        let error = here.make_tap(&tap("a-name-of-20-bytes--")).unwrap_err();
        assert!(
            matches!(error, SandboxError::Sys(SysError::BadName { .. })),
            "{error:?}"
        );
        let group = TapSpec {
            mac: Some(Mac([1, 0, 0, 0, 0, 1])),
            ..tap("tap0")
        };
        assert!(here.make_tap(&group).is_err());
        let offloads = TapSpec {
            vnet_hdr: false,
            offloads: OffloadMask::ALL,
            ..tap("tap0")
        };
        assert!(matches!(
            here.make_tap(&offloads),
            Err(SandboxError::BadArgument { .. })
        ));
        let node = TapSpec {
            device: "/no/such/tun".into(),
            ..tap("tap0")
        };
        let error = here.make_tap(&node).unwrap_err().to_string();
        assert!(error.contains("mknod /no/such/tun c 10 200"), "{error}");
    });
}

#[test]
fn the_holder_of_a_name_is_told_by_pid_and_command() {
    in_namespace(|here| {
        let mut other = second_process(here, "tap");
        let error = here.make_tap(&tap("held0")).unwrap_err();
        let SandboxError::Busy {
            name,
            owner: Some(owner),
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(name, "held0");
        assert!(owner.starts_with(&format!("process {} (", other.id())), "{owner}");
        // A veth or bridge of that name learns it from the interface itself.
        for error in [
            here.make_veth(&VethSpec::new("held0", "x0"), here).unwrap_err(),
            here.make_veth(&VethSpec::new("x0", "held0"), here).unwrap_err(),
            here.make_bridge(&BridgeSpec::new("held0")).unwrap_err(),
        ] {
            assert!(
                error.to_string().contains(&format!("process {} (", other.id())),
                "{error}"
            );
            assert_eq!(error.errno(), 16);
        }
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(
            here.try_link("held0").unwrap().is_none(),
            "a TAP dies with its holder"
        );
    });
}

#[test]
fn a_veth_pair_passes_frames_when_it_is_returned_and_is_released_once() {
    in_namespace(|here| {
        let there = NetNs::create().unwrap();
        let end = |name: &str, ip: &str| EndSpec {
            name: name.into(),
            ip: vec![cidr(ip)],
            ..EndSpec::default()
        };
        let spec = VethSpec {
            a: end("ep1", "10.0.0.1/24"),
            b: end("ep2", "10.0.0.2/24"),
            ..VethSpec::new("", "")
        };
        let (a, b) = here
            .make_veth(&spec, &Namespace::at(there.clone()).unwrap())
            .unwrap();
        assert!(a.ready() && b.ready());
        let listener = there
            .run(|| std::net::TcpListener::bind("10.0.0.2:7000").unwrap())
            .unwrap();
        let stream = here
            .netns()
            .run(|| std::net::TcpStream::connect("10.0.0.2:7000").unwrap())
            .unwrap();
        drop((stream, listener));
        here.release(&a).unwrap();
        here.release(&a).unwrap();
        assert!(here.try_link("ep1").unwrap().is_none());
        assert!(Namespace::at(there).unwrap().try_link("ep2").unwrap().is_none());
    });
}

#[test]
fn what_is_not_ours_is_not_released() {
    in_namespace(|here| {
        let (a, _) = here.make_veth(&VethSpec::new("ep1", "ep2"), here).unwrap();
        here.set_alias(a.index, "somebody else's").unwrap();
        here.release(&a).unwrap();
        assert!(here.try_link("ep1").unwrap().is_some());
    });
}

#[test]
fn a_bridge_takes_a_tap_and_a_veth_as_ports() {
    in_namespace(|here| {
        let tap = here.make_tap(&tap("tap0")).unwrap();
        here.make_veth(&VethSpec::new("ep1", "ep2"), here).unwrap();
        let spec = BridgeSpec {
            ports: vec!["tap0".into(), "ep1".into()],
            ip: vec![cidr("10.1.0.1/24")],
            ..BridgeSpec::new("br0")
        };
        let bridge = here.make_bridge(&spec).unwrap();
        assert!(
            bridge.ready() && bridge.addresses.contains(&cidr("10.1.0.1/24")),
            "{bridge:?}"
        );
        for port in ["tap0", "ep1"] {
            assert_eq!(here.link(port).unwrap().bridge, Some(bridge.index));
        }
        drop(tap);
        here.release(&bridge).unwrap();
        let error = here
            .make_bridge(&BridgeSpec {
                ports: vec!["nope".into()],
                ..spec
            })
            .unwrap_err();
        assert!(error.to_string().contains("no interface nope"), "{error}");
        assert!(here.try_link("br0").unwrap().is_none(), "nothing is left");
        let down = here.link("ep1").unwrap();
        here.set_down(down.index).unwrap();
        let idle = BridgeSpec {
            ports: vec!["ep1".into()],
            ..BridgeSpec::new("br1")
        };
        assert_eq!(here.make_bridge(&idle).unwrap().state(), "no-carrier");
    });
}

#[test]
fn what_a_killed_process_left_is_found_and_removed_and_nothing_else() {
    in_namespace(|here| {
        let mut other = second_process(here, "veth");
        here.make_veth(&VethSpec::new("own0", "own1"), here).unwrap();
        assert_eq!(here.stale().unwrap(), [], "its owner lives");
        let pid = other.id();
        other.kill().unwrap();
        other.wait().unwrap();
        let stale = here.stale().unwrap();
        let mut names: Vec<_> = stale.iter().map(|s| s.interface.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["left0", "left1", "leftbr0"]);
        assert!(stale.iter().all(|s| s.owner.pid == pid));
        assert_eq!(here.remove_stale().unwrap().len(), 3);
        for gone in names {
            assert!(here.try_link(gone).unwrap().is_none());
        }
        assert!(here.try_link("own0").unwrap().is_some());
        assert_eq!(here.remove_stale().unwrap(), []);
    });
}

#[test]
fn a_path_and_a_descriptor_name_the_same_namespace() {
    in_namespace(|here| {
        let fd = here.netns().as_fd().try_clone_to_owned().unwrap();
        assert!(Namespace::at_fd(fd).unwrap().netns().same_as(here.netns()));
        let path = format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&here.netns().as_fd())
        );
        assert!(
            Namespace::at_path(Path::new(&path))
                .unwrap()
                .netns()
                .same_as(here.netns())
        );
        assert!(Namespace::at_path(Path::new("/etc")).is_err());
    });
}
