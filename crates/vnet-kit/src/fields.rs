//! A frame's headers as a reader of packets knows them, field by field.

use vnet_packet::Layer;
use vnet_packet::wire::{Arp, Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Vlan, ether_type, ip_protocol};

use crate::frame::TCP_FLAGS;

/// One field of a frame's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// `ipv4.ttl`
    pub name: String,
    pub value: String,
}

/// Returns the fields of every header that is whole, in order, and then the payload's bytes.
pub(crate) fn fields(frame: &[u8], layer: Layer) -> (Vec<Field>, &[u8]) {
    let mut found = Fields(Vec::new());
    let payload = match layer {
        Layer::L2 => found.ethernet(frame),
        Layer::L3 => found.ip(frame),
    };
    (found.0, payload)
}

struct Fields(Vec<Field>);

impl Fields {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "texts and numbers are handed over alike"
    )]
    fn add(&mut self, name: &str, value: impl ToString) {
        self.0.push(Field {
            name: name.to_owned(),
            value: value.to_string(),
        });
    }

    fn ethernet<'a>(&mut self, frame: &'a [u8]) -> &'a [u8] {
        let Ok(eth) = Ethernet::new_checked(frame) else {
            return frame;
        };
        self.add("eth.dst", eth.dst());
        self.add("eth.src", eth.src());
        let mut kind = eth.ether_type();
        self.add("eth.type", kind_name(kind));
        let mut rest = &frame[14..];
        while matches!(kind, ether_type::VLAN | ether_type::QINQ)
            && let Ok(tag) = Vlan::new_checked(rest)
        {
            self.add("vlan.id", tag.vid());
            self.add("vlan.priority", tag.priority());
            kind = tag.ether_type();
            self.add("vlan.type", kind_name(kind));
            rest = &rest[4..];
        }
        match kind {
            ether_type::ARP => self.arp(rest),
            ether_type::IPV4 | ether_type::IPV6 => self.ip(rest),
            _ => rest,
        }
    }

    fn arp<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Ok(arp) = Arp::new_checked(bytes) else {
            return bytes;
        };
        self.add("arp.operation", arp.operation());
        self.add("arp.sender_mac", arp.sender_mac());
        self.add("arp.sender", arp.sender_ip());
        self.add("arp.target_mac", arp.target_mac());
        self.add("arp.target", arp.target_ip());
        &bytes[28..]
    }

    fn ip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => self.ipv4(bytes),
            Some(6) => self.ipv6(bytes),
            _ => bytes,
        }
    }

    fn ipv4<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Ok(ip) = Ipv4::new_checked(bytes) else {
            return bytes;
        };
        self.add("ipv4.src", ip.src());
        self.add("ipv4.dst", ip.dst());
        self.add("ipv4.ttl", ip.ttl());
        self.add("ipv4.protocol", ip.protocol());
        self.add("ipv4.tos", ip.tos());
        self.add("ipv4.id", ip.id());
        self.add("ipv4.dont_fragment", ip.dont_fragment());
        self.add("ipv4.more_fragments", ip.more_fragments());
        self.add("ipv4.fragment_offset", ip.fragment_offset());
        self.add("ipv4.length", ip.total_len());
        self.checksum("ipv4.checksum", ip.checksum(), ip.checksum_ok());
        if !ip.options().is_empty() {
            self.add("ipv4.options", hex(ip.options()));
        }
        let rest = &bytes[ip.header_len()..];
        if ip.fragment_offset() > 0 {
            return rest;
        }
        self.segment(ip.protocol(), rest)
    }

    fn ipv6<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Ok(ip) = Ipv6::new_checked(bytes) else {
            return bytes;
        };
        self.add("ipv6.src", ip.src());
        self.add("ipv6.dst", ip.dst());
        self.add("ipv6.hop_limit", ip.hop_limit());
        self.add("ipv6.next_header", ip.next_header());
        self.add("ipv6.traffic_class", ip.traffic_class());
        self.add("ipv6.flow_label", ip.flow_label());
        self.add("ipv6.length", ip.payload_len());
        self.segment(ip.next_header(), &bytes[40..])
    }

    fn segment<'a>(&mut self, protocol: u8, bytes: &'a [u8]) -> &'a [u8] {
        match protocol {
            ip_protocol::UDP => {
                let Ok(udp) = Udp::new_checked(bytes) else {
                    return bytes;
                };
                self.add("udp.src", udp.src_port());
                self.add("udp.dst", udp.dst_port());
                self.add("udp.length", udp.len());
                self.add("udp.checksum", format!("{:#06x}", udp.checksum()));
                &bytes[8..]
            }
            ip_protocol::TCP => {
                let Ok(tcp) = Tcp::new_checked(bytes) else {
                    return bytes;
                };
                self.add("tcp.src", tcp.src_port());
                self.add("tcp.dst", tcp.dst_port());
                self.add("tcp.seq", tcp.seq());
                self.add("tcp.ack", tcp.ack());
                self.add("tcp.flags", flags(tcp.flags()));
                self.add("tcp.window", tcp.window());
                self.add("tcp.checksum", format!("{:#06x}", tcp.checksum()));
                if !tcp.options().is_empty() {
                    self.add("tcp.options", hex(tcp.options()));
                }
                &bytes[tcp.header_len()..]
            }
            ip_protocol::ICMP => {
                let Ok(icmp) = Icmp::new_checked(bytes) else {
                    return bytes;
                };
                self.icmp("icmp", icmp.kind(), icmp.code(), bytes)
            }
            ip_protocol::ICMPV6 => {
                let Ok(icmp) = Icmpv6::new_checked(bytes) else {
                    return bytes;
                };
                self.icmp("icmpv6", icmp.kind(), icmp.code(), bytes)
            }
            _ => bytes,
        }
    }

    fn icmp<'a>(&mut self, name: &str, kind: u8, code: u8, bytes: &'a [u8]) -> &'a [u8] {
        self.add(&format!("{name}.type"), kind);
        self.add(&format!("{name}.code"), code);
        if let Some(sum) = bytes.get(2..4) {
            self.add(&format!("{name}.checksum"), format!("0x{}", hex(sum)));
        }
        let Some(rest) = bytes.get(4..8) else {
            return &bytes[4..];
        };
        self.add(&format!("{name}.id"), u16::from_be_bytes([rest[0], rest[1]]));
        self.add(&format!("{name}.seq"), u16::from_be_bytes([rest[2], rest[3]]));
        &bytes[8..]
    }

    fn checksum(&mut self, name: &str, sum: u16, is_right: bool) {
        let note = if is_right { "" } else { " (wrong)" };
        self.add(name, format!("{sum:#06x}{note}"));
    }
}

fn kind_name(kind: u16) -> String {
    let name = match kind {
        ether_type::IPV4 => " IPv4",
        ether_type::IPV6 => " IPv6",
        ether_type::ARP => " ARP",
        ether_type::VLAN => " VLAN",
        ether_type::QINQ => " QinQ",
        _ => "",
    };
    format!("{kind:#06x}{name}")
}

fn flags(bits: u8) -> String {
    let letters: String = TCP_FLAGS
        .chars()
        .enumerate()
        .filter(|(bit, _)| bits & 1 << bit != 0)
        .map(|(_, letter)| letter)
        .collect();
    if letters.is_empty() {
        "none".into()
    } else {
        letters
    }
}

/// Returns bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), v4: bool, l3: bool) {
            let mut bytes = bytes;
            if v4 && bytes.len() > 24 {
                bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
            }
            let _ = fields(&bytes, if l3 { Layer::L3 } else { Layer::L2 });
        }
    }
}
