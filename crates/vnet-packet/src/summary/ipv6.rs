//! IPv6 and its extension headers.

use std::string::String;

use super::ip::{Ends, upper};
use super::{Printed, Span, Stop, add};
use crate::wire::{Ipv6, ip_protocol};

const EXTENSIONS_MAX: usize = 16;
const ROUTING_DEPRECATED: u8 = 0;
const ROUTING_MOBILE: u8 = 2;
const ROUTING_SEGMENT: u8 = 4;

pub(super) fn print(out: &mut String, packet: Span<'_>) -> Printed {
    packet.need(Ipv6::<&[u8]>::HEADER_LEN, "ip6")?;
    let ip = Ipv6::new_unchecked(packet.bytes);
    out.push_str("IP6 ");
    if ip.version() != 6 {
        add!(out, "version error: {} != 6", ip.version());
        return Ok(());
    }
    let total = Ipv6::<&[u8]>::HEADER_LEN + usize::from(ip.payload_len());
    if packet.len < total {
        add!(out, "truncated-ip6 - {} bytes missing!", total - packet.len);
    }
    let mut ends = Ends {
        src: ip.src(),
        dst: ip.dst(),
        printed: false,
    };
    let mut rest = packet.announced(total).skip(Ipv6::<&[u8]>::HEADER_LEN);
    let mut next = ip.next_header();
    let mut fragmented = false;
    for _ in 0..EXTENSIONS_MAX {
        if !is_extension(next) {
            break;
        }
        ends.without_ports(out);
        ends.printed = true;
        let header = rest;
        let len = extension(out, next, header)?;
        if next == ip_protocol::FRAGMENT {
            if header.u16(2) & 0xfff8 != 0 {
                return Ok(());
            }
            out.push(' ');
            fragmented = true;
        }
        next = header.u8(0);
        rest = header.skip(len);
    }
    upper(out, next, rest, &ends, fragmented, true)
}

fn is_extension(next: u8) -> bool {
    matches!(
        next,
        ip_protocol::HOP_BY_HOP
            | ip_protocol::DESTINATION_OPTIONS
            | ip_protocol::ROUTING
            | ip_protocol::FRAGMENT
            | ip_protocol::AUTHENTICATION
    )
}

/// Prints one extension header and returns its length.
fn extension(out: &mut String, kind: u8, header: Span<'_>) -> Result<usize, Stop> {
    let units = usize::from(header.u8(1));
    match kind {
        ip_protocol::HOP_BY_HOP => options(out, header, "HBH ", "hbhopt"),
        ip_protocol::DESTINATION_OPTIONS => options(out, header, "DSTOPT ", "dstopt"),
        ip_protocol::FRAGMENT => {
            header.need(8, "frag6")?;
            add!(
                out,
                "frag ({}|{})",
                header.u16(2) & 0xfff8,
                header.len.saturating_sub(8)
            );
            Ok(8)
        }
        ip_protocol::ROUTING => {
            header.need(8, "rt6")?;
            routing(out, header, units)?;
            Ok((units + 1) * 8)
        }
        _ => {
            let len = (units + 2) * 4;
            header.need(12, "ah")?.need(len, "ah")?;
            add!(
                out,
                "AH(spi=0x{:08x},seq=0x{:x},icv=0x",
                header.u32(4),
                header.u32(8)
            );
            for byte in header.bytes.get(12..len).unwrap_or_default() {
                add!(out, "{byte:02x}");
            }
            out.push_str("): ");
            Ok(len)
        }
    }
}

fn options(
    out: &mut String,
    header: Span<'_>,
    name: &'static str,
    protocol: &'static str,
) -> Result<usize, Stop> {
    header.need(2, protocol)?;
    let len = (usize::from(header.u8(1)) + 1) * 8;
    header.need(len, protocol)?;
    out.push_str(name);
    Ok(len)
}

fn routing(out: &mut String, header: Span<'_>, units: usize) -> Printed {
    let kind = header.u8(2);
    add!(out, "RT6 (len={units}, type={kind}");
    if kind == ROUTING_DEPRECATED {
        out.push_str(" [Deprecated]");
    }
    add!(out, ", segleft={}", header.u8(3));
    match kind {
        ROUTING_DEPRECATED | ROUTING_MOBILE => {}
        ROUTING_SEGMENT => {
            add!(out, ", last-entry={}", header.u8(4));
            if header.u8(5) != 0 {
                add!(out, ", flags=0x{:x}", header.u8(5));
            }
            add!(out, ", tag={:x}", header.u16(6));
        }
        _ => {
            out.push_str(") ");
            return Ok(());
        }
    }
    for i in 0..units / 2 {
        let at = 8 + i * 16;
        header.need(at + 16, "rt6")?;
        add!(out, ", [{i}]{}", header.v6(at));
    }
    out.push_str(") ");
    Ok(())
}
