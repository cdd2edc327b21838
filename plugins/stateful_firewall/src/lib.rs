//! A firewall that knows conversations: rules say which may begin between zones, and the rest of each follows.
//!
//! A zone is a set of ports. On a link, a wire and a device there are two: 0, where ingress frames come from, and 1. On a
//! switch a packet's zone of destination is that of the port its receiver's MAC address was heard on. Frames within a zone
//! pass. Between zones a packet passes when it belongs to a conversation, is an ICMP error about one, or when a rule allows it
//! to begin one: the first packet of UDP and other protocols, TCP's SYN, an echo request. ARP and Neighbour Discovery pass.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod conversations;
mod pieces;
mod rules;
mod settings;
mod stations;

use vnet_plugin::wire::{ether_type, ip_protocol, tcp_flags};
use vnet_plugin::{Counter, Flow, Packet, Verdict, plugin};

use conversations::{Found, Key};
use settings::{SETTINGS, Settings, Zone, configure};

const DENIED: u16 = 1;
const INVALID: u16 = 2;
const NO_ZONE: u16 = 3;
const MALFORMED: u16 = 4;
const TABLE_FULL: u16 = 5;
const OTHER_DENIED: u16 = 6;

static NEW: Counter = Counter::new("new");
static ESTABLISHED: Counter = Counter::new("established");
static RELATED: Counter = Counter::new("related");
static WITHIN: Counter = Counter::new("within_a_zone");
static OTHER: Counter = Counter::new("other");

/// Lets conversations begin between zones as rules allow, and their answers back in.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    reasons = {1: "denied", 2: "belongs to no conversation", 3: "port in no zone", 4: "malformed", 5: "table full", 6: "denied, not IP"},
    counters = ["new", "established", "related", "within_a_zone", "other"],
    maps = {
        "conversations": conversations::CONVERSATIONS(
            "protocol: u8, _: u8, a_port: be16, b_port: be16, _: bytes[2], a: ip, b: ip" =>
            "phase: u8, begun_by_b: bool, _: bytes[6], seen: u64"
        ),
        "stations": stations::STATIONS("mac: mac, vlan: be16" => "port: u16, _: bytes[6], seen: u64"),
        "pieces": pieces::PIECES("source: ip, destination: ip, id: u32, protocol: u8, _: bytes[3]" => "seen: u64"),
    },
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["zones"],
        "properties": {
            "zones": {
                "type": "object",
                "minProperties": 2,
                "maxProperties": 16,
                "additionalProperties": {
                    "type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 1022}, "minItems": 1
                },
                "description": "Names of zones, each with its ports"
            },
            "allow": {
                "type": "array",
                "maxItems": 128,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "from": {"type": "string", "description": "Zone of the one that begins; any when absent"},
                        "to": {"type": "string", "description": "Zone of the other; any when absent"},
                        "protocol": {
                            "anyOf": [
                                {"enum": ["tcp", "udp", "icmp", "icmpv6", "any"]},
                                {"type": "integer", "minimum": 0, "maximum": 255}
                            ],
                            "description": "Protocol by name or number; any when absent"
                        },
                        "src": {"type": "string", "description": "Prefix of the address of the one that begins"},
                        "dst": {"type": "string", "description": "Prefix of the other's address"},
                        "dport": {"type": ["integer", "string"], "description": "The other's port, or a range: 1-1023"}
                    }
                },
                "description": "Conversations that may begin; none when absent"
            },
            "other": {"enum": ["permit", "deny"],
                      "description": "What becomes of frames that are not IP, and of Neighbour Discovery; permit when absent"},
            "tcp_timeout": {"type": "integer", "minimum": 1, "maximum": 1000000,
                            "description": "Seconds after which a silent TCP connection is forgotten; 7440 when absent"},
            "udp_timeout": {"type": "integer", "minimum": 1, "maximum": 1000000,
                            "description": "Seconds for answered UDP; 300 when absent"},
            "icmp_timeout": {"type": "integer", "minimum": 1, "maximum": 1000000,
                             "description": "Seconds for pings; 60 when absent"}
        }
    }"#,
    configure = configure,
)]
fn stateful_firewall(pkt: &mut Packet) -> Verdict {
    SETTINGS.with(|settings| judge(pkt, settings))
}

fn judge(pkt: &Packet, settings: &Settings) -> Verdict {
    // A device has one port; what is about to leave it came from the other side.
    let port = if pkt.is_egress() { 1 } else { pkt.port() };
    let Some(from) = settings.zone_of(port) else {
        return Verdict::DropFor(NO_ZONE);
    };
    let to = if settings.two_sided {
        settings.zone_of(port ^ 1)
    } else {
        stations::learn(pkt, port);
        stations::port_of_receiver(pkt).and_then(|port| settings.zone_of(port))
    };
    if to == Some(from) {
        WITHIN.increment();
        return Verdict::Pass;
    }
    let frame = pkt.frame();
    let Some(flow) = pkt.flow() else {
        let claims_ip = pkt.is_l3() || matches!(pkt.ether_type(), ether_type::IPV4 | ether_type::IPV6);
        return if claims_ip {
            Verdict::DropFor(MALFORMED)
        } else {
            other(settings)
        };
    };
    if flow.is_neighbour_discovery(frame) {
        return other(settings);
    }
    let verdict = between(&flow, frame, pkt.ts_ns(), (from, to), settings);
    if verdict == Verdict::Pass && flow.fragment && flow.l4_at.is_some() {
        pieces::expect(&flow, pkt.ts_ns());
    }
    verdict
}

fn other(settings: &Settings) -> Verdict {
    OTHER.increment();
    if settings.denies_other {
        return Verdict::DropFor(OTHER_DENIED);
    }
    Verdict::Pass
}

/// Judges a packet from one zone to another.
fn between(flow: &Flow, frame: &[u8], now: u64, zones: (Zone, Option<Zone>), settings: &Settings) -> Verdict {
    if flow.l4_at.is_none() {
        // A later piece: it goes where its first went.
        return if pieces::is_expected(flow, now) {
            ESTABLISHED.increment();
            Verdict::Pass
        } else {
            Verdict::DropFor(INVALID)
        };
    }
    if let Some(quoted) = flow.quoted(frame) {
        return match Key::of(&quoted, frame) {
            Some(key) if conversations::is_known(&key, now, settings) => {
                RELATED.increment();
                Verdict::Pass
            }
            _ => Verdict::DropFor(INVALID),
        };
    }
    let Some(key) = Key::of(flow, frame) else {
        return match flow.protocol {
            ip_protocol::ICMP | ip_protocol::ICMPV6 if flow.echo(frame).is_none() => stateless(flow, zones, settings),
            _ => Verdict::DropFor(MALFORMED),
        };
    };
    let flags = flow.tcp_flags(frame);
    match conversations::find(&key, flags, now, settings) {
        Found::Follows => {
            ESTABLISHED.increment();
            return Verdict::Pass;
        }
        Found::Contradicts => return Verdict::DropFor(INVALID),
        Found::Nothing => {}
    }
    if !may_begin(flow, frame, flags) {
        return Verdict::DropFor(INVALID);
    }
    if !settings.allows(flow, zones) {
        return Verdict::DropFor(DENIED);
    }
    if !conversations::begin(&key, flags, now, settings) {
        return Verdict::DropFor(TABLE_FULL);
    }
    NEW.increment();
    Verdict::Pass
}

/// Says whether a conversation can begin with this packet.
fn may_begin(flow: &Flow, frame: &[u8], flags: Option<u8>) -> bool {
    const OF_INTEREST: u8 = tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST | tcp_flags::FIN;
    match (flow.protocol, flags) {
        (ip_protocol::TCP, Some(flags)) => flags & OF_INTEREST == tcp_flags::SYN,
        (ip_protocol::TCP, None) => false,
        _ => flow.echo(frame).is_none_or(|(_, request)| request),
    }
}

/// Judges an ICMP message that no answer is known for: each needs a rule.
fn stateless(flow: &Flow, zones: (Zone, Option<Zone>), settings: &Settings) -> Verdict {
    if settings.allows(flow, zones) {
        NEW.increment();
        return Verdict::Pass;
    }
    Verdict::DropFor(DENIED)
}

#[cfg(test)]
mod tests;
