//! IPv4, and what both versions share.

use core::fmt;
use std::string::String;

use super::{Printed, Span, Stop, add, icmp, icmpv6, igmp, ipv6, tcp, udp};
use crate::wire::{Ipv4, ip_protocol};

const IN_IP4: u8 = 4;
const IN_IP6: u8 = 41;
const ESP: u8 = 50;

/// The two ends as the transport layer prints them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<S, D> {
    pub src: S,
    pub dst: D,
    /// The addresses are printed already: only ports are still to come.
    pub printed: bool,
}

impl<S: fmt::Display, D: fmt::Display> Ends<S, D> {
    pub fn with_ports(&self, out: &mut String, src: u16, dst: u16) {
        if self.printed {
            add!(out, "{src} > {dst}: ");
        } else {
            add!(out, "{}.{src} > {}.{dst}: ", self.src, self.dst);
        }
    }

    pub fn without_ports(&self, out: &mut String) {
        if !self.printed {
            add!(out, "{} > {}: ", self.src, self.dst);
        }
    }
}

/// Prints a packet of either version.
pub(super) fn print_either(out: &mut String, packet: Span<'_>) -> Printed {
    match packet.bytes.first().map(|first| first >> 4) {
        Some(4) => print(out, packet),
        Some(6) => ipv6::print(out, packet),
        Some(other) => {
            add!(out, "unknown ip {other}");
            Ok(())
        }
        None => {
            out.push_str("truncated-ip 0");
            Ok(())
        }
    }
}

pub(super) fn print(out: &mut String, packet: Span<'_>) -> Printed {
    packet.need(1, "ip")?;
    let ip = Ipv4::new_unchecked(packet.bytes);
    match ip.version() {
        4 => out.push_str("IP "),
        6 => {
            out.push_str("IP6, wrong link-layer encapsulation");
            return Err(Stop::Invalid);
        }
        other => {
            add!(out, "IP{other}");
            return Err(Stop::Invalid);
        }
    }
    packet.need(Ipv4::<&[u8]>::HEADER_LEN_MIN, "ip")?;
    let (header, total) = (ip.header_len(), usize::from(ip.total_len()));
    if header < Ipv4::<&[u8]>::HEADER_LEN_MIN {
        add!(out, "bad-hlen {header}");
        return Ok(());
    }
    if packet.len < total {
        add!(out, "truncated-ip - {} bytes missing! ", total - packet.len);
    }
    if total < header {
        add!(out, "bad-len {total}");
        return Ok(());
    }
    let ends = Ends {
        src: ip.src(),
        dst: ip.dst(),
        printed: false,
    };
    if ip.fragment_offset() != 0 {
        add!(out, "{} > {}: ip-proto-{}", ends.src, ends.dst, ip.protocol());
        return Ok(());
    }
    let payload = packet.announced(total).skip(header);
    upper(out, ip.protocol(), payload, &ends, ip.more_fragments(), false)
}

/// Prints what follows an IP header and its extensions.
pub(super) fn upper<S: fmt::Display, D: fmt::Display>(
    out: &mut String,
    protocol: u8,
    payload: Span<'_>,
    ends: &Ends<S, D>,
    fragmented: bool,
    v6: bool,
) -> Printed {
    match protocol {
        ip_protocol::TCP => return tcp::print(out, payload, ends),
        ip_protocol::UDP => return udp::print(out, payload, ends, fragmented),
        _ => ends.without_ports(out),
    }
    match protocol {
        ip_protocol::ICMP if v6 => {
            out.push_str("[ICMP requires IPv4]");
            return Err(Stop::Invalid);
        }
        ip_protocol::ICMP => return icmp::print(out, payload),
        ip_protocol::IGMP if v6 => {
            out.push_str("[IGMP requires IPv4]");
            return Err(Stop::Invalid);
        }
        ip_protocol::IGMP => return igmp::print(out, payload),
        ip_protocol::ICMPV6 if !v6 => {
            out.push_str("[ICMPv6 requires IPv6]");
            return Err(Stop::Invalid);
        }
        ip_protocol::ICMPV6 => return icmpv6::print(out, payload),
        IN_IP4 => return print(out, payload.nested()?),
        IN_IP6 => return ipv6::print(out, payload.nested()?),
        ESP => {
            let esp = payload.need(8, "esp")?;
            add!(
                out,
                "ESP(spi=0x{:08x},seq=0x{:x}), length {}",
                esp.u32(0),
                esp.u32(4),
                esp.len
            );
        }
        ip_protocol::NO_NEXT_HEADER => out.push_str("no next header"),
        other => add!(out, " ip-proto-{other} {}", payload.len),
    }
    Ok(())
}
