//! The packet around an answer.

use core::net::IpAddr;

use vnet_plugin::checksum::{fold, pseudo_v4, pseudo_v6, sum};
use vnet_plugin::wire::{Ipv4, Ipv6, Udp, ip_protocol};
use vnet_plugin::{Flow, Packet};

use crate::question;

/// Bytes of a UDP header.
pub const UDP: usize = Udp::<&[u8]>::HEADER_LEN;
const TTL: u8 = 64;

/// Makes a frame with a query the answer to it; `None` where it is not as its flow says.
///
/// IP options and extension headers are left out: what was meant for the way there is not for the way back.
pub fn send(pkt: &mut Packet, flow: &Flow, len: usize, edns: bool) -> Option<()> {
    let is_l3 = pkt.is_l3();
    let message = flow.l4_at? + UDP;
    let ip_len = if flow.src.is_ipv4() { Ipv4::<&[u8]>::HEADER_LEN_MIN } else { Ipv6::<&[u8]>::HEADER_LEN };
    let udp_at = flow.ip_at + ip_len;
    let ports = flow.ports?;

    let frame = pkt.frame_mut();
    let len = question::deny(frame.get_mut(message..flow.end)?, len, edns);
    frame.copy_within(message..message + len, udp_at + UDP);
    let end = udp_at + UDP + len;
    let datagram = frame.get_mut(udp_at..end)?;
    fill_udp(datagram, ports, flow);
    fill_ip(frame.get_mut(flow.ip_at..end)?, flow);
    pkt.set_len(end).ok()?;
    pkt.csum_finished();
    if !is_l3 {
        let mut eth = pkt.eth_mut()?;
        let (src, dst) = (eth.src(), eth.dst());
        eth.set_dst(src);
        eth.set_src(dst);
    }
    Some(())
}

fn fill_udp(datagram: &mut [u8], (src, dst): (u16, u16), flow: &Flow) {
    let len = datagram.len() as u16;
    let mut udp = Udp::new_unchecked(&mut *datagram);
    udp.set_src_port(dst);
    udp.set_dst_port(src);
    udp.set_len(len);
    udp.set_checksum(0);
    let pseudo = match (flow.dst, flow.src) {
        (IpAddr::V4(from), IpAddr::V4(to)) => pseudo_v4(from, to, ip_protocol::UDP, len),
        (IpAddr::V6(from), IpAddr::V6(to)) => pseudo_v6(from, to, ip_protocol::UDP, len.into()),
        _ => return,
    };
    let check = match !fold(pseudo + sum(datagram)) {
        0 => 0xffff,
        check => check,
    };
    Udp::new_unchecked(datagram).set_checksum(check);
}

fn fill_ip(packet: &mut [u8], flow: &Flow) {
    let len = packet.len();
    match (flow.dst, flow.src) {
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
