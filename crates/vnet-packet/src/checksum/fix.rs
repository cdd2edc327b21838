//! Recomputes the checksums of a frame that was rewritten.

use super::{fold, pseudo_v4, pseudo_v6, sum};
use crate::Layer;
use crate::bytes::put;
use crate::headers::{IpVersion, network};
use crate::wire::{Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp, ip_protocol};

const ICMP_CHECKSUM_OFFSET: usize = 2;

/// Recomputes a frame's IPv4, TCP, UDP, ICMP and ICMPv6 checksums, as the plugin ABI promises for
/// `CSUM_DIRTY` and `csum()`.
///
/// The IPv4 header sum is always written. The L4 sum is written for unfragmented packets with
/// consistent lengths, through up to two VLAN tags, not through IPv6 extension headers, and not
/// where UDP's is 0; where UDP's comes out as 0, 0xffff is written. Anything else stays as it is.
/// Sums that were wrong come out right.
pub fn fix(frame: &mut [u8], layer: Layer) {
    match network(frame, layer) {
        Some((IpVersion::V4, at)) => fix_v4(&mut frame[at..]),
        Some((IpVersion::V6, at)) => fix_v6(&mut frame[at..]),
        None => {}
    }
}

fn fix_v4(packet: &mut [u8]) {
    let Ok(mut ip) = Ipv4::new_checked(packet) else {
        return;
    };
    ip.fill_checksum();
    let (start, end) = (ip.header_len(), usize::from(ip.total_len()));
    if ip.is_fragment() {
        return;
    }
    let (protocol, src, dst) = (ip.protocol(), ip.src(), ip.dst());
    let Some(segment) = ip.into_inner().get_mut(start..end) else {
        return;
    };
    match protocol {
        ip_protocol::ICMP => fix_icmp(segment, Icmp::<&[u8]>::HEADER_LEN, 0),
        ip_protocol::TCP => {
            fix_tcp(segment, pseudo_v4(src, dst, protocol, segment.len() as u16));
        }
        ip_protocol::UDP => fix_udp(segment, |len| pseudo_v4(src, dst, protocol, len)),
        _ => {}
    }
}

fn fix_v6(packet: &mut [u8]) {
    let Ok(ip) = Ipv6::new_checked(packet) else { return };
    let start = Ipv6::<&[u8]>::HEADER_LEN;
    let end = start + usize::from(ip.payload_len());
    let (protocol, src, dst) = (ip.next_header(), ip.src(), ip.dst());
    let Some(segment) = ip.into_inner().get_mut(start..end) else {
        return;
    };
    let len = segment.len() as u32;
    match protocol {
        ip_protocol::ICMPV6 => {
            let pseudo = pseudo_v6(src, dst, protocol, len);
            fix_icmp(segment, Icmpv6::<&[u8]>::HEADER_LEN, pseudo);
        }
        ip_protocol::TCP => fix_tcp(segment, pseudo_v6(src, dst, protocol, len)),
        ip_protocol::UDP => fix_udp(segment, |len| pseudo_v6(src, dst, protocol, len.into())),
        _ => {}
    }
}

fn fix_icmp(message: &mut [u8], header_len: usize, pseudo: u32) {
    if message.len() < header_len {
        return;
    }
    put(message, ICMP_CHECKSUM_OFFSET, [0, 0]);
    let value = !fold(pseudo + sum(message));
    put(message, ICMP_CHECKSUM_OFFSET, value.to_be_bytes());
}

fn fix_tcp(segment: &mut [u8], pseudo: u32) {
    let Ok(mut tcp) = Tcp::new_checked(segment) else {
        return;
    };
    tcp.set_checksum(0);
    let segment = tcp.into_inner();
    let value = !fold(pseudo + sum(segment));
    Tcp::new_unchecked(segment).set_checksum(value);
}

fn fix_udp(segment: &mut [u8], pseudo: impl Fn(u16) -> u32) {
    let Ok(udp) = Udp::new_checked(&mut *segment) else {
        return;
    };
    let (len, present) = (udp.len(), udp.checksum() != 0);
    if !present || len < Udp::<&[u8]>::HEADER_LEN as u16 {
        return;
    }
    let Some(datagram) = segment.get_mut(..usize::from(len)) else {
        return;
    };
    Udp::new_unchecked(&mut *datagram).set_checksum(0);
    let value = !fold(pseudo(len) + sum(datagram));
    Udp::new_unchecked(datagram).set_checksum(if value == 0 { 0xffff } else { value });
}
