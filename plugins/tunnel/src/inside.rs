//! Frames from the inside, put into VXLAN.

use core::net::IpAddr;

use vnet_plugin::abi::fnv1a;
use vnet_plugin::checksum::{fold, pseudo_v4, pseudo_v6, sum};
use vnet_plugin::wire::{Ethernet, Ipv4, Ipv6, MacAddr, Udp, ether_type, ip_protocol};
use vnet_plugin::{Packet, Verdict, append, neighbor};

use crate::settings::Settings;
use crate::{ENCAPSULATED, ETHERNET, HAS_VNI, NO_NEIGHBOR, NO_ROOM, TAGGED, TOO_BIG, UDP, VXLAN};

/// How often the next hop is asked for, in nanoseconds.
const ASK_NS: u64 = 200_000_000;
const TTL: u8 = 64;
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
    let ip_len = if settings.local.is_ipv4() { Ipv4::<&[u8]>::HEADER_LEN_MIN } else { Ipv6::<&[u8]>::HEADER_LEN };
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
    if let Some(datagram) = frame.get_mut(ETHERNET + ip_len..) {
        fill_udp(datagram, source, settings);
    }
    if let Some(packet) = frame.get_mut(ETHERNET..) {
        fill_ip(packet, settings);
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

fn fill_udp(datagram: &mut [u8], source: u16, settings: &Settings) {
    let len = datagram.len();
    let mut udp = Udp::new_unchecked(&mut *datagram);
    udp.set_src_port(source);
    udp.set_dst_port(settings.port);
    udp.set_len(len as u16);
    udp.set_checksum(0);
    if settings.udp_checksum {
        let check = match !fold(pseudo(settings.local, settings.remote, len) + sum(datagram)) {
            0 => 0xffff,
            check => check,
        };
        Udp::new_unchecked(datagram).set_checksum(check);
    }
}

/// Returns the sum of a datagram's pseudo-header.
pub fn pseudo(from: IpAddr, to: IpAddr, len: usize) -> u32 {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => pseudo_v4(from, to, ip_protocol::UDP, len as u16),
        (IpAddr::V6(from), IpAddr::V6(to)) => pseudo_v6(from, to, ip_protocol::UDP, len as u32),
        _ => 0,
    }
}

fn fill_ip(packet: &mut [u8], settings: &Settings) {
    let len = packet.len();
    match (settings.local, settings.remote) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = Ipv4::new_unchecked(packet);
            ip.set_version_and_header_len(Ipv4::<&[u8]>::HEADER_LEN_MIN);
            ip.set_total_len(len as u16);
            // Endpoints neither fragment nor put together (section 4.3).
            ip.set_fragment(true, false, 0);
            ip.set_ttl(TTL);
            ip.set_protocol(ip_protocol::UDP);
            ip.set_src(from);
            ip.set_dst(to);
            ip.fill_checksum();
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut ip = Ipv6::new_unchecked(packet);
            ip.set_version_class_flow(0, 0);
            ip.set_payload_len((len - Ipv6::<&[u8]>::HEADER_LEN) as u16);
            ip.set_next_header(ip_protocol::UDP);
            ip.set_hop_limit(TTL);
            ip.set_src(from);
            ip.set_dst(to);
        }
        _ => {}
    }
}
