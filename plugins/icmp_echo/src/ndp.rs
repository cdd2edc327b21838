//! Neighbour Solicitations (RFC 4861, sections 4.3, 4.4 and 7.2).

use core::net::Ipv6Addr;

use vnet_plugin::Packet;
use vnet_plugin::wire::{Icmpv6, Ipv6, MacAddr, icmpv6_type, ip_protocol, ndp_option};

use crate::ping::is_right;
use crate::settings::{Settings, is_station_v6};
use crate::{Link, link};

const HOP_LIMIT: u8 = 255;
/// An advertisement with one option.
const ADVERTISEMENT: usize = 32;
const SOLICITED: u32 = 0x4000_0000;
const OVERRIDE: u32 = 0x2000_0000;
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

/// Turns a solicitation into an advertisement; `None`, and nothing changed, where it is not to be
/// answered.
pub fn answer(pkt: &mut Packet, settings: &Settings) -> Option<()> {
    if pkt.is_l3() {
        return None;
    }
    let Link { own, asker } = link(pkt, settings)?;
    let partial = pkt.csum_partial();
    let ip = pkt.ipv6()?;
    let (src, target) = asked(&ip, partial)?;
    let probe = src.is_unspecified();
    if src == target || probe && settings.any() || !settings.owns_v6(target) {
        return None;
    }
    // To an address that is about to be claimed nobody can send: everybody is told (7.2.4).
    let (dst, dst_mac, solicited) = if probe {
        (ALL_NODES, ALL_NODES_MAC, 0)
    } else {
        (src, asker, SOLICITED)
    };

    pkt.set_len(pkt.network_offset()? + Ipv6::<&[u8]>::HEADER_LEN + ADVERTISEMENT)
        .ok()?;
    let mut ip = pkt.ipv6_mut()?;
    ip.set_payload_len(ADVERTISEMENT as u16);
    ip.set_next_header(ip_protocol::ICMPV6);
    ip.set_hop_limit(HOP_LIMIT);
    ip.set_src(target);
    ip.set_dst(dst);
    let mut icmp = Icmpv6::new_checked(ip.payload_mut()).ok()?;
    icmp.set_kind(icmpv6_type::NEIGHBOR_ADVERTISEMENT);
    icmp.set_rest(solicited | OVERRIDE);
    icmp.set_first_lladdr(ndp_option::TARGET_LLADDR, own);
    icmp.fill_checksum(target, dst);
    pkt.csum_finished();
    let mut eth = pkt.eth_mut()?;
    eth.set_dst(dst_mac);
    eth.set_src(own);
    Some(())
}

/// Returns who asks for which address in a solicitation that RFC 4861, 7.1.1 calls valid.
fn asked(ip: &Ipv6<&[u8]>, partial: bool) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let icmp = Icmpv6::new_checked(ip.payload()).ok()?;
    let valid = ip.hop_limit() == HOP_LIMIT
        && icmp.code() == 0
        && ip.payload().len() >= Icmpv6::<&[u8]>::NEIGHBOR_LEN
        && is_right(ip, partial);
    let src = ip.src();
    let probe_ok = !src.is_unspecified() || icmp.lladdr(ndp_option::SOURCE_LLADDR).is_none();
    let asker_ok = src.is_unspecified() || is_station_v6(src);
    (valid && probe_ok && asker_ok).then(|| (src, icmp.target()))
}
