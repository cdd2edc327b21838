//! A router for IPv4 and IPv6: attached to a switch, it makes each port of it an interface of its own.
//!
//! A packet to the interface's MAC address goes out by the longest prefix that holds its destination, its TTL one less, to
//! the next hop's MAC address, in pieces where it is longer than the interface's MTU. The router answers ARP, Neighbour Discovery and pings for its own addresses, asks for those of
//! its neighbours, and holds a few packets until it knows. What it cannot forward it answers with an ICMP error: time
//! exceeded, unreachable, too big. Broadcasts, groups and tagged frames end here.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod errors;
mod neighbors;
mod own;
mod pieces;
mod settings;

use core::net::IpAddr;

use vnet_plugin::wire::{Ipv4, Ipv6, MacAddr, ether_type};
use vnet_plugin::{Counter, Flow, Packet, Verdict, neighbor, plugin};

use errors::Problem;
use neighbors::Hop;
use settings::{Interface, SETTINGS, Settings, configure};

const NOT_FOR_ROUTER: u16 = 1;
const NOT_ROUTED: u16 = 2;
const EXPIRED: u16 = 3;
const NO_ROUTE: u16 = 4;
const NO_NEIGHBOR: u16 = 5;
const MALFORMED: u16 = 6;
const NO_INTERFACE: u16 = 7;
const DONE: u16 = 8;
const NO_SERVICE: u16 = 9;
const TOO_BIG: u16 = 10;

static FORWARDED: Counter = Counter::new("forwarded");
static ERRORS: Counter = Counter::new("icmp_errors");
static QUESTIONS: Counter = Counter::new("neighbor_questions");
static HELD: Counter = Counter::new("held");
static FRAGMENTED: Counter = Counter::new("fragmented");

/// Routes IPv4 and IPv6 between the ports of a switch.
#[plugin(
    gso, csum,
    layers = ["l2"],
    reasons = {
        1: "for another station", 2: "group, broadcast or tagged", 3: "ttl expired", 4: "no route", 5: "neighbour not known yet",
        6: "malformed", 7: "port without an interface", 8: "for the router itself, done", 9: "no service here",
        10: "too big"
    },
    counters = ["forwarded", "icmp_errors", "neighbor_questions", "held", "fragmented"],
    maps = {
        "neighbors": neighbors::NEIGHBORS(
            "ip: ip, port: u16, _: bytes[6]" => "mac: mac, _: bytes[2], seen: u64, asked: u64, since: u64"
        ),
    },
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["ports"],
        "properties": {
            "ports": {
                "type": "array",
                "minItems": 1,
                "maxItems": 64,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["addresses"],
                    "properties": {
                        "addresses": {
                            "type": "array", "items": {"type": "string"}, "maxItems": 4,
                            "description": "Addresses of the interface with their prefixes: 10.0.0.1/24, fd00::1/64"
                        },
                        "mac": {
                            "type": "string",
                            "pattern": "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$",
                            "description": "MAC address of the interface; 02:76:72:00:00:PORT when absent"
                        },
                        "mtu": {
                            "type": "integer", "minimum": 576, "maximum": 65535,
                            "description": "Most bytes of a packet that leaves by it; as many as come when absent"
                        }
                    }
                },
                "description": "The interfaces, by port"
            },
            "routes": {
                "type": "array",
                "maxItems": 256,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["to", "via"],
                    "properties": {
                        "to": {"type": "string", "description": "Prefix of the destinations: 10.2.0.0/16, 0.0.0.0/0"},
                        "via": {"type": "string", "description": "Address of the next router, on a subnet of an interface"}
                    }
                },
                "description": "Routes to networks that are on no interface"
            }
        }
    }"#,
    configure = configure,
)]
fn router(pkt: &mut Packet) -> Verdict {
    SETTINGS.with(|settings| judge(pkt, settings))
}

fn judge(pkt: &mut Packet, settings: &Settings) -> Verdict {
    let port = pkt.port();
    let Some(interface) = settings.interface(port) else {
        return Verdict::DropFor(NO_INTERFACE);
    };
    let to = pkt.eth().dst();
    if to != interface.mac && !to.is_multicast() {
        return Verdict::DropFor(NOT_FOR_ROUTER);
    }
    match pkt.eth().ether_type() {
        ether_type::ARP => return resolve(pkt, interface, settings),
        ether_type::IPV4 | ether_type::IPV6 => {}
        _ => return Verdict::DropFor(NOT_ROUTED),
    }
    let Some(flow) = pkt.flow() else {
        return Verdict::DropFor(MALFORMED);
    };
    if flow.is_neighbour_discovery(pkt.frame()) {
        return resolve(pkt, interface, settings);
    }
    if to.is_multicast() || !is_routed(flow.src) || !is_routed(flow.dst) {
        return Verdict::DropFor(NOT_ROUTED);
    }
    if settings.is_own(flow.dst) {
        return own::answer(pkt, &flow, interface);
    }
    forward(pkt, &flow, interface, settings)
}

/// ARP and Neighbour Discovery: learns, and answers for the interface's own addresses.
fn resolve(pkt: &mut Packet, interface: &Interface, settings: &Settings) -> Verdict {
    let (port, now) = (pkt.port(), pkt.ts_ns());
    if let Some((ip, mac)) = neighbor::heard(pkt).or_else(|| neighbors::asker(pkt))
        && interface.is_link(ip)
        && !settings.is_own(ip)
    {
        neighbors::learn(ip, port, mac, now);
        neighbors::release(ip, port, mac, interface.mac);
    }
    for address in interface.addresses() {
        if neighbor::answer(pkt, address.address(), interface.mac) {
            return Verdict::Tx;
        }
    }
    Verdict::DropFor(DONE)
}

fn forward(pkt: &mut Packet, flow: &Flow, interface: &Interface, settings: &Settings) -> Verdict {
    let (port, now) = (pkt.port(), pkt.ts_ns());
    if ttl(pkt, flow) <= 1 {
        return errors::answer(pkt, flow, interface, Problem::Expired, EXPIRED);
    }
    let Some((out, hop)) = settings.route(flow.dst) else {
        return errors::answer(pkt, flow, interface, Problem::NoRoute, NO_ROUTE);
    };
    let Some(exit) = settings.interface(out) else {
        return Verdict::DropFor(NO_INTERFACE);
    };
    let too_big = exit.mtu != 0 && pieces::longest(pkt, flow) > usize::from(exit.mtu);
    if too_big && !pieces::may_cut(pkt, flow) {
        return errors::answer(pkt, flow, interface, Problem::TooBig(exit.mtu), TOO_BIG);
    }
    let mac = match neighbors::find(hop, out, now) {
        Hop::Known(mac) => mac,
        Hop::Stale(mac) => {
            ask(hop, out, exit);
            mac
        }
        Hop::Unknown { ask: due } => {
            if due {
                ask(hop, out, exit);
            }
            lower_ttl(pkt, flow);
            // What has to be cut comes in numbers, and its next packet finds the neighbour.
            if !too_big && neighbors::hold(pkt, hop, out) {
                HELD.increment();
            }
            return Verdict::DropFor(NO_NEIGHBOR);
        }
        Hop::Silent { ask: due } => {
            if due {
                ask(hop, out, exit);
            }
            return errors::answer(pkt, flow, interface, Problem::NoHost, NO_NEIGHBOR);
        }
    };
    lower_ttl(pkt, flow);
    if let Some(mut eth) = pkt.eth_mut() {
        eth.set_dst(mac);
        eth.set_src(exit.mac);
    }
    let verdict = if out == port { Verdict::Tx } else { Verdict::Redirect(out) };
    if too_big {
        if !pieces::cut(pkt, flow, exit.mtu.into(), out) {
            return Verdict::DropFor(TOO_BIG);
        }
        FRAGMENTED.increment();
    }
    FORWARDED.increment();
    verdict
}

/// Sends a question for a neighbour's MAC address out by a port.
fn ask(hop: IpAddr, out: u16, exit: &Interface) {
    QUESTIONS.increment();
    let question = neighbor::question(hop, exit.mac, exit.address_for(hop));
    // With no descriptor left the next packet asks again.
    let _ = vnet_plugin::append_to(out, question.frame());
}

/// Says whether a router passes packets from and to this address on.
fn is_routed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_loopback() || ip.is_link_local())
        }
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || ip.is_unicast_link_local())
        }
    }
}

fn ttl(pkt: &Packet, flow: &Flow) -> u8 {
    let packet = pkt.frame().get(flow.ip_at..).unwrap_or_default();
    match flow.src {
        IpAddr::V4(_) => Ipv4::new_unchecked(packet).ttl(),
        IpAddr::V6(_) => Ipv6::new_unchecked(packet).hop_limit(),
    }
}

fn lower_ttl(pkt: &mut Packet, flow: &Flow) {
    let packet = pkt.frame_mut().get_mut(flow.ip_at..).unwrap_or_default();
    match flow.src {
        IpAddr::V4(_) => {
            let mut ip = Ipv4::new_unchecked(packet);
            let (ttl, protocol, sum) = (ip.ttl(), ip.protocol(), ip.checksum());
            let word = |ttl| u16::from_be_bytes([ttl, protocol]);
            let less = ttl.saturating_sub(1);
            ip.set_ttl(less);
            ip.set_checksum(vnet_plugin::checksum::update16(sum, word(ttl), word(less)));
        }
        IpAddr::V6(_) => {
            let mut ip = Ipv6::new_unchecked(packet);
            let less = ip.hop_limit().saturating_sub(1);
            ip.set_hop_limit(less);
        }
    }
}

/// Exchanges the stations of a frame that goes back where it came from.
fn send_back(pkt: &mut Packet, own: MacAddr) {
    let asker = pkt.eth().src();
    if let Some(mut eth) = pkt.eth_mut() {
        eth.set_dst(asker);
        eth.set_src(own);
    }
}

#[cfg(test)]
mod tests;
