//! Frames from the inside, put into VXLAN.

use core::net::IpAddr;

use vnet_plugin::abi::fnv1a;
use vnet_plugin::datagram::{fill, ip_header};
use vnet_plugin::wire::{Ethernet, MacAddr, ether_type};
use vnet_plugin::{Packet, Verdict, append, neighbor};

use crate::settings::Settings;
use crate::{ENCAPSULATED, ETHERNET, HAS_VNI, NO_NEIGHBOR, NO_ROOM, TAGGED, TOO_BIG, UDP, VXLAN};

/// How often the next hop is asked for, in nanoseconds.
const ASK_NS: u64 = 200_000_000;
/// The first of the ports that datagrams come from (RFC 7348, section 5), and how many there are.
const PORTS_FROM: u16 = 49_152;
const PORTS: u32 = 16_384;

/// Puts a frame into a datagram to the other endpoint.
pub fn encapsulate(pkt: &mut Packet, settings: &mut Settings) -> Verdict {
    let vlan = match pkt.vlan().map(|tag| tag.vid()) {
        Some(vid) if !settings.keep_tags => vid,
        _ => 0,
    };
    let tagged = pkt.vlan().is_some() && !settings.keep_tags;
    let Some(network) = settings.of_vlan(vlan).filter(|_| !tagged || vlan != 0) else {
        return Verdict::DropFor(TAGGED);
    };
    let ip_len = ip_header(settings.local);
    let tag_len = if tagged { 4 } else { 0 };
    if ip_len + UDP + VXLAN + pkt.len() - tag_len > settings.mtu {
        return Verdict::DropFor(TOO_BIG);
    }
    if settings.gateway_mac == MacAddr::ZERO {
        ask(settings, pkt.ts_ns());
        return Verdict::DropFor(NO_NEIGHBOR);
    }
    if tagged {
        pkt.pop_vlan();
    }
    let source = PORTS_FROM + (entropy(pkt) % PORTS) as u16;
    let Ok(headers) = pkt.push(ETHERNET + ip_len + UDP + VXLAN) else {
        return Verdict::DropFor(NO_ROOM);
    };
    if let Some([flags, _, _, _, a, b, c, _]) = headers.last_chunk_mut::<VXLAN>() {
        let [_, high, middle, low] = network.vni.to_be_bytes();
        (*flags, *a, *b, *c) = (HAS_VNI, high, middle, low);
    }
    let frame = pkt.frame_mut();
    if let Some(packet) = frame.get_mut(ETHERNET..) {
        // Endpoints neither fragment nor put together (section 4.3), as the headers say.
        fill(packet, settings.local, settings.remote, (source, settings.port), settings.udp_checksum);
    }
    let mut eth = Ethernet::new_unchecked(frame);
    eth.set_dst(settings.gateway_mac);
    eth.set_src(settings.mac);
    eth.set_ether_type(if settings.local.is_ipv4() { ether_type::IPV4 } else { ether_type::IPV6 });
    ENCAPSULATED.increment();
    Verdict::Pass
}

/// Returns a hash of a frame's conversation, so that the network outside may spread them over several ways.
fn entropy(pkt: &Packet) -> u32 {
    let Some(flow) = pkt.flow() else {
        return fnv1a(pkt.frame().get(..ETHERNET).unwrap_or_default());
    };
    let octets = |ip| match ip {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => fnv1a(&ip.octets()),
    };
    let (src, dst) = flow.ports.unwrap_or((0, 0));
    let mut key = [0; 13];
    key[..4].copy_from_slice(&octets(flow.src).to_be_bytes());
    key[4..8].copy_from_slice(&octets(flow.dst).to_be_bytes());
    key[8..10].copy_from_slice(&src.to_be_bytes());
    key[10..12].copy_from_slice(&dst.to_be_bytes());
    key[12] = flow.protocol;
    let hash = fnv1a(&key);
    hash ^ hash >> 15
}

fn ask(settings: &mut Settings, now: u64) {
    if settings.asked_ns != 0 && now.saturating_sub(settings.asked_ns) < ASK_NS {
        return;
    }
    settings.asked_ns = now.max(1);
    let question = neighbor::question(settings.gateway, settings.mac, Some(settings.local));
    // Goes on to the outside as the frame would have; without room the next frame asks.
    let _ = append(question.frame(), Verdict::Pass);
}
