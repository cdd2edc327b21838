//! An access control list: the first rule that matches a packet decides, the default where none does.
//!
//! A rule names what it matches: protocol, prefixes of the addresses, ranges of the ports, an ICMP type. What it does not
//! name matches anything, of IPv4 and IPv6. Each rule has a counter, and a drop reason of the
//! same name. A later piece of a fragmented packet has no ports: rules
//! that name ports do not match it. What is not IP (ARP, above all), and the Neighbour Discovery that IPv6 has in its place,
//! is under `other`.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod counters;
mod rules;
mod settings;

use core::net::IpAddr;

use vnet_plugin::wire::ip_protocol;
use vnet_plugin::{Counter, Packet, Verdict, plugin};

use counters::RULES;
use rules::{Action, Subject};
use settings::{SETTINGS, configure};

const BY_DEFAULT: u16 = 2;
const OTHER_DENIED: u16 = 3;
const MALFORMED: u16 = 4;
/// The first rule's; those of the others follow.
const BY_RULE: u16 = 16;

static DEFAULT: Counter = Counter::new("default");
static OTHER: Counter = Counter::new("other");

/// Permits and denies packets by the first rule that matches.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    reasons = {2: "denied by default", 3: "denied, not IP", 4: "malformed", 16..=255: "rule_{}"},
    counters = ["default", "other"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "rules": {
                "type": "array",
                "maxItems": 240,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["action"],
                    "properties": {
                        "action": {"enum": ["permit", "deny"], "description": "What becomes of a packet that matches"},
                        "protocol": {
                            "anyOf": [
                                {"enum": ["tcp", "udp", "icmp", "icmpv6", "any"]},
                                {"type": "integer", "minimum": 0, "maximum": 255}
                            ],
                            "description": "Protocol by name or number; any when absent"
                        },
                        "src": {"type": "string", "description": "Prefix of the source address: 10.0.0.0/8"},
                        "dst": {"type": "string", "description": "Prefix of the destination address"},
                        "sport": {"type": ["integer", "string"], "description": "Source port, or a range: 1024-65535"},
                        "dport": {"type": ["integer", "string"], "description": "Destination port, or a range"},
                        "type": {"type": "integer", "minimum": 0, "maximum": 255,
                                 "description": "Type of an ICMP or ICMPv6 message"}
                    }
                },
                "description": "Rules in the order in which they are tried"
            },
            "default": {"enum": ["permit", "deny"], "description": "What becomes of packets that no rule matches; deny when absent"},
            "other": {"enum": ["permit", "deny"],
                      "description": "What becomes of frames that are not IP, and of Neighbour Discovery; permit when absent"}
        }
    }"#,
    configure = configure,
)]
fn acl(pkt: &mut Packet) -> Verdict {
    let frame = pkt.frame();
    let Some(flow) = pkt.flow() else {
        return if is_ip(pkt) { Verdict::DropFor(MALFORMED) } else { other() };
    };
    let numbers = match (flow.protocol, flow.l4_at) {
        (ip_protocol::TCP | ip_protocol::UDP, Some(_)) => match flow.ports {
            Some(ports) => Some(ports),
            None => return Verdict::DropFor(MALFORMED),
        },
        (ip_protocol::ICMP | ip_protocol::ICMPV6, Some(_)) => flow.icmp(frame).map(|(kind, code)| (code.into(), kind.into())),
        _ => flow.ports,
    };
    if flow.is_neighbour_discovery(frame) {
        return other();
    }
    let found = SETTINGS.with(|settings| match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => settings.v4.first(&Subject {
            src: src.to_bits(),
            dst: dst.to_bits(),
            protocol: flow.protocol,
            numbers,
        }),
        (IpAddr::V6(src), IpAddr::V6(dst)) => settings.v6.first(&Subject {
            src: src.to_bits(),
            dst: dst.to_bits(),
            protocol: flow.protocol,
            numbers,
        }),
        _ => None,
    });
    let Some((action, rule)) = found else {
        DEFAULT.increment();
        return match SETTINGS.with(|settings| settings.default) {
            Action::Permit => Verdict::Pass,
            Action::Deny => Verdict::DropFor(BY_DEFAULT),
        };
    };
    if let Some(counter) = RULES.get(usize::from(rule)) {
        counter.increment();
    }
    match action {
        Action::Permit => Verdict::Pass,
        Action::Deny => Verdict::DropFor(BY_RULE + u16::from(rule)),
    }
}

/// Says whether the frame claims to carry IP.
fn is_ip(pkt: &Packet) -> bool {
    use vnet_plugin::wire::ether_type;
    pkt.is_l3() || matches!(pkt.ether_type(), ether_type::IPV4 | ether_type::IPV6)
}

fn other() -> Verdict {
    OTHER.increment();
    if SETTINGS.with(|settings| settings.denies_other) {
        return Verdict::DropFor(OTHER_DENIED);
    }
    Verdict::Pass
}

#[cfg(test)]
mod tests;
