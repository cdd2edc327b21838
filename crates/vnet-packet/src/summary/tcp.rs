//! TCP.

use core::fmt;
use std::string::String;

use super::ip::Ends;
use super::{Printed, Span, add, dns, tcp_options, text};
use crate::wire::{Tcp, tcp_flags};

const HEADER_LEN: usize = 20;
const DNS_PORT: u16 = 53;

const LETTERS: [(u8, char); 8] = [
    (tcp_flags::FIN, 'F'),
    (tcp_flags::SYN, 'S'),
    (tcp_flags::RST, 'R'),
    (tcp_flags::PSH, 'P'),
    (tcp_flags::ACK, '.'),
    (tcp_flags::URG, 'U'),
    (tcp_flags::ECE, 'E'),
    (tcp_flags::CWR, 'W'),
];

pub(super) fn print<S: fmt::Display, D: fmt::Display>(
    out: &mut String,
    segment: Span<'_>,
    ends: &Ends<S, D>,
) -> Printed {
    if segment.bytes.len() < 4 {
        ends.without_ports(out);
        out.push_str("[|tcp]");
        return Ok(());
    }
    let tcp = Tcp::new_unchecked(segment.bytes);
    let (src, dst) = (tcp.src_port(), tcp.dst_port());
    ends.with_ports(out, src, dst);
    segment.need(HEADER_LEN, "tcp")?;
    let (header, flags) = (tcp.header_len(), tcp.flags());
    if header < HEADER_LEN {
        let len = segment.len.saturating_sub(header);
        add!(
            out,
            " tcp {len} [bad hdr length {header} - too short, < {HEADER_LEN}]"
        );
        return Ok(());
    }
    out.push_str("Flags [");
    for (_, letter) in LETTERS.into_iter().filter(|(bit, _)| flags & bit != 0) {
        out.push(letter);
    }
    out.push_str(if flags == 0 { "none]" } else { "]" });
    if header > segment.len {
        add!(out, " [bad hdr length {header} - too long, > {}]", segment.len);
        return Ok(());
    }
    let payload = segment.skip(header);
    let seq = tcp.seq();
    if payload.len > 0 || flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) != 0 {
        add!(out, ", seq {seq}");
        if payload.len > 0 {
            add!(out, ":{}", seq.wrapping_add(payload.len as u32));
        }
    }
    if flags & tcp_flags::ACK != 0 {
        add!(out, ", ack {}", tcp.ack());
    }
    add!(out, ", win {}", tcp.window());
    if flags & tcp_flags::URG != 0 {
        add!(out, ", urg {}", tcp.urgent());
    }
    if header > HEADER_LEN {
        segment.need(header, "tcp")?;
        if !tcp_options::print(out, tcp.options()) {
            return Ok(());
        }
    }
    add!(out, ", length {}", payload.len);
    if payload.len == 0 {
        return Ok(());
    }
    if src == DNS_PORT || dst == DNS_PORT {
        return dns::print_tcp(out, payload);
    }
    text::print(out, payload, src, dst)
}
