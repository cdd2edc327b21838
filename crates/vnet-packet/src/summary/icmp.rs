//! ICMP.

use std::format;
use std::string::String;

use super::{Printed, Span, Stop, add};
use crate::wire::{Ipv4, icmp_type, ip_protocol};

/// Where the packet that an error is about starts.
const INNER: usize = 8;
/// An error quotes at least the IPv4 header.
const QUOTED: usize = INNER + 20;

const ROUTER_ADVERTISEMENT: u8 = 9;
const TIMESTAMP_REQUEST: u8 = 13;
const TIMESTAMP_REPLY: u8 = 14;
const MASK_REPLY: u8 = 18;

pub(super) fn print(out: &mut String, message: Span<'_>) -> Printed {
    let cut = |n| message.need(n, "icmp");
    cut(2)?;
    let (kind, code) = (message.u8(0), message.u8(1));
    let text = match kind {
        icmp_type::ECHO_REQUEST | icmp_type::ECHO_REPLY => {
            cut(8)?;
            let what = if kind == icmp_type::ECHO_REQUEST {
                "request"
            } else {
                "reply"
            };
            format!("echo {what}, id {}, seq {}", message.u16(4), message.u16(6))
        }
        icmp_type::UNREACHABLE => {
            cut(QUOTED)?;
            unreachable(message, code)?
        }
        icmp_type::REDIRECT => {
            cut(QUOTED)?;
            let (dst, via) = (message.v4(INNER + 16), message.v4(4));
            match code {
                0 => format!("redirect {dst} to net {via}"),
                1 => format!("redirect {dst} to host {via}"),
                2 => format!("redirect-tos {dst} to net {via}"),
                3 => format!("redirect-tos {dst} to host {via}"),
                _ => format!("redirect-#{code} {dst} to {via}"),
            }
        }
        icmp_type::TIME_EXCEEDED => {
            cut(QUOTED)?;
            match code {
                0 => "time exceeded in-transit".into(),
                1 => "ip reassembly time exceeded".into(),
                _ => format!("time exceeded-#{code}"),
            }
        }
        icmp_type::PARAMETER_PROBLEM if code != 0 => format!("parameter problem - code {code}"),
        icmp_type::PARAMETER_PROBLEM => {
            cut(5)?;
            format!("parameter problem - octet {}", message.u8(4))
        }
        TIMESTAMP_REQUEST => {
            cut(8)?;
            format!("time stamp query id {} seq {}", message.u16(4), message.u16(6))
        }
        TIMESTAMP_REPLY => {
            cut(20)?;
            format!("time stamp reply id {} seq {}", message.u16(4), message.u16(6))
        }
        MASK_REPLY => {
            cut(12)?;
            format!("address mask is 0x{:08x}", message.u32(8))
        }
        ROUTER_ADVERTISEMENT => "router advertisement".into(),
        4 => "source quench".into(),
        10 => "router solicitation".into(),
        15 => "information request".into(),
        16 => "information reply".into(),
        17 => "address mask request".into(),
        other => format!("type-#{other}"),
    };
    add!(out, "ICMP {text}, length {}", message.len);
    Ok(())
}

fn unreachable(message: Span<'_>, code: u8) -> Result<String, Stop> {
    let inner = message.skip(INNER);
    let ip = Ipv4::new_unchecked(inner.bytes);
    let (dst, protocol) = (ip.dst(), ip.protocol());
    Ok(match code {
        0 => format!("net {dst} unreachable"),
        1 => format!("host {dst} unreachable"),
        2 => format!("{dst} protocol {protocol} unreachable"),
        3 => {
            let at = ip.header_len() + 2;
            inner.need(at + 2, "icmp")?;
            let port = inner.u16(at);
            match protocol {
                ip_protocol::TCP => format!("{dst} tcp port {port} unreachable"),
                ip_protocol::UDP => format!("{dst} udp port {port} unreachable"),
                other => format!("{dst} protocol {other} port {port} unreachable"),
            }
        }
        4 => match message.u16(6) {
            0 => format!("{dst} unreachable - need to frag"),
            mtu => format!("{dst} unreachable - need to frag (mtu {mtu})"),
        },
        5 => format!("{dst} unreachable - source route failed"),
        6 => format!("net {dst} unreachable - unknown"),
        7 => format!("host {dst} unreachable - unknown"),
        8 => format!("{dst} unreachable - source host isolated"),
        9 => format!("net {dst} unreachable - admin prohibited"),
        10 => format!("host {dst} unreachable - admin prohibited"),
        11 => format!("net {dst} unreachable - tos prohibited"),
        12 => format!("host {dst} unreachable - tos prohibited"),
        13 => format!("host {dst} unreachable - admin prohibited filter"),
        14 => format!("host {dst} unreachable - host precedence violation"),
        15 => format!("host {dst} unreachable - precedence cutoff"),
        other => format!("{dst} unreachable - #{other}"),
    })
}
