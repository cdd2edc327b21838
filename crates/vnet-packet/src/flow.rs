//! What a packet's headers say of the conversation it belongs to.

use core::net::IpAddr;

use crate::Layer;
use crate::bytes::{get_u8, get_u16};
use crate::headers::{IpVersion, ipv6_upper_layer, network};
use crate::wire::{Ipv4, Ipv6, icmp_type, ip_protocol};

/// Bytes of an ICMP or ICMPv6 header, behind which an error quotes the packet it is about.
const ICMP_HEADER: usize = 8;

/// Protocols whose header starts with the two ports.
const fn has_ports(protocol: u8) -> bool {
    const DCCP: u8 = 33;
    const SCTP: u8 = 132;
    const UDP_LITE: u8 = 136;
    matches!(
        protocol,
        ip_protocol::TCP | ip_protocol::UDP | DCCP | SCTP | UDP_LITE
    )
}

/// An IP packet's addresses, protocol and ports, and where its headers stand in the frame.
///
/// ```
/// use vnet_packet::{Flow, Layer};
///
/// let packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 53, 0, 8, 0, 0];
/// let flow = Flow::parse(&packet, Layer::L3).unwrap();
/// assert_eq!((flow.protocol, flow.ports), (17, Some((12345, 53))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// The protocol behind the IP header and IPv6's extension headers.
    pub protocol: u8,
    /// Source and destination port of TCP, UDP, SCTP, DCCP and UDP-Lite; `None` for other protocols, in a later fragment,
    /// and where the packet ends before them.
    pub ports: Option<(u16, u16)>,
    /// Offset of the IP header in the frame.
    pub ip_at: usize,
    /// Offset of the header behind the IP headers; `None` in a later fragment, which has none.
    pub l4_at: Option<usize>,
    /// Offset of the packet's end: padding behind it left out, and no further than the frame.
    pub end: usize,
    /// The packet is a piece of a larger one.
    pub fragment: bool,
    /// Identification that all pieces of a packet have in common with no other packet between the same hosts; 0 in IPv6 where
    /// it is no piece.
    pub id: u32,
}

impl Flow {
    /// Reads a frame, through up to two VLAN tags; `None` where it carries no IP packet, or its IP headers are cut short.
    #[inline]
    #[must_use]
    pub fn parse(frame: &[u8], layer: Layer) -> Option<Flow> {
        let (version, at) = network(frame, layer)?;
        Flow::of_version(frame, at, version)
    }

    /// Reads the IP packet at an offset; `None` where there is none, or its IP headers are cut short.
    #[must_use]
    pub fn at(frame: &[u8], at: usize) -> Option<Flow> {
        match frame.get(at)? >> 4 {
            4 => Flow::of_version(frame, at, IpVersion::V4),
            6 => Flow::of_version(frame, at, IpVersion::V6),
            _ => None,
        }
    }

    #[inline]
    fn of_version(frame: &[u8], at: usize, version: IpVersion) -> Option<Flow> {
        match version {
            IpVersion::V4 => Flow::v4(frame, at),
            IpVersion::V6 => Flow::v6(frame, at),
        }
    }

    #[inline]
    fn v4(frame: &[u8], at: usize) -> Option<Flow> {
        let ip = Ipv4::new_checked(frame.get(at..)?).ok()?;
        let header_len = ip.header_len();
        let end = match usize::from(ip.total_len()) {
            // A super-frame beyond 64 KiB.
            0 => frame.len(),
            total if total < header_len => return None,
            total => frame.len().min(at + total),
        };
        let l4_at = (ip.fragment_offset() == 0).then_some(at + header_len);
        Some(Flow {
            src: ip.src().into(),
            dst: ip.dst().into(),
            protocol: ip.protocol(),
            ports: l4_at.and_then(|l4_at| ports(frame, ip.protocol(), l4_at, end)),
            ip_at: at,
            l4_at,
            end,
            fragment: ip.is_fragment(),
            id: ip.id().into(),
        })
    }

    fn v6(frame: &[u8], at: usize) -> Option<Flow> {
        let ip = Ipv6::new_checked(frame.get(at..)?).ok()?;
        let end = match usize::from(ip.payload_len()) {
            // A super-frame beyond 64 KiB.
            0 if ip.next_header() != ip_protocol::NO_NEXT_HEADER => frame.len(),
            len => frame.len().min(at + Ipv6::<&[u8]>::HEADER_LEN + len),
        };
        let upper = ipv6_upper_layer(frame, at, end)?;
        let l4_at = (!upper.later).then_some(upper.at);
        Some(Flow {
            src: ip.src().into(),
            dst: ip.dst().into(),
            protocol: upper.protocol,
            ports: l4_at.and_then(|l4_at| ports(frame, upper.protocol, l4_at, end)),
            ip_at: at,
            l4_at,
            end,
            fragment: upper.fragment,
            id: upper.id,
        })
    }

    /// Returns the ICMP or ICMPv6 type and code; `None` for another protocol, and where the packet ends before them.
    #[must_use]
    pub fn icmp(&self, frame: &[u8]) -> Option<(u8, u8)> {
        let wanted = if self.src.is_ipv4() {
            ip_protocol::ICMP
        } else {
            ip_protocol::ICMPV6
        };
        let at = self.l4_at?;
        (self.protocol == wanted && at + 2 <= self.end).then(|| (get_u8(frame, at), get_u8(frame, at + 1)))
    }

    /// Returns the packet that an ICMP or ICMPv6 error quotes, as it was sent; `None` where this is no such error, or too
    /// little of the packet is quoted.
    ///
    /// Its [`end`](Flow::end) is where the quotation ends.
    #[must_use]
    pub fn quoted(&self, frame: &[u8]) -> Option<Flow> {
        let (kind, _) = self.icmp(frame)?;
        let is_error = if self.src.is_ipv4() {
            matches!(
                kind,
                icmp_type::UNREACHABLE
                    | icmp_type::TIME_EXCEEDED
                    | icmp_type::PARAMETER_PROBLEM
                    | icmp_type::REDIRECT
                    | SOURCE_QUENCH
            )
        } else {
            // Below 128 they are errors (RFC 4443, 2.1).
            kind < 128
        };
        if !is_error || self.fragment {
            return None;
        }
        let inner = Flow::at(frame.get(..self.end)?, self.l4_at? + ICMP_HEADER)?;
        (inner.src.is_ipv4() == self.src.is_ipv4()).then_some(inner)
    }

    /// Returns the identifier of an echo request or reply, of either version, and whether it is a request.
    #[must_use]
    pub fn echo(&self, frame: &[u8]) -> Option<(u16, bool)> {
        let (kind, _) = self.icmp(frame)?;
        let request = match (self.src.is_ipv4(), kind) {
            (true, icmp_type::ECHO_REQUEST) | (false, 128) => true,
            (true, icmp_type::ECHO_REPLY) | (false, 129) => false,
            _ => return None,
        };
        let at = self.l4_at?;
        (at + ICMP_HEADER <= self.end).then(|| (get_u16(frame, at + 4), request))
    }

    /// Says whether this is Neighbour Discovery (RFC 4861) that was sent on this very link: what ARP is to IPv4.
    #[must_use]
    pub fn is_neighbour_discovery(&self, frame: &[u8]) -> bool {
        const HOP_LIMIT: usize = 7;
        self.protocol == ip_protocol::ICMPV6
            && matches!(self.icmp(frame), Some((133..=137, 0)))
            && get_u8(frame, self.ip_at + HOP_LIMIT) == 255
    }

    /// Returns the flags of a TCP header (octet 13); `None` for another protocol, and where the packet ends before them.
    #[must_use]
    pub fn tcp_flags(&self, frame: &[u8]) -> Option<u8> {
        let at = self.l4_at?;
        (self.protocol == ip_protocol::TCP && at + 14 <= self.end).then(|| get_u8(frame, at + 13))
    }
}

/// Deprecated (RFC 6633), and yet an error.
const SOURCE_QUENCH: u8 = 4;

#[inline]
fn ports(frame: &[u8], protocol: u8, at: usize, end: usize) -> Option<(u16, u16)> {
    (has_ports(protocol) && at + 4 <= end).then(|| (get_u16(frame, at), get_u16(frame, at + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn v4(protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
        let total = (20 + rest.len()) as u16;
        let [high, low] = total.to_be_bytes();
        let [f, g] = fragment.to_be_bytes();
        let mut packet = std::vec![
            0x45, 0, high, low, 0, 1, f, g, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
        ];
        packet.extend(rest);
        packet
    }

    fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
        let [high, low] = (rest.len() as u16).to_be_bytes();
        let mut packet = std::vec![0x60, 0, 0, 0, high, low, next, 64];
        packet.extend([0xfd; 16]);
        packet.extend([0xfe; 16]);
        packet.extend(rest);
        packet
    }

    const PORTS: [u8; 8] = [0x30, 0x39, 0, 53, 0, 8, 0, 0];

    #[test]
    fn finds_ports_behind_tags_and_extension_headers() {
        let mut frame = std::vec![0; 12];
        frame.extend([0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0]);
        frame.extend(v4(17, 0, &PORTS));
        frame.extend([0; 20]);
        let flow = Flow::parse(&frame, Layer::L2).expect("IP");
        assert_eq!((flow.ip_at, flow.l4_at, flow.end), (22, Some(42), 50));
        assert_eq!(flow.ports, Some((12345, 53)));
        let options = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &PORTS, &[0; 12]].concat();
        let flow = Flow::parse(&v6(60, &options), Layer::L3).expect("IP");
        assert_eq!(
            (flow.protocol, flow.ports, flow.l4_at),
            (6, Some((12345, 53)), Some(48))
        );
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let first = Flow::parse(&v4(17, 0x2000, &PORTS), Layer::L3).expect("IP");
        let later = Flow::parse(&v4(17, 0x0001, &PORTS), Layer::L3).expect("IP");
        assert_eq!((first.fragment, first.ports), (true, Some((12345, 53))));
        assert_eq!((later.fragment, later.ports, later.l4_at), (true, None, None));
        let piece = |offset: u16| {
            let [high, low] = offset.to_be_bytes();
            v6(44, &[&[17, 0, high, low, 0, 0, 0, 1][..], &PORTS].concat())
        };
        let first = Flow::parse(&piece(1), Layer::L3).expect("IP");
        let later = Flow::parse(&piece(9), Layer::L3).expect("IP");
        assert_eq!((first.protocol, first.ports), (17, Some((12345, 53))));
        assert_eq!((later.protocol, later.ports, later.fragment), (17, None, true));
    }

    #[test]
    fn an_error_quotes_the_packet_it_is_about() {
        let inner = v4(17, 0, &PORTS);
        let mut rest = std::vec![3, 3, 0, 0, 0, 0, 0, 0];
        rest.extend(&inner);
        let frame = v4(1, 0, &rest);
        let flow = Flow::parse(&frame, Layer::L3).expect("IP");
        let quoted = flow.quoted(&frame).expect("an error");
        assert_eq!((quoted.ip_at, quoted.ports), (28, Some((12345, 53))));
        rest[0] = 8;
        let frame = v4(1, 0, &rest);
        let flow = Flow::parse(&frame, Layer::L3).expect("IP");
        assert_eq!((flow.quoted(&frame), flow.echo(&frame)), (None, Some((0, true))));
    }

    proptest! {
        #[test]
        fn every_offset_lies_in_the_frame(
            mut frame in proptest::collection::vec(any::<u8>(), 0..200), four in any::<bool>(), l3 in any::<bool>()
        ) {
            if let Some(first) = frame.get_mut(if l3 { 0 } else { 14 }) {
                *first = if four { 0x45 } else { 0x60 };
            }
            if !l3 && frame.len() > 14 {
                frame[12..14].copy_from_slice(if four { &[8, 0] } else { &[0x86, 0xdd] });
            }
            let layer = if l3 { Layer::L3 } else { Layer::L2 };
            if let Some(flow) = Flow::parse(&frame, layer) {
                prop_assert!(flow.ip_at < flow.end && flow.end <= frame.len());
                prop_assert!(flow.ports.is_none() || flow.l4_at.is_some_and(|at| at + 4 <= flow.end));
                let _ = (flow.icmp(&frame), flow.echo(&frame), flow.tcp_flags(&frame));
                if let Some(inner) = flow.quoted(&frame) {
                    prop_assert!(inner.ip_at > flow.ip_at && inner.end <= flow.end);
                }
            }
        }
    }
}
