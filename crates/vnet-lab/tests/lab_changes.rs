//! Networks change while they run, whole or not at all.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{as_root_and_user, close, network, run, soon, spec, up};
use vnet_lab::{LabError, Network, PingAllOptions, PingOptions, PingReport, Target, never};
use vnet_netlink::Change;
use vnet_sandbox::{SandboxError, Space, Step};
use vnet_topology::{LinkSpec, NodeKind, NodeSpec};

fn ping(net: &Network, from: &str, to: &str) -> PingReport {
    let options = PingOptions {
        count: 2,
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(500),
        ..PingOptions::default()
    };
    net.ping(from, &Target::parse(to), &options, &never).unwrap()
}

fn reaches(net: &Network, from: &str, to: &str) -> bool {
    ping(net, from, to).received == 2
}

fn all_reach(net: &Network) {
    let options = PingAllOptions {
        ipv6: true,
        ..PingAllOptions::default()
    };
    let matrix = net.ping_all(&options, &never).unwrap();
    let lost: Vec<_> = matrix.pairs.iter().filter(|pair| pair.rtt_ns.is_none()).collect();
    assert!(lost.is_empty(), "{:?}: {lost:?}", matrix.hosts);
}

/// Names and numbers of all interfaces, the lab's own and those of the nodes.
fn inventory(net: &Network) -> Vec<(u32, u32, String)> {
    let lab = net.lab().unwrap();
    let plan = net.resolved().unwrap();
    let nodes = plan.nodes.iter().filter(|node| node.kind != NodeKind::Switch);
    let spaces = nodes.map(|node| net.space(&node.name).unwrap());
    let mut all = Vec::new();
    for space in std::iter::once(Space::LAB).chain(spaces) {
        let links = lab.links(space).unwrap();
        all.extend(links.into_iter().map(|link| (space.0, link.index, link.name)));
    }
    all.sort();
    all
}

fn in_lab(change: Change) -> Step {
    Step::Net { space: 0, change }
}

#[test]
fn nodes_and_links_come_and_go() {
    as_root_and_user("nodes_and_links_come_and_go", || {
        let net = up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("h2", "s1")]));
        let before = inventory(&net);
        net.add_node(NodeSpec::new("h3", NodeKind::Host)).unwrap();
        assert_eq!(net.add_link(LinkSpec::new("h3", "s1")).unwrap(), "h3-s1");
        all_reach(&net);
        net.add_node(NodeSpec::new("s2", NodeKind::Switch)).unwrap();
        net.add_link(LinkSpec::new("s1", "s2")).unwrap();
        net.add_node(NodeSpec::new("h4", NodeKind::Host)).unwrap();
        net.add_link(LinkSpec::new("h4", "s2")).unwrap();
        all_reach(&net);
        let hosts = run(&net, "h1", "cat /etc/hosts");
        assert!(hosts.contains("h4"), "{hosts}");
        net.remove_link("s1-s2").unwrap();
        assert!(!reaches(&net, "h1", "h4"));
        assert!(reaches(&net, "h1", "h3"));
        net.remove_node("h4").unwrap();
        net.remove_node("s2").unwrap();
        net.remove_node("h3").unwrap();
        assert_eq!(inventory(&net), before);
        assert!(matches!(net.space("h3"), Err(LabError::Unknown { .. })));
        all_reach(&net);
        close(&net);
        assert!(matches!(net.start(&never), Err(LabError::Closed { .. })));
    });
}

#[test]
fn a_refused_link_leaves_nothing() {
    as_root_and_user("a_refused_link_leaves_nothing", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let lab = net.lab().unwrap();
        // Somebody else has the number of the second end of the next link.
        let taken = 4_096 + net.resolved().unwrap().next_id + 1;
        let foreign = Change::Bridge {
            index: taken,
            name: "foreign".into(),
            mac: None,
            mtu: None,
        };
        lab.apply(&[in_lab(foreign)]).unwrap();
        let (before, declared) = (inventory(&net), net.spec());
        let refused = net.add_link(LinkSpec::new("h1", "h2")).unwrap_err();
        let LabError::Refused { of, .. } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(of, "link h1-h2-2", "{refused}");
        assert_eq!(inventory(&net), before);
        assert_eq!(net.spec(), declared);
        assert!(reaches(&net, "h1", "h2"));
        lab.apply(&[in_lab(Change::Delete { index: taken })]).unwrap();
        net.add_link(LinkSpec::new("h1", "h2")).unwrap();
        assert_eq!(net.interfaces("h1").unwrap().len(), 3);
        close(&net);
    });
}

#[test]
fn a_refused_start_leaves_nothing() {
    as_root_and_user("a_refused_start_leaves_nothing", || {
        let mut bad = spec(&["h1", "h2", "h3"], &[], &[], &[("h1", "h2"), ("h2", "h3")]);
        bad.name = Some("refused-start".into());
        bad.nodes[2]
            .sysctls
            .insert("net.ipv4.conf.eth0.there_is_no_such_thing".into(), "1".into());
        let net = network(bad);
        let refused = net.start(&never).unwrap_err();
        let LabError::Refused { of, source } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(of, "host h3");
        assert!(source.to_string().contains("there_is_no_such_thing"), "{source}");
        assert!(!net.is_started());
        let labs = vnet_sandbox::labs();
        assert!(labs.iter().all(|lab| lab.name != "refused-start"), "{labs:?}");
        net.remove_node("h3").unwrap();
        assert!(reaches(&net, "h1", "h2"));
        close(&net);
    });
}

#[test]
fn a_cancelled_start_leaves_nothing() {
    as_root_and_user("a_cancelled_start_leaves_nothing", || {
        let net = up(spec(&[], &[], &[], &[]));
        close(&net);
        let mut spec = spec(&["h1"], &[], &[], &[]);
        spec.name = Some("cancelled".into());
        let net = network(spec);
        assert!(matches!(net.start(&|| true), Err(LabError::Cancelled { .. })));
        assert!(vnet_sandbox::labs().iter().all(|lab| lab.name != "cancelled"));
        net.start(&never).unwrap();
        close(&net);
    });
}

#[test]
fn a_dead_helper_is_an_error_and_not_a_hang() {
    as_root_and_user("a_dead_helper_is_an_error_and_not_a_hang", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let helper = net.lab().unwrap().info().helper;
        let pid = rustix::process::Pid::from_raw(helper as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        // What was asked before the signal reached it may still be answered.
        let error = (3..)
            .find_map(|n| net.add_node(NodeSpec::new(format!("h{n}"), NodeKind::Host)).err())
            .unwrap();
        let LabError::Refused { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(matches!(**source, SandboxError::LabClosed { .. }), "{source:?}");
        close(&net);
    });
}

#[test]
fn a_node_sees_its_link_go_down_and_come_up() {
    as_root_and_user("a_node_sees_its_link_go_down_and_come_up", || {
        let links = [("h1", "s1"), ("h2", "s1"), ("h1", "h2")];
        let net = up(spec(&["h1", "h2"], &["s1"], &[], &links));
        let carrier = |node: &str, name: &str| {
            let links = net.interfaces(node).unwrap();
            links.iter().find(|link| link.name == name).unwrap().carrier
        };
        for (link, interface) in [("h1-s1", "eth0"), ("h1-h2", "eth1")] {
            assert!(carrier("h1", interface));
            net.set_link_up(link, false).unwrap();
            let state = net.link_state(link).unwrap();
            assert!(!state.up && !state.carrier, "{state:?}");
            soon("no carrier", || !carrier("h1", interface));
            net.set_link_up(link, true).unwrap();
            soon("a carrier", || carrier("h1", interface));
            let state = net.link_state(link).unwrap();
            assert!(state.up && state.carrier && !state.engine, "{state:?}");
        }
        net.set_link_up("h1-h2", false).unwrap();
        assert!(reaches(&net, "h1", "h2"), "the switch still joins them");
        net.set_link_up("h1-s1", false).unwrap();
        assert!(!reaches(&net, "h1", "h2"));
        net.set_link_up("h1-s1", true).unwrap();
        // A host asks for its neighbour's address once a second.
        soon("an answer", || reaches(&net, "h1", "h2"));
        close(&net);
    });
}

#[test]
fn a_ring_of_routers_carries_between_all_hosts() {
    as_root_and_user("a_ring_of_routers_carries_between_all_hosts", || {
        let links = [
            ("r1", "r2"),
            ("r2", "r3"),
            ("r3", "r1"),
            ("h1", "r1"),
            ("h2", "r2"),
            ("h3", "r3"),
        ];
        let net = up(spec(&["h1", "h2", "h3"], &[], &["r1", "r2", "r3"], &links));
        all_reach(&net);
        let report = ping(&net, "h1", "h3");
        assert!(report.replies.iter().all(|reply| reply.unwrap().hop_limit == 62));
        let short = PingOptions {
            count: 1,
            hop_limit: Some(1),
            timeout: Duration::from_millis(300),
            ..PingOptions::default()
        };
        for ipv6 in [false, true] {
            let options = PingOptions {
                ipv6,
                ..short.clone()
            };
            let report = net.ping("h1", &Target::parse("h3"), &options, &never).unwrap();
            assert_eq!(report.received, 0);
            assert!(
                report
                    .errors
                    .iter()
                    .any(|error| error.contains("hop limit exceeded")),
                "{report:?}"
            );
        }
        // A fourth router between two of them changes nobody's addresses, and everybody reaches its host.
        net.add_node(NodeSpec::new("r4", NodeKind::Router)).unwrap();
        net.add_node(NodeSpec::new("h4", NodeKind::Host)).unwrap();
        net.add_link(LinkSpec::new("r4", "r1")).unwrap();
        net.add_link(LinkSpec::new("r4", "r3")).unwrap();
        net.add_link(LinkSpec::new("h4", "r4")).unwrap();
        all_reach(&net);
        // A link that is down keeps its routes, and is no hindrance to others.
        net.set_link_up("r2-r3", false).unwrap();
        net.add_node(NodeSpec::new("h5", NodeKind::Host)).unwrap();
        net.add_link(LinkSpec::new("h5", "r4")).unwrap();
        net.set_link_up("r2-r3", true).unwrap();
        all_reach(&net);
        // Somebody else has taken a route away that goes with the link.
        let gone = net.routes("r3").unwrap();
        run(
            &net,
            "r3",
            "ip route flush proto boot; ip route flush proto static; ip -6 route flush proto static",
        );
        assert!(net.routes("r3").unwrap().len() < gone.len());
        net.remove_link("r3-r1").unwrap();
        assert!(reaches(&net, "h1", "h2"));
        net.add_link(LinkSpec::new("r3", "r1")).unwrap();
        net.remove_node("h5").unwrap();
        net.remove_node("r4").unwrap();
        assert!(reaches(&net, "h1", "h3"));
        close(&net);
    });
}

#[test]
fn a_node_may_go_without_ipv6() {
    as_root_and_user("a_node_may_go_without_ipv6", || {
        let mut spec = spec(&["h1", "h2"], &[], &["r1"], &[("h1", "r1"), ("h2", "r1")]);
        let off = ("net.ipv6.conf.all.disable_ipv6".to_owned(), "1".to_owned());
        spec.nodes[0].sysctls.extend([
            off.clone(),
            ("net.ipv6.conf.default.disable_ipv6".into(), "1".into()),
        ]);
        spec.links[0].up = false;
        let net = up(spec);
        assert!(!reaches(&net, "h1", "h2"));
        net.set_link_up("h1-r1", true).unwrap();
        soon("an answer", || reaches(&net, "h1", "h2"));
        assert!(
            net.interfaces("h1")
                .unwrap()
                .iter()
                .all(|link| link.addresses.iter().all(|own| own.ip.is_ipv4()))
        );
        close(&net);
    });
}

#[test]
fn equal_labs_do_not_see_each_other() {
    as_root_and_user("equal_labs_do_not_see_each_other", || {
        let make = || up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("h2", "s1")]));
        let (one, other) = (make(), make());
        assert_eq!(one.resolved().unwrap().nodes, other.resolved().unwrap().nodes);
        one.set_link_up("h2-s1", false).unwrap();
        assert!(!reaches(&one, "h1", "h2"));
        assert!(reaches(&other, "h1", "h2"));
        close(&one);
        assert!(reaches(&other, "h1", "h2"));
        close(&other);
    });
}

#[test]
fn a_node_is_set_up_by_hand() {
    as_root_and_user("a_node_is_set_up_by_hand", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        net.add_address("h2", "eth0", "192.0.2.2/24".parse().unwrap())
            .unwrap();
        assert!(!reaches(&net, "h1", "192.0.2.2"));
        let way = net.resolved().unwrap().node("h2").unwrap().1.interfaces[0].clone();
        let to = "192.0.2.0/24".parse().unwrap();
        net.add_route("h1", to, Some(way.addresses[0].ip), None, None)
            .unwrap();
        assert!(reaches(&net, "h1", "192.0.2.2"));
        assert!(net.routes("h1").unwrap().iter().any(|route| route.to == to));
        net.add_neighbour("h1", "eth0", "10.0.0.77".parse().unwrap(), way.mac)
            .unwrap();
        let known = net.neighbours("h1").unwrap();
        assert!(
            known
                .iter()
                .any(|known| known.state == "permanent" && known.mac == Some(way.mac)),
            "{known:?}"
        );
        net.del_neighbour("h1", "eth0", "10.0.0.77".parse().unwrap())
            .unwrap();
        net.del_route("h1", to, Some(way.addresses[0].ip), None, None)
            .unwrap();
        net.del_address("h2", "eth0", "192.0.2.2/24".parse().unwrap())
            .unwrap();
        assert!(!reaches(&net, "h1", "192.0.2.2"));
        net.set_sysctl("h1", "net.ipv4.icmp_echo_ignore_all", "1")
            .unwrap();
        assert_eq!(net.sysctl("h1", "net.ipv4.icmp_echo_ignore_all").unwrap(), "1");
        assert!(!reaches(&net, "h2", "h1"));
        assert!(matches!(
            net.add_address("h1", "eth9", "192.0.2.1/24".parse().unwrap()),
            Err(LabError::Unknown { .. })
        ));
        close(&net);
    });
}

#[test]
fn a_link_whose_second_end_is_refused_stays_as_it_was() {
    as_root_and_user("a_link_whose_second_end_is_refused_stays_as_it_was", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let lab = net.lab().unwrap();
        let is_up = |index| {
            let present = lab.links(Space::LAB).unwrap();
            present.iter().any(|link| link.index == index && link.admin_up)
        };
        let (first, second) = (4_097, 4_098);
        assert!(is_up(first) && is_up(second));
        lab.apply(&[in_lab(Change::Delete { index: second })]).unwrap();
        let error = net.set_link_up("h1-h2", false).unwrap_err();
        assert!(matches!(error, LabError::Refused { .. }), "{error}");
        assert!(is_up(first) && net.link_state("h1-h2").unwrap().up);
        close(&net);
    });
}

#[test]
fn a_number_that_is_taken_is_in_the_way_once() {
    as_root_and_user("a_number_that_is_taken_is_in_the_way_once", || {
        let net = up(spec(&["h1", "h2", "h3"], &[], &[], &[("h1", "h2")]));
        let theirs = Change::Ifb {
            index: 4_099,
            name: "theirs".into(),
        };
        net.lab().unwrap().apply(&[in_lab(theirs)]).unwrap();
        let before = inventory(&net);
        let error = net.add_link(LinkSpec::new("h2", "h3")).unwrap_err();
        assert!(error.to_string().contains("4099"), "{error}");
        assert_eq!(inventory(&net), before);
        net.set_link_up("h1-h2", true).unwrap();
        net.add_link(LinkSpec::new("h2", "h3")).unwrap();
        assert!(reaches(&net, "h2", "h3") && reaches(&net, "h1", "h2"));
        close(&net);
    });
}

#[test]
fn a_node_goes_though_its_namespace_has_gone_before() {
    as_root_and_user("a_node_goes_though_its_namespace_has_gone_before", || {
        let net = up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("h2", "s1")]));
        let Space(space) = net.space("h2").unwrap();
        net.lab().unwrap().apply(&[Step::DropNode { space }]).unwrap();
        net.remove_node("h2").unwrap();
        assert!(net.resolved().unwrap().node("h2").is_none());
        net.add_node(NodeSpec::new("h2", NodeKind::Host)).unwrap();
        net.add_link(LinkSpec::new("h2", "s1")).unwrap();
        all_reach(&net);
        close(&net);
    });
}
