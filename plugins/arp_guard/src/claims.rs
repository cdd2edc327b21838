//! What a message of ARP or Neighbour Discovery claims.

use vnet_plugin::wire::{Icmpv6, MacAddr, icmpv6_type, ip_protocol, ndp_option};
use vnet_plugin::{Flow, Packet};

use crate::Owned;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;
/// Bytes of a solicitation or advertisement without options.
const NEIGHBOR: usize = 24;

/// What a message says.
pub enum Claim {
    /// A station has an address.
    Has(Owned),
    /// A router is here, or another is better.
    Router,
    /// Only questions: a probe for an address that nobody has yet.
    Nothing,
    /// It is no message that a station should believe.
    Malformed,
}

impl Claim {
    fn has((ip, mac): Owned) -> Claim {
        if ip.is_unspecified() {
            Claim::Nothing
        } else if ip.is_multicast() || !mac.is_unicast() {
            Claim::Malformed
        } else {
            Claim::Has((ip, mac))
        }
    }
}

/// Returns what an ARP message claims: its sender's addresses, be it a question or an answer.
pub fn of_arp(pkt: &Packet) -> Claim {
    match pkt.arp() {
        Some(arp) if arp.is_ethernet_ipv4() => Claim::has((arp.sender_ip().into(), arp.sender_mac())),
        _ => Claim::Malformed,
    }
}

/// Says whether a packet is of Neighbour Discovery, wherever it was sent from.
pub fn is_discovery(flow: &Flow, pkt: &Packet) -> bool {
    flow.protocol == ip_protocol::ICMPV6
        && flow
            .icmp(pkt.frame())
            .is_some_and(|(kind, _)| (ROUTER_SOLICITATION..=REDIRECT).contains(&kind))
}

/// Returns what a message of Neighbour Discovery claims.
pub fn of_discovery(flow: &Flow, pkt: &Packet) -> Claim {
    let message = flow.l4_at.and_then(|at| pkt.frame().get(at..flow.end));
    let Some(icmp) = message.and_then(|message| Icmpv6::new_checked(message).ok()) else {
        return Claim::Malformed;
    };
    // Through a router none comes, and in fragments none may (RFC 6980).
    if !flow.is_neighbour_discovery(pkt.frame()) || flow.fragment {
        return Claim::Malformed;
    }
    let sender = pkt.eth().src();
    match icmp.kind() {
        ROUTER_ADVERTISEMENT | REDIRECT => Claim::Router,
        ROUTER_SOLICITATION => Claim::Nothing,
        _ if icmp.payload().len() + 8 < NEIGHBOR => Claim::Malformed,
        icmpv6_type::NEIGHBOR_SOLICITATION => {
            let mac: Option<MacAddr> = icmp.lladdr(ndp_option::SOURCE_LLADDR);
            Claim::has((flow.src, mac.unwrap_or(sender)))
        }
        _ => {
            let mac = icmp.lladdr(ndp_option::TARGET_LLADDR);
            Claim::has((icmp.target().into(), mac.unwrap_or(sender)))
        }
    }
}
