//! Network address and port translation for IPv4: masquerading and port forwards.
//!
//! Attached where a router's packets leave for the outside, to a link or an interface in both directions. What comes from an
//! inside address leaves with the outside address and a port of it; what comes back to that port is turned back. TCP, UDP,
//! pings, and the packet that an ICMP error quotes. One inside endpoint has one outside port, whoever it talks to
//! (endpoint-independent mapping, RFC 4787), and keeps its own port number where that is free.
//!
//! The router's own packets, from the outside address, pass; those that open a conversation reserve their port. Later pieces
//! of a fragmented packet follow their first. Everything that is not IPv4 passes.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod mappings;
mod rewrite;
mod settings;

use core::net::{IpAddr, Ipv4Addr};

use vnet_plugin::wire::{ip_protocol, tcp_flags};
use vnet_plugin::{Counter, Flow, Packet, Verdict, plugin};

use mappings::Endpoint;
use rewrite::{End, translate, translate_quoted};
use settings::{SETTINGS, Settings, configure};

const UNSUPPORTED: u16 = 1;
const NO_PORT: u16 = 2;
const TABLE_FULL: u16 = 3;
const UNKNOWN_ERROR: u16 = 4;
const MALFORMED: u16 = 5;

static TRANSLATED_OUT: Counter = Counter::new("translated_out");
static TRANSLATED_IN: Counter = Counter::new("translated_in");
static NEW_MAPPINGS: Counter = Counter::new("new_mappings");
static ERRORS: Counter = Counter::new("icmp_errors");

/// Hides hosts behind one IPv4 address, and forwards ports to them.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    reasons = {
        1: "unsupported protocol", 2: "no free port", 3: "table full", 4: "error about an unknown packet", 5: "malformed"
    },
    counters = ["translated_out", "translated_in", "new_mappings", "icmp_errors"],
    maps = {
        "nat": mappings::NAT(
            "protocol: u8, _: u8, port: be16, address: ip4" =>
            "outside_port: be16, phase: u8, _: bytes[5], seen: u64"
        ),
        "ports": mappings::PORTS("protocol: u8, _: u8, port: be16" => "to: ip4, to_port: be16, _: bytes[2]"),
        "fragments": mappings::FRAGMENTS(
            "source: ip4, id: be16, protocol: u8, _: u8" => "to: ip4, _: bytes[4], seen: u64"
        ),
    },
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["address", "inside"],
        "properties": {
            "address": {
                "type": "string",
                "pattern": "^[0-9]{1,3}([.][0-9]{1,3}){3}$",
                "description": "The outside IPv4 address: that of the router's interface to the outside"
            },
            "inside": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 16}
                ],
                "description": "IPv4 prefix of the hosts to hide, or a list of up to 16: 10.0.0.0/8"
            },
            "forward": {
                "type": "array",
                "maxItems": 64,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["protocol", "port", "to"],
                    "properties": {
                        "protocol": {"enum": ["tcp", "udp"]},
                        "port": {"type": "integer", "minimum": 1, "maximum": 65535,
                                 "description": "Port of the outside address"},
                        "to": {"type": "string", "description": "Inside address"},
                        "to_port": {"type": "integer", "minimum": 1, "maximum": 65535,
                                    "description": "Port there; the same when absent"}
                    }
                },
                "description": "Ports of the outside address that lead to a host inside"
            },
            "ports": {
                "type": "string",
                "pattern": "^[0-9]{1,5}-[0-9]{1,5}$",
                "description": "Ports of the outside address to give out; 1024-65535 when absent"
            },
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
fn nat(pkt: &mut Packet) -> Verdict {
    let Some(flow) = pkt.flow() else {
        return Verdict::Pass;
    };
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (flow.src, flow.dst) else {
        return Verdict::Pass;
    };
    SETTINGS.with(|settings| {
        if dst == settings.address {
            inward(pkt, &flow, settings)
        } else if settings.is_inside(dst) || dst.is_multicast() || dst.is_broadcast() {
            Verdict::Pass
        } else if settings.is_inside(src) {
            outward(pkt, &flow, src, settings)
        } else if src == settings.address {
            reserve(pkt, &flow, src, settings)
        } else {
            Verdict::Pass
        }
    })
}

/// A packet of a host inside: leaves with the outside address.
fn outward(pkt: &mut Packet, flow: &Flow, src: Ipv4Addr, settings: &Settings) -> Verdict {
    let (now, partial) = (pkt.ts_ns(), pkt.csum_partial());
    if flow.l4_at.is_none() {
        // What identifies the conversation went with the first piece.
        translate(
            pkt.frame_mut(),
            flow,
            End::Source,
            settings.address,
            None,
            partial,
        );
        return Verdict::Pass;
    }
    if let Some(quoted) = flow.quoted(pkt.frame()) {
        let Some(port) =
            endpoint(&quoted, pkt.frame(), End::Destination).and_then(|inside| mappings::port_of(&inside))
        else {
            return Verdict::DropFor(UNKNOWN_ERROR);
        };
        ERRORS.increment();
        translate_quoted(
            pkt.frame_mut(),
            flow,
            &quoted,
            End::Destination,
            settings.address,
            port,
        );
        translate(
            pkt.frame_mut(),
            flow,
            End::Source,
            settings.address,
            None,
            partial,
        );
        return Verdict::Pass;
    }
    let Some(inside) = endpoint(flow, pkt.frame(), End::Source) else {
        return Verdict::DropFor(unreadable(flow));
    };
    let flags = flow.tcp_flags(pkt.frame());
    let port = match mappings::outward(&Endpoint { ip: src, ..inside }, flags, now, settings) {
        Ok(port) => port,
        Err(reason) => return Verdict::DropFor(reason),
    };
    TRANSLATED_OUT.increment();
    translate(
        pkt.frame_mut(),
        flow,
        End::Source,
        settings.address,
        Some(port),
        partial,
    );
    Verdict::Pass
}

/// A packet of the router itself: passes, and reserves the port it opens a conversation from, unless a host inside has it.
fn reserve(pkt: &mut Packet, flow: &Flow, src: Ipv4Addr, settings: &Settings) -> Verdict {
    let (now, partial) = (pkt.ts_ns(), pkt.csum_partial());
    let flags = flow.tcp_flags(pkt.frame());
    let Some(own) = endpoint(flow, pkt.frame(), End::Source) else {
        return Verdict::Pass;
    };
    let opens = flags.is_none_or(|flags| flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN);
    let own = Endpoint { ip: src, ..own };
    if !opens && mappings::port_of(&own).is_none() {
        return Verdict::Pass;
    }
    // With no port to be had it is better sent from a port that another has than not at all.
    if let Ok(port) = mappings::outward(&own, flags, now, settings)
        && port != own.port
    {
        translate(
            pkt.frame_mut(),
            flow,
            End::Source,
            settings.address,
            Some(port),
            partial,
        );
    }
    Verdict::Pass
}

/// A packet to the outside address: goes to the host inside that has the port, else to the router itself.
fn inward(pkt: &mut Packet, flow: &Flow, settings: &Settings) -> Verdict {
    let (now, partial) = (pkt.ts_ns(), pkt.csum_partial());
    if flow.l4_at.is_none() {
        if let Some(inside) = mappings::fragment_goes_to(&fragment_key(flow), now) {
            translate(pkt.frame_mut(), flow, End::Destination, inside, None, partial);
        }
        return Verdict::Pass;
    }
    if let Some(quoted) = flow.quoted(pkt.frame()) {
        if quoted.src != IpAddr::V4(settings.address) {
            return Verdict::Pass;
        }
        let inside =
            endpoint(&quoted, pkt.frame(), End::Source).and_then(|outside| mappings::inside_of(&outside));
        let Some(inside) = inside else {
            return Verdict::Pass;
        };
        ERRORS.increment();
        translate_quoted(
            pkt.frame_mut(),
            flow,
            &quoted,
            End::Source,
            inside.ip,
            inside.port,
        );
        translate(pkt.frame_mut(), flow, End::Destination, inside.ip, None, partial);
        return Verdict::Pass;
    }
    let Some(outside) = endpoint(flow, pkt.frame(), End::Destination) else {
        return Verdict::Pass;
    };
    let flags = flow.tcp_flags(pkt.frame());
    let Some(inside) = mappings::inward(&outside, flags, now, settings) else {
        return Verdict::Pass;
    };
    if flow.fragment {
        mappings::remember_fragment(&fragment_key(flow), inside.ip, now);
    }
    TRANSLATED_IN.increment();
    translate(
        pkt.frame_mut(),
        flow,
        End::Destination,
        inside.ip,
        Some(inside.port),
        partial,
    );
    Verdict::Pass
}

/// Returns one end of a conversation: of a ping the identifier is the port, of the end that asked.
#[inline(always)]
fn endpoint(flow: &Flow, frame: &[u8], end: End) -> Option<Endpoint> {
    let (address, port) = match (flow.protocol, flow.ports) {
        (ip_protocol::TCP | ip_protocol::UDP, Some((src, dst))) => match end {
            End::Source => (flow.src, src),
            End::Destination => (flow.dst, dst),
        },
        (ip_protocol::ICMP, _) => {
            let (id, request) = flow.echo(frame)?;
            match (end, request) {
                (End::Source, true) => (flow.src, id),
                (End::Destination, false) => (flow.dst, id),
                _ => return None,
            }
        }
        _ => return None,
    };
    match address {
        IpAddr::V4(ip) => Some(Endpoint {
            protocol: flow.protocol,
            ip,
            port,
        }),
        IpAddr::V6(_) => None,
    }
}

/// Says why a packet of a host inside has no endpoint.
const fn unreadable(flow: &Flow) -> u16 {
    match flow.protocol {
        ip_protocol::TCP | ip_protocol::UDP => MALFORMED,
        _ => UNSUPPORTED,
    }
}

/// Returns what the pieces of one packet have in common (RFC 791): source, identification and protocol; all of them go to
/// the outside address.
fn fragment_key(flow: &Flow) -> [u8; 8] {
    let IpAddr::V4(src) = flow.src else {
        return [0; 8];
    };
    let [a, b, c, d] = src.octets();
    let [_, _, high, low] = flow.id.to_be_bytes();
    [a, b, c, d, high, low, flow.protocol, 0]
}

#[cfg(test)]
mod tests;
