//! Views of a packet's headers, found through up to two VLAN tags and IPv6 extension headers.

use core::ops::Range;

use crate::packet::Packet;
use crate::wire::{Arp, Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Vlan, ether_type, ip_protocol};
use crate::{Flow, Layer};

const ETHERNET: usize = 14;
const TAG: usize = 4;
const MAX_TAGS: usize = 2;
const MAX_EXTENSIONS: usize = 8;

/// The network header: where it starts and which type the frame says it has.
struct Network {
    start: usize,
    ether_type: u16,
}

/// The transport header: its protocol and where it starts.
#[derive(Clone, Copy)]
pub(crate) struct Transport {
    pub protocol: u8,
    pub at: usize,
}

fn be16(frame: &[u8], at: usize) -> Option<u16> {
    let [high, low] = *frame.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes([high, low]))
}

/// Defines a view and its writable twin over the bytes that a method of `Packet` finds.
macro_rules! views {
    ($($(#[$doc:meta])* $name:ident $name_mut:ident $view:ident $span:ident;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> Option<$view<&[u8]>> {
                $view::new_checked(self.frame().get(self.$span()?)?).ok()
            }

            #[doc = concat!("Returns the same header as [`", stringify!($name), "`](Packet::", stringify!($name), "), to be rewritten.")]
            pub fn $name_mut(&mut self) -> Option<$view<&mut [u8]>> {
                let span = self.$span()?;
                $view::new_checked(self.frame_mut().get_mut(span)?).ok()
            }
        )*
    };
}

impl Packet {
    /// Returns the Ethernet header, always: of a frame shorter than 14 bytes, or without such a
    /// header ([`is_l3`](Packet::is_l3)), a header of zeros, which no address and no type matches.
    #[inline(always)]
    #[must_use]
    pub fn eth(&self) -> Ethernet<&[u8]> {
        let frame = self.frame();
        let there = !self.is_l3() && frame.len() >= ETHERNET;
        Ethernet::new_unchecked(if there { frame } else { &[] })
    }

    /// Returns the Ethernet header, to be rewritten; `None` where there is none.
    pub fn eth_mut(&mut self) -> Option<Ethernet<&mut [u8]>> {
        if self.is_l3() {
            return None;
        }
        Ethernet::new_checked(self.frame_mut()).ok()
    }

    /// Returns the [`ether_type`] of what follows the Ethernet header and up to two VLAN tags; by
    /// the IP version where there is no Ethernet header, 0 where the frame is too short.
    #[must_use]
    pub fn ether_type(&self) -> u16 {
        self.network().map_or(0, |network| network.ether_type)
    }

    /// Returns where the network header starts, in bytes from the frame's start.
    #[must_use]
    pub fn network_offset(&self) -> Option<usize> {
        self.network().map(|network| network.start)
    }

    views! {
        /// Returns the outermost VLAN tag.
        vlan vlan_mut Vlan vlan_span;
        /// Returns the ARP message; [`Arp::is_ethernet_ipv4`] says whether its addresses mean anything.
        arp arp_mut Arp arp_span;
        /// Returns the IPv4 header, its options whole.
        ipv4 ipv4_mut Ipv4 ipv4_span;
        /// Returns the IPv6 header.
        ipv6 ipv6_mut Ipv6 ipv6_span;
        /// Returns the UDP header over IPv4 or IPv6; of a fragmented packet only in its first piece.
        udp udp_mut Udp udp_span;
        /// Returns the TCP header over IPv4 or IPv6, its options whole.
        tcp tcp_mut Tcp tcp_span;
        /// Returns the ICMP header over IPv4; of a fragmented packet only in its first piece.
        icmp icmp_mut Icmp icmp_span;
        /// Returns the ICMPv6 header over IPv6; of a fragmented packet only in its first piece.
        icmpv6 icmpv6_mut Icmpv6 icmpv6_span;
    }

    /// Returns the [`ip_protocol`] behind the IPv4 header, or behind the IPv6 header and its
    /// extension headers; `None` where the packet is not IP, its headers are cut short, or it is
    /// a later piece of a fragmented one.
    #[must_use]
    pub fn ip_protocol(&self) -> Option<u8> {
        self.transport().map(|(protocol, _)| protocol)
    }

    /// Returns the packet's addresses, protocol and ports, and where its headers stand, through up to two VLAN tags and
    /// IPv6 extension headers; `None` where it is not IP, or its IP headers are cut short.
    #[inline]
    #[must_use]
    pub fn flow(&self) -> Option<Flow> {
        let layer = if self.is_l3() { Layer::L3 } else { Layer::L2 };
        Flow::parse(self.frame(), layer)
    }

    fn network(&self) -> Option<Network> {
        let frame = self.frame();
        if self.is_l3() {
            let ether_type = match frame.first()? >> 4 {
                4 => ether_type::IPV4,
                6 => ether_type::IPV6,
                _ => return None,
            };
            return Some(Network { start: 0, ether_type });
        }
        let mut start = ETHERNET;
        let mut ether_type = be16(frame, start - 2)?;
        for _ in 0..MAX_TAGS {
            if !ether_type::is_vlan(ether_type) {
                break;
            }
            start += TAG;
            ether_type = be16(frame, start - 2)?;
        }
        Some(Network { start, ether_type })
    }

    fn network_span(&self, wanted: u16) -> Option<Range<usize>> {
        let network = self.network()?;
        (network.ether_type == wanted).then_some(network.start..self.len())
    }

    fn vlan_span(&self) -> Option<Range<usize>> {
        ether_type::is_vlan(self.eth().ether_type()).then_some(ETHERNET..self.len())
    }

    fn arp_span(&self) -> Option<Range<usize>> {
        self.network_span(ether_type::ARP)
    }

    fn ipv4_span(&self) -> Option<Range<usize>> {
        let span = self.network_span(ether_type::IPV4)?;
        (self.frame().get(span.start)? >> 4 == 4).then_some(span)
    }

    fn ipv6_span(&self) -> Option<Range<usize>> {
        let span = self.network_span(ether_type::IPV6)?;
        (self.frame().get(span.start)? >> 4 == 6).then_some(span)
    }

    /// Returns where the IPv4 header starts.
    pub(crate) fn ipv4_start(&self) -> Option<usize> {
        Some(self.ipv4_span()?.start)
    }

    /// Returns where the IPv6 header starts.
    pub(crate) fn ipv6_start(&self) -> Option<usize> {
        Some(self.ipv6_span()?.start)
    }

    /// Returns the protocol behind the IP headers and where its header starts.
    pub(crate) fn transport_at(&self) -> Option<Transport> {
        let (protocol, span) = self.transport()?;
        let at = span.start;
        Some(Transport { protocol, at })
    }

    /// Returns the protocol behind the IP headers and where its bytes lie, padding left out.
    fn transport(&self) -> Option<(u8, Range<usize>)> {
        if let Some(ip) = self.ipv4() {
            if ip.fragment_offset() != 0 {
                return None;
            }
            let start = self.ipv4_span()?.start + ip.header_len();
            return Some((ip.protocol(), start..start + ip.payload().len()));
        }
        let ip = self.ipv6()?;
        let payload = ip.payload();
        let (protocol, skipped) = skip_extensions(ip.next_header(), payload)?;
        let start = self.ipv6_span()?.start + Ipv6::<&[u8]>::HEADER_LEN;
        Some((protocol, start + skipped..start + payload.len()))
    }

    fn transport_span(&self, wanted: u8) -> Option<Range<usize>> {
        let (protocol, span) = self.transport()?;
        (protocol == wanted).then_some(span)
    }

    fn udp_span(&self) -> Option<Range<usize>> {
        self.transport_span(ip_protocol::UDP)
    }

    fn tcp_span(&self) -> Option<Range<usize>> {
        self.transport_span(ip_protocol::TCP)
    }

    fn icmp_span(&self) -> Option<Range<usize>> {
        self.ipv4_span()?;
        self.transport_span(ip_protocol::ICMP)
    }

    fn icmpv6_span(&self) -> Option<Range<usize>> {
        self.ipv6_span()?;
        self.transport_span(ip_protocol::ICMPV6)
    }
}

/// Returns the protocol behind IPv6 extension headers and how many bytes they take (RFC 8200,
/// section 4); `None` in a later fragment and where a header is cut short.
fn skip_extensions(mut next: u8, payload: &[u8]) -> Option<(u8, usize)> {
    let mut at = 0;
    for _ in 0..MAX_EXTENSIONS {
        let len = match next {
            ip_protocol::HOP_BY_HOP | ip_protocol::ROUTING | ip_protocol::DESTINATION_OPTIONS => {
                (usize::from(*payload.get(at + 1)?) + 1) * 8
            }
            ip_protocol::AUTHENTICATION => (usize::from(*payload.get(at + 1)?) + 2) * 4,
            ip_protocol::FRAGMENT => {
                if be16(payload, at + 2)? & 0xfff8 != 0 {
                    return None;
                }
                8
            }
            _ => return Some((next, at)),
        };
        next = *payload.get(at)?;
        at += len;
        if at > payload.len() {
            return None;
        }
    }
    None
}
