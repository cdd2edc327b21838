//! Spreads connections to a virtual address over servers, by consistent hashing.
//!
//! It answers ARP and Neighbour Discovery for the virtual address, so that clients send to it, and chooses a server for each
//! connection: by Maglev hashing of client and port, so that servers that come or go disturb few others, and remembered, so
//! that a connection stays where it began. In `rewrite` mode addresses and ports are changed both ways; in `direct` mode the
//! frame alone is sent to another station, and servers that have the virtual address as one of theirs answer by themselves.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod errors;
mod maglev;
mod settings;
mod table;

use core::net::IpAddr;

use vnet_plugin::abi::fnv1a;
use vnet_plugin::track::{Phase, Side};
use vnet_plugin::wire::{MacAddr, ether_type, icmpv6_type, ip_protocol, tcp_flags};
use vnet_plugin::{Counter, End, Flow, Packet, Verdict, append, neighbor, plugin};

use settings::{SETTINGS, Settings, configure};
use table::{CONNECTIONS, Connection, Key};

const NO_SERVICE: u16 = 1;
const NO_NEIGHBOR: u16 = 2;
const TABLE_FULL: u16 = 3;
const FRAGMENT: u16 = 4;

/// How often a server that was not heard of is asked for, in nanoseconds.
const ASK_NS: u64 = 200_000_000;

static ANSWERED: Counter = Counter::new("neighbor_answers");
static OPENED: Counter = Counter::new("connections");
static FORWARDED: Counter = Counter::new("to_servers");
static RETURNED: Counter = Counter::new("to_clients");

/// Spreads connections to a virtual address over servers by consistent hashing.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    reasons = {1: "no service", 2: "no neighbor", 3: "table full", 4: "fragment"},
    counters = ["neighbor_answers", "connections", "to_servers", "to_clients"],
    maps = {"connections": CONNECTIONS(
        "protocol: u8, _: u8, client: ip, client_port: be16, service_port: be16"
            => "server: ip, port: be16, phase: u8, _: bytes[5], packets: u64, seen: u64"
    )},
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["address", "servers"],
        "properties": {
            "address": {"type": "string", "description": "virtual IPv4 or IPv6 address"},
            "servers": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "array", "minItems": 1, "maxItems": 64,
                        "items": {"anyOf": [
                            {"type": "string"},
                            {
                                "type": "object",
                                "additionalProperties": false,
                                "required": ["address"],
                                "properties": {
                                    "address": {"type": "string"},
                                    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                                    "weight": {"type": "integer", "minimum": 1, "maximum": 100},
                                    "mac": {"type": "string"}
                                }
                            }
                        ]}
                    }
                ],
                "description": "addresses behind it, with a port where theirs is another: \"10.0.0.11,10.0.0.12:8080\", or objects with address, port, weight (1 to 100) and mac"
            },
            "port": {
                "type": "integer", "minimum": 1, "maximum": 65535,
                "description": "port of the service; all ports when absent"
            },
            "protocol": {"enum": ["tcp", "udp", "any"], "description": "protocol of the service; TCP and UDP when absent"},
            "mode": {
                "enum": ["rewrite", "direct"],
                "description": "rewrite (when absent) changes addresses both ways; direct only sends frames to the server's station"
            },
            "mac": {
                "type": "string",
                "description": "MAC address of the virtual address; 02:76:6e:65:74:02 when absent"
            }
        }
    }"#,
    configure = configure,
)]
fn load_balancer(pkt: &mut Packet) -> Verdict {
    let Some(flow) = pkt.flow() else {
        if pkt.ether_type() == ether_type::ARP {
            return neighbors(pkt);
        }
        return Verdict::Pass;
    };
    if let (ip_protocol::ICMPV6, Some((icmpv6_type::NEIGHBOR_SOLICITATION | icmpv6_type::NEIGHBOR_ADVERTISEMENT, _))) =
        (flow.protocol, flow.icmp(pkt.frame()))
    {
        return neighbors(pkt);
    }
    SETTINGS.with(|settings| {
        if flow.dst == settings.address {
            to_server(pkt, &flow, settings)
        } else if settings.is_server(flow.src) {
            if !pkt.is_l3() {
                settings.learn(flow.src, pkt.eth().src());
            }
            if settings.direct { Verdict::Pass } else { to_client(pkt, &flow, settings) }
        } else {
            Verdict::Pass
        }
    })
}

/// Answers for the virtual address, and listens to what is said of the servers.
fn neighbors(pkt: &mut Packet) -> Verdict {
    if pkt.is_egress() || pkt.is_l3() {
        return Verdict::Pass;
    }
    SETTINGS.with(|settings| {
        if neighbor::answer(pkt, settings.address, settings.mac) {
            ANSWERED.increment();
            // Whoever asks is about to send: by then the servers' stations are known.
            for index in 0..settings.servers().len() {
                ask(settings, index, pkt.ts_ns());
            }
            return Verdict::Tx;
        }
        if let Some((ip, mac)) = neighbor::heard(pkt) {
            settings.learn(ip, mac);
        }
        Verdict::Pass
    })
}

/// Asks for a server's station where it is not known.
fn ask(settings: &mut Settings, index: usize, now: u64) {
    let own = settings.mac;
    let Some(server) = settings.server_mut(index) else { return };
    if server.mac != MacAddr::ZERO || server.asked_ns != 0 && now.saturating_sub(server.asked_ns) < ASK_NS {
        return;
    }
    server.asked_ns = now.max(1);
    let question = neighbor::question(server.ip, own, None);
    // Onwards and backwards; a ring without room asks again with the next frame that is late enough.
    for verdict in [Verdict::Pass, Verdict::Tx] {
        let _ = append(question.frame(), verdict);
    }
}

/// The ports of both ends, source first; an echo has its identifier, which is the client's, and no other.
fn ports(flow: &Flow, pkt: &Packet) -> Option<(u16, u16)> {
    let echo = || {
        let (id, request) = flow.echo(pkt.frame())?;
        Some(if request { (id, 0) } else { (0, id) })
    };
    match flow.protocol {
        ip_protocol::TCP | ip_protocol::UDP => flow.ports,
        _ => echo(),
    }
}

fn to_server(pkt: &mut Packet, flow: &Flow, settings: &mut Settings) -> Verdict {
    if flow.fragment {
        return Verdict::DropFor(FRAGMENT);
    }
    if let Some(quoted) = flow.quoted(pkt.frame()) {
        return errors::to_server(pkt, &quoted, settings);
    }
    let Some((client_port, service_port)) = ports(flow, pkt) else {
        return Verdict::DropFor(NO_SERVICE);
    };
    let other_port = settings.port != 0 && settings.port != service_port;
    let other_protocol = settings.protocol != 0 && settings.protocol != flow.protocol;
    if matches!(flow.protocol, ip_protocol::TCP | ip_protocol::UDP) && (other_port || other_protocol) {
        return Verdict::DropFor(NO_SERVICE);
    }
    let key = Key {
        protocol: flow.protocol,
        client: flow.src,
        client_port,
        service_port,
    };
    let flags = flow.tcp_flags(pkt.frame());
    let now = pkt.ts_ns();
    let begins = flags.is_some_and(|flags| flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN);
    let known = table::find(&key, now)
        .filter(|known| !(begins && known.phase.is_over()))
        .and_then(|known| Some((known, settings.find(known.server, known.port)?)));
    let (mut connection, index) = match known {
        Some(known) => known,
        None => {
            let index = settings.choose(maglev::mix(fnv1a(&key.bytes())));
            let Some(server) = settings.servers().get(index) else {
                return Verdict::DropFor(NO_SERVICE);
            };
            let connection = Connection {
                server: server.ip,
                port: if server.port == 0 { service_port } else { server.port },
                // Where answers take another way, they are taken for granted.
                phase: if settings.direct { Phase::NEW.after(Side::Responder, None) } else { Phase::NEW },
                packets: 0,
                seen_ns: now,
            };
            (connection, index)
        }
    };
    if !send_to(pkt, index, settings) {
        return Verdict::DropFor(NO_NEIGHBOR);
    }
    connection.packets += 1;
    connection.seen_ns = now;
    connection.phase = connection.phase.after(Side::Originator, flags);
    if known.is_some() {
        table::update(&key, &connection);
    } else if flags.is_none_or(|flags| flags & tcp_flags::RST == 0) {
        if !table::add(&key, &connection, now) {
            return Verdict::DropFor(TABLE_FULL);
        }
        OPENED.increment();
    }
    if !settings.direct {
        set_ip(pkt, End::Destination, connection.server);
        if connection.port != service_port {
            pkt.set_port(End::Destination, connection.port);
        }
    }
    FORWARDED.increment();
    Verdict::Pass
}

/// Addresses a frame to a server's station; false where that is not known.
fn send_to(pkt: &mut Packet, index: usize, settings: &mut Settings) -> bool {
    if pkt.is_l3() {
        return true;
    }
    let mac = settings.server_mut(index).map_or(MacAddr::ZERO, |server| server.mac);
    if mac == MacAddr::ZERO {
        ask(settings, index, pkt.ts_ns());
        return false;
    }
    if let Some(mut eth) = pkt.eth_mut() {
        eth.set_dst(mac);
    }
    true
}

fn to_client(pkt: &mut Packet, flow: &Flow, settings: &Settings) -> Verdict {
    if let Some(quoted) = flow.quoted(pkt.frame()) {
        return errors::to_client(pkt, &quoted, settings);
    }
    let Some((own_port, client_port)) = ports(flow, pkt) else {
        return Verdict::Pass;
    };
    let key = Key {
        protocol: flow.protocol,
        client: flow.dst,
        client_port,
        service_port: service_port(settings, flow.protocol, own_port),
    };
    let now = pkt.ts_ns();
    let Some(mut connection) = table::find(&key, now) else {
        return Verdict::Pass;
    };
    if connection.server != flow.src || connection.port != own_port {
        return Verdict::Pass;
    }
    connection.packets += 1;
    connection.seen_ns = now;
    connection.phase = connection.phase.after(Side::Responder, flow.tcp_flags(pkt.frame()));
    table::update(&key, &connection);
    if key.service_port != own_port {
        pkt.set_port(End::Source, key.service_port);
    }
    set_ip(pkt, End::Source, settings.address);
    RETURNED.increment();
    Verdict::Pass
}

/// Returns the port that a client asked for where a server answers from this one.
fn service_port(settings: &Settings, protocol: u8, own: u16) -> u16 {
    match protocol {
        ip_protocol::TCP | ip_protocol::UDP if settings.port != 0 => settings.port,
        _ => own,
    }
}

fn set_ip(pkt: &mut Packet, end: End, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => pkt.set_ipv4(end, ip),
        IpAddr::V6(ip) => pkt.set_ipv6(end, ip),
    };
}

#[cfg(test)]
mod tests;
