//! UDP datagrams of a plugin's own: answers, tunnels.

use core::net::IpAddr;

use vnet_packet::checksum::{fold, pseudo_v4, pseudo_v6, sum};
use vnet_packet::wire::{Ipv4, Ipv6, Udp, ip_protocol};

/// Bytes of a UDP header.
pub const UDP_HEADER: usize = Udp::<&[u8]>::HEADER_LEN;

const TTL: u8 = 64;

/// Returns the bytes of an IP header without options, of the version of `ip`.
#[must_use]
pub const fn ip_header(ip: IpAddr) -> usize {
    match ip {
        IpAddr::V4(_) => Ipv4::<&[u8]>::HEADER_LEN_MIN,
        IpAddr::V6(_) => Ipv6::<&[u8]>::HEADER_LEN,
    }
}

/// Writes the IP and the UDP header of a packet, whose payload lies behind them already and goes to its end.
///
/// Over IPv4 it asks not to be fragmented, so that its identification, which stays as it is, means nothing (RFC 6864). `checksum` says whether UDP's is computed; over IPv6 it has to be, but in tunnels
/// (RFC 6935). False, and nothing of use is written, where the addresses are of different versions or the packet has no room.
pub fn fill(packet: &mut [u8], from: IpAddr, to: IpAddr, ports: (u16, u16), checksum: bool) -> bool {
    let Some(datagram) = packet.get_mut(ip_header(from)..) else {
        return false;
    };
    if datagram.len() < UDP_HEADER || from.is_ipv4() != to.is_ipv4() {
        return false;
    }
    let len = datagram.len();
    let mut udp = Udp::new_unchecked(&mut *datagram);
    udp.set_src_port(ports.0);
    udp.set_dst_port(ports.1);
    udp.set_len(len as u16);
    udp.set_checksum(0);
    if checksum {
        let check = match !fold(pseudo(from, to, len) + sum(datagram)) {
            0 => 0xffff,
            check => check,
        };
        Udp::new_unchecked(datagram).set_checksum(check);
    }
    fill_ip(packet, from, to);
    true
}

/// Returns the sum of a datagram's pseudo-header; 0 for addresses of different versions.
#[must_use]
pub fn pseudo(from: IpAddr, to: IpAddr, len: usize) -> u32 {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => pseudo_v4(from, to, ip_protocol::UDP, len as u16),
        (IpAddr::V6(from), IpAddr::V6(to)) => pseudo_v6(from, to, ip_protocol::UDP, len as u32),
        _ => 0,
    }
}

fn fill_ip(packet: &mut [u8], from: IpAddr, to: IpAddr) {
    let len = packet.len();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = Ipv4::new_unchecked(packet);
            ip.set_version_and_header_len(Ipv4::<&[u8]>::HEADER_LEN_MIN);
            ip.set_tos(0);
            ip.set_total_len(len as u16);
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

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::testing::frames;

    #[test]
    fn headers_are_those_of_a_sender() {
        for (from, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (from, to): (IpAddr, IpAddr) =
                (from.parse().expect("an address"), to.parse().expect("an address"));
            let expected = frames::ip(from, to, 17, &frames::udp(from, to, 53, 1000, b"payload"));
            let mut packet = vec![0xee; expected.len()];
            let at = ip_header(from) + UDP_HEADER;
            packet[at..].copy_from_slice(b"payload");
            assert!(fill(&mut packet, from, to, (53, 1000), true));
            // But for identification and "don't fragment".
            let udp = ip_header(from);
            assert_eq!(packet[udp..], expected[udp..]);
            let flow = crate::Flow::parse(&packet, crate::Layer::L3).expect("a packet");
            assert_eq!(
                (flow.src, flow.dst, flow.ports, flow.fragment),
                (from, to, Some((53, 1000)), false)
            );
            assert!(!fill(&mut packet[..20], from, to, (53, 1000), true));
        }
    }
}
