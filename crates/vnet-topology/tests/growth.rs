//! A network that changes while it runs keeps what was decided.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use vnet_topology::{EndSpec, LinkSpec, NodeKind, NodeSpec, Resolved, Spec, resolve};

fn spec(lab: &str) -> Spec {
    Spec::from_toml(lab, "lab.toml").unwrap()
}

fn add(spec: &mut Spec, node: &str, kind: NodeKind, to: &str) {
    spec.nodes.push(NodeSpec::new(node, kind));
    link(spec, node, to);
}

fn link(spec: &mut Spec, a: &str, b: &str) {
    let name = spec.free_link_name(a, b);
    spec.links.push(LinkSpec {
        name: Some(name),
        ..LinkSpec::new(a, b)
    });
}

fn first_address(plan: &Resolved, node: &str, interface: usize) -> String {
    plan.node(node).unwrap().1.interfaces[interface].addresses[0].to_string()
}

const LAN: &str = "ipv6 = false\nhosts = [\"h1\", \"h2\"]\nswitches = [\"s1\"]\nlinks = [[\"h1\", \"s1\"], [\"h2\", \"s1\"]]\n";

#[test]
fn what_was_decided_stays_when_nodes_and_links_come() {
    let mut spec = spec(LAN);
    let before = resolve(&spec, None).unwrap();
    add(&mut spec, "h3", NodeKind::Host, "s1");
    add(&mut spec, "r1", NodeKind::Router, "s1");
    link(&mut spec, "h1", "h2");
    let after = resolve(&spec, Some(&before)).unwrap();
    for (old, new) in before.nodes.iter().zip(&after.nodes) {
        assert_eq!(old.interfaces[..], new.interfaces[..old.interfaces.len()]);
    }
    assert_eq!(
        first_address(&after, "r1", 0),
        "10.0.0.3/24",
        "the numbers before are taken"
    );
    assert_eq!(first_address(&after, "h3", 0), "10.0.0.4/24");
    assert_eq!(first_address(&after, "h1", 1), "10.0.1.1/24");
    assert_eq!(after.nodes[0].interfaces[1].name, "eth1");
    assert_eq!(after.nodes[0].routes[0].via.to_string(), "10.0.0.3");
    assert_eq!(
        resolve(&spec, Some(&after)).unwrap(),
        after,
        "a plan is its own successor"
    );
}

#[test]
fn a_link_that_goes_leaves_names_and_addresses_of_the_others() {
    let mut spec =
        spec("ipv6 = false\nhosts = [\"a\", \"b\", \"c\"]\nlinks = [[\"a\", \"b\"], [\"a\", \"c\"]]\n");
    let before = resolve(&spec, None).unwrap();
    spec.links.remove(0);
    let after = resolve(&spec, Some(&before)).unwrap();
    let kept = &after.node("a").unwrap().1.interfaces[0];
    assert_eq!((kept.name.as_str(), kept.number), ("eth1", 1));
    assert_eq!(kept.addresses, before.nodes[0].interfaces[1].addresses);
    assert_eq!(kept.id, before.nodes[0].interfaces[1].id);
    link(&mut spec, "a", "b");
    let again = resolve(&spec, Some(&after)).unwrap();
    let fresh = &again.node("a").unwrap().1.interfaces[1];
    assert_eq!((fresh.name.as_str(), fresh.number), ("eth0", 0));
    assert!(
        fresh.id
            > before
                .nodes
                .iter()
                .flat_map(|node| &node.interfaces)
                .map(|i| i.id)
                .max()
                .unwrap()
    );
    assert_eq!(again.link("a-b").unwrap().0, 1);
}

#[test]
fn a_segment_that_is_taken_apart_keeps_its_addresses() {
    let mut spec = spec(
        "ipv6 = false\nhosts = [\"h1\", \"h2\", \"h3\", \"h4\"]\nrouters = [\"r\"]\nswitches = [\"s1\", \"s2\"]\n\
         links = [[\"h1\", \"s1\"], [\"h2\", \"s1\"], [\"h3\", \"s2\"], [\"h4\", \"s2\"], [\"r\", \"s1\"], [\"s1\", \"s2\"]]\n",
    );
    let before = resolve(&spec, None).unwrap();
    assert_eq!(before.segments.len(), 1);
    spec.links.pop();
    let apart = resolve(&spec, Some(&before)).unwrap();
    assert_eq!(apart.segments.len(), 2);
    assert_eq!(first_address(&apart, "h3", 0), first_address(&before, "h3", 0));
    assert_eq!(apart.node("h1").unwrap().1.routes.len(), 1);
    assert_eq!(
        apart.node("h3").unwrap().1.routes.len(),
        0,
        "the router is in the other half"
    );
    add(&mut spec, "h5", NodeKind::Host, "s2");
    let grown = resolve(&spec, Some(&apart)).unwrap();
    assert_eq!(
        first_address(&grown, "h5", 0),
        "10.0.0.6/24",
        "unique in both halves"
    );
    link(&mut spec, "s1", "s2");
    assert_eq!(resolve(&spec, Some(&grown)).unwrap().segments.len(), 1);
}

#[test]
fn a_later_explicit_address_may_not_take_an_automatic_one() {
    let mut spec = spec(LAN);
    let before = resolve(&spec, None).unwrap();
    let mut late = NodeSpec::new("late", NodeKind::Host);
    late.ip = vec!["10.0.0.2/24".parse().unwrap()];
    spec.nodes.push(late);
    link(&mut spec, "late", "s1");
    let refused = resolve(&spec, Some(&before)).unwrap_err().to_string();
    assert_eq!(
        refused,
        "ip of host late: the address 10.0.0.2 is taken by ip of link h2-s1 at h2; take another, or leave it out"
    );
    assert!(
        resolve(&spec, None).is_ok(),
        "at the start explicit addresses come first"
    );
}

#[test]
fn a_later_explicit_mac_may_not_take_an_automatic_one() {
    let mut spec = spec(LAN);
    let before = resolve(&spec, None).unwrap();
    spec.nodes.push(NodeSpec::new("late", NodeKind::Host));
    spec.links.push(LinkSpec {
        a: EndSpec {
            mac: Some("02:00:00:00:00:01".parse().unwrap()),
            ..EndSpec::new("late")
        },
        ..LinkSpec::new("late", "s1")
    });
    let refused = resolve(&spec, Some(&before)).unwrap_err().to_string();
    assert!(
        refused.contains("the Ethernet address 02:00:00:00:00:01"),
        "{refused}"
    );
    assert!(refused.contains("late") && refused.contains("h1"), "{refused}");
}

#[test]
fn a_full_network_says_so_when_one_more_host_comes() {
    let mut spec = spec(LAN);
    spec.ipv4 = Some("10.0.0.0/29".parse().unwrap());
    let mut plan = resolve(&spec, None).unwrap();
    for number in 3..=6 {
        add(&mut spec, &format!("h{number}"), NodeKind::Host, "s1");
        plan = resolve(&spec, Some(&plan)).unwrap();
    }
    add(&mut spec, "h7", NodeKind::Host, "s1");
    let refused = resolve(&spec, Some(&plan)).unwrap_err().to_string();
    assert!(
        refused.contains("10.0.0.0/29 has no free address left for h7"),
        "{refused}"
    );
}

#[test]
fn hosts_that_come_one_by_one_get_what_they_would_get_at_once() {
    let mut spec = spec("ipv6 = false\nswitches = [\"s1\"]\n");
    spec.ipv4 = Some("10.0.0.0/22".parse().unwrap());
    let mut plan = resolve(&spec, None).unwrap();
    for number in 1..=60 {
        add(&mut spec, &format!("h{number}"), NodeKind::Host, "s1");
        plan = resolve(&spec, Some(&plan)).unwrap();
    }
    let at_once = resolve(&spec, None).unwrap();
    assert_eq!(plan.nodes, at_once.nodes);
}
