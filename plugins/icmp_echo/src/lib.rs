//! Answers ARP, Neighbour Discovery and pings, so that a lone device can be pinged.
//!
//! It answers for the configured addresses, or for any address when none is configured. Answers
//! go back out of the port the question came in through; everything else passes. Frames on their
//! way out (egress) pass too.
//!
//! It never answers for an address that the asker seems to claim for itself: an ARP request whose
//! sender and target are the same, and, when it answers for any address, an ARP probe (sender
//! 0.0.0.0) or a Neighbour Solicitation from `::`. Otherwise no host behind the device could keep
//! an address of its own (RFC 5227, RFC 4862).
//!
//! Not answered: pings to group addresses, fragments, and packets with IP options, IPv6 extension
//! headers or wrong checksums.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod arp;
mod ndp;
mod ping;
mod settings;

use vnet_plugin::wire::{MacAddr, ether_type, icmpv6_type};
use vnet_plugin::{Counter, Packet, Verdict, plugin};

use settings::{SETTINGS, Settings, configure};

static ARP_REPLIES: Counter = Counter::new("arp_replies");
static NEIGHBOR_ADVERTISEMENTS: Counter = Counter::new("neighbor_advertisements");
static ECHO_REPLIES: Counter = Counter::new("echo_replies");
static ECHO_REPLIES_V6: Counter = Counter::new("echo_replies_v6");

/// Answers ARP, Neighbour Discovery and pings for the configured addresses, or for any.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    counters = ["arp_replies", "neighbor_advertisements", "echo_replies", "echo_replies_v6"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "address": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 16}
                ],
                "description": "IPv4 or IPv6 address to answer for, or a list of up to 16; any address when absent"
            },
            "mac": {
                "type": "string",
                "pattern": "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$",
                "description": "MAC address of the answers; 02:76:6e:65:74:01 when absent"
            }
        }
    }"#,
    configure = configure,
)]
fn icmp_echo(pkt: &mut Packet) -> Verdict {
    if pkt.is_egress() || pkt.gso_size().is_some() {
        return Verdict::Pass;
    }
    let answered = match pkt.ether_type() {
        ether_type::ARP => SETTINGS
            .with(|settings| arp::answer(pkt, settings))
            .map(|()| &ARP_REPLIES),
        ether_type::IPV4 => SETTINGS
            .with(|settings| ping::answer_v4(pkt, settings))
            .map(|()| &ECHO_REPLIES),
        ether_type::IPV6 => SETTINGS.with(|settings| answer_icmpv6(pkt, settings)),
        _ => None,
    };
    match answered {
        Some(counter) => {
            counter.increment();
            Verdict::Tx
        }
        None => Verdict::Pass,
    }
}

fn answer_icmpv6(pkt: &mut Packet, settings: &Settings) -> Option<&'static Counter> {
    match pkt.icmpv6()?.kind() {
        icmpv6_type::ECHO_REQUEST => ping::answer_v6(pkt, settings).map(|()| &ECHO_REPLIES_V6),
        icmpv6_type::NEIGHBOR_SOLICITATION => ndp::answer(pkt, settings).map(|()| &NEIGHBOR_ADVERTISEMENTS),
        _ => None,
    }
}

/// The MAC addresses of an answer.
struct Link {
    own: MacAddr,
    asker: MacAddr,
}

/// Returns the addresses of an answer; `None` where the frame is for another station.
///
/// A frame to a group address is answered from the plugin's own address, one to a single station
/// from that station's, unless another one is configured.
fn link(pkt: &Packet, settings: &Settings) -> Option<Link> {
    let (dst, asker) = (pkt.eth().dst(), pkt.eth().src());
    let own = if dst.is_unicast() { dst } else { settings.mac() };
    (asker.is_unicast() && settings.may_answer_from(own)).then_some(Link { own, asker })
}

#[cfg(test)]
mod tests;
