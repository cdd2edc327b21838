//! How each plugin is set up: several configurations, on every layer it understands, with as many ports as they name.

use std::fmt;

use serde_json::{Value, json};
use vnet_runtime::{Layer, Module};

pub struct Setup {
    pub config: Value,
    pub ports: u16,
    pub layer: Layer,
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with {} ports on {}",
            self.config,
            self.ports,
            self.layer.name()
        )
    }
}

/// Returns all setups of a plugin.
pub fn setups(plugin: &str, module: &Module) -> Vec<Setup> {
    let mut setups = Vec::new();
    for (config, ports) in configurations(plugin) {
        for ports in ports {
            for layer in &module.manifest().layers {
                setups.push(Setup {
                    config: config.clone(),
                    ports: *ports,
                    layer: *layer,
                });
            }
        }
    }
    setups
}

/// Stations that a plugin answers as, one for each port in turn; what does not go to one of them is lost on it.
pub fn stations(plugin: &str) -> &'static [[u8; 6]] {
    match plugin {
        "router" => &[
            [0x02, 0x76, 0x72, 0, 0, 0],
            [2, 0, 0, 0, 0, 1],
            [0x02, 0x76, 0x72, 0, 0, 2],
            [0x02, 0x76, 0x72, 0, 0, 3],
            [0x02, 0x76, 0x72, 0, 0, 4],
        ],
        "load_balancer" => &[[0x02, 0x76, 0x6e, 0x65, 0x74, 2]],
        "tunnel" => &[[0x02, 0x76, 0x6e, 0x65, 0x74, 3]],
        _ => &[],
    }
}

/// A device, whose frames have two directions; a link; a switch.
const ANY: &[u16] = &[1, 2, 5];
const SIDES: &[u16] = &[1, 2];
const SWITCH: &[u16] = &[2, 5];

type Configurations = Vec<(Value, &'static [u16])>;

fn configurations(plugin: &str) -> Configurations {
    match plugin {
        "drop_bcast" => vec![(json!({}), ANY), (json!({"allow_arp": true}), ANY)],
        "filter" => filter(),
        "icmp_echo" => vec![
            (json!({}), ANY),
            (
                json!({"address": ["10.0.0.2", "fd00::2"], "mac": "02:00:00:00:00:07"}),
                ANY,
            ),
        ],
        "learning_switch" => vec![(json!({}), SWITCH), (json!({"ageing": 1}), SWITCH)],
        "vlan" => vec![
            (json!({"access": 10}), ANY),
            (json!({"trunk": "10,20-29", "native": 20, "end": "b"}), ANY),
            (json!({"push": 42, "tpid": "802.1ad", "priority": 5}), ANY),
            (json!({"pop": 10}), ANY),
        ],
        "mss_clamp" => vec![(json!({"mtu": 1400}), ANY), (json!({"mss": 536}), ANY)],
        "dns_block" => vec![
            (
                json!({"names": ["ads.example"], "suffixes": ["tracker.example"]}),
                ANY,
            ),
            (json!({"names": "a.b.c.d.e.f", "drop_tcp": true}), ANY),
        ],
        "load_balancer" => load_balancer(),
        "mirror" => vec![
            (json!({"to": 1}), SWITCH),
            (
                json!({"to": 0, "from": [1], "protocol": "tcp", "address": "10.0.0.0/8", "port": 80}),
                SWITCH,
            ),
            (json!({"to": 1, "protocol": "arp", "vlan": 10}), SWITCH),
        ],
        "tunnel" => tunnel(),
        "record" => vec![(json!({}), ANY), (json!({"idle": 1, "log": false}), ANY)],
        "nat" => nat(),
        "acl" => acl(),
        "stateful_firewall" => firewall(),
        "router" => router(),
        "arp_guard" => vec![
            (json!({}), ANY),
            (
                json!({"bindings": [{"ip": "10.0.0.1", "mac": "02:00:00:00:00:01", "port": 0}, {"ip": "fd00::1", "mac": "02:00:00:00:00:02"}],
                       "sources": true, "trusted": [1], "timeout": 1, "most_per_port": 2}),
                ANY,
            ),
            (json!({"learn": false}), ANY),
        ],
        "rate_limit" => ["all", "source", "destination", "port"]
            .into_iter()
            .map(|by| (json!({"packets": 10, "by": by}), ANY))
            .chain([(json!({"bytes": 1, "burst_bytes": 1, "by": "source"}), ANY)])
            .collect(),
        _ => vec![(json!({}), ANY)],
    }
}

fn filter() -> Configurations {
    let long: Vec<String> = (0..500).map(|port| format!("udp port {port}")).collect();
    [
        json!({"expression": "tcp port 80 or arp"}),
        json!({"expression": "not (host 10.0.0.1 or src net fd00::/16) and less 600", "action": "drop"}),
        json!({"expression": "vlan 10 or ether multicast or icmp or icmp6 or ip proto 47 or sctp portrange 1-1023"}),
        json!({"expression": "arp host 10.0.0.1 or src and dst port 53 or ip6 multicast or greater 200"}),
        json!({"expression": long.join(" or "), "action": "drop"}),
    ]
    .map(|config| (config, ANY))
    .into()
}

fn nat() -> Configurations {
    let forwards = json!([
        {"protocol": "tcp", "port": 80, "to": "10.0.0.1", "to_port": 8080},
        {"protocol": "udp", "port": 53, "to": "10.0.0.2"}
    ]);
    vec![
        (
            json!({"address": "203.0.113.1", "inside": "10.0.0.0/8", "forward": forwards}),
            ANY,
        ),
        (
            json!({"address": "203.0.113.1", "inside": ["10.0.0.0/24", "10.1.0.0/16"], "ports": "2000-2007", "tcp_timeout": 1,
                   "udp_timeout": 1, "icmp_timeout": 1, "forward": forwards}),
            ANY,
        ),
    ]
}

fn acl() -> Configurations {
    let rules: Vec<Value> = (0..240)
        .map(|n| match n % 4 {
            0 => json!({"action": "deny", "src": format!("10.0.{}.0/24", n % 8), "protocol": "tcp", "dport": n}),
            1 => json!({"action": "permit", "dst": format!("fd00::{n}"), "protocol": "udp", "sport": "1000-2000"}),
            2 => json!({"action": "deny", "protocol": "icmp", "type": n}),
            _ => json!({"action": "permit", "protocol": n}),
        })
        .collect();
    vec![
        (json!({}), ANY),
        (json!({"rules": rules, "default": "permit", "other": "deny"}), ANY),
    ]
}

fn firewall() -> Configurations {
    let quick = json!({"zones": {"in": [0, 2], "out": [1, 3, 4]}, "other": "deny", "tcp_timeout": 1, "udp_timeout": 1,
                       "icmp_timeout": 1, "allow": [{}]});
    vec![
        (
            json!({"zones": {"inside": [0], "outside": [1]}, "allow": [{"from": "inside"}]}),
            SIDES,
        ),
        (quick, ANY),
        (
            json!({"zones": {"a": [0], "b": [1], "c": [2]}, "allow": [{"from": "a"}, {"to": "b", "protocol": "tcp", "dport": "1-1023"},
                   {"protocol": "icmp", "src": "10.0.0.0/8", "dst": "fd00::/16"}]}),
            SWITCH,
        ),
    ]
}

fn router() -> Configurations {
    let ports = json!([
        {"addresses": ["10.0.0.1/24", "fd00::1/64"]},
        {"addresses": ["10.1.0.1/24", "fd00:1::1/64"], "mac": "02:00:00:00:00:01", "mtu": 1280},
        {"addresses": ["10.2.0.1/24"], "mtu": 576},
        {"addresses": ["192.0.2.1/24"]},
        {"addresses": ["203.0.113.1/24"]}
    ]);
    let routes = json!([
        {"to": "0.0.0.0/0", "via": "10.1.0.2"}, {"to": "::/0", "via": "fd00:1::2"}, {"to": "198.51.100.0/24", "via": "10.2.0.2"}
    ]);
    vec![
        (json!({"ports": ports, "routes": routes}), &[5]),
        (
            json!({"ports": [{"addresses": ["10.0.0.1/8", "fd00::1/16"]}]}),
            &[2],
        ),
    ]
}

fn tunnel() -> Configurations {
    let map = json!([{"vlan": 10, "vni": 42}, {"vlan": 20, "vni": 43}]);
    vec![
        (
            json!({"local": "192.0.2.1", "remote": "192.0.2.2", "vni": 42}),
            SIDES,
        ),
        (
            json!({"local": "10.0.0.1", "remote": "10.2.0.2", "gateway": "10.0.0.2", "map": map, "udp_checksum": true, "end": "b"}),
            SIDES,
        ),
        (
            json!({"local": "fd00::1", "remote": "fd00::2", "vni": 42, "keep_tags": true, "gateway_mac": "02:00:00:00:00:02"}),
            SIDES,
        ),
    ]
}

fn load_balancer() -> Configurations {
    vec![
        (
            json!({"address": "10.0.0.100", "servers": "10.0.0.11,10.0.0.12"}),
            ANY,
        ),
        (
            json!({"address": "10.0.0.100", "port": 80, "protocol": "tcp",
                   "servers": [{"address": "10.0.0.11", "port": 8080, "mac": "02:00:00:00:00:03"}, "10.0.0.12"]}),
            ANY,
        ),
        (
            json!({"address": "fd00::100", "servers": ["fd00::11", "fd00::2"], "mode": "direct"}),
            ANY,
        ),
    ]
}
