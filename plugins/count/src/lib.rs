//! Counts frames by protocol and lets every one pass.
//!
//! A frame counts once in each class it belongs to: a broadcast ARP request in a VLAN counts as
//! `vlan`, `broadcast` and `arp`. A super-frame counts as one frame with all its bytes.
#![cfg_attr(target_arch = "wasm32", no_std)]

use vnet_plugin::wire::{ether_type, ip_protocol};
use vnet_plugin::{Counter, Packet, Verdict, plugin};

static BYTES: Counter = Counter::new("bytes");
static BROADCAST: Counter = Counter::new("broadcast");
static MULTICAST: Counter = Counter::new("multicast");
static VLAN: Counter = Counter::new("vlan");
static ARP: Counter = Counter::new("arp");
static IPV4: Counter = Counter::new("ipv4");
static IPV6: Counter = Counter::new("ipv6");
static ICMP: Counter = Counter::new("icmp");
static ICMPV6: Counter = Counter::new("icmpv6");
static TCP: Counter = Counter::new("tcp");
static UDP: Counter = Counter::new("udp");
/// Other protocols over IP, and pieces of packets but the first.
static OTHER_IP: Counter = Counter::new("other_ip");
/// Neither ARP nor IP.
static OTHER: Counter = Counter::new("other");

/// Counts frames by protocol.
#[plugin(
    gso, csum,
    layers = ["l2", "l3"],
    counters = [
        "bytes", "broadcast", "multicast", "vlan", "arp", "ipv4", "ipv6",
        "icmp", "icmpv6", "tcp", "udp", "other_ip", "other"
    ],
    config = r#"{"type": "object", "additionalProperties": false, "properties": {}}"#,
)]
fn count(pkt: &mut Packet) -> Verdict {
    BYTES.add(pkt.len() as u64);
    let eth = pkt.eth();
    if eth.dst().is_broadcast() {
        BROADCAST.increment();
    } else if eth.dst().is_multicast() {
        MULTICAST.increment();
    }
    if ether_type::is_vlan(eth.ether_type()) {
        VLAN.increment();
    }
    match pkt.ether_type() {
        ether_type::ARP => ARP.increment(),
        ether_type::IPV4 => {
            IPV4.increment();
            transport(pkt).increment();
        }
        ether_type::IPV6 => {
            IPV6.increment();
            transport(pkt).increment();
        }
        _ => OTHER.increment(),
    }
    Verdict::Pass
}

fn transport(pkt: &Packet) -> &'static Counter {
    match pkt.ip_protocol() {
        Some(ip_protocol::TCP) => &TCP,
        Some(ip_protocol::UDP) => &UDP,
        Some(ip_protocol::ICMP) if pkt.ipv4().is_some() => &ICMP,
        Some(ip_protocol::ICMPV6) if pkt.ipv6().is_some() => &ICMPV6,
        _ => &OTHER_IP,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vnet_plugin::abi::flags;
    use vnet_plugin::testing::{Host, Input};

    use super::*;

    fn frame(dst: u8, tail: &[u8]) -> Vec<u8> {
        let mut frame = vec![dst; 6];
        frame.extend([2, 0, 0, 0, 0, 1]);
        frame.extend(tail);
        frame
    }

    fn ipv4(protocol: u8, fragment: u16) -> Vec<u8> {
        let mut packet = vec![
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        packet.extend([0; 8]);
        packet
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
        packet.extend([0x20; 32]);
        packet.extend(payload);
        packet
    }

    fn typed(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
        [&kind, packet].concat()
    }

    #[test]
    fn counts_each_frame_in_every_class_it_belongs_to() {
        let hop_by_hop = [&[58, 0, 0, 0, 0, 0, 0, 0][..], &[143, 0, 0, 0, 0, 0, 0, 0]].concat();
        let frames = [
            frame(0xff, &typed([8, 6], &[0; 28])),
            frame(0xff, &[&[0x81, 0, 0, 5, 8, 6][..], &[0; 28]].concat()),
            frame(2, &typed([8, 0], &ipv4(1, 0))),
            frame(2, &typed([8, 0], &ipv4(6, 0))),
            frame(2, &typed([8, 0], &ipv4(17, 0))),
            frame(2, &typed([8, 0], &ipv4(17, 1))),
            frame(2, &typed([8, 0], &ipv4(58, 0))),
            frame(0x33, &typed([0x86, 0xdd], &ipv6(0, &hop_by_hop))),
            frame(2, &typed([0x86, 0xdd], &ipv6(6, &[0; 20]))),
            frame(1, &typed([0x88, 0xcc], &[0; 40])),
            vec![0xff; 13],
        ];
        let inputs: Vec<Input> = frames
            .iter()
            .map(|bytes| Input {
                bytes: bytes.clone(),
                ..Input::default()
            })
            .collect();
        let mut host = Host::new(count);
        let batch = host.run(&inputs);
        assert!(
            batch
                .frames
                .iter()
                .zip(&frames)
                .all(|(out, bytes)| out.verdict == Verdict::Pass && out.bytes == *bytes)
        );
        let expected = [
            ("bytes", frames.iter().map(Vec::len).sum::<usize>() as u64),
            ("broadcast", 2),
            ("multicast", 2),
            ("vlan", 1),
            ("arp", 2),
            ("ipv4", 5),
            ("ipv6", 2),
            ("icmp", 1),
            ("icmpv6", 1),
            ("tcp", 2),
            ("udp", 1),
            ("other_ip", 2),
            ("other", 2),
        ];
        assert_eq!(
            host.counters(),
            BTreeMap::from(expected.map(|(name, n)| (name.to_string(), n)))
        );
    }

    #[test]
    fn counts_packets_without_ethernet_header() {
        let packet = |bytes| Input {
            bytes,
            flags: flags::L3,
            ..Input::default()
        };
        let mut host = Host::new(count);
        host.run(&[
            packet(ipv4(1, 0)),
            packet(ipv6(17, &[0; 8])),
            packet(vec![0xff; 40]),
        ]);
        let counters = host.counters();
        let at = |name: &str| counters.get(name).copied().unwrap_or(0);
        assert_eq!(
            (at("icmp"), at("udp"), at("other"), at("broadcast"), at("ipv6")),
            (1, 1, 1, 0, 1)
        );
    }
}
