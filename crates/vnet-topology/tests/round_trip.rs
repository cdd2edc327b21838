//! What is written reads as it was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};
use vnet_impair::{Given, Impairment};
use vnet_topology::{
    EndSpec, Event, Gateway, LinkSpec, NodeKind, NodeSpec, PluginUse, RouteEntry, Routing, Spec, resolve,
};

/// Any text a user could put between quotation marks.
fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            any::<char>(),
            select(vec![
                '"', '\\', '\n', '\t', '\u{7f}', '\u{85}', '#', '=', '\'', ']'
            ])
        ],
        0..12,
    )
    .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("TOML and JSON options are finite", |f| f.is_finite())
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn plugin() -> impl Strategy<Value = PluginUse> {
    (
        "[a-z_./ ]{1,12}",
        vec((text(), json()), 0..3),
        option::of(select(vec!["closed", "open"])),
        option::of(select(vec!["ingress", "egress", "both"])),
        vec(select(vec!["random", "inject", "timer"]), 0..3),
        option::of(0..=1_u64 << 30),
    )
        .prop_map(
            |(plugin, config, on_fault, direction, grants, module_cap)| PluginUse {
                plugin,
                config: config.into_iter().collect::<Map<_, _>>(),
                on_fault: on_fault.map(str::to_owned),
                direction: direction.map(str::to_owned),
                grants: grants.into_iter().map(str::to_owned).collect(),
                module_cap,
            },
        )
}

/// A node whose number keeps its name and addresses apart from other nodes'.
fn node(number: usize) -> impl Strategy<Value = NodeSpec> {
    let kind = select(vec![
        NodeKind::Host,
        NodeKind::Host,
        NodeKind::Switch,
        NodeKind::Router,
    ]);
    let settings = (
        vec(("net\\.[a-z0-9_]{1,8}(\\.[a-z0-9-]{1,6}){0,3}", text()), 0..3),
        vec("/[a-z0-9.]{0,3}[a-z]", 0..3),
        vec(text().prop_map(|text| format!("echo {text}")), 0..3),
        vec(any::<std::net::IpAddr>(), 0..3),
        any::<[bool; 6]>(),
        vec(plugin(), 0..3),
    );
    ("[a-z0-9]([A-Za-z0-9._-]{0,8})?", kind, settings).prop_map(
        move |(stem, kind, (sysctls, dirs, run, dns, flags, plugins))| {
            let name = format!("{stem}x{number}");
            let mut node = NodeSpec::new(name, kind);
            if kind == NodeKind::Switch {
                node.plugins = plugins;
                return node;
            }
            let byte = u8::try_from(number).expect("few nodes");
            if flags[0] {
                node.ip
                    .push(format!("172.16.{byte}.1/24").parse().expect("an address"));
                node.gateway = Gateway::Via(vec![format!("172.16.{byte}.9").parse().expect("an address")]);
                node.routes.push(RouteEntry {
                    to: "192.0.2.0/24".parse().expect("a network"),
                    via: format!("172.16.{byte}.8").parse().expect("an address"),
                });
            }
            if flags[1] {
                node.ip
                    .push(format!("fd77:{byte:x}::1/64").parse().expect("an address"));
            }
            if flags[2] && !flags[0] {
                node.gateway = Gateway::None;
            }
            if flags[3] {
                node.mac = Some(vnet_mac(byte));
            }
            if flags[4] && kind == NodeKind::Router {
                node.routing = Some(if flags[5] { Routing::Static } else { Routing::None });
            }
            node.sysctls = sysctls
                .into_iter()
                .map(|(key, value)| (key, value.replace('\n', " ")))
                .collect::<BTreeMap<_, _>>();
            node.private_dirs = dirs
                .into_iter()
                .filter(|dir| dir.len() > 1 && dir != "/..")
                .map(PathBuf::from)
                .collect();
            node.run = run;
            node.dns = dns;
            node
        },
    )
}

fn vnet_mac(byte: u8) -> vnet_netlink::Mac {
    vnet_netlink::Mac([2, 0xee, 0, 0, 0, byte])
}

/// Anything that may be said of one direction, so that it goes together.
fn impairment() -> impl Strategy<Value = Impairment> {
    let time = || 1..=3_600_000_000_000_u64;
    let chance = || {
        prop_oneof![
            Just("none".to_owned()),
            share(),
            (share(), share()).prop_map(|(p, c)| format!("{p} {c}"))
        ]
    };
    let delays = (
        option::of((time(), time())),
        select(vec!["uniform", "normal", "pareto", "paretonormal", "a b.dist"]),
        share(),
    );
    let losses = prop_oneof![
        chance(),
        (share(), share(), share(), share()).prop_map(|(p, r, h, k)| format!("gemodel {p} {r} {h} {k}")),
    ];
    let rates = (
        option::of(1..=1_000_000_000_000_u64),
        option::of(1..1_000_000_u64),
        -20_i64..200,
        option::of(prop_oneof![
            (1..9_u64).prop_map(|n| n.to_string()),
            (1..99_999_u64).prop_map(|n| format!("{n}b"))
        ]),
        select(vec!["droptail", "codel", "codel 7ms 90ms ecn"]),
        any::<bool>(),
    );
    (delays, losses, [chance(), chance(), chance()], 1..9_u32, rates).prop_map(
        |((delay, distribution, correlation), loss, [duplicate, reorder, corrupt], gap, rates)| {
            let mut impairment = Impairment::default();
            let mut set = |key: &str, text: &str| {
                if text != "none" {
                    impairment.set(key, Some(Given::Text(text))).expect(key);
                }
            };
            if let Some((delay, jitter)) = delay {
                set("delay", &format!("{delay}ns"));
                set("jitter", &format!("{jitter}ns"));
                set("distribution", distribution);
                set("correlation", &correlation);
                set("reorder", &reorder);
                if reorder != "none" && reorder != "0%" {
                    set("gap", &gap.to_string());
                }
            }
            set("loss", &loss);
            set("duplicate", &duplicate);
            set("corrupt", &corrupt);
            let (rate, burst, overhead, queue, discipline, trace) = rates;
            if let Some(rate) = rate.filter(|_| !trace) {
                set("rate", &format!("{rate}bit"));
                set("overhead", &overhead.to_string());
                burst.iter().for_each(|burst| set("burst", &format!("{burst}b")));
            }
            if trace {
                set("trace", "traces/a \"b\".up");
            }
            if trace || rate.is_some() {
                queue.iter().for_each(|queue| set("queue", queue));
                set("discipline", discipline);
            }
            impairment
        },
    )
}

/// A share with digits that no float has exactly; a correlation is below 100 %.
fn share() -> impl Strategy<Value = String> {
    (0_u32..100, 0_u32..1_000_000).prop_map(|(whole, part)| format!("{whole}.{part:06}%"))
}

fn event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        Just("\"none\"".to_owned()),
        (0..9_u32).prop_map(|n| n.to_string()),
        (0.0..0.9_f64).prop_map(|n| format!("{n:?}")),
        (1..99_u32).prop_map(|n| format!("\"{n}ms\"")),
    ];
    let changes = (value.clone(), value, any::<bool>());
    (1..3_600_000_000_000_u64, changes, 0..5_u8).prop_map(|(at, (there, back, pair), plug)| {
        let delay = if pair { format!("[{there}, {back}]") } else { there };
        let event = match plug {
            0 => format!("{{\"every\": \"{}ns\", \"down\": \"{at}ns\"}}", at + 1),
            1 => format!("{{\"at\": \"{at}ns\", \"down\": true}}"),
            2 => format!("{{\"at\": \"{at}ns\", \"up\": true, \"delay\": {delay}}}"),
            3 => format!("{{\"at\": \"{at}ns\", \"down\": \"5ms\"}}"),
            _ => format!("{{\"at\": \"{at}ns\", \"delay\": {delay}, \"loss\": [0.1, \"1%\"]}}"),
        };
        let mut read = Event::list_from_json(&format!("[{event}]")).expect("an event");
        read.pop().expect("one")
    })
}

/// Links along a line of nodes, so that no explicit network is in two segments by chance.
fn spec() -> impl Strategy<Value = Spec> {
    let nodes = (0..6_usize).prop_flat_map(|count| (0..count).map(node).collect::<Vec<_>>());
    let lab = (
        option::of("[a-z0-9]{1,8}"),
        option::of(0..=u64::MAX / 2),
        any::<[bool; 4]>(),
        vec(
            (
                option::of(68_u32..=65535),
                any::<[bool; 5]>(),
                vec(plugin(), 0..2),
                [impairment(), impairment()],
                option::of(0..=3_600_000_000_000_u64),
                vec(event(), 0..3),
            ),
            6,
        ),
    );
    (nodes, lab).prop_map(|(nodes, (name, seed, flags, links))| {
        let mut spec = Spec {
            name,
            seed,
            nodes,
            ..Spec::default()
        };
        if flags[0] {
            spec.ipv4 = Some("192.168.0.0/16".parse().expect("a network"));
        }
        if flags[1] {
            spec.ipv6 = None;
        }
        if flags[2] {
            spec.routing = Routing::None;
        }
        spec.private_tmp = flags[3];
        for (number, (mtu, with, plugins, impair, busy_poll, schedule)) in links.into_iter().enumerate() {
            let [Some(a), Some(b)] = [spec.nodes.get(number), spec.nodes.get(number + 1)] else {
                break;
            };
            let mut link = LinkSpec::new(&a.name, &b.name);
            link.mtu = mtu.filter(|mtu| *mtu >= 1280);
            link.up = with[0];
            link.name = with[1].then(|| format!("link{number}"));
            link.plugins = plugins;
            link.impair = impair;
            if with[3] {
                link.impair[1] = link.impair[0].clone();
            }
            link.big_tcp = with[4];
            link.busy_poll_ns = busy_poll;
            link.schedule = schedule;
            spec.busy_poll_ns = busy_poll;
            if with[2] {
                link.b = EndSpec {
                    interface: Some(format!("if{number}")),
                    ..EndSpec::new(&b.name)
                };
            }
            spec.links.push(link);
        }
        spec
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lab_file_reads_as_the_spec_it_was_written_from(spec in spec()) {
        prop_assume!(resolve(&spec, None).is_ok());
        let text = spec.to_toml().expect("every value has a form");
        match Spec::from_toml(&text, "lab.toml") {
            Ok(read) => prop_assert_eq!(read, spec, "{}", text),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }

    #[test]
    fn a_document_reads_as_the_spec_it_was_written_from(spec in spec()) {
        prop_assume!(resolve(&spec, None).is_ok());
        let text = spec.to_json().to_string();
        match Spec::from_json(&text) {
            Ok(read) => prop_assert_eq!(read, spec, "{}", text),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,80}") {
        let _ = Spec::from_toml(&text, "lab.toml");
        let _ = Spec::from_json(&text);
    }

    #[test]
    fn no_lab_makes_the_reader_panic(parts in vec(select(vec![
        "[hosts.a]\n", "[hosts]\n", "hosts = [", "\"a\"", ",", "]", "[[links]]\n", "ends = ", "[\"a\",\"b\"]", "\n", "ip = ", "\"10.0.0.1/24\"",
        "{", "}", "a = ", "node = ", "1", "routes", "sysctls.net.x", "=", "'", "null", "true", "[switches.b]\n", "-", "é", "plugins = ",
    ]), 0..16)) {
        let _ = Spec::from_toml(&parts.concat(), "lab.toml");
    }
}

#[test]
fn options_that_toml_cannot_say_are_refused_by_key() {
    let mut plugin = PluginUse::new("p.wasm");
    plugin
        .config
        .insert("deep".into(), serde_json::json!({"list": [1, null]}));
    let spec = Spec {
        nodes: vec![
            NodeSpec::new("a", NodeKind::Host),
            NodeSpec::new("b", NodeKind::Host),
        ],
        links: vec![LinkSpec {
            plugins: vec![plugin],
            ..LinkSpec::new("a", "b")
        }],
        ..Spec::default()
    };
    let refused = spec.to_toml().expect_err("null has no form").to_string();
    assert_eq!(
        refused,
        "links.a-b.plugins[0].config.deep.list[1]: null cannot be written to a lab file; leave the key out"
    );
    let read = Spec::from_json(&spec.to_json().to_string()).expect("JSON has null");
    assert_eq!(read, spec);
}
