//! Addresses and ports rewritten in place, checksums kept right by the difference alone (RFC 1624).

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::checksum::fold;
use crate::header::Transport;
use crate::packet::Packet;
use crate::wire::{Tcp, Udp, ip_protocol};

/// Which end of a packet is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

const V4_CHECKSUM: usize = 10;
const V4_ADDRESSES: usize = 12;
const V6_ADDRESSES: usize = 8;
const ICMPV6_CHECKSUM: usize = 2;

/// What bytes that a checksum covers were and became, as a sum to be added to it.
#[derive(Clone, Copy, Default)]
struct Difference(u32);

impl Difference {
    /// Writes a field of whole 16-bit words at an even distance from what the checksum covers.
    fn write(&mut self, field: &mut [u8], value: &[u8]) {
        for (old, new) in field.chunks_exact_mut(2).zip(value.chunks_exact(2)) {
            self.0 += u32::from(!u16::from_be_bytes([old[0], old[1]]));
            self.0 += u32::from(u16::from_be_bytes([new[0], new[1]]));
            old.copy_from_slice(new);
        }
    }

    /// Brings a checksum up to date; a partial one is the sum itself, others are its complement.
    fn settle(self, checksum: &mut [u8], partial: bool, zero_is_none: bool) {
        let [high, low] = checksum else { return };
        let old = u16::from_be_bytes([*high, *low]);
        if zero_is_none && old == 0 && !partial {
            return;
        }
        let sum = fold(u32::from(if partial { old } else { !old }) + u32::from(fold(self.0)));
        let new = match if partial { sum } else { !sum } {
            0 if zero_is_none => 0xffff,
            new => new,
        };
        [*high, *low] = new.to_be_bytes();
    }
}

impl Packet {
    /// Sets one end's IPv4 address, and brings the header's checksum and that of TCP, UDP or their partial one up to date.
    ///
    /// False, and nothing changes, where the packet is not IPv4. A later piece of a fragmented packet has no L4 checksum
    /// to change: that of the first piece covers the addresses of all.
    pub fn set_ipv4(&mut self, end: End, ip: Ipv4Addr) -> bool {
        let Some(l3) = self.ipv4_start() else { return false };
        let l4 = self.transport_at();
        let partial = self.csum_partial();
        let at = l3 + V4_ADDRESSES + if end == End::Destination { 4 } else { 0 };
        let frame = self.frame_mut();
        let mut difference = Difference::default();
        let Some(field) = frame.get_mut(at..at + 4) else {
            return false;
        };
        difference.write(field, &ip.octets());
        if let Some(checksum) = frame.get_mut(l3 + V4_CHECKSUM..l3 + V4_CHECKSUM + 2) {
            difference.settle(checksum, false, false);
        }
        settle_transport(frame, l4, difference, partial);
        true
    }

    /// Does the same for an IPv6 address, and ICMPv6's checksum too; false where the packet is not IPv6.
    pub fn set_ipv6(&mut self, end: End, ip: Ipv6Addr) -> bool {
        let Some(l3) = self.ipv6_start() else { return false };
        let l4 = self.transport_at();
        let partial = self.csum_partial();
        let at = l3 + V6_ADDRESSES + if end == End::Destination { 16 } else { 0 };
        let frame = self.frame_mut();
        let mut difference = Difference::default();
        let Some(field) = frame.get_mut(at..at + 16) else {
            return false;
        };
        difference.write(field, &ip.octets());
        if let Some(l4) = l4.filter(|l4| l4.protocol == ip_protocol::ICMPV6) {
            if let Some(checksum) = frame.get_mut(l4.at + ICMPV6_CHECKSUM..l4.at + ICMPV6_CHECKSUM + 2) {
                difference.settle(checksum, partial, false);
            }
        } else {
            settle_transport(frame, l4, difference, partial);
        }
        true
    }

    /// Sets one end's TCP or UDP port and brings the checksum up to date, unless it is partial: that does not cover ports.
    ///
    /// False, and nothing changes, where the packet has no such header.
    pub fn set_port(&mut self, end: End, port: u16) -> bool {
        let Some(l4) = self.transport_at() else {
            return false;
        };
        let Some((checksum_at, zero_is_none)) = checksum_of(l4.protocol) else {
            return false;
        };
        let partial = self.csum_partial();
        let at = l4.at + if end == End::Destination { 2 } else { 0 };
        let frame = self.frame_mut();
        if frame.len() < l4.at + checksum_at + 2 {
            return false;
        }
        let mut difference = Difference::default();
        difference.write(&mut frame[at..at + 2], &port.to_be_bytes());
        if !partial {
            let checksum = &mut frame[l4.at + checksum_at..l4.at + checksum_at + 2];
            difference.settle(checksum, false, zero_is_none);
        }
        true
    }

    /// Sets the time to live, or the hop limit, and brings IPv4's header checksum up to date; false where it is no IP packet.
    pub fn set_ttl(&mut self, ttl: u8) -> bool {
        if let Some(l3) = self.ipv4_start() {
            let frame = self.frame_mut();
            let Some([old, protocol]) = frame
                .get(l3 + V4_TTL..l3 + V4_TTL + 2)
                .and_then(|two| two.first_chunk())
                .copied()
            else {
                return false;
            };
            let mut difference = Difference::default();
            if let Some(field) = frame.get_mut(l3 + V4_TTL..l3 + V4_TTL + 2) {
                difference.write(field, &[ttl, protocol]);
            }
            if let Some(checksum) = frame
                .get_mut(l3 + V4_CHECKSUM..l3 + V4_CHECKSUM + 2)
                .filter(|_| old != ttl)
            {
                difference.settle(checksum, false, false);
            }
            return true;
        }
        let Some(l3) = self.ipv6_start() else { return false };
        let place = self.frame_mut().get_mut(l3 + V6_HOP_LIMIT);
        place.is_some_and(|place| {
            *place = ttl;
            true
        })
    }
}

const V4_TTL: usize = 8;
const V6_HOP_LIMIT: usize = 7;

/// Returns where the checksum of TCP or UDP stands, and whether 0 there means that there is none.
fn checksum_of(protocol: u8) -> Option<(usize, bool)> {
    match protocol {
        ip_protocol::TCP => Some((Tcp::<&[u8]>::CHECKSUM_OFFSET, false)),
        ip_protocol::UDP => Some((Udp::<&[u8]>::CHECKSUM_OFFSET, true)),
        _ => None,
    }
}

fn settle_transport(frame: &mut [u8], l4: Option<Transport>, difference: Difference, partial: bool) {
    let Some(l4) = l4 else { return };
    let Some((offset, zero_is_none)) = checksum_of(l4.protocol) else {
        return;
    };
    if let Some(checksum) = frame.get_mut(l4.at + offset..l4.at + offset + 2) {
        difference.settle(checksum, partial, zero_is_none);
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;
    use std::vec::Vec;

    use vnet_abi::flags;

    use super::*;
    use crate::testing::frames::{ethernet, icmp, ip, sums_are_right, tagged, tcp, udp};
    use crate::testing::{Host, Input};
    use crate::verdict::Verdict;

    const A4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B4: Ipv4Addr = Ipv4Addr::new(192, 168, 255, 254);
    const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0xffff, 9, 0xabcd, 0, 0x1234, 0xfffe);

    fn rewrite(pkt: &mut Packet) -> Verdict {
        let four = pkt.set_ipv4(End::Destination, B4) && pkt.set_ipv4(End::Source, B4);
        let six = pkt.set_ipv6(End::Source, B6) && pkt.set_ipv6(End::Destination, B6);
        let ports = pkt.set_port(End::Source, 0xfffe) && pkt.set_port(End::Destination, 1);
        Verdict::DropFor(u16::from(four) | u16::from(six) << 1 | u16::from(ports) << 2)
    }

    fn frames(from: IpAddr, to: IpAddr) -> [(u16, Vec<u8>); 3] {
        let family = if from.is_ipv4() { 1 } else { 2 };
        let (kind, protocol) = if from.is_ipv4() { (8, 1) } else { (128, 58) };
        [
            (
                family | 4,
                ethernet(2, 1, &ip(from, to, 6, &tcp(from, to, (1, 80), 2, &[], b"abc"))),
            ),
            (
                family | 4,
                ethernet(2, 1, &ip(from, to, 17, &udp(from, to, 53, 53, b"abc"))),
            ),
            (
                family,
                ethernet(
                    2,
                    1,
                    &ip(from, to, protocol, &icmp(from, to, kind, 0, [0; 4], b"abc")),
                ),
            ),
        ]
    }

    #[test]
    fn sums_stay_right_through_every_change() {
        let mut host = Host::new(rewrite);
        for (from, to) in [
            (A4.into(), Ipv4Addr::new(10, 0, 0, 2).into()),
            (A6.into(), A6.into()),
        ] {
            for (done, frame) in frames(from, to) {
                for frame in [frame.clone(), tagged(5, &frame)] {
                    let out = host.judge(&frame);
                    assert_eq!(out.verdict, Verdict::DropFor(done));
                    assert_ne!(out.bytes, frame);
                    assert!(sums_are_right(&out.bytes), "{:02x?}", out.bytes);
                }
            }
        }
    }

    #[test]
    fn the_time_to_live_is_set_in_both_families_and_nothing_else_changes() {
        fn seven(pkt: &mut Packet) -> Verdict {
            if pkt.set_ttl(7) {
                Verdict::Pass
            } else {
                Verdict::Drop
            }
        }
        let mut host = Host::new(seven);
        for (from, to, place) in [
            (A4.into(), B4.into(), V4_TTL),
            (A6.into(), B6.into(), V6_HOP_LIMIT),
        ] {
            for (_, frame) in frames(from, to) {
                for (start, frame) in [(14, frame.clone()), (18, tagged(5, &frame))] {
                    let out = host.judge(&frame);
                    assert_eq!((out.verdict, out.bytes[start + place]), (Verdict::Pass, 7));
                    assert!(sums_are_right(&out.bytes), "{:02x?}", out.bytes);
                    assert_eq!(
                        host.judge(&out.bytes).bytes,
                        out.bytes,
                        "once more changes nothing"
                    );
                    let mut expected = frame.clone();
                    expected[start + place] = 7;
                    if from.is_ipv4() {
                        let sum = start + V4_CHECKSUM..start + V4_CHECKSUM + 2;
                        expected[sum.clone()].copy_from_slice(&out.bytes[sum]);
                    }
                    assert_eq!(out.bytes, expected);
                    for len in 0..frame.len() {
                        host.judge(&frame[..len]);
                    }
                }
                let packet = Input {
                    bytes: frame[14..].to_vec(),
                    flags: flags::L3,
                    ..Input::default()
                };
                assert_eq!(host.run(&[packet]).frames[0].bytes[place], 7);
            }
        }
        assert_eq!(host.judge(&[0xff; 60]).verdict, Verdict::Drop);
    }

    #[test]
    fn a_partial_sum_stays_that_of_the_pseudo_header() {
        for (from, to) in [(A4.into(), A4.into()), (A6.into(), A6.into())] {
            for (_, frame) in frames(from, to).into_iter().take(2) {
                let mut partial = frame.clone();
                let (start, offset) =
                    vnet_packet::checksum::seed(&mut partial, vnet_packet::Layer::L2).expect("TCP or UDP");
                let mut host = Host::new(rewrite);
                let input = Input {
                    bytes: partial,
                    flags: flags::CSUM_PARTIAL,
                    ..Input::default()
                };
                let mut out = host.run(&[input]).frames.remove(0).bytes;
                assert!(vnet_packet::checksum::complete(&mut out, start, offset));
                assert!(sums_are_right(&out));
            }
        }
    }

    #[test]
    fn a_datagram_without_checksum_keeps_none_and_what_is_no_ip_is_left_alone() {
        let mut host = Host::new(rewrite);
        let mut frame = ethernet(
            2,
            1,
            &ip(A4.into(), A4.into(), 17, &udp(A4.into(), A4.into(), 1, 2, b"")),
        );
        frame[40..42].fill(0);
        assert_eq!(host.judge(&frame).bytes[40..42], [0, 0]);
        for len in 0..frame.len() {
            host.judge(&frame[..len]);
        }
        assert_eq!(host.judge(&[0xff; 60]).verdict, Verdict::Drop);
    }
}
