//! A filter that was read, and how it judges.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use super::known::SCTP;
use super::sight::Sight;
use crate::Prefix;
use crate::wire::{MacAddr, ether_type, ip_protocol};

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Test(Test),
    Not(Box<Expr>),
    /// Terms joined from the left, all operators being equal (pcap-filter(7)).
    Chain(Box<Expr>, Vec<(Join, Expr)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

/// Which of the two ends of a packet is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Src,
    Dst,
    Either,
    Both,
}

impl End {
    fn holds(self, src: bool, dst: bool) -> bool {
        match self {
            End::Src => src,
            End::Dst => dst,
            End::Either => src || dst,
            End::Both => src && dst,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    /// The Ethernet type, behind tags; of IP also where there is no Ethernet header.
    Kind(u16),
    /// The protocol within IP of a version, or within both.
    Protocol(Option<u16>, u8),
    /// Addresses, of IP or of what ARP asks about; the type limits it to one of them.
    Address(Option<u16>, End, Vec<Prefix>),
    /// Ports of a transport protocol, or of TCP, UDP and SCTP.
    Port(Option<u8>, End, RangeInclusive<u16>),
    Ethernet(End, Vec<MacAddr>),
    /// The Ethernet destination is the broadcast address.
    Broadcast,
    /// The Ethernet destination is a group, which the broadcast address is too.
    Multicast,
    /// The IP destination is a group, of the version whose type this is.
    IpMulticast(u16),
    Vlan(Option<u16>),
    Less(usize),
    Greater(usize),
}

impl Expr {
    pub fn matches(&self, sight: &Sight<'_>) -> bool {
        match self {
            Expr::Test(test) => test.matches(sight),
            Expr::Not(inner) => !inner.matches(sight),
            Expr::Chain(first, rest) => {
                rest.iter()
                    .fold(first.matches(sight), |holds, (join, term)| match join {
                        Join::And => holds && term.matches(sight),
                        Join::Or => holds || term.matches(sight),
                    })
            }
        }
    }
}

impl Test {
    fn matches(&self, sight: &Sight<'_>) -> bool {
        match self {
            Test::Kind(kind) => sight.kind == Some(*kind),
            Test::Protocol(kind, protocol) => {
                let limited = kind.is_none_or(|kind| sight.kind == Some(kind));
                limited && sight.flow.is_some_and(|flow| flow.protocol == *protocol)
            }
            Test::Address(kind, end, prefixes) => {
                kind.is_none_or(|kind| sight.kind == Some(kind))
                    && ends(sight).is_some_and(|(src, dst)| {
                        let among = |address| prefixes.iter().any(|prefix| prefix.contains(address));
                        end.holds(among(src), among(dst))
                    })
            }
            Test::Port(protocol, end, range) => sight.flow.is_some_and(|flow| {
                let meant = match protocol {
                    Some(protocol) => flow.protocol == *protocol,
                    None => matches!(flow.protocol, ip_protocol::TCP | ip_protocol::UDP | SCTP),
                };
                meant
                    && flow
                        .ports
                        .is_some_and(|(src, dst)| end.holds(range.contains(&src), range.contains(&dst)))
            }),
            Test::Ethernet(end, lladdrs) => sight
                .ethernet
                .is_some_and(|(dst, src)| end.holds(lladdrs.contains(&src), lladdrs.contains(&dst))),
            Test::Broadcast => sight.ethernet.is_some_and(|(dst, _)| dst.is_broadcast()),
            Test::Multicast => sight.ethernet.is_some_and(|(dst, _)| dst.is_multicast()),
            Test::IpMulticast(kind) => {
                sight.kind == Some(*kind)
                    && sight.flow.is_some_and(|flow| match flow.dst {
                        // As tcpdump counts: 255.255.255.255 is above 224.0.0.0 too.
                        IpAddr::V4(dst) => dst.octets()[0] >= 224,
                        IpAddr::V6(dst) => dst.is_multicast(),
                    })
            }
            Test::Vlan(None) => sight.vids[0].is_some(),
            Test::Vlan(Some(vid)) => sight.vids.contains(&Some(*vid)),
            Test::Less(most) => sight.wire_len <= *most,
            Test::Greater(least) => sight.wire_len >= *least,
        }
    }
}

fn ends(sight: &Sight<'_>) -> Option<(IpAddr, IpAddr)> {
    match sight.kind {
        Some(ether_type::IPV4 | ether_type::IPV6) => sight.flow.map(|flow| (flow.src, flow.dst)),
        _ => sight.arp,
    }
}
