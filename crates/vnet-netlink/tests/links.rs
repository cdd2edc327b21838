//! Interfaces in namespaces the tests make, compared with what `ip` says of them.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::Duration;

use vnet_netlink::{BridgeSpec, Cidr, Interface, Mac, Netlink, NetlinkError, VethEnd, VethSpec};
use vnet_sys::{NetNs, caps};

const SOON: Duration = Duration::from_secs(5);

/// Runs a test with a socket in a namespace of its own, or says why it cannot run.
fn in_namespace(test: impl FnOnce(&Netlink)) {
    if !caps::has_sys_admin() {
        eprintln!("skipped: making a network namespace needs CAP_SYS_ADMIN");
        return;
    }
    let ns = NetNs::create().unwrap();
    test(&Netlink::open(Some(&ns)).unwrap());
}

/// What iproute2 prints in the namespace, or nothing where it is not installed.
fn ip(netlink: &Netlink, args: &str) -> Option<String> {
    let output = netlink
        .namespace()
        .run(|| Command::new("ip").args(args.split(' ')).output())
        .unwrap()
        .ok()?;
    Some(String::from_utf8(output.stdout).unwrap())
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn pair(netlink: &Netlink) -> (Interface, Interface) {
    netlink.create_veth(&VethSpec::new("ep1", "ep2")).unwrap()
}

#[test]
fn a_fresh_namespace_has_loopback_alone() {
    in_namespace(|netlink| {
        let links = netlink.links().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert!(!lo.admin_up && lo.state() == "down" && lo.kind.is_none());
        netlink.set_up(lo.index).unwrap();
        let lo = netlink.link("lo").unwrap();
        assert!(
            lo.ready() && lo.addresses.contains(&cidr("127.0.0.1/8")),
            "{lo:?}"
        );
    });
}

#[test]
fn a_veth_pair_is_made_configured_and_deleted() {
    in_namespace(|netlink| {
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        let spec = VethSpec {
            a: VethEnd {
                name: "ep1".into(),
                mac: Some(mac),
                ..VethEnd::default()
            },
            b: VethEnd {
                name: "ep2".into(),
                ..VethEnd::default()
            },
            mtu: Some(1400),
            alias: Some("an alias".into()),
        };
        let (a, b) = netlink.create_veth(&spec).unwrap();
        assert_eq!(
            (a.name.as_str(), a.kind.as_deref(), a.mac, a.mtu),
            ("ep1", Some("veth"), Some(mac), 1400)
        );
        assert_eq!((a.peer, b.peer, b.mtu), (Some(b.index), Some(a.index), 1400));
        assert_eq!(
            (a.alias.as_deref(), b.alias.as_deref()),
            (Some("an alias"), Some("an alias"))
        );
        assert_eq!((a.state(), a.peer_elsewhere), ("down", false));

        netlink.add_address(a.index, cidr("10.0.0.10/24")).unwrap();
        netlink.add_address(a.index, cidr("fd00::10/64")).unwrap();
        netlink.set_up(a.index).unwrap();
        assert_eq!(netlink.link("ep1").unwrap().state(), "no-carrier");
        netlink.set_up(b.index).unwrap();
        let a = netlink.wait_operstate(a.index, true, SOON).unwrap();
        assert_eq!((a.state(), a.operstate.as_str()), ("up", "up"));
        assert!(a.addresses.contains(&cidr("10.0.0.10/24")) && a.addresses.contains(&cidr("fd00::10/64")));
        if let Some(text) = ip(netlink, "address show dev ep1") {
            assert!(text.contains("inet 10.0.0.10/24 brd 10.0.0.255"), "{text}");
            assert!(text.contains("inet6 fd00::10/64 scope global nodad"), "{text}");
            assert!(!text.contains("fd00::10/64 scope global tentative"), "{text}");
        }
        netlink.del_address(a.index, cidr("10.0.0.10/24")).unwrap();
        assert!(
            !netlink
                .link("ep1")
                .unwrap()
                .addresses
                .contains(&cidr("10.0.0.10/24"))
        );

        netlink.set_down(a.index).unwrap();
        assert_eq!(
            netlink.wait_operstate(a.index, false, SOON).unwrap().state(),
            "down"
        );
        netlink.delete(a.index).unwrap();
        assert!(
            netlink.try_link("ep2").unwrap().is_none(),
            "the peer goes with it"
        );
    });
}

#[test]
fn an_end_in_another_namespace_is_made_there() {
    in_namespace(|netlink| {
        let other = NetNs::create().unwrap();
        let there = Netlink::open(Some(&other)).unwrap();
        // Both may have the same name, as they are in different namespaces.
        let spec = VethSpec {
            b: VethEnd {
                ns: Some(other.clone()),
                ..VethSpec::new("", "same0").b
            },
            ..VethSpec::new("same0", "")
        };
        let (a, b) = netlink.create_veth(&spec).unwrap();
        assert!(a.peer_elsewhere && b.peer_elsewhere);
        assert_eq!(there.link("same0").unwrap().index, b.index);
        netlink.set_up(a.index).unwrap();
        there.set_up(b.index).unwrap();
        assert!(netlink.wait_operstate(a.index, true, SOON).unwrap().ready());
        there.delete(b.index).unwrap();
        assert!(netlink.try_link("same0").unwrap().is_none());
    });
}

#[test]
fn an_interface_moves_and_is_renamed() {
    in_namespace(|netlink| {
        let (a, _) = pair(netlink);
        netlink.rename(a.index, "first").unwrap();
        assert_eq!(netlink.link("first").unwrap().index, a.index);
        assert!(matches!(
            netlink.rename(a.index, "ep2"),
            Err(NetlinkError::Exists { .. })
        ));
        let other = NetNs::create().unwrap();
        netlink.move_to(a.index, &other).unwrap();
        assert!(netlink.try_link("first").unwrap().is_none());
        assert!(
            Netlink::open(Some(&other))
                .unwrap()
                .link("first")
                .unwrap()
                .peer_elsewhere
        );
    });
}

#[test]
fn a_bridge_has_ports_and_carrier_through_them() {
    in_namespace(|netlink| {
        let spec = BridgeSpec {
            name: "br0".into(),
            alias: Some("x".into()),
            ..BridgeSpec::default()
        };
        let bridge = netlink.create_bridge(&spec).unwrap();
        assert_eq!(
            (bridge.kind.as_deref(), bridge.alias.as_deref()),
            (Some("bridge"), Some("x"))
        );
        let (a, b) = pair(netlink);
        netlink.add_port(bridge.index, a.index).unwrap();
        assert_eq!(netlink.link("ep1").unwrap().bridge, Some(bridge.index));
        netlink.set_up(bridge.index).unwrap();
        let error = netlink
            .wait_operstate(bridge.index, true, Duration::from_millis(50))
            .unwrap_err();
        assert!(error.to_string().contains("no port that is up"), "{error}");
        netlink.set_up(a.index).unwrap();
        netlink.set_up(b.index).unwrap();
        assert!(netlink.wait_operstate(bridge.index, true, SOON).unwrap().ready());
        netlink.remove_port(a.index).unwrap();
        assert_eq!(netlink.link("ep1").unwrap().bridge, None);
    });
}

#[test]
fn neighbours_are_fixed_and_the_learnt_ones_flushed() {
    in_namespace(|netlink| {
        let (a, b) = pair(netlink);
        netlink.add_address(a.index, cidr("10.0.0.1/24")).unwrap();
        netlink.set_up(a.index).unwrap();
        netlink.set_up(b.index).unwrap();
        netlink.wait_operstate(a.index, true, SOON).unwrap();
        netlink
            .add_neighbour(a.index, "10.0.0.7".parse().unwrap(), Mac([2, 0, 0, 0, 0, 7]))
            .unwrap();
        // Asking for an address nobody has leaves an entry that was not fixed.
        netlink
            .namespace()
            .run(|| {
                let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.send_to(b"x", "10.0.0.99:9").unwrap();
            })
            .unwrap();
        assert!(netlink.flush_neighbours(a.index).unwrap() >= 1);
        assert_eq!(netlink.flush_neighbours(a.index).unwrap(), 0);
        if let Some(text) = ip(netlink, "neigh show dev ep1 10.0.0.7") {
            assert!(text.contains("02:00:00:00:00:07 PERMANENT"), "{text}");
        }
    });
}

#[test]
fn routes_are_added_and_deleted() {
    in_namespace(|netlink| {
        let (a, b) = pair(netlink);
        netlink.add_address(a.index, cidr("10.0.0.1/24")).unwrap();
        netlink.add_address(a.index, cidr("fd00::1/64")).unwrap();
        netlink.set_up(a.index).unwrap();
        netlink.set_up(b.index).unwrap();
        netlink.wait_operstate(a.index, true, SOON).unwrap();
        let gateway = Some("10.0.0.254".parse().unwrap());
        netlink.add_route(cidr("0.0.0.0/0"), gateway, None).unwrap();
        netlink
            .add_route(cidr("::/0"), Some("fd00::fe".parse().unwrap()), None)
            .unwrap();
        netlink
            .add_route(cidr("192.168.9.0/24"), None, Some(a.index))
            .unwrap();
        if let Some(text) = ip(netlink, "route show") {
            assert!(text.contains("default via 10.0.0.254 dev ep1"), "{text}");
            assert!(text.contains("192.168.9.0/24 dev ep1"), "{text}");
        }
        netlink.del_route(cidr("0.0.0.0/0"), gateway, None).unwrap();
        let error = netlink.del_route(cidr("0.0.0.0/0"), None, None).unwrap_err();
        assert!(matches!(error, NetlinkError::NoSuchRoute { .. }), "{error:?}");
        netlink.del_route(cidr("192.168.9.0/24"), None, None).unwrap();
        let error = netlink
            .add_route(cidr("10.9.0.0/16"), Some("172.16.0.1".parse().unwrap()), None)
            .unwrap_err();
        assert!(
            error.kernel_text().unwrap().contains("invalid gateway"),
            "{error}"
        );
        assert!(
            netlink
                .add_route(cidr("10.9.0.0/16"), Some("fd00::1".parse().unwrap()), None)
                .is_err()
        );
        assert!(netlink.add_route(cidr("10.9.0.0/16"), None, None).is_err());
    });
}

#[test]
fn a_taken_name_is_refused_and_leaves_nothing() {
    in_namespace(|netlink| {
        pair(netlink);
        let before = netlink.links().unwrap().len();
        for spec in [VethSpec::new("ep1", "new0"), VethSpec::new("new0", "ep2")] {
            let error = netlink.create_veth(&spec).unwrap_err();
            assert!(matches!(error, NetlinkError::Exists { .. }), "{error:?}");
        }
        let error = netlink
            .create_veth(&VethSpec::new("x0", "x0"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("both ends"), "{error}");
        let error = netlink
            .create_bridge(&BridgeSpec {
                name: "ep1".into(),
                ..BridgeSpec::default()
            })
            .unwrap_err();
        assert!(matches!(error, NetlinkError::Exists { .. }), "{error:?}");
        assert_eq!(netlink.links().unwrap().len(), before);
    });
}

#[test]
fn each_bad_argument_has_its_own_error() {
    in_namespace(|netlink| {
        let (a, _) = pair(netlink);
        let error = netlink.set_mtu(a.index, 70_000).unwrap_err();
        assert!(
            matches!(
                error,
                NetlinkError::BadMtu {
                    max: 65535,
                    min: 68,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .contains("ep1 takes an MTU of 68 to 65535 bytes, not 70000"),
            "{error}"
        );
        let small = VethSpec {
            mtu: Some(10),
            ..VethSpec::new("a0", "b0")
        };
        assert!(matches!(
            netlink.create_veth(&small),
            Err(NetlinkError::BadMtu { .. })
        ));

        let group = Mac([1, 0, 0x5e, 0, 0, 1]);
        let error = netlink.set_mac(a.index, group).unwrap_err().to_string();
        assert!(error.contains("group address"), "{error}");

        let error = netlink.link("no-such0").unwrap_err();
        assert!(error.to_string().contains("no interface no-such0"), "{error}");
        assert!(matches!(
            netlink.link_by_index(9999),
            Err(NetlinkError::NoSuchInterface { .. })
        ));
        assert!(matches!(
            netlink.set_up(9999),
            Err(NetlinkError::NoSuchInterface { .. })
        ));
        assert!(matches!(
            netlink.delete(9999),
            Err(NetlinkError::NoSuchInterface { .. })
        ));
        let error = netlink.link("a-name-of-20-bytes--").unwrap_err().to_string();
        assert!(error.contains("at most 15"), "{error}");
        let error = netlink
            .set_alias(a.index, &"x".repeat(256))
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most 255"), "{error}");
        let error = netlink
            .wait_operstate(a.index, true, Duration::from_millis(20))
            .unwrap_err();
        assert!(error.to_string().contains("set it up"), "{error}");
    });
}

#[test]
fn the_kernel_s_own_sentence_is_part_of_the_error() {
    in_namespace(|netlink| {
        let (a, b) = pair(netlink);
        netlink.add_address(a.index, cidr("10.0.0.1/24")).unwrap();
        let error = netlink.add_address(a.index, cidr("10.0.0.1/24")).unwrap_err();
        assert_eq!(error.errno(), 17);
        assert!(error.to_string().contains("10.0.0.1/24 to ep1"), "{error}");
        assert!(error.kernel_text().is_some(), "{error}");

        let bridge = |name: &str| {
            netlink
                .create_bridge(&BridgeSpec {
                    name: name.into(),
                    ..BridgeSpec::default()
                })
                .unwrap()
        };
        let (br0, br1) = (bridge("br0"), bridge("br1"));
        let error = netlink.add_port(br0.index, br1.index).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot make br1 a port of the bridge br0"),
            "{error}"
        );
        assert!(error.kernel_text().unwrap().contains("bridge"), "{error}");
        let error = netlink.add_port(b.index, a.index).unwrap_err().to_string();
        assert_eq!(error, "ep2 is a veth, not a bridge");
        let lo = netlink.link("lo").unwrap();
        let error = netlink.delete(lo.index).unwrap_err();
        assert_eq!(error.errno(), 95, "{error}");
    });
}

#[test]
fn without_net_admin_the_missing_capability_is_named() {
    in_namespace(|netlink| {
        let ns = netlink.namespace().clone();
        let error = ns
            .run(|| {
                let id = rustix::process::Uid::from_raw(65534);
                let socket = Netlink::open(None).unwrap();
                rustix::thread::set_thread_res_uid(id, id, id).unwrap();
                socket.create_veth(&VethSpec::new("v0", "v1")).unwrap_err()
            })
            .unwrap();
        assert!(matches!(error, NetlinkError::Privilege { .. }), "{error:?}");
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    });
}

#[test]
fn several_threads_may_use_one_socket_at_once() {
    in_namespace(|netlink| {
        for number in 0..40 {
            let spec = VethSpec::new(&format!("a{number}"), &format!("b{number}"));
            netlink.create_veth(&spec).unwrap();
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert_eq!(netlink.links().unwrap().len(), 81);
                    }
                });
            }
        });
    });
}
