//! What differs between the headers of two sightings of one packet.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::bytes::{get_u8, get_u16, get_u32, window};
use crate::wire::{Ethernet, ip_protocol};
use crate::{Flow, Layer};

/// A header's field that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name, in Wireshark's manner: `ip.src`, `ip.ttl`, `tcp.srcport`.
    pub field: &'static str,
    /// Its value before; empty where the frame had no such field.
    pub before: String,
    /// Its value behind.
    pub after: String,
}

/// Returns the fields that differ between a frame as it came and as it left. Checksums, which follow from other fields, are
/// told only where nothing else differs.
#[must_use]
pub fn changes(before: (&[u8], Layer), after: (&[u8], Layer)) -> Vec<Change> {
    let (mut old, mut new) = (fields(before), fields(after));
    let mut found = differ(&old, &new);
    if found.is_empty() && before.0 != after.0 && before.1 == after.1 {
        old = sums(before);
        new = sums(after);
        found = differ(&old, &new);
        if found.is_empty() {
            found.push(Change {
                field: "bytes",
                before: format!("{} bytes", before.0.len()),
                after: format!("{} other bytes", after.0.len()),
            });
        }
    }
    found
}

type Fields = Vec<(&'static str, String)>;

fn differ(old: &Fields, new: &Fields) -> Vec<Change> {
    let value = |of: &Fields, field: &'static str| {
        of.iter()
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value.clone())
    };
    let mut names: Vec<&'static str> = old.iter().map(|(name, _)| *name).collect();
    names.extend(
        new.iter()
            .map(|(name, _)| *name)
            .filter(|&name| value(old, name).is_none()),
    );
    names
        .into_iter()
        .filter_map(|field| {
            let (before, after) = (value(old, field), value(new, field));
            (before != after).then(|| Change {
                field,
                before: before.unwrap_or_default(),
                after: after.unwrap_or_default(),
            })
        })
        .collect()
}

fn fields((frame, layer): (&[u8], Layer)) -> Fields {
    let mut found: Fields = Vec::new();
    if layer == Layer::L2 && frame.len() >= 14 {
        let ethernet = Ethernet::new_unchecked(frame);
        found.push(("eth.dst", ethernet.dst().to_string()));
        found.push(("eth.src", ethernet.src().to_string()));
        let (mut at, mut tags) = (12, ["vlan.id", "vlan.inner"].into_iter());
        while let (0x8100 | 0x88a8, Some(name)) = (get_u16(frame, at), tags.next()) {
            found.push((name, (get_u16(frame, at + 2) & 0x0fff).to_string()));
            at += 4;
        }
        found.push(("eth.type", format!("{:#06x}", get_u16(frame, at))));
    }
    let Some(flow) = Flow::parse(frame, layer) else {
        return found;
    };
    let ip = |offset| flow.ip_at + offset;
    found.push(("ip.src", flow.src.to_string()));
    found.push(("ip.dst", flow.dst.to_string()));
    if flow.src.is_ipv4() {
        found.push(("ip.ttl", get_u8(frame, ip(8)).to_string()));
        found.push(("ip.tos", format!("{:#04x}", get_u8(frame, ip(1)))));
        found.push(("ip.id", get_u16(frame, ip(4)).to_string()));
        found.push(("ip.fragment", format!("{:#06x}", get_u16(frame, ip(6)))));
    } else {
        found.push(("ip.ttl", get_u8(frame, ip(7)).to_string()));
        found.push(("ip.tos", format!("{:#04x}", (get_u16(frame, ip(0)) >> 4) & 0xff)));
    }
    found.push(("ip.proto", flow.protocol.to_string()));
    found.push(("ip.len", (flow.end - flow.ip_at).to_string()));
    let Some(at) = flow.l4_at else { return found };
    let mut payload = at;
    match (flow.protocol, flow.ports) {
        (ip_protocol::TCP, Some((src, dst))) => {
            found.push(("tcp.srcport", src.to_string()));
            found.push(("tcp.dstport", dst.to_string()));
            found.push(("tcp.seq", get_u32(frame, at + 4).to_string()));
            found.push(("tcp.ack", get_u32(frame, at + 8).to_string()));
            found.push(("tcp.flags", format!("{:#04x}", get_u8(frame, at + 13))));
            found.push(("tcp.window", get_u16(frame, at + 14).to_string()));
            payload += 4 * usize::from(get_u8(frame, at + 12) >> 4);
        }
        (ip_protocol::UDP, Some((src, dst))) => {
            found.push(("udp.srcport", src.to_string()));
            found.push(("udp.dstport", dst.to_string()));
            payload += 8;
        }
        (ip_protocol::ICMP | ip_protocol::ICMPV6, _) => {
            found.push(("icmp.type", get_u8(frame, at).to_string()));
            found.push(("icmp.code", get_u8(frame, at + 1).to_string()));
            if let Some((id, _)) = flow.echo(frame) {
                found.push(("icmp.id", id.to_string()));
                found.push(("icmp.seq", get_u16(frame, at + 6).to_string()));
                payload += 4;
            }
            payload += 4;
        }
        _ => {}
    }
    let bytes = window(frame, payload, flow.end);
    let first: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let sum = bytes
        .iter()
        .fold(0_u32, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte));
    found.push(("payload", format!("{} bytes {first} #{sum:08x}", bytes.len())));
    found
}

fn sums((frame, layer): (&[u8], Layer)) -> Fields {
    let mut found: Fields = Vec::new();
    let Some(flow) = Flow::parse(frame, layer) else {
        return found;
    };
    let sum = |at| format!("{:#06x}", get_u16(frame, at));
    if flow.src.is_ipv4() {
        found.push(("ip.checksum", sum(flow.ip_at + 10)));
    }
    match (flow.protocol, flow.l4_at) {
        (ip_protocol::TCP, Some(at)) => found.push(("tcp.checksum", sum(at + 16))),
        (ip_protocol::UDP, Some(at)) => found.push(("udp.checksum", sum(at + 6))),
        (ip_protocol::ICMP | ip_protocol::ICMPV6, Some(at)) => found.push(("icmp.checksum", sum(at + 2))),
        _ => {}
    }
    found
}
