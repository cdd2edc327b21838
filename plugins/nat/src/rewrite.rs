//! Addresses and ports exchanged, checksums kept right by the difference (RFC 1624, RFC 3022 section 4).

use core::net::Ipv4Addr;

use vnet_plugin::Flow;
use vnet_plugin::checksum::Delta;
use vnet_plugin::wire::{Icmp, Ipv4, Tcp, Udp, ip_protocol};

/// Which end of a packet is exchanged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
}

/// Exchanges one end of the packet: its address, and with `port` the port of TCP and UDP or a ping's identifier. Returns the
/// sum of all that changed.
///
/// A `partial` checksum of TCP or UDP covers the addresses alone. The packet may be one that an error quotes, cut short
/// behind its ports: a checksum that is not there is left out.
#[inline(always)]
pub fn translate(
    frame: &mut [u8],
    flow: &Flow,
    end: End,
    ip: Ipv4Addr,
    port: Option<u16>,
    partial: bool,
) -> Delta {
    let Some(packet) = frame.get_mut(flow.ip_at..flow.end) else {
        return Delta::new();
    };
    let mut header = Ipv4::new_unchecked(&mut *packet);
    let old = match end {
        End::Source => header.src(),
        End::Destination => header.dst(),
    };
    match end {
        End::Source => header.set_src(ip),
        End::Destination => header.set_dst(ip),
    }
    let addresses = Delta::new().word32(old.to_bits(), ip.to_bits());
    let check = header.checksum();
    header.set_checksum(addresses.apply(check));
    let all = addresses.word16(check, header.checksum());
    let Some(segment) = flow.l4_at.and_then(|at| packet.get_mut(at - flow.ip_at..)) else {
        return all;
    };
    let (old, new) = match (flow.protocol, port) {
        (ip_protocol::TCP | ip_protocol::UDP, Some(port)) => (exchange_port(segment, end, port), port),
        (ip_protocol::ICMP, Some(id)) => return all.and(exchange_id(segment, id)),
        // The sum of TCP and UDP covers the addresses in any case.
        _ => (0, 0),
    };
    let covered = addresses.word16(old, new);
    let settled = match flow.protocol {
        ip_protocol::TCP => settle_tcp(segment, addresses, covered, partial),
        ip_protocol::UDP => settle_udp(segment, addresses, covered, partial),
        _ => Delta::new(),
    };
    all.word16(old, new).and(settled)
}

/// Writes a port and returns the one that was there.
#[inline(always)]
fn exchange_port(segment: &mut [u8], end: End, port: u16) -> u16 {
    // TCP's header starts with the ports as UDP's does.
    let mut view = Udp::new_unchecked(segment);
    match end {
        End::Source => {
            let old = view.src_port();
            view.set_src_port(port);
            old
        }
        End::Destination => {
            let old = view.dst_port();
            view.set_dst_port(port);
            old
        }
    }
}

/// Writes a ping's identifier and its checksum.
fn exchange_id(segment: &mut [u8], id: u16) -> Delta {
    let mut icmp = Icmp::new_unchecked(segment);
    let changed = Delta::new().word16(icmp.echo_id(), id);
    icmp.set_echo_id(id);
    let check = icmp.checksum();
    icmp.set_checksum(changed.apply(check));
    changed.word16(check, icmp.checksum())
}

#[inline(always)]
fn settle_tcp(segment: &mut [u8], addresses: Delta, covered: Delta, partial: bool) -> Delta {
    // Not the whole header has to be there: an error quotes eight octets of it, and the checksum comes later.
    if segment.len() < Tcp::<&[u8]>::CHECKSUM_OFFSET + 2 {
        return Delta::new();
    }
    let mut tcp = Tcp::new_unchecked(segment);
    let check = tcp.checksum();
    tcp.set_checksum(if partial {
        addresses.apply_partial(check)
    } else {
        covered.apply(check)
    });
    Delta::new().word16(check, tcp.checksum())
}

#[inline(always)]
fn settle_udp(segment: &mut [u8], addresses: Delta, covered: Delta, partial: bool) -> Delta {
    if segment.len() < Udp::<&[u8]>::HEADER_LEN {
        return Delta::new();
    }
    let mut udp = Udp::new_unchecked(segment);
    let check = udp.checksum();
    udp.set_checksum(if partial {
        addresses.apply_partial(check)
    } else {
        covered.apply_udp(check)
    });
    Delta::new().word16(check, udp.checksum())
}

/// Exchanges one end of the packet that an ICMP error quotes, and brings the error's own checksum up to date.
pub fn translate_quoted(frame: &mut [u8], flow: &Flow, quoted: &Flow, end: End, ip: Ipv4Addr, port: u16) {
    let changed = translate(frame, quoted, end, ip, Some(port), false);
    if let Some(message) = flow.l4_at.and_then(|at| frame.get_mut(at..flow.end)) {
        let mut icmp = Icmp::new_unchecked(message);
        icmp.set_checksum(changed.apply(icmp.checksum()));
    }
}
