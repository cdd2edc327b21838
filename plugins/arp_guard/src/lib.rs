//! A guard against ARP and Neighbour Discovery spoofing (RFC 826, RFC 4861).
//!
//! An address is bound to the MAC address and the port that claimed it first, or that the configuration names. A message that
//! claims it for another is dropped, and so is one that claims a MAC address other than the one it was sent from. A learned
//! binding ends when its owner was silent for a while.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod bindings;
mod claims;
mod settings;

use core::net::IpAddr;

use vnet_plugin::wire::{MacAddr, ether_type};
use vnet_plugin::{Counter, Packet, Verdict, plugin, warn};

use bindings::Judgement;
use claims::Claim;
use settings::{SETTINGS, Settings, configure};

const FORGED: u16 = 1;
const MISMATCH: u16 = 2;
const MALFORMED: u16 = 3;
const UNKNOWN: u16 = 4;
const TOO_MANY: u16 = 5;
const NOT_TRUSTED: u16 = 6;
const WRONG_SOURCE: u16 = 7;

static LEARNED: Counter = Counter::new("learned");
static CONFIRMED: Counter = Counter::new("confirmed");

/// Drops forged ARP and Neighbour Discovery.
#[plugin(
    gso, csum,
    layers = ["l2"],
    reasons = {
        1: "forged", 2: "not the sender's mac", 3: "malformed", 4: "unknown address", 5: "too many addresses",
        6: "from a port that is not trusted", 7: "packet from another's address"
    },
    counters = ["learned", "confirmed"],
    maps = {
        "bindings": bindings::BINDINGS("ip: ip, vlan: be16, _: bytes[6]" => "mac: mac, port: u16, seen: u64"),
    },
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "bindings": {
                "type": "array",
                "maxItems": 256,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["ip", "mac"],
                    "properties": {
                        "ip": {"type": "string", "description": "IPv4 or IPv6 address"},
                        "mac": {
                            "type": "string",
                            "pattern": "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$",
                            "description": "MAC address of its owner"
                        },
                        "port": {"type": "integer", "minimum": 0, "maximum": 1022, "description": "Port of its owner; any when absent"}
                    }
                },
                "description": "Who has which address, whoever claims it first"
            },
            "trusted": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 1022},
                "description": "Ports whose messages always pass; with any, router advertisements and redirects pass from these alone"
            },
            "learn": {"type": "boolean", "description": "Bind addresses to whoever claims them first; true when absent"},
            "sources": {"type": "boolean", "description": "Drop IP packets from a bound address, too, when another sends them; false when absent"},
            "timeout": {"type": "integer", "minimum": 1, "maximum": 1000000,
                        "description": "Seconds after which a silent owner's learned binding ends; 1800 when absent"},
            "most_per_port": {"type": "integer", "minimum": 1, "maximum": 4096,
                              "description": "Addresses learned from one port; 256 when absent"}
        }
    }"#,
    configure = configure,
)]
fn arp_guard(pkt: &mut Packet) -> Verdict {
    SETTINGS.with(|settings| judge(pkt, settings))
}

fn judge(pkt: &Packet, settings: &Settings) -> Verdict {
    // A device has one port; what is about to leave it came from the other side.
    let port = if pkt.is_egress() { 1 } else { pkt.port() };
    let claim = match pkt.ether_type() {
        ether_type::ARP => claims::of_arp(pkt),
        ether_type::IPV6 => match pkt.flow() {
            Some(flow) if claims::is_discovery(&flow, pkt) => claims::of_discovery(&flow, pkt),
            _ => return source(pkt, port, settings),
        },
        ether_type::IPV4 => return source(pkt, port, settings),
        _ => return Verdict::Pass,
    };
    let trusted = settings.is_trusted(port);
    let (ip, mac) = match claim {
        Claim::Nothing => return Verdict::Pass,
        Claim::Router if trusted || !settings.any_trusted => return Verdict::Pass,
        Claim::Router => return Verdict::DropFor(NOT_TRUSTED),
        Claim::Malformed => return Verdict::DropFor(MALFORMED),
        Claim::Has(claim) => claim,
    };
    if trusted {
        bindings::bind(ip, vlan(pkt), mac, port, pkt.ts_ns(), settings);
        return Verdict::Pass;
    }
    if mac != pkt.eth().src() {
        warn!("{ip} was claimed for {mac} by {} at port {port}", pkt.eth().src());
        return Verdict::DropFor(MISMATCH);
    }
    match bindings::judge(ip, vlan(pkt), mac, port, pkt.ts_ns(), settings) {
        Judgement::Confirmed => {
            CONFIRMED.increment();
            Verdict::Pass
        }
        Judgement::Learned => {
            LEARNED.increment();
            Verdict::Pass
        }
        Judgement::Forged(owner) => {
            warn!("{ip} of {owner} was claimed by {mac} at port {port}");
            Verdict::DropFor(FORGED)
        }
        Judgement::Unknown => Verdict::DropFor(UNKNOWN),
        Judgement::TooMany => Verdict::DropFor(TOO_MANY),
    }
}

/// Judges a packet by who has its source address, where that is asked for.
fn source(pkt: &Packet, port: u16, settings: &Settings) -> Verdict {
    if !settings.sources || settings.is_trusted(port) {
        return Verdict::Pass;
    }
    let Some(flow) = pkt.flow() else {
        return Verdict::Pass;
    };
    if bindings::is_anothers(flow.src, vlan(pkt), pkt.eth().src(), port, pkt.ts_ns(), settings) {
        return Verdict::DropFor(WRONG_SOURCE);
    }
    Verdict::Pass
}

fn vlan(pkt: &Packet) -> u16 {
    pkt.vlan().map_or(0, |tag| tag.vid())
}

/// An address and who says to have it.
type Owned = (IpAddr, MacAddr);

#[cfg(test)]
mod tests;
