//! Which routes a plan gives.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use vnet_topology::{Resolved, Spec, resolve};

fn plan(lab: &str) -> Resolved {
    resolve(&Spec::from_toml(lab, "lab.toml").unwrap(), None).unwrap()
}

/// Lists a node's routes as `ip route` would.
fn routes(plan: &Resolved, node: &str) -> Vec<String> {
    let (_, node) = plan.node(node).unwrap();
    node.routes
        .iter()
        .map(|route| {
            let to = if route.to.prefix == 0 {
                "default".into()
            } else {
                route.to.to_string()
            };
            format!(
                "{to} via {} dev {}",
                route.via, node.interfaces[route.interface].name
            )
        })
        .collect()
}

#[test]
fn two_sites_reach_each_other_through_their_routers() {
    let plan = plan(
        r#"
        [hosts.berlin]
        [hosts.paris]
        [switches.sb]
        [switches.sp]
        [routers.rb]
        [routers.rp]

        [[links]]
        ends = ["berlin", "sb"]
        [[links]]
        ends = ["rb", "sb"]
        [[links]]
        ends = ["paris", "sp"]
        [[links]]
        ends = ["rp", "sp"]
        [[links]]
        ends = ["rb", "rp"]
        "#,
    );
    assert_eq!(
        routes(&plan, "berlin"),
        ["default via 10.0.0.1 dev eth0", "default via fd00::1 dev eth0"]
    );
    assert_eq!(
        routes(&plan, "paris"),
        [
            "default via 10.0.1.1 dev eth0",
            "default via fd00:0:0:1::1 dev eth0"
        ]
    );
    assert_eq!(
        routes(&plan, "rb"),
        [
            "10.0.1.0/24 via 10.0.2.2 dev eth1",
            "fd00:0:0:1::/64 via fd00:0:0:2::2 dev eth1"
        ]
    );
    assert_eq!(
        routes(&plan, "rp"),
        [
            "10.0.0.0/24 via 10.0.2.1 dev eth1",
            "fd00::/64 via fd00:0:0:2::1 dev eth1"
        ]
    );
    let (_, router) = plan.node("rb").unwrap();
    assert_eq!(router.sysctls["net.ipv4.ip_forward"], "1");
    assert_eq!(router.sysctls["net.ipv6.conf.all.forwarding"], "1");
    assert!(plan.nodes[0].sysctls.is_empty());
}

/// Three routers in a ring, a host at each.
const RING: &str = r#"
    ipv6 = false
    routers = ["r1", "r2", "r3"]
    hosts = ["h1", "h2", "h3"]
    links = [
        ["r1", "r2"], ["r2", "r3"], ["r3", "r1"],
        ["h1", "r1"], ["h2", "r2"], ["h3", "r3"],
    ]
"#;

#[test]
fn a_ring_takes_the_short_way_round_and_ties_by_creation() {
    let plan = plan(RING);
    // 10.0.0 is r1-r2, 10.0.1 r2-r3, 10.0.2 r3-r1, 10.0.3 h1, 10.0.4 h2, 10.0.5 h3.
    assert_eq!(
        routes(&plan, "r1"),
        [
            "10.0.1.0/24 via 10.0.0.2 dev eth0",
            "10.0.4.0/24 via 10.0.0.2 dev eth0",
            "10.0.5.0/24 via 10.0.2.2 dev eth1",
        ]
    );
    assert_eq!(
        routes(&plan, "r3"),
        [
            "10.0.0.0/24 via 10.0.1.1 dev eth0",
            "10.0.4.0/24 via 10.0.1.1 dev eth0",
            "10.0.3.0/24 via 10.0.2.1 dev eth1",
        ]
    );
    assert_eq!(routes(&plan, "h3"), ["default via 10.0.5.1 dev eth0"]);
}

#[test]
fn a_tree_of_routers_reaches_its_leaves() {
    let plan = plan(
        r#"
        ipv6 = false
        routers = ["root", "left", "right", "leaf"]
        hosts = ["h"]
        links = [["root", "left"], ["root", "right"], ["left", "leaf"], ["leaf", "h"]]
        "#,
    );
    assert_eq!(
        routes(&plan, "right"),
        [
            "10.0.0.0/24 via 10.0.1.1 dev eth0",
            "10.0.2.0/24 via 10.0.1.1 dev eth0",
            "10.0.3.0/24 via 10.0.1.1 dev eth0",
        ]
    );
    assert_eq!(
        routes(&plan, "root"),
        [
            "10.0.2.0/24 via 10.0.0.2 dev eth0",
            "10.0.3.0/24 via 10.0.0.2 dev eth0"
        ]
    );
}

#[test]
fn without_routing_routers_forward_and_hosts_have_their_default_route() {
    let plan = plan(&format!("routing = \"none\"\n{RING}"));
    assert_eq!(routes(&plan, "r1"), [""; 0]);
    assert_eq!(routes(&plan, "h1"), ["default via 10.0.3.1 dev eth0"]);
    assert_eq!(plan.node("r1").unwrap().1.sysctls["net.ipv4.ip_forward"], "1");
}

#[test]
fn one_router_may_do_without_or_with_routes_by_itself() {
    let lab = |all: &str, one: &str| {
        format!(
            "ipv6 = false\nrouting = \"{all}\"\n[routers.r1]\nrouting = \"{one}\"\n[routers.r2]\n[hosts.h]\n\
             [[links]]\nends = [\"r1\", \"r2\"]\n[[links]]\nends = [\"r2\", \"h\"]\n"
        )
    };
    assert_eq!(routes(&plan(&lab("static", "none")), "r1"), [""; 0]);
    assert_eq!(
        routes(&plan(&lab("none", "static")), "r1"),
        ["10.0.1.0/24 via 10.0.0.2 dev eth0"]
    );
}

#[test]
fn declared_routes_and_gateways_come_before_automatic_ones() {
    let plan = plan(
        r#"
        ipv6 = false
        [routers.r1]
        ip = "10.0.0.1/24"
        [routers.r2]
        ip = "10.0.0.2/24"
        routes = ["10.5.0.0/16 via 10.0.0.1", "default via 10.0.0.9"]
        [hosts.h1]
        [hosts.h2]
        gateway = "10.0.0.2"
        [hosts.h3]
        gateway = "none"
        routes = [{ to = "10.5.0.0/16", via = "10.0.0.1" }]
        [switches.s]
        [links]
        l1.ends = ["r1", "s"]
        l2.ends = ["r2", "s"]
        l3.ends = ["h1", "s"]
        l4.ends = ["h2", "s"]
        l5.ends = ["h3", "s"]
        "#,
    );
    assert_eq!(routes(&plan, "h1"), ["default via 10.0.0.1 dev eth0"]);
    assert_eq!(routes(&plan, "h2"), ["default via 10.0.0.2 dev eth0"]);
    assert_eq!(routes(&plan, "h3"), ["10.5.0.0/16 via 10.0.0.1 dev eth0"]);
    assert_eq!(
        routes(&plan, "r2"),
        [
            "10.5.0.0/16 via 10.0.0.1 dev eth0",
            "default via 10.0.0.9 dev eth0"
        ]
    );
    let names: Vec<&str> = plan.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["l1", "l2", "l3", "l4", "l5"]);
}

#[test]
fn a_gateway_that_is_no_neighbour_is_refused() {
    let refused = Spec::from_toml(
        "[hosts.a]\nip = \"10.0.0.1/24\"\ngateway = \"10.0.1.1\"\n[hosts.b]\n[[links]]\nends = [\"a\", \"b\"]\n",
        "lab.toml",
    )
    .unwrap_err()
    .to_string();
    assert_eq!(
        refused,
        "lab.toml:3:11: hosts.a.gateway: 10.0.1.1 is in none of the networks of a (10.0.0.0/24); \
         a gateway is a neighbour's address"
    );
}

#[test]
fn settings_of_an_interface_are_kept_apart_from_the_nodes() {
    let plan = plan(
        r#"
        [routers.r1.sysctls]
        net.ipv4.ip_forward = 0
        "net.ipv4.conf.eth0.proxy_arp" = true
        "#,
    );
    let (_, router) = plan.node("r1").unwrap();
    assert_eq!(
        router.sysctls["net.ipv4.ip_forward"], "0",
        "what the user sets wins"
    );
    assert_eq!(router.interface_sysctls["net.ipv4.conf.eth0.proxy_arp"], "1");
}
