//! Which addresses a plan gives, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::{Duration, Instant};

use vnet_topology::{Resolved, Spec, TopologyError, resolve};

fn plan(lab: &str) -> Resolved {
    resolve(&Spec::from_toml(lab, "lab.toml").unwrap(), None).unwrap()
}

fn refusal(lab: &str) -> String {
    Spec::from_toml(lab, "lab.toml").unwrap_err().to_string()
}

/// Lists each interface with its addresses.
fn table(plan: &Resolved) -> Vec<String> {
    let mut lines = Vec::new();
    for node in &plan.nodes {
        for interface in node.interfaces.iter().filter(|i| !i.addresses.is_empty()) {
            let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "{} {} {}",
                node.name,
                interface.name,
                addresses.join(" ")
            ));
        }
    }
    lines
}

#[test]
fn two_hosts_and_a_switch() {
    let plan = plan(
        r#"
        hosts = ["h1", "h2"]
        switches = ["s1"]
        links = [["h1", "s1"], ["h2", "s1"]]
        "#,
    );
    assert_eq!(
        table(&plan),
        ["h1 eth0 10.0.0.1/24 fd00::1/64", "h2 eth0 10.0.0.2/24 fd00::2/64"]
    );
    assert_eq!(plan.nodes[0].interfaces[0].mac.to_string(), "02:00:00:00:00:01");
    assert_eq!(plan.nodes[1].interfaces[0].mac.to_string(), "02:00:00:00:00:02");
    let ports: Vec<&str> = plan.nodes[2]
        .interfaces
        .iter()
        .map(|port| port.name.as_str())
        .collect();
    assert_eq!(ports, ["port1", "port2"]);
    assert_eq!(
        plan.hosts,
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         10.0.0.1\th1\nfd00::1\th1\n10.0.0.2\th2\nfd00::2\th2\n"
    );
    assert!(plan.nodes.iter().all(|node| node.routes.is_empty()));
    assert_eq!(plan.segments.len(), 1);
    assert_eq!(plan.segments[0].links, [0, 1]);
    assert_eq!(plan.segments[0].switches, [2]);
}

#[test]
fn automatic_addresses_join_the_explicit_ones_declared_before_or_after() {
    let plan = plan(
        r#"
        hosts.a = {}
        hosts.b = {}
        hosts.c = { ip = ["192.168.7.1/28", "fd77::1/64"] }
        hosts.d = {}
        hosts.e = { ip = "192.168.7.4/28" }
        switches.s = {}
        links = [["a", "s"], ["b", "s"], ["c", "s"], ["d", "s"], ["e", "s"]]
        "#,
    );
    assert_eq!(
        table(&plan),
        [
            "a eth0 192.168.7.2/28 fd77::2/64",
            "b eth0 192.168.7.3/28 fd77::3/64",
            "c eth0 192.168.7.1/28 fd77::1/64",
            "d eth0 192.168.7.5/28 fd77::4/64",
            "e eth0 192.168.7.4/28 fd77::5/64",
        ]
    );
}

#[test]
fn routers_get_the_first_numbers_and_a_segment_each_its_network() {
    let plan = plan(
        r#"
        hosts = ["h1", "h2"]
        routers = ["r1"]
        switches = ["s1"]
        links = [["h1", "s1"], ["r1", "s1"], ["r1", "h2"]]
        "#,
    );
    assert_eq!(
        table(&plan),
        [
            "h1 eth0 10.0.0.2/24 fd00::2/64",
            "h2 eth0 10.0.1.2/24 fd00:0:0:1::2/64",
            "r1 eth0 10.0.0.1/24 fd00::1/64",
            "r1 eth1 10.0.1.1/24 fd00:0:0:1::1/64",
        ]
    );
}

#[test]
fn automatic_networks_pass_by_explicit_ones() {
    let plan = plan(
        r#"
        ipv6 = false
        hosts.a = {}
        hosts.b = {}
        hosts.c = { ip = "10.0.0.9/24" }
        hosts.d = {}
        hosts.e = { ip = "10.0.2.1/23" }
        hosts.f = {}
        links = [["a", "b"], ["c", "d"], ["e", "f"], { a = "a", b = "f" }]
        "#,
    );
    assert_eq!(
        table(&plan),
        [
            "a eth0 10.0.1.1/24",
            "a eth1 10.0.4.1/24",
            "b eth0 10.0.1.2/24",
            "c eth0 10.0.0.9/24",
            "d eth0 10.0.0.1/24",
            "e eth0 10.0.2.1/23",
            "f eth0 10.0.2.2/23",
            "f eth1 10.0.4.2/24",
        ]
    );
}

#[test]
fn an_end_has_addresses_and_names_of_its_own() {
    let plan = plan(
        r#"
        [routers.r1]
        mac = "02:aa:00:00:00:01"
        [hosts.h1]
        [hosts.h2]
        [[links]]
        a = { node = "r1", ip = ["10.1.0.254/24", "10.1.0.253/24"], interface = "lan" }
        b = "h1"
        [[links]]
        ends = [{ node = "r1", ip = "10.2.0.254/24", mac = "02:bb:00:00:00:01" }, "h2"]
        "#,
    );
    assert_eq!(
        table(&plan),
        [
            "r1 lan 10.1.0.254/24 10.1.0.253/24 fd00::1/64",
            "r1 eth0 10.2.0.254/24 fd00:0:0:1::1/64",
            "h1 eth0 10.1.0.1/24 fd00::2/64",
            "h2 eth0 10.2.0.1/24 fd00:0:0:1::2/64",
        ]
    );
    assert_eq!(plan.nodes[0].interfaces[0].mac.to_string(), "02:aa:00:00:00:01");
    assert_eq!(plan.nodes[0].interfaces[1].mac.to_string(), "02:bb:00:00:00:01");
}

#[test]
fn a_small_mtu_has_no_ipv6() {
    let lab = |ip: &str| {
        format!("[hosts.a]\nip = [{ip}]\n[hosts.b]\n[[links]]\nends = [\"a\", \"b\"]\nmtu = 600\n")
    };
    assert_eq!(
        table(&plan(&lab(""))),
        ["a eth0 10.0.0.1/24", "b eth0 10.0.0.2/24"]
    );
    let refused = refusal(&lab("\"fd01::1/64\""));
    assert!(refused.starts_with("lab.toml:2:6: hosts.a.ip: "), "{refused}");
    assert!(refused.contains("1280"), "{refused}");
}

#[test]
fn pools_are_chosen_and_switched_off() {
    let lab = |pools: &str| format!("{pools}\nhosts = [\"a\", \"b\"]\nlinks = [[\"a\", \"b\"]]\n");
    assert_eq!(
        table(&plan(&lab("ipv4 = \"192.168.0.0/16\"\nipv6 = \"fd42:1::/48\""))),
        [
            "a eth0 192.168.0.1/24 fd42:1::1/64",
            "b eth0 192.168.0.2/24 fd42:1::2/64"
        ]
    );
    assert_eq!(table(&plan(&lab("ipv4 = false\nipv6 = false"))), [""; 0]);
    assert_eq!(
        table(&plan(&lab("ipv4 = \"192.168.0.0/30\"\nipv6 = false"))),
        ["a eth0 192.168.0.1/30", "b eth0 192.168.0.2/30"]
    );
}

#[test]
fn an_exhausted_subnet_or_pool_is_named_with_its_line() {
    let subnet = refusal(
        "[hosts.a]\nip = \"10.0.0.1/30\"\n[hosts.b]\n[hosts.c]\n[switches.s]\n\
         [[links]]\nends = [\"a\", \"s\"]\n[[links]]\nends = [\"b\", \"s\"]\n[[links]]\nends = [\"c\", \"s\"]\n",
    );
    assert!(
        subnet.starts_with("lab.toml:11:9: links[2].ends[0]: 10.0.0.0/30 "),
        "{subnet}"
    );
    assert!(subnet.contains("left for c"), "{subnet}");
    let pool = refusal(
        "ipv4 = \"10.0.0.0/24\"\nhosts = [\"a\", \"b\", \"c\"]\nlinks = [[\"a\", \"b\"], [\"b\", \"c\"]]\n",
    );
    assert!(
        pool.starts_with("lab.toml:1:8: ipv4: 10.0.0.0/24 has no free network"),
        "{pool}"
    );
}

#[test]
fn one_network_in_two_segments_is_refused_with_both_places() {
    let refused = refusal(
        "[hosts.a]\nip = \"10.0.0.1/24\"\n[hosts.b]\n[hosts.c]\nip = \"10.0.0.128/25\"\n[hosts.d]\n\
         [[links]]\nends = [\"a\", \"b\"]\n[[links]]\nends = [\"c\", \"d\"]\n",
    );
    // 10.0.0.128/25 is the network's own address, which comes first.
    assert!(refused.contains("no interface's address"), "{refused}");
    let refused = refusal(
        "[hosts.a]\nip = \"10.0.0.1/24\"\n[hosts.b]\n[hosts.c]\nip = \"10.0.0.129/25\"\n[hosts.d]\n\
         [[links]]\nends = [\"a\", \"b\"]\n[[links]]\nends = [\"c\", \"d\"]\n",
    );
    assert!(
        refused.starts_with(
            "lab.toml:5:6: hosts.c.ip: 10.0.0.128/25 overlaps with 10.0.0.0/24 of lab.toml:2:6: hosts.a.ip"
        ),
        "{refused}"
    );
}

#[test]
fn one_address_twice_is_refused_with_both_places() {
    let refused = refusal(
        "[hosts.a]\nip = \"10.0.0.1/24\"\n[hosts.b]\nip = \"10.0.0.1/24\"\nmac = \"02:00:00:00:00:07\"\n\
         [hosts.c]\nmac = \"02:00:00:00:00:07\"\n",
    );
    assert_eq!(
        refused,
        "lab.toml:4:6: hosts.b.ip: the address 10.0.0.1 is taken by lab.toml:2:6: hosts.a.ip; \
         take another, or leave it out"
    );
    let refused = refusal("[hosts.b]\nmac = \"02:00:00:00:00:07\"\n[hosts.c]\nmac = \"02:00:00:00:00:07\"\n");
    assert!(
        refused.starts_with("lab.toml:4:7: hosts.c.mac: the Ethernet address 02:00:00:00:00:07"),
        "{refused}"
    );
    assert!(refused.contains("lab.toml:2:7: hosts.b.mac"), "{refused}");
}

#[test]
fn a_thousand_hosts_share_a_larger_network_quickly() {
    use std::fmt::Write as _;
    let mut lab = String::from("[switches.s1]\n");
    for number in 1..=1000 {
        write!(
            lab,
            "[hosts.h{number}]\n[[links]]\nends = [\"h{number}\", \"s1\"]\n"
        )
        .unwrap();
    }
    let spec = Spec::from_toml(&lab, "lab.toml").unwrap();
    let quickest = (0..5)
        .map(|_| {
            let start = Instant::now();
            let plan = resolve(&spec, None).unwrap();
            let took = start.elapsed();
            assert_eq!(
                plan.nodes[1000].interfaces[0].addresses[0].to_string(),
                "10.0.3.232/22"
            );
            assert_eq!(plan.segments[0].subnets[0].to_string(), "10.0.0.0/22");
            took
        })
        .min();
    println!("resolved in {quickest:?}");
    assert!(quickest.unwrap() < Duration::from_secs(1), "{quickest:?}");
}

#[test]
fn without_a_file_places_are_said_in_words() {
    let mut spec = Spec::from_toml("hosts = [\"a\", \"b\"]\nlinks = [[\"a\", \"b\"]]\n", "lab.toml").unwrap();
    spec.nodes[0].ip = vec!["10.0.0.0/24".parse().unwrap()];
    let refused = resolve(&spec, None).unwrap_err();
    assert!(matches!(refused, TopologyError::BadValue { .. }));
    assert_eq!(
        refused.to_string(),
        "ip of host a: 10.0.0.0 is no interface's address in 10.0.0.0/24; expected one from 10.0.0.1 to 10.0.0.254"
    );
}
