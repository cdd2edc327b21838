//! Which traffic makes which plugin do its work.

use serde_json::{Value, json};
use vnet_runtime::Fate;

use super::Row;
use super::frames::{ACK, HOST, OTHER, SYN, Sent, arp, dns, many, ping, talk, tcp, udp};

const BALANCER: [u8; 6] = [0x02, 0x76, 0x6e, 0x65, 0x74, 0x02];
const ROUTER: [u8; 6] = [0x02, 0x76, 0x72, 0, 0, 0];
const FAR_SIDE: [u8; 6] = [0x02, 0x76, 0x72, 0, 0, 1];

const fn row(name: &'static str, config: fn() -> Value, frame: fn(usize) -> Sent) -> Row {
    Row {
        name,
        config,
        ports: 2,
        before: Vec::new,
        frame,
        fate: passes,
        counts: None,
    }
}

fn passes(fate: Fate) -> bool {
    fate == Fate::Pass
}

fn is_dropped(fate: Fate) -> bool {
    matches!(fate, Fate::Drop(_))
}

fn turns_back(fate: Fate) -> bool {
    fate == Fate::Tx
}

fn none() -> Value {
    json!({})
}

pub const ROWS: &[Row] = &[
    // Broadcasts, which it drops.
    Row {
        fate: is_dropped,
        ..row("drop_bcast", none, |n| talk(n).to([0xff; 6]))
    },
    // By its protocol and port, and as the last of 100 conditions.
    row("filter", || json!({"expression": "udp port 80 or arp"}), talk),
    row("filter, the last of 100 conditions", hundred_conditions, talk),
    // Echo requests: each is turned into its reply.
    Row {
        fate: turns_back,
        ..row("icmp_echo", || json!({"address": "10.0.0.2"}), ping)
    },
    Row {
        counts: Some("udp"),
        ..row("count", none, talk)
    },
    // Between two stations that it has heard.
    Row {
        before: || vec![talk(0), talk(0).on(1).to(HOST).from(OTHER)],
        fate: |fate| matches!(fate, Fate::Redirect(1)),
        ..row("learning_switch", none, talk)
    },
    // Each frame gets a tag.
    Row {
        counts: Some("pushed"),
        ..row("vlan", || json!({"access": 10}), talk)
    },
    Row {
        counts: Some("popped"),
        ..row(
            "vlan, tags taken off",
            || json!({"access": 10}),
            |n| talk(n).tagged(10).on(1),
        )
    },
    // Handshakes alone, each of which is changed; other segments are only looked at.
    Row {
        counts: Some("clamped"),
        ..row(
            "mss_clamp",
            || json!({"mtu": 1400}),
            |n| tcp(([10, 0, 0, 1], 1000 + n as u16), ([10, 0, 0, 2], 80), SYN),
        )
    },
    row(
        "mss_clamp, within a connection",
        || json!({"mtu": 1400}),
        |n| tcp(([10, 0, 0, 1], 1000 + n as u16), ([10, 0, 0, 2], 80), ACK),
    ),
    // Questions for one of 1,000 blocked names: each is answered.
    Row {
        fate: turns_back,
        counts: Some("blocked"),
        ..row("dns_block", thousand_names, |n| {
            dns(n, &format!("host{n}.example"))
        })
    },
    Row {
        counts: Some("allowed"),
        ..row("dns_block, questions for other names", thousand_names, |n| {
            dns(n, &format!("host{n}.example.org"))
        })
    },
    // What clients send in connections that have a server.
    Row {
        before: || (0..64).map(|n| client(n, SYN)).collect(),
        counts: Some("to_servers"),
        ..row("load_balancer", servers, |n| client(n, ACK))
    },
    // Every frame is copied.
    Row {
        ports: 3,
        counts: Some("copied"),
        ..row("mirror", || json!({"to": 2}), talk)
    },
    // From inside: each frame gets 50 bytes of headers.
    Row {
        counts: Some("encapsulated"),
        ..row("tunnel", tunnel, talk)
    },
    // Flows that are in its log.
    row("record", none, talk),
    // Conversations with a mapping, outward.
    Row {
        counts: Some("translated_out"),
        ..row("nat", nat, crowd)
    },
    Row {
        before: || answered(16_384, [203, 0, 113, 1]),
        fate: is_dropped,
        ..row("nat, table full, hosts without a port", nat, |n| {
            crowd(60_000 + n)
        })
    },
    // Packets that none of 100 rules matches, so that all are tried.
    Row {
        counts: Some("default"),
        ..row("acl", hundred_rules, talk)
    },
    // Conversations that have begun.
    Row {
        before: || (0..64).map(talk).collect(),
        counts: Some("established"),
        ..row("stateful_firewall", zones, talk)
    },
    Row {
        before: || answered(8_192, [10, 0, 0, 1]),
        fate: is_dropped,
        ..row(
            "stateful_firewall, table full, further conversations",
            zones,
            |n| crowd(60_000 + n),
        )
    },
    // To a neighbour that is known.
    Row {
        before: || vec![arp(OTHER, [10, 2, 0, 2], (FAR_SIDE, [10, 2, 0, 1])).on(1)],
        fate: |fate| matches!(fate, Fate::Redirect(1)),
        counts: Some("forwarded"),
        ..row("router", interfaces, |n| {
            udp(([10, 1, 0, 2], 1000 + n as u16), ([10, 2, 0, 2], 80), &[0; 22]).to(ROUTER)
        })
    },
    // ARP replies that confirm what it knows.
    Row {
        before: || vec![confirmed(0)],
        counts: Some("confirmed"),
        ..row("arp_guard", none, confirmed)
    },
    row("arp_guard, other frames", none, talk),
    // A bucket for each source, none of them empty.
    row(
        "rate_limit",
        || json!({"packets": 1_000_000_000, "by": "source"}),
        talk,
    ),
    Row {
        before: || (0..64).map(sparing).collect(),
        fate: is_dropped,
        ..row(
            "rate_limit, beyond the limit",
            || json!({"packets": 1, "burst": 1, "by": "source"}),
            sparing,
        )
    },
];

/// Conditions of which the packet meets only the last one.
fn hundred_conditions() -> Value {
    let mut conditions: Vec<String> = (0..99)
        .map(|n| match n % 3 {
            0 => format!("src net 172.16.{n}.0/24"),
            1 => format!("tcp port {}", 1000 + n),
            _ => format!("udp dst port {}", 2000 + n),
        })
        .collect();
    conditions.push("udp port 80".into());
    json!({"expression": conditions.join(" or ")})
}

fn thousand_names() -> Value {
    let names: Vec<String> = (0..1000).map(|n| format!("host{n}.example")).collect();
    json!({"names": names})
}

fn client(n: usize, flags: u8) -> Sent {
    tcp(([10, 0, 0, 1], 1000 + n as u16), ([10, 0, 0, 100], 80), flags).to(BALANCER)
}

fn servers() -> Value {
    let servers: Vec<Value> = (1..=4)
        .map(|n| json!({"address": format!("10.0.0.{}", 10 + n), "mac": format!("02:00:00:00:01:0{n}")}))
        .collect();
    json!({"address": "10.0.0.100", "servers": servers})
}

fn tunnel() -> Value {
    json!({"local": "192.0.2.1", "remote": "192.0.2.2", "vni": 42, "gateway_mac": "02:00:00:00:00:03"})
}

fn nat() -> Value {
    json!({"address": "203.0.113.1", "inside": "10.0.0.0/8"})
}

/// A packet of one of very many hosts.
fn crowd(n: usize) -> Sent {
    udp((many(0x1_0000 + n), 1000), ([192, 0, 2, 1], 80), &[0; 22])
}

/// As many conversations of a host, with their answers: they fill a table and do not give way.
fn answered(most: u16, back: [u8; 4]) -> Vec<Sent> {
    let (host, web) = ([10, 0, 0, 1], ([192, 0, 2, 1], 80));
    (1024..1024 + most)
        .flat_map(|port| [udp((host, port), web, &[]), udp(web, (back, port), &[]).on(1)])
        .collect()
}

/// Rules of which the packet matches none, each by another field.
fn hundred_rules() -> Value {
    let rules: Vec<Value> = (0..100)
        .map(|n| match n % 3 {
            0 => json!({"action": "deny", "src": format!("172.16.{n}.0/24")}),
            1 => json!({"action": "deny", "protocol": "tcp", "dst": "10.0.0.0/8", "dport": 1000 + n}),
            _ => json!({"action": "deny", "protocol": "udp", "dst": "10.0.0.0/8", "dport": format!("{}-{}", 2000 + n, 2009 + n)}),
        })
        .collect();
    json!({"rules": rules, "default": "permit"})
}

fn zones() -> Value {
    json!({"zones": {"inside": [0], "outside": [1]}, "allow": [{"from": "inside"}]})
}

fn interfaces() -> Value {
    json!({"ports": [{"addresses": ["10.1.0.1/24"]}, {"addresses": ["10.2.0.1/24"]}]})
}

fn confirmed(_: usize) -> Sent {
    arp(HOST, [10, 0, 0, 1], (OTHER, [10, 0, 0, 2]))
}

fn sparing(n: usize) -> Sent {
    udp((many(n), 1000), ([192, 0, 2, 1], 80), &[0; 22])
}
