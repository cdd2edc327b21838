//! What the kernel is asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use vnet_netlink::{Batch, Change, Interface, Mac};

use crate::space::{Spaces, address, cidr, node_mac, set, up, veth, wait_for, with_nodes};

/// A bridge 20 in the lab, and that many nodes at its ports 31, 32, ...
fn switch(lab: &mut Spaces, nodes: u32) {
    let bridge = Change::Bridge {
        index: 20,
        name: "br20".into(),
        mac: Some(Mac([2, 0, 0, 0, 20, 0])),
        mtu: None,
    };
    lab.apply(0, &[bridge, up(20)]);
    for node in 1..=nodes {
        let port = vnet_netlink::LinkSet {
            up: Some(true),
            bridge: Some(20),
            ..Default::default()
        };
        lab.apply(0, &[veth(30 + node, node), set(30 + node, port)]);
        lab.apply(node, &[up(16), address(16, &format!("10.0.0.{node}/24"))]);
    }
    for node in 1..=nodes {
        lab.ready(node, 16);
        lab.ready(0, 30 + node);
    }
}

#[test]
fn a_bridge_tells_what_it_has_learnt_and_forgets_it() {
    with_nodes(2, |lab| {
        switch(lab, 2);
        // Another bridge, whose entries are not this one's.
        let other = Change::Bridge {
            index: 21,
            name: "br21".into(),
            mac: Some(Mac([2, 0, 0, 0, 21, 0])),
            mtu: None,
        };
        lab.apply(0, &[other, up(21)]);
        let (ok, text) = lab.program(1, "ping -c 1 -W 5 10.0.0.2").unwrap();
        assert!(ok, "{text}");
        let learnt = |lab: &mut Spaces| -> Vec<_> {
            let all = lab.batch(0).fdb(20).unwrap();
            all.into_iter().filter(|entry| !entry.is_local).collect()
        };
        let entries = learnt(lab);
        for node in [1, 2] {
            let [entry] = entries
                .iter()
                .filter(|e| e.mac == node_mac(node))
                .collect::<Vec<_>>()[..]
            else {
                panic!("{entries:?}");
            };
            assert_eq!((entry.port, entry.vlan), (30 + node, None));
        }
        let all = lab.batch(0).fdb(20).unwrap();
        assert!(
            all.iter()
                .any(|e| e.is_local && e.port == 20 && e.mac == Mac([2, 0, 0, 0, 20, 0])),
            "{all:?}"
        );
        assert!(all.iter().all(|e| e.mac != Mac([2, 0, 0, 0, 21, 0])), "{all:?}");
        // The nodes' own chatter may be learnt right behind a flush.
        wait_for("nothing learnt after a flush", || {
            lab.apply(0, &[Change::FlushFdb { bridge: 20 }]);
            learnt(lab).is_empty()
        });
        let error = lab.refused(0, Change::FlushFdb { bridge: 31 });
        assert!(error.to_string().contains("v31"), "{error}");
        assert!(lab.batch(0).fdb(9999).is_err());
    });
}

#[test]
fn resolved_and_unresolved_neighbours_are_listed() {
    with_nodes(2, |lab| {
        switch(lab, 2);
        let (ok, text) = lab.program(1, "ping -c 1 -W 5 10.0.0.2").unwrap();
        assert!(ok, "{text}");
        let list = lab.batch(1).neighbours().unwrap();
        let found = list.iter().find(|n| n.ip.to_string() == "10.0.0.2").unwrap();
        assert_eq!((found.index, found.mac), (16, Some(node_mac(2))));
        assert!(
            ["reachable", "stale", "delay"].contains(&found.state.as_str()),
            "{found:?}"
        );
        lab.namespace(1)
            .run(|| {
                std::net::UdpSocket::bind("0.0.0.0:0")
                    .unwrap()
                    .send_to(b"x", "10.0.0.99:9")
            })
            .unwrap()
            .unwrap();
        let list = lab.batch(1).neighbours().unwrap();
        let nobody = list.iter().find(|n| n.ip.to_string() == "10.0.0.99").unwrap();
        assert_eq!((nobody.mac, nobody.state.as_str()), (None, "incomplete"));
    });
}

#[test]
fn routes_of_both_families_and_several_next_hops_are_listed() {
    with_nodes(1, |lab| {
        lab.apply(0, &[veth(61, 1), up(61)]);
        assert_eq!(lab.batch(1).routes().unwrap(), [], "none in a fresh namespace");
        lab.apply(
            1,
            &[up(16), address(16, "10.0.0.1/24"), address(16, "fd00::1/64")],
        );
        lab.ready(1, 16);
        let routes = lab.batch(1).routes().unwrap();
        let own = routes.iter().find(|r| r.to == cidr("10.0.0.0/24")).unwrap();
        assert_eq!((own.protocol.as_str(), own.kind.as_str()), ("kernel", "unicast"));
        assert_eq!((own.index, own.via), (Some(16), None));
        assert_eq!(own.source, Some("10.0.0.1".parse().unwrap()));
        assert!(
            routes
                .iter()
                .any(|r| r.to == cidr("fd00::/64") && r.protocol == "kernel")
        );
        assert!(
            routes.iter().all(|r| r.to.prefix != 32),
            "no local table: {routes:?}"
        );
        let line = "ip route add 10.9.0.0/16 nexthop via 10.0.0.7 nexthop via 10.0.0.8";
        let Some((true, _)) = lab.program(1, line) else {
            eprintln!("skipped the next hops: no iproute2, or a kernel without multipath");
            return;
        };
        lab.program(1, "ip route add blackhole 10.10.0.0/16");
        let routes = lab.batch(1).routes().unwrap();
        let hops: Vec<_> = routes
            .iter()
            .filter(|r| r.to == cidr("10.9.0.0/16"))
            .map(|r| (r.via.unwrap().to_string(), r.index))
            .collect();
        assert_eq!(
            hops,
            [
                ("10.0.0.7".to_owned(), Some(16)),
                ("10.0.0.8".to_owned(), Some(16))
            ]
        );
        let hole = routes.iter().find(|r| r.to == cidr("10.10.0.0/16")).unwrap();
        assert_eq!((hole.kind.as_str(), hole.index), ("blackhole", None));
    });
}

#[test]
fn a_thousand_interfaces_are_listed_whole() {
    with_nodes(0, |lab| {
        for index in 100..1100 {
            let name = format!("x{index}");
            lab.apply(0, &[Change::Ifb { index, name }]);
        }
        let links = lab.batch(0).links().unwrap();
        let numbers: Vec<_> = links
            .iter()
            .map(|link| link.index)
            .filter(|i| *i >= 100)
            .collect();
        assert_eq!(numbers, (100..1100).collect::<Vec<_>>());
    });
}

#[test]
fn a_listing_lacks_nothing_while_others_come_and_go() {
    with_nodes(0, |lab| {
        let ifb = |index| Change::Ifb {
            index,
            name: format!("x{index}"),
        };
        for index in 300..700 {
            lab.apply(0, &[ifb(index)]);
        }
        let namespace = lab.namespace(0).clone();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut batch = namespace.run(Batch::open).unwrap().unwrap();
                while !done.load(Ordering::Relaxed) {
                    let (make, delete) = (ifb(100), Change::Delete { index: 100 });
                    batch.apply(&[&make, &delete], &|_| None).unwrap();
                }
            });
            for _ in 0..30 {
                let links = lab.batch(0).links();
                let lasting = links.unwrap().iter().filter(|link| link.index >= 300).count();
                if lasting != 400 {
                    done.store(true, Ordering::Relaxed);
                }
                assert_eq!(lasting, 400);
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn counters_and_addresses_come_with_the_interface() {
    with_nodes(2, |lab| {
        switch(lab, 2);
        let before = lab.link(1, 16).unwrap();
        assert_eq!(before.addresses.iter().filter(|a| a.ip.is_ipv4()).count(), 1);
        let (ok, text) = lab.program(1, "ping -c 3 -i 0.01 -W 5 10.0.0.2").unwrap();
        assert!(ok, "{text}");
        wait_for("three more frames counted", || {
            let link: Interface = lab.link(1, 16).unwrap();
            link.stats.rx_packets >= before.stats.rx_packets + 3
                && link.stats.tx_packets >= before.stats.tx_packets + 3
        });
    });
}
