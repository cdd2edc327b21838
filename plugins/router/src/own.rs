//! Packets to the router's own addresses: pings are answered, anything else is told that there is no such service.

use core::net::IpAddr;

use vnet_plugin::wire::{Icmp, Icmpv6, Ipv4, Ipv6, icmp_type, icmpv6_type, ip_protocol};
use vnet_plugin::{Flow, Packet, Verdict};

use crate::errors::{self, Problem};
use crate::settings::Interface;
use crate::{DONE, NO_SERVICE, send_back};

const TTL: u8 = 64;

/// Answers a packet to one of the router's addresses, back out of the port it came in by.
pub fn answer(pkt: &mut Packet, flow: &Flow, interface: &Interface) -> Verdict {
    match flow.protocol {
        ip_protocol::ICMP | ip_protocol::ICMPV6 => match echo(pkt, flow) {
            Some(()) => {
                send_back(pkt, interface.mac);
                Verdict::Tx
            }
            None => Verdict::DropFor(DONE),
        },
        _ => errors::answer(pkt, flow, interface, Problem::NoPort, NO_SERVICE),
    }
}

fn echo(pkt: &mut Packet, flow: &Flow) -> Option<()> {
    let (_, request) = flow.echo(pkt.frame())?;
    if !request || flow.fragment {
        return None;
    }
    let at = flow.l4_at?;
    let end = flow.end;
    let frame = pkt.frame_mut();
    match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut ip = Ipv4::new_unchecked(frame.get_mut(flow.ip_at..)?);
            ip.set_src(dst);
            ip.set_dst(src);
            ip.set_ttl(TTL);
            ip.fill_checksum();
            let mut icmp = Icmp::new_unchecked(frame.get_mut(at..end)?);
            icmp.set_kind(icmp_type::ECHO_REPLY);
            icmp.fill_checksum();
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut ip = Ipv6::new_unchecked(frame.get_mut(flow.ip_at..)?);
            ip.set_src(dst);
            ip.set_dst(src);
            ip.set_hop_limit(TTL);
            let mut icmp = Icmpv6::new_unchecked(frame.get_mut(at..end)?);
            icmp.set_kind(icmpv6_type::ECHO_REPLY);
            icmp.fill_checksum(dst, src);
        }
        _ => return None,
    }
    pkt.csum_finished();
    Some(())
}
