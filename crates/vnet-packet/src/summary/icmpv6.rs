//! ICMPv6, Neighbour Discovery and Multicast Listener Discovery.

use std::string::String;

use super::{Printed, Span, Stop, add};
use crate::headers::ipv6_upper_layer;
use crate::wire::{icmpv6_type, ip_protocol};

/// Where the packet that an error is about starts.
const INNER: usize = 8;
/// An error quotes at least the IPv6 header.
const QUOTED: usize = INNER + 40;
const MLD_QUERY: u8 = 130;
const MLD_REPORT: u8 = 131;
const MLD_DONE: u8 = 132;
const MLD_LEN: usize = 24;
const MLD2_QUERY_LEN: usize = 28;

pub(super) fn print(out: &mut String, message: Span<'_>) -> Printed {
    out.push_str("ICMP6, ");
    if message.len == 0 {
        out.push_str("length 0");
        return Err(Stop::Invalid);
    }
    let cut = |n| message.need(n, "icmp6");
    cut(1)?;
    let (kind, code) = (message.u8(0), message.u8(1));
    match name(kind) {
        Some(name) => out.push_str(name),
        None => add!(out, "unknown icmp6 type ({kind})"),
    }
    cut(2)?;
    match kind {
        icmpv6_type::UNREACHABLE if !unreachable(out, message, code)? => return Ok(()),
        icmpv6_type::UNREACHABLE => {}
        icmpv6_type::PACKET_TOO_BIG => {
            cut(8)?;
            add!(out, ", mtu {}", message.u32(4));
        }
        icmpv6_type::TIME_EXCEEDED => {
            cut(QUOTED)?;
            match code {
                0 => add!(out, " for {}", message.v6(INNER + 24)),
                1 => out.push_str(" (reassembly)"),
                _ => add!(out, ", unknown code ({code})"),
            }
        }
        icmpv6_type::PARAMETER_PROBLEM => {
            cut(QUOTED)?;
            let octet = message.u32(4);
            match code {
                0 => add!(out, ", erroneous - octet {octet}"),
                1 => add!(out, ", next header - octet {octet}"),
                2 => add!(out, ", option - octet {octet}"),
                3 => add!(out, ", incomplete header chain - octet {octet}"),
                _ => add!(out, ", code-#{code}"),
            }
        }
        icmpv6_type::ECHO_REQUEST | icmpv6_type::ECHO_REPLY => {
            cut(8)?;
            add!(out, ", id {}, seq {}", message.u16(4), message.u16(6));
        }
        icmpv6_type::NEIGHBOR_SOLICITATION => {
            cut(24)?;
            add!(out, ", who has {}", message.v6(8));
        }
        icmpv6_type::NEIGHBOR_ADVERTISEMENT => {
            cut(24)?;
            add!(out, ", tgt is {}", message.v6(8));
        }
        icmpv6_type::REDIRECT => {
            cut(40)?;
            add!(out, ", {} to {}", message.v6(24), message.v6(8));
        }
        MLD_QUERY if message.len >= MLD2_QUERY_LEN => {
            cut(MLD2_QUERY_LEN)?;
            add!(out, " v2 [gaddr {}", message.v6(8));
            match message.u16(26) {
                0 => {}
                sources => add!(out, ", {sources} source(s)"),
            }
            out.push(']');
        }
        MLD_QUERY if message.len != MLD_LEN => {
            add!(out, " unknown-version (len {}) ", message.len);
        }
        MLD_QUERY | MLD_REPORT | MLD_DONE => {
            cut(MLD_LEN)?;
            add!(out, "max resp delay: {} addr: {}", message.u16(4), message.v6(8));
        }
        icmpv6_type::MLD2_REPORT => {
            cut(8)?;
            add!(out, ", {} group record(s)", message.u16(6));
        }
        _ => {}
    }
    add!(out, ", length {}", message.len);
    Ok(())
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        icmpv6_type::UNREACHABLE => "destination unreachable",
        icmpv6_type::PACKET_TOO_BIG => "packet too big",
        icmpv6_type::TIME_EXCEEDED => "time exceeded in-transit",
        icmpv6_type::PARAMETER_PROBLEM => "parameter problem",
        icmpv6_type::ECHO_REQUEST => "echo request",
        icmpv6_type::ECHO_REPLY => "echo reply",
        MLD_QUERY => "multicast listener query",
        MLD_REPORT => "multicast listener report",
        MLD_DONE => "multicast listener done",
        icmpv6_type::ROUTER_SOLICITATION => "router solicitation",
        icmpv6_type::ROUTER_ADVERTISEMENT => "router advertisement",
        icmpv6_type::NEIGHBOR_SOLICITATION => "neighbor solicitation",
        icmpv6_type::NEIGHBOR_ADVERTISEMENT => "neighbor advertisement",
        icmpv6_type::REDIRECT => "redirect",
        icmpv6_type::MLD2_REPORT => "multicast listener report v2",
        _ => return None,
    })
}

/// Prints why, and returns whether the line goes on.
fn unreachable(out: &mut String, message: Span<'_>, code: u8) -> Result<bool, Stop> {
    match code {
        0 => out.push_str(", unreachable route"),
        1 => out.push_str(",  unreachable prohibited"),
        2 => out.push_str(", beyond scope"),
        3 => out.push_str(", unreachable address"),
        4 => out.push_str(", unreachable port"),
        _ => {
            add!(out, ", unknown unreach code ({code})");
            return Ok(false);
        }
    }
    message.need(QUOTED, "icmp6")?;
    let (src, dst) = (message.v6(INNER + 8), message.v6(INNER + 24));
    match code {
        2 => add!(out, " {dst}, source address {src}"),
        4 => {
            let inner = message.skip(INNER);
            let upper = ipv6_upper_layer(inner.bytes, 0, inner.bytes.len()).ok_or(Stop::Cut("icmp6"))?;
            let protocol = match upper.protocol {
                ip_protocol::TCP => "tcp",
                ip_protocol::UDP => "udp",
                _ => return Err(Stop::Cut("icmp6")),
            };
            inner.need(upper.at + 4, "icmp6")?;
            add!(out, ", {dst} {protocol} port {}", inner.u16(upper.at + 2));
        }
        _ => add!(out, " {dst}"),
    }
    Ok(true)
}
