//! What no hop changes in a packet.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use std::collections::hash_map::DefaultHasher;

use super::Sighting;
use crate::bytes::{get_u8, get_u16, get_u32, window};
use crate::wire::{Ipv4, ip_protocol};
use crate::{Flow, Layer};

/// What a packet is known again by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Addresses and all that stands behind the IP header: the same until somebody translates it.
    pub exact: u64,
    /// Payload and identification without addresses and ports: the same behind a translation. `None` for what is not IP.
    pub loose: Option<u64>,
    /// A TCP segment's connection, and the sequence numbers it carries.
    pub tcp: Option<(u64, u32, u32)>,
    /// The packet that this one is a piece of, or that may be cut into pieces.
    pub whole: Option<u64>,
}

impl Key {
    /// Reads a record; `most` bytes behind the IP header count, as many as all records show that show the packet cut.
    pub fn of(record: &Sighting, most: usize) -> Key {
        let (frame, layer) = (&record.frame[..], record.layer);
        let Some(flow) = Flow::parse(frame, layer) else {
            // Padding is what a hop may add.
            let from = if layer == Layer::L2 { 6 } else { 0 };
            let len = if layer == Layer::L2 && get_u16(frame, 12) == 0x0806 {
                42
            } else {
                frame.len().min(most)
            };
            return Key {
                exact: hash(&window(frame, from, len)),
                loose: None,
                tcp: None,
                whole: None,
            };
        };
        let l4_at = flow.l4_at.unwrap_or(flow.ip_at + header_len(frame, &flow));
        let l4 = window(frame, l4_at, flow.end.min(l4_at.saturating_add(most)));
        let end = end(record, &flow);
        // Which piece of a larger packet, and how long it is.
        let part = (later_offset(frame, &flow), end.saturating_sub(l4_at));
        let ends = (flow.src, flow.dst, flow.protocol);
        let id = if flow.src.is_ipv4() { flow.id } else { 0 };
        let (sum_at, ports) = match flow.protocol {
            ip_protocol::TCP => (16, 4),
            ip_protocol::UDP => (6, 4),
            // A translation changes an echo's identifier.
            ip_protocol::ICMP | ip_protocol::ICMPV6 if flow.echo(frame).is_some() => (2, 6),
            ip_protocol::ICMP | ip_protocol::ICMPV6 => (2, 2),
            _ => (0, 0),
        };
        let (exact, loose) = if flow.l4_at.is_none() || sum_at == 0 {
            (hash(&(ends, id, part, l4)), hash(&(flow.protocol, id, part, l4)))
        } else {
            let head = window(l4, 0, sum_at);
            let rest = window(l4, sum_at + 2, usize::MAX);
            let kind = if ports == 6 { get_u16(l4, 0) } else { 0 };
            let untranslated = (
                window(l4, ports, sum_at),
                window(l4, ports.max(sum_at + 2), usize::MAX),
            );
            (
                hash(&(ends, id, part, head, rest)),
                hash(&(flow.protocol, id, part, kind, untranslated)),
            )
        };
        Key {
            exact,
            loose: Some(loose),
            tcp: tcp(frame, &flow, end),
            whole: (id != 0 || flow.fragment).then(|| hash(&(ends, flow.id))),
        }
    }
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn later_offset(frame: &[u8], flow: &Flow) -> u16 {
    match flow.src {
        IpAddr::V4(_) => get_u16(frame, flow.ip_at + 6) & 0x3fff,
        IpAddr::V6(_) if flow.fragment => get_u16(frame, flow.ip_at + 42),
        IpAddr::V6(_) => 0,
    }
}

fn header_len(frame: &[u8], flow: &Flow) -> usize {
    match flow.src {
        IpAddr::V4(_) => Ipv4::new_unchecked(window(frame, flow.ip_at, usize::MAX)).header_len(),
        IpAddr::V6(_) => 48,
    }
}

/// Returns where the packet ended before it was cut.
pub(super) fn end(record: &Sighting, flow: &Flow) -> usize {
    let field = |at| usize::from(get_u16(&record.frame, flow.ip_at + at));
    let (len, header) = match flow.src {
        IpAddr::V4(_) => (field(2), 0),
        IpAddr::V6(_) => (field(4), 40),
    };
    match len {
        _ if !record.is_cut() => flow.end,
        // A super-frame beyond 64 KiB.
        0 => record.wire_len as usize,
        len => flow.ip_at + header + len,
    }
}

fn tcp(frame: &[u8], flow: &Flow, end: usize) -> Option<(u64, u32, u32)> {
    let at = flow
        .l4_at
        .filter(|_| flow.protocol == ip_protocol::TCP && !flow.fragment)?;
    let payload = end.checked_sub(at + 4 * usize::from(get_u8(frame, at + 12) >> 4))?;
    let seq = get_u32(frame, at + 4);
    let connection = hash(&(flow.src, flow.dst, flow.ports));
    (payload > 0).then(|| (connection, seq, seq.wrapping_add(payload as u32)))
}
