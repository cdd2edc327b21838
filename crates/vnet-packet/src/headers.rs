//! Where the headers of a frame start.

use crate::Layer;
use crate::bytes::{get_u8, get_u16, get_u32};
use crate::wire::{Ethernet, Ipv6, Vlan, ether_type, ip_protocol};

/// Most VLAN tags that are looked through.
const TAGS_MAX: usize = 2;
/// Most IPv6 extension headers that are looked through.
const EXTENSIONS_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpVersion {
    V4,
    V6,
}

/// Returns version and offset of the IP header, through up to two VLAN tags; `None` for anything
/// else, or where the version field contradicts the type field.
pub(crate) fn network(frame: &[u8], layer: Layer) -> Option<(IpVersion, usize)> {
    let (kind, at) = match layer {
        Layer::L2 => ethernet_payload(frame)?,
        Layer::L3 => (None, 0),
    };
    match (frame.get(at)? >> 4, kind) {
        (4, None | Some(ether_type::IPV4)) => Some((IpVersion::V4, at)),
        (6, None | Some(ether_type::IPV6)) => Some((IpVersion::V6, at)),
        _ => None,
    }
}

fn ethernet_payload(frame: &[u8]) -> Option<(Option<u16>, usize)> {
    let mut at = Ethernet::<&[u8]>::HEADER_LEN;
    for _ in 0..=TAGS_MAX {
        if at > frame.len() {
            return None;
        }
        let kind = get_u16(frame, at - 2);
        if !ether_type::is_vlan(kind) {
            return Some((Some(kind), at));
        }
        at += Vlan::<&[u8]>::HEADER_LEN;
    }
    None
}

/// What lies behind the IPv6 extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpperLayer {
    pub protocol: u8,
    /// Offset of the upper-layer header in the frame.
    pub at: usize,
    /// The packet is a piece of a larger one, so that the upper layer is not whole.
    pub fragment: bool,
    /// The packet is a later piece of a larger one, so that the upper layer's header is not in it.
    pub later: bool,
    /// Identification of the packet that this is a piece of.
    pub id: u32,
    /// A routing header has hops left, so that the checksum is over another destination.
    pub rerouted: bool,
}

/// Walks the extension headers of the IPv6 packet at `l3`, up to `end`; `None` where one is cut
/// off or there are too many.
pub(crate) fn ipv6_upper_layer(frame: &[u8], l3: usize, end: usize) -> Option<UpperLayer> {
    let mut found = UpperLayer {
        protocol: Ipv6::new_unchecked(frame.get(l3..)?).next_header(),
        at: l3 + Ipv6::<&[u8]>::HEADER_LEN,
        fragment: false,
        later: false,
        id: 0,
        rerouted: false,
    };
    for _ in 0..EXTENSIONS_MAX {
        let at = found.at;
        let units = usize::from(get_u8(frame, at + 1));
        let len = match found.protocol {
            ip_protocol::HOP_BY_HOP | ip_protocol::DESTINATION_OPTIONS => (units + 1) * 8,
            ip_protocol::ROUTING => {
                found.rerouted |= get_u8(frame, at + 3) != 0;
                (units + 1) * 8
            }
            ip_protocol::AUTHENTICATION => (units + 2) * 4,
            ip_protocol::FRAGMENT => {
                // Offset in the high 13 bits, "more fragments" in the lowest; both zero is an
                // atomic fragment (RFC 6946), which is whole.
                found.fragment |= get_u16(frame, at + 2) & 0xfff9 != 0;
                found.later |= get_u16(frame, at + 2) & 0xfff8 != 0;
                found.id = get_u32(frame, at + 4);
                8
            }
            _ => return (at <= end).then_some(found),
        };
        if at + len > end || end > frame.len() {
            return None;
        }
        found.protocol = get_u8(frame, at);
        found.at = at + len;
        if found.fragment {
            return Some(found);
        }
    }
    None
}
