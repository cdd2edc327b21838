//! What lab files may say, and how a fault in one is told.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use vnet_topology::{Gateway, NodeKind, Routing, Spec};

fn refusal(lab: &str) -> String {
    Spec::from_toml(lab, "lab.toml").unwrap_err().to_string()
}

#[test]
fn reads_a_whole_lab() {
    let spec = Spec::from_toml(
        r#"
        name = "demo"
        seed = 7
        ipv4 = "172.16.0.0/12"
        routing = "none"
        private_tmp = false

        [hosts.h1]
        ip = ["172.16.1.1/24", "fd01::1/64"]
        mac = "02:11:22:33:44:55"
        dns = "172.16.1.53"
        gateway = ["172.16.1.254", "fd01::fe"]
        private_dirs = ["/var/lib/dhcp", "/var/log"]
        run = "python3 -m http.server 80"

        [switches.s1]
        plugins = "learning_switch"

        [hosts.h1.sysctls]
        net.ipv4.tcp_congestion_control = "reno"

        [routers."r.1"]
        routing = "static"

        [[links]]
        name = "uplink"
        a = { node = "h1", interface = "lan0" }
        b = "s1"
        mtu = 9000
        up = false
        plugins = ["drop_bcast", { plugin = "p.wasm", config = { n = 1, deep = { list = [1.5, "x", true] } }, on_fault = "open", direction = "ingress" }]

        [[links]]
        ends = ["s1", "r.1"]
        "#,
        "lab.toml",
    )
    .unwrap();
    assert_eq!(spec.name.as_deref(), Some("demo"));
    assert_eq!(spec.seed, Some(7));
    assert_eq!(spec.ipv4.unwrap().to_string(), "172.16.0.0/12");
    assert_eq!(spec.routing, Routing::None);
    assert!(!spec.private_tmp);
    let kinds: Vec<(&str, NodeKind)> = spec.nodes.iter().map(|n| (n.name.as_str(), n.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("h1", NodeKind::Host),
            ("s1", NodeKind::Switch),
            ("r.1", NodeKind::Router)
        ]
    );
    let h1 = &spec.nodes[0];
    assert_eq!(h1.ip.len(), 2);
    assert_eq!(h1.dns[0].to_string(), "172.16.1.53");
    assert!(matches!(&h1.gateway, Gateway::Via(ips) if ips.len() == 2));
    assert_eq!(h1.sysctls["net.ipv4.tcp_congestion_control"], "reno");
    assert_eq!(h1.run, ["python3 -m http.server 80"]);
    let uplink = &spec.links[0];
    assert_eq!((uplink.mtu, uplink.up), (Some(9000), false));
    assert_eq!(uplink.plugins[1].config["deep"]["list"][0], 1.5);
    assert_eq!(spec.nodes[2].routing, Some(Routing::Static));
}

#[test]
fn the_order_of_the_file_is_the_order_of_creation_whatever_the_kind() {
    let names = |lab: &str| -> Vec<String> {
        let spec = Spec::from_toml(lab, "lab.toml").unwrap();
        spec.nodes.into_iter().map(|node| node.name).collect()
    };
    assert_eq!(
        names("[hosts.z]\n[switches.y]\n[hosts.a]\n[routers.b]\n[hosts.c]\n"),
        ["z", "y", "a", "b", "c"]
    );
    assert_eq!(
        names("routers = [\"r\"]\nhosts = [\"z\", \"a\"]\n"),
        ["r", "z", "a"]
    );
}

#[test]
fn an_unknown_key_is_told_with_line_column_and_what_there_is() {
    assert_eq!(
        refusal("name = \"x\"\n\n[hosts.h1]\n\n[hosts.h2]\n\nipp = \"10.0.0.1/24\"\n"),
        "lab.toml:7:1: hosts.h2.ipp: unknown key; expected one of \
         ip, mac, gateway, routes, dns, sysctls, private_dirs, run"
    );
    for (lab, start) in [
        (
            "hots = []\n",
            "lab.toml:1:1: hots: unknown key; expected one of name, seed,",
        ),
        (
            "[switches.s1]\nip = \"10.0.0.1/24\"\n",
            "lab.toml:2:1: switches.s1.ip: unknown key; expected one of plugins",
        ),
        (
            "[hosts.a]\n[hosts.b]\n[[links]]\nends = [\"a\", \"b\"]\nbandwidth = 1\n",
            "lab.toml:5:1: links[0].bandwidth: unknown",
        ),
        (
            "[hosts.a]\n[hosts.b]\n[[links]]\na = { node = \"a\", x = 1 }\nb = \"b\"\n",
            "lab.toml:4:19: links[0].a.x: unknown",
        ),
    ] {
        let refused = refusal(lab);
        assert!(refused.starts_with(start), "{refused}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_line_and_column() {
    for (lab, start) in [
        ("name = \"x\"\n[hosts.h1\n", "lab.toml:2:10: "),
        ("a = 1\na = 2\n", "lab.toml:2:1: duplicate key"),
        ("# é é\nname = 'x\n", "lab.toml:2:10: "),
    ] {
        let refused = refusal(lab);
        assert!(refused.starts_with(start), "{refused}");
    }
}

#[test]
fn each_wrong_value_says_what_was_expected_there() {
    let host = |line: &str| format!("[hosts.h1]\n{line}\n");
    let link = |line: &str| format!("hosts = [\"a\", \"b\"]\n[[links]]\n{line}\n");
    for (lab, start, end) in [
        (
            host("ip = \"10.0.0.300/24\""),
            "lab.toml:2:6: hosts.h1.ip: ",
            "such as \"10.0.0.1/24\", or a list of them",
        ),
        (
            host("ip = \"10.0.0.1\""),
            "lab.toml:2:6: hosts.h1.ip: \"10.0.0.1\" has no prefix length",
            "or a list of them",
        ),
        (
            host("ip = [\"10.0.0.1/24\", 5]"),
            "lab.toml:2:22: hosts.h1.ip[1]: the number 5",
            "or a list of them",
        ),
        (
            host("ip = \"127.0.0.1/8\""),
            "lab.toml:2:6: hosts.h1.ip: 127.0.0.1/8 is no address",
            "such as \"10.0.0.1/24\"",
        ),
        (
            host("ip = \"fe80::1/64\""),
            "lab.toml:2:6: hosts.h1.ip: fe80::1/64 is link-local",
            "such as \"10.0.0.1/24\"",
        ),
        (
            host("ip = \"10.0.0.255/24\""),
            "lab.toml:2:6: hosts.h1.ip: 10.0.0.255 is no",
            "one from 10.0.0.1 to 10.0.0.254",
        ),
        (
            host("mac = \"02:00\""),
            "lab.toml:2:7: hosts.h1.mac: ",
            "such as \"02:00:00:00:00:01\"",
        ),
        (
            host("mac = \"01:00:00:00:00:01\""),
            "lab.toml:2:7: hosts.h1.mac: ",
            "such as \"02:00:00:00:00:01\"",
        ),
        (
            host("gateway = \"r1\""),
            "lab.toml:2:11: hosts.h1.gateway: \"r1\" is no IPv4",
            "or \"none\"",
        ),
        (
            host("routes = \"10.0.0.0/8\""),
            "lab.toml:2:10: hosts.h1.routes: ",
            "or a list of them",
        ),
        (
            host("routes = \"10.0.0.1/8 via 10.0.0.1\""),
            "lab.toml:2:10: hosts.h1.routes: 10.0.0.1/8 has host bits",
            "the network 10.0.0.0/8",
        ),
        (
            host("sysctls = { \"kernel.x\" = 1 }"),
            "lab.toml:2:11: hosts.h1.sysctls: \"kernel.x\"",
            "such as \"net.ipv4.ip_forward\"",
        ),
        (
            host("sysctls = { \"net.a/../b\" = 1 }"),
            "lab.toml:2:11: hosts.h1.sysctls: ",
            "such as \"net.ipv4.ip_forward\"",
        ),
        (
            host("private_dirs = [\"var\"]"),
            "lab.toml:2:16: hosts.h1.private_dirs: \"var\"",
            "such as \"/var/lib/dhcp\"",
        ),
        (
            host("private_dirs = [\"/a/../b\"]"),
            "lab.toml:2:16: hosts.h1.private_dirs: ",
            "such as \"/var/lib/dhcp\"",
        ),
        (
            host("run = [\" \"]"),
            "lab.toml:2:7: hosts.h1.run: \" \"",
            "a shell command",
        ),
        (
            host("run = 1979-05-27"),
            "lab.toml:2:7: hosts.h1.run: a date or time",
            "or a list of them",
        ),
        (
            "hosts = 5\n".into(),
            "lab.toml:1:9: hosts: the number 5",
            "such as [\"h1\", \"h2\"]",
        ),
        (
            "hosts = [\"h 1\"]\n".into(),
            "lab.toml:1:10: hosts[0]: \"h 1\"",
            "begins with a letter or digit",
        ),
        (
            "[hosts.\"10.0.0.1\"]\n".into(),
            "lab.toml:1:8: hosts.\"10.0.0.1\": \"10.0.0.1\"",
            "begins with a letter or digit",
        ),
        (
            "seed = -1\n".into(),
            "lab.toml:1:8: seed: the number -1",
            "a number from 0 up",
        ),
        (
            "seed = \"x\"\n".into(),
            "lab.toml:1:8: seed: \"x\"",
            "a number from 0 up",
        ),
        (
            "routing = \"ospf\"\n".into(),
            "lab.toml:1:11: routing: \"ospf\"",
            "\"static\" or \"none\"",
        ),
        (
            "private_tmp = 1\n".into(),
            "lab.toml:1:15: private_tmp: the number 1",
            "true or false",
        ),
        (
            "ipv4 = \"10.0.0.1/8\"\n".into(),
            "lab.toml:1:8: ipv4: 10.0.0.1/8 has host bits",
            "the network 10.0.0.0/8",
        ),
        (
            "ipv4 = \"fd00::/48\"\n".into(),
            "lab.toml:1:8: ipv4: fd00::/48",
            "such as \"10.0.0.0/8\"",
        ),
        (
            "ipv6 = \"fd00::/96\"\n".into(),
            "lab.toml:1:8: ipv6: fd00::/96",
            "such as \"fd00::/48\"",
        ),
        (
            link("ends = [\"a\"]"),
            "lab.toml:3:8: links[0].ends: a list of 1",
            "such as [\"h1\", \"s1\"]",
        ),
        (
            link("ends = \"a-b\""),
            "lab.toml:3:8: links[0].ends: \"a-b\"",
            "such as [\"h1\", \"s1\"]",
        ),
        (
            link("name = \"l\""),
            "lab.toml:2:1: links[0].ends: missing",
            "such as [\"h1\", \"s1\"]",
        ),
        (
            link("a = \"a\""),
            "lab.toml:2:1: links[0].b: missing",
            "ip = \"10.0.0.1/24\" }",
        ),
        (
            link("ends = [\"a\", \"b\"]\na = \"a\""),
            "lab.toml:4:5: links[0].a: the ends are given twice",
            "or a and b",
        ),
        (
            link("ends = [\"a\", \"b\"]\nmtu = 10"),
            "lab.toml:4:7: links[0].mtu: 10",
            "from 68 to 65535",
        ),
        (
            link("ends = [\"a\", \"b\"]\nup = 1"),
            "lab.toml:4:6: links[0].up: the number 1",
            "true or false",
        ),
        (
            link("ends = [\"a\", \"b\"]\nplugins = [{}]"),
            "lab.toml:4:12: links[0].plugins[0].plugin: missing",
            "or a list of them",
        ),
        (
            link("ends = [\"a\", \"b\"]\nplugins = [{ plugin = \"x\", on_fault = \"drop\" }]"),
            "lab.toml:4:11: links[0].plugins: on_fault = \"drop\"",
            "\"closed\" or \"open\"",
        ),
        (
            link("ends = [\"a\", { node = \"b\", interface = \"sixteen-bytes-xx\" }]"),
            "lab.toml:3:40: links[0].ends[1].interface: ",
            "not lo, all or default",
        ),
    ] {
        let refused = refusal(&lab);
        assert!(refused.starts_with(start), "{lab}\ngave {refused}\nnot  {start}");
        assert!(refused.ends_with(end), "{lab}\ngave {refused}\nnot ... {end}");
    }
}

#[test]
fn links_that_cannot_be_are_refused() {
    assert_eq!(
        refusal("hosts = [\"a\", \"b\"]\nlinks = [[\"a\", \"c\"]]\n"),
        "lab.toml:2:16: links[0][1]: there is no node c; the nodes are a, b"
    );
    assert_eq!(
        refusal("hosts = [\"a\", \"b\"]\nlinks = [[\"a\", \"b\"], [\"b\", \"b\"]]\n"),
        "lab.toml:2:22: links[1]: a link from b to itself; a link joins two nodes"
    );
}

#[test]
fn names_are_unique_among_nodes_and_links() {
    assert_eq!(
        refusal("[hosts.h1]\n[switches.s1]\n[routers.H1]\n"),
        "lab.toml:3:10: routers.H1: the name H1 is taken by lab.toml:1:8: hosts.h1; take another name"
    );
    assert_eq!(
        refusal("hosts = [\"a\", \"b\"]\n[links]\nb.ends = [\"a\", \"b\"]\n"),
        "lab.toml:3:1: links.b: the name b is taken by lab.toml:1:15: hosts[1]; take another name"
    );
    let refused = refusal(
        "hosts = [\"a\", \"b\"]\n[[links]]\na = { node = \"a\", interface = \"x\" }\nb = \"b\"\n\
         [[links]]\na = { node = \"a\", interface = \"x\" }\nb = \"b\"\n",
    );
    assert!(
        refused.starts_with(
            "lab.toml:6:31: links[1].a.interface: the interface name x is taken by lab.toml:3:31"
        ),
        "{refused}"
    );
}

#[test]
fn a_document_names_the_key() {
    for (document, start) in [
        (
            r#"{"nodes": [{"name": "h1", "kind": "host", "ipp": 1}]}"#,
            "nodes[0].ipp: unknown key; expected one of name, kind, ip,",
        ),
        (
            r#"{"nodes": [{"name": "h1"}]}"#,
            "nodes[0].kind: missing; expected \"host\"",
        ),
        (
            r#"{"nodes": [{"name": "h1", "kind": "hub"}]}"#,
            "nodes[0].kind: \"hub\"; expected \"host\"",
        ),
        (
            r#"{"nodes": [{"name": "h1", "kind": "host", "ip": ["10.0.0.1/24", "x"]}]}"#,
            "nodes[0].ip[1]: bad address \"x\"",
        ),
        (
            r#"{"nodes": [], "links": [{"a": {"node": "x"}, "b": {"node": "y"}}]}"#,
            "links[0].a.node: there is no node x; no node is declared",
        ),
        (
            r#"{"seed": 18446744073709551615}"#,
            "seed: 18446744073709551615; expected a number from 0 to",
        ),
        (r#"{"seed": 1, "seed": 2}"#, "seed: the key seed is taken by seed"),
        (r#"[]"#, ": a list; expected a lab"),
        (r#"{"name": "#, "the lab document: EOF"),
    ] {
        let refused = Spec::from_json(document).unwrap_err().to_string();
        assert!(refused.starts_with(start), "{refused}");
    }
    let spec =
        Spec::from_json(r#"{"name": null, "hosts": {"z": {}, "a": null}, "links": [["z", "a"]]}"#).unwrap();
    assert_eq!(spec.nodes[0].name, "z");
    assert_eq!(spec.links.len(), 1);
}

#[test]
fn a_switch_has_no_addresses_and_a_host_no_plugins() {
    let mut spec = Spec::from_toml("switches = [\"s\"]\nhosts = [\"h\"]\n", "lab.toml").unwrap();
    spec.nodes[0].ip = vec!["10.0.0.1/24".parse().unwrap()];
    assert_eq!(
        spec.check().unwrap_err().to_string(),
        "ip of switch s: a switch has no ip in this version; expected it at a host or router"
    );
    spec.nodes[0].ip.clear();
    spec.nodes[1].plugins = vec![vnet_topology::PluginUse::new("x")];
    assert_eq!(
        spec.check().unwrap_err().to_string(),
        "plugins of host h: a host has no plugins; expected plugins at a switch or a link"
    );
}
