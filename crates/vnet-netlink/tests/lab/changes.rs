//! Every change, what it leaves, and its reverse.

use rustix::thread::{CapabilitySet, CapabilitySets};
use vnet_netlink::{Batch, Change, Into, LinkSet, Mac, NetlinkError, PeerEnd, RouteSpec};

use crate::space::{Spaces, address, cidr, node_mac, route, set, up, veth, with_nodes};

/// A node whose `eth0` is up, with addresses of both families.
fn with_node(test: impl FnOnce(&mut Spaces)) {
    with_nodes(1, |lab| {
        lab.apply(0, &[veth(61, 1), up(61)]);
        lab.apply(
            1,
            &[up(16), address(16, "10.0.0.1/24"), address(16, "fd00::1/64")],
        );
        lab.ready(1, 16);
        test(lab);
    });
}

#[test]
fn a_veth_pair_spans_two_namespaces_with_the_numbers_asked_for() {
    with_nodes(1, |lab| {
        let mac = Mac([2, 0, 0, 0, 9, 9]);
        let pair = Change::Veth {
            index: 40,
            name: "v40".into(),
            mac: Some(mac),
            mtu: Some(1400),
            peer: PeerEnd {
                space: 1,
                index: 17,
                name: "eth1".into(),
                mac: Some(node_mac(1)),
            },
        };
        lab.apply(0, &[pair]);
        let (near, far) = (lab.link(0, 40).unwrap(), lab.link(1, 17).unwrap());
        assert_eq!(
            (near.name.as_str(), near.mac, near.mtu, near.admin_up),
            ("v40", Some(mac), 1400, false)
        );
        assert_eq!(
            (far.name.as_str(), far.mac, far.mtu, far.admin_up),
            ("eth1", Some(node_mac(1)), 1400, false)
        );
        assert!(near.peer_elsewhere && near.peer == Some(17) && far.peer == Some(40));
        lab.apply(0, &[Change::Delete { index: 40 }]);
        assert!(lab.link(0, 40).is_none() && lab.link(1, 17).is_none());
    });
}

#[test]
fn both_ends_of_a_pair_may_lie_in_one_namespace() {
    with_nodes(0, |lab| {
        let pair = Change::Veth {
            index: 16,
            name: "v16".into(),
            mac: None,
            mtu: None,
            peer: PeerEnd {
                space: 0,
                index: 17,
                name: "v17".into(),
                mac: None,
            },
        };
        lab.apply(0, &[pair, up(16), up(17)]);
        lab.ready(0, 16);
        assert!(!lab.link(0, 16).unwrap().peer_elsewhere);
    });
}

#[test]
fn a_bridge_and_an_ifb_are_made_as_a_switch_and_a_shadow_need_them() {
    with_nodes(0, |lab| {
        lab.apply(
            0,
            &[
                Change::Bridge {
                    index: 16,
                    name: "br16".into(),
                    mac: Some(Mac([2, 0, 0, 0, 0, 1])),
                    mtu: Some(9000),
                },
                Change::Ifb {
                    index: 1_000_000,
                    name: "x0".into(),
                },
            ],
        );
        let bridge = lab.link(0, 16).unwrap();
        assert_eq!((bridge.kind.as_deref(), bridge.mtu), (Some("bridge"), 9000));
        assert_eq!(lab.link(0, 1_000_000).unwrap().kind.as_deref(), Some("ifb"));
        if let Some((_, text)) = lab.program(0, "ip -d link show br16") {
            for word in ["forward_delay 0 ", "stp_state 0 ", "mcast_snooping 0 "] {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
        lab.apply(
            0,
            &[Change::Delete { index: 16 }, Change::Delete { index: 1_000_000 }],
        );
        assert_eq!(lab.batch(0).links().unwrap().len(), 1, "loopback alone");
    });
}

#[test]
fn each_property_is_set_and_set_back() {
    with_nodes(1, |lab| {
        lab.apply(
            0,
            &[
                veth(61, 1),
                Change::Bridge {
                    index: 20,
                    name: "br20".into(),
                    mac: None,
                    mtu: None,
                },
            ],
        );
        let all = LinkSet {
            up: Some(true),
            mtu: Some(2000),
            gso_ipv4_max: Some(180_000),
            mac: Some(Mac([2, 0, 0, 0, 0, 7])),
            bridge: Some(20),
            noarp: Some(true),
            addrgen: Some(false),
            forward_ipv4: true,
            name: Some("other".into()),
            alias: Some("an alias".into()),
        };
        lab.apply(0, &[set(61, all)]);
        let link = lab.link(0, 61).unwrap();
        assert!(link.admin_up && link.mtu == 2000 && link.mac == Some(Mac([2, 0, 0, 0, 0, 7])));
        assert_eq!((link.bridge, link.name.as_str()), (Some(20), "other"));
        assert_eq!(link.alias.as_deref(), Some("an alias"));
        if let Some((_, text)) = lab.program(0, "ip -d link show other") {
            assert!(
                text.contains("NOARP") && text.contains("addrgenmode none"),
                "{text}"
            );
            assert!(text.contains("numtxqueues 1 "), "{text}");
            // iproute2 and kernels before 6.3 know no such sizes.
            assert!(
                !text.contains("gso_ipv4_max_size")
                    || text.contains("gso_ipv4_max_size 180000 gro_ipv4_max_size 180000"),
                "{text}"
            );
        }
        let back = LinkSet {
            up: Some(false),
            mtu: Some(1500),
            bridge: Some(0),
            noarp: Some(false),
            addrgen: Some(true),
            alias: Some(String::new()),
            ..LinkSet::default()
        };
        lab.apply(0, &[set(61, back)]);
        let link = lab.link(0, 61).unwrap();
        assert!(!link.admin_up && link.mtu == 1500 && link.bridge.is_none() && link.alias.is_none());
        if let Some((_, text)) = lab.program(0, "ip -d link show other") {
            assert!(
                !text.contains("NOARP") && text.contains("addrgenmode eui64"),
                "{text}"
            );
        }
    });
}

#[test]
fn without_address_generation_an_interface_goes_up_with_no_address() {
    with_nodes(2, |lab| {
        lab.apply(0, &[veth(61, 1), veth(62, 2), up(61), up(62)]);
        let quiet = LinkSet {
            up: Some(true),
            addrgen: Some(false),
            ..LinkSet::default()
        };
        lab.apply(1, &[set(16, quiet)]);
        lab.apply(2, &[up(16)]);
        lab.ready(1, 16);
        lab.ready(2, 16);
        assert_eq!(lab.link(1, 16).unwrap().addresses, []);
        let own = lab.link(2, 16).unwrap().addresses;
        assert!(own.iter().any(|a| a.to_string().starts_with("fe80::")), "{own:?}");
        lab.apply(1, &[address(16, "fe80::7/64")]);
        assert_eq!(lab.link(1, 16).unwrap().addresses, [cidr("fe80::7/64")]);
    });
}

#[test]
fn addresses_come_usable_at_once_and_go() {
    with_node(|lab| {
        let have = lab.link(1, 16).unwrap().addresses;
        assert!(
            have.contains(&cidr("10.0.0.1/24")) && have.contains(&cidr("fd00::1/64")),
            "{have:?}"
        );
        if let Some((_, text)) = lab.program(1, "ip address show dev eth0") {
            assert!(text.contains("10.0.0.1/24 brd 10.0.0.255"), "{text}");
            assert!(text.contains("fd00::1/64 scope global nodad"), "{text}");
            assert!(!text.contains("fd00::1/64 scope global tentative"), "{text}");
        }
        for gone in ["10.0.0.1/24", "fd00::1/64"] {
            lab.apply(
                1,
                &[Change::DelAddress {
                    index: 16,
                    address: cidr(gone),
                }],
            );
            assert!(!lab.link(1, 16).unwrap().addresses.contains(&cidr(gone)));
        }
    });
}

#[test]
fn routes_are_added_replaced_and_deleted() {
    with_node(|lab| {
        let default = route("0.0.0.0/0", "10.0.0.254");
        let default6 = route("::/0", "fd00::fe");
        let onlink = RouteSpec {
            to: cidr("192.168.9.0/24"),
            via: None,
            index: Some(16),
            metric: Some(50),
        };
        for spec in [&default, &default6, &onlink] {
            lab.apply(1, &[Change::AddRoute(spec.clone())]);
            // Again, which replaces it.
            lab.apply(1, &[Change::AddRoute(spec.clone())]);
        }
        lab.apply(1, &[Change::AddRoute(route("0.0.0.0/0", "10.0.0.253"))]);
        let routes = lab.batch(1).routes().unwrap();
        let to = |to: &str| routes.iter().filter(|r| r.to == cidr(to)).collect::<Vec<_>>();
        let [only] = to("0.0.0.0/0")[..] else {
            panic!("{routes:?}");
        };
        assert_eq!(
            (only.via, only.index),
            (Some("10.0.0.253".parse().unwrap()), Some(16))
        );
        assert_eq!(to("::/0").len(), 1, "{routes:?}");
        assert_eq!(to("192.168.9.0/24")[0].metric, 50);
        for spec in [route("0.0.0.0/0", "10.0.0.253"), default6, onlink] {
            lab.apply(1, &[Change::DelRoute(spec.clone())]);
            let routes = lab.batch(1).routes().unwrap();
            assert!(routes.iter().all(|route| route.to != spec.to), "{routes:?}");
        }
    });
}

#[test]
fn a_route_is_deleted_by_its_network_alone() {
    with_node(|lab| {
        let onlink = RouteSpec {
            to: cidr("10.98.0.0/16"),
            via: None,
            index: Some(16),
            metric: None,
        };
        let routes = [
            route("10.99.0.0/16", "10.0.0.254"),
            route("0.0.0.0/0", "10.0.0.254"),
            route("::/0", "fd00::fe"),
            onlink,
        ];
        for route in routes {
            let to = route.to;
            let gone = Change::DelRoute(RouteSpec {
                to,
                via: None,
                index: None,
                metric: None,
            });
            lab.apply(1, &[Change::AddRoute(route)]);
            lab.apply(1, std::slice::from_ref(&gone));
            let routes = lab.batch(1).routes().unwrap();
            assert!(routes.iter().all(|route| route.to != to), "{routes:?}");
            let error = lab.try_apply(1, &[gone]).unwrap_err().error;
            assert!(matches!(error, NetlinkError::NoSuchRoute { .. }), "{error:?}");
            assert!(
                error.to_string().contains(&format!("no route to {to}")),
                "{error}"
            );
            assert_eq!(error.errno(), 3);
        }
        // What is given must fit.
        let kept = route("10.99.0.0/16", "10.0.0.254");
        lab.apply(1, &[Change::AddRoute(kept.clone())]);
        let error = lab
            .try_apply(1, &[Change::DelRoute(route("10.99.0.0/16", "10.0.0.253"))])
            .unwrap_err()
            .error;
        assert!(
            error.to_string().contains("10.99.0.0/16 through 10.0.0.253"),
            "{error}"
        );
        let routes = lab.batch(1).routes().unwrap();
        assert!(routes.iter().any(|route| route.to == kept.to), "{routes:?}");
    });
}

#[test]
fn neighbours_are_fixed_and_forgotten() {
    with_node(|lab| {
        for ip in ["10.0.0.7", "fd00::7"] {
            let ip = ip.parse().unwrap();
            let mac = Mac([2, 0, 0, 0, 0, 7]);
            lab.apply(1, &[Change::AddNeighbour { index: 16, ip, mac }]);
            let mac = Mac([2, 0, 0, 0, 0, 8]);
            lab.apply(1, &[Change::AddNeighbour { index: 16, ip, mac }]);
            let list = lab.batch(1).neighbours().unwrap();
            let [one] = list.iter().filter(|n| n.ip == ip).collect::<Vec<_>>()[..] else {
                panic!("{list:?}");
            };
            assert_eq!(
                (one.index, one.mac, one.state.as_str()),
                (16, Some(mac), "permanent")
            );
            lab.apply(1, &[Change::DelNeighbour { index: 16, ip }]);
            let list = lab.batch(1).neighbours().unwrap();
            assert!(list.iter().all(|n| n.ip != ip), "{list:?}");
        }
    });
}

#[test]
fn the_place_of_the_first_failure_is_told_and_nothing_behind_it_is_done() {
    with_nodes(1, |lab| {
        let changes = [
            veth(61, 1),
            up(61),
            set(
                61,
                LinkSet {
                    bridge: Some(99),
                    ..LinkSet::default()
                },
            ),
            Change::Delete { index: 61 },
            Change::Ifb {
                index: 30,
                name: "x30".into(),
            },
        ];
        let error = lab.try_apply(0, &changes).unwrap_err();
        assert_eq!(error.at, 2, "{error}");
        let text = error.to_string();
        assert!(text.contains("v61") && text.contains("bridge #99"), "{text}");
        assert!(lab.link(0, 61).unwrap().admin_up, "what came before stays");
        assert!(lab.link(0, 30).is_none(), "what came behind was not tried");
        // The socket is in step again.
        lab.apply(0, &[Change::Delete { index: 61 }]);
    });
}

#[test]
fn what_is_taken_or_missing_is_named() {
    with_nodes(1, |lab| {
        lab.apply(0, &[veth(61, 1)]);
        let of = |index: u32, name: &str, space: u32, far: u32, far_name: &str| Change::Veth {
            index,
            name: name.into(),
            mac: None,
            mtu: None,
            peer: PeerEnd {
                space,
                index: far,
                name: far_name.into(),
                mac: None,
            },
        };
        let error = lab.refused(0, of(17, "v61", 1, 17, "eth1"));
        assert!(
            matches!(&error, NetlinkError::Exists { name, .. } if name == "v61"),
            "{error:?}"
        );
        let error = lab.refused(0, of(17, "v17", 1, 17, "eth0"));
        assert!(
            matches!(&error, NetlinkError::Exists { name, .. } if name == "eth0"),
            "{error:?}"
        );
        // The number of either end.
        for (taken, change) in [
            (61, of(61, "v17", 1, 17, "eth1")),
            (16, of(17, "v17", 1, 16, "eth1")),
        ] {
            let error = lab.refused(0, change);
            assert!(
                matches!(error, NetlinkError::NumberTaken { number, .. } if number == taken),
                "{error:?}"
            );
        }
        let error = lab.refused(0, of(17, "v17", 9, 17, "eth1"));
        assert!(
            error
                .to_string()
                .contains("no network namespace with the number 9"),
            "{error}"
        );
        for change in [up(77), Change::Delete { index: 77 }] {
            let error = lab.refused(0, change);
            assert!(matches!(error, NetlinkError::NoSuchInterface { .. }), "{error:?}");
        }
        assert_eq!(lab.batch(0).links().unwrap().len(), 2, "loopback and v61");
        assert_eq!(lab.batch(1).links().unwrap().len(), 2, "loopback and eth0");
    });
}

#[test]
fn the_kernel_s_own_sentence_is_part_of_the_refusal() {
    with_node(|lab| {
        let error = lab.refused(1, address(16, "10.0.0.1/24"));
        assert_eq!(error.errno(), 17);
        assert!(
            error.kernel_text().is_some() && error.to_string().contains("eth0"),
            "{error}"
        );
        let error = lab.refused(1, Change::AddRoute(route("10.9.0.0/16", "172.16.0.1")));
        assert!(
            error.kernel_text().unwrap().contains("invalid gateway"),
            "{error}"
        );
        assert!(
            error.to_string().contains("10.9.0.0/16 through 172.16.0.1"),
            "{error}"
        );
        let error = lab.refused(
            0,
            Change::Redirect {
                index: 61,
                prio: 2,
                to: 61,
                into: Into::Egress,
            },
        );
        assert!(error.to_string().contains("redirect v61"), "{error}");
        let wire = serde_json::to_string(&error).unwrap();
        let back: NetlinkError = serde_json::from_str(&wire).unwrap();
        assert_eq!(back.to_string(), error.to_string());
        assert_eq!(
            (back.errno(), back.kernel_text()),
            (error.errno(), error.kernel_text())
        );
    });
}

#[test]
fn without_net_admin_the_missing_capability_is_named() {
    with_nodes(1, |lab| {
        let namespace = lab.namespace(0).clone();
        let error = namespace
            .run(|| {
                let mut batch = Batch::open().unwrap();
                rustix::thread::set_capabilities(
                    None,
                    CapabilitySets {
                        effective: CapabilitySet::empty(),
                        permitted: CapabilitySet::empty(),
                        inheritable: CapabilitySet::empty(),
                    },
                )
                .unwrap();
                batch.apply(&[&up(1)], &|_| None).unwrap_err()
            })
            .unwrap();
        assert!(matches!(error.error, NetlinkError::Privilege { .. }), "{error:?}");
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    });
}
