//! Ethernet and VLAN tags.

use std::string::String;

use super::{Printed, Span, Stop, add, arp, ip, ipv6};
use crate::wire::{Ethernet, Vlan, ether_type};

/// Most tags that are printed; as many as fit a frame may follow each other.
const TAGS_MAX: usize = 8;

pub(super) fn print(out: &mut String, frame: &[u8]) -> Printed {
    let eth = Ethernet::new_checked(frame).map_err(|_| Stop::Cut("ether"))?;
    let mut kind = eth.ether_type();
    let mut rest = Span::whole(eth.payload());
    for _ in 0..TAGS_MAX {
        if !ether_type::is_vlan(kind) {
            break;
        }
        let tag = Vlan::new_checked(rest.bytes).map_err(|_| Stop::Cut("vlan"))?;
        let dei = if tag.drop_eligible() { ", DEI" } else { "" };
        add!(out, "vlan {}, p {}{dei}, ", tag.vid(), tag.priority());
        kind = tag.ether_type();
        rest = rest.skip(Vlan::<&[u8]>::HEADER_LEN);
    }
    match kind {
        ether_type::IPV4 => ip::print(out, rest),
        ether_type::IPV6 => ipv6::print(out, rest),
        ether_type::ARP => arp::print(out, rest),
        ether_type::LLDP => {
            add!(out, "LLDP, length {}", rest.len);
            Ok(())
        }
        _ => {
            add!(out, "{} > {}, ", eth.src(), eth.dst());
            if kind < ether_type::MIN && usize::from(kind) <= rest.len {
                add!(out, "802.3, length {kind}");
            } else {
                add!(
                    out,
                    "ethertype {}(0x{kind:04x}), length {}",
                    name(kind),
                    frame.len()
                );
            }
            Ok(())
        }
    }
}

fn name(kind: u16) -> &'static str {
    match kind {
        0x0842 => "Wake-on-LAN ",
        0x8847 => "MPLS unicast ",
        0x8848 => "MPLS multicast ",
        0x8863 => "PPPoE D ",
        0x8864 => "PPPoE S ",
        0x888e => "EAPOL ",
        0x88a2 => "AoE ",
        0x88e5 => "MACsec ",
        0x88f7 => "PTP ",
        0x9000 => "Loopback ",
        _ => "Unknown ",
    }
}
