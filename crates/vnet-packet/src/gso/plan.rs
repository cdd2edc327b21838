//! Finds in a super-frame what its segments are made of.

use super::segments::{Ip, Segments, Transport};
use super::{BadGso, Offload, gso_type};
use crate::Layer;
use crate::headers::{IpVersion, ipv6_upper_layer, network};
use crate::wire::{Ipv4, Ipv6, Tcp, Udp, ip_protocol};

/// Returns the segments of a super-frame: TCP over IPv4 or IPv6, or UDP datagrams (USO), through
/// up to two VLAN tags. A frame that fits one segment gives that one.
///
/// # Errors
/// [`BadGso`] for other offload types, a segment size of 0 or beyond what IP allows, headers that contradict the type or
/// point outside the frame, fragments, jumbo options and routing headers with hops left.
pub fn segments<'a>(frame: &'a [u8], layer: Layer, off: &Offload) -> Result<Segments<'a>, BadGso> {
    let protocol = match off.kind() {
        gso_type::TCPV4 | gso_type::TCPV6 => ip_protocol::TCP,
        gso_type::UDP_L4 => ip_protocol::UDP,
        other => return Err(BadGso::Type(other)),
    };
    if off.gso_size == 0 {
        return Err(BadGso::Size(0));
    }
    let (version, l3) = network(frame, layer).ok_or(BadGso::Headers("it is no IP packet"))?;
    let net = match version {
        IpVersion::V4 => ipv4(frame, l3)?,
        IpVersion::V6 => ipv6(frame, l3)?,
    };
    let of_type = match off.kind() {
        gso_type::TCPV4 => version == IpVersion::V4,
        gso_type::TCPV6 => version == IpVersion::V6,
        _ => true,
    };
    if !of_type || net.protocol != protocol {
        return Err(BadGso::Headers("its headers are not those of its offload type"));
    }
    let (transport, header_len) = transport(&frame[net.l4..net.end], protocol, off)?;
    let headers = net.l4 + header_len;
    let counted_from = match version {
        IpVersion::V4 => l3,
        IpVersion::V6 => l3 + Ipv6::<&[u8]>::HEADER_LEN,
    };
    let chunk = usize::from(off.gso_size).min(net.end - headers);
    if headers + chunk - counted_from > usize::from(u16::MAX) {
        return Err(BadGso::Size(off.gso_size));
    }
    Ok(Segments::new(
        &frame[..headers],
        &frame[headers..net.end],
        usize::from(off.gso_size),
        l3,
        net.l4,
        net.ip,
        transport,
    ))
}

struct Network {
    ip: Ip,
    protocol: u8,
    l4: usize,
    end: usize,
}

fn ipv4(frame: &[u8], l3: usize) -> Result<Network, BadGso> {
    let ip = Ipv4::new_checked(&frame[l3..]).map_err(|_| BadGso::Headers("its IPv4 header is cut short"))?;
    if ip.is_fragment() {
        return Err(BadGso::Headers("it is an IPv4 fragment"));
    }
    let l4 = l3 + ip.header_len();
    let end = end(l3, usize::from(ip.total_len()), frame.len());
    if end < l4 || end > frame.len() {
        return Err(BadGso::Headers("its IPv4 total length contradicts the frame's"));
    }
    Ok(Network {
        ip: Ip::V4 { id: ip.id() },
        protocol: ip.protocol(),
        l4,
        end,
    })
}

fn ipv6(frame: &[u8], l3: usize) -> Result<Network, BadGso> {
    let ip = Ipv6::new_checked(&frame[l3..]).map_err(|_| BadGso::Headers("its IPv6 header is cut short"))?;
    let start = l3 + Ipv6::<&[u8]>::HEADER_LEN;
    let end = end(start, usize::from(ip.payload_len()), frame.len());
    if end > frame.len() {
        return Err(BadGso::Headers("its IPv6 payload length contradicts the frame's"));
    }
    if ip.payload_len() == 0 && ip.next_header() == ip_protocol::HOP_BY_HOP {
        return Err(BadGso::Headers("it is an IPv6 jumbogram"));
    }
    let upper = ipv6_upper_layer(frame, l3, end).ok_or(BadGso::Headers(
        "its IPv6 extension headers are cut short or too many",
    ))?;
    if upper.fragment {
        return Err(BadGso::Headers("it is an IPv6 fragment"));
    }
    if upper.rerouted {
        return Err(BadGso::Headers("its IPv6 routing header has hops left"));
    }
    Ok(Network {
        ip: Ip::V6,
        protocol: upper.protocol,
        l4: upper.at,
        end,
    })
}

/// Where the packet ends; a length of 0 is that of a packet too long for the field.
fn end(start: usize, len: usize, frame: usize) -> usize {
    if len == 0 { frame } else { start + len }
}

fn transport(l4: &[u8], protocol: u8, off: &Offload) -> Result<(Transport, usize), BadGso> {
    if protocol == ip_protocol::TCP {
        let tcp = Tcp::new_checked(l4).map_err(|_| BadGso::Headers("its TCP header is cut short"))?;
        return Ok((
            Transport::Tcp {
                seq: tcp.seq(),
                flags: tcp.flags(),
            },
            tcp.header_len(),
        ));
    }
    let udp = Udp::new_checked(l4).map_err(|_| BadGso::Headers("its UDP header is cut short"))?;
    // A whole datagram with 0 has no checksum; a partial sum of 0 is one all the same.
    let checksum = off.needs_csum || udp.checksum() != 0;
    Ok((Transport::Udp { checksum }, Udp::<&[u8]>::HEADER_LEN))
}
