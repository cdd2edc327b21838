//! ARP (RFC 826) and Neighbour Discovery (RFC 4861) for plugins that have an address of their own.
//!
//! A plugin that answers for an address calls [`answer`] on every frame that is no ordinary packet of its; one that sends to
//! a neighbour appends the frame of a [`question`] and listens with [`heard`].

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum::{fold, pseudo_v6, sum};
use crate::packet::Packet;
use crate::wire::{
    Arp, Ethernet, Icmpv6, Ipv6, MacAddr, arp_operation, ether_type, icmpv6_type, ip_protocol, ndp_option,
};

const ETHERNET: usize = 14;
/// An ARP message between Ethernet stations that look for IPv4 addresses.
const ARP: usize = 28;
const IPV6: usize = Ipv6::<&[u8]>::HEADER_LEN;
/// A solicitation or an advertisement with one link-layer address.
const MESSAGE: usize = 32;
/// The same without.
const PROBE: usize = Icmpv6::<&[u8]>::NEIGHBOR_LEN;
const LONGEST: usize = ETHERNET + IPV6 + MESSAGE;
/// Every hop limit below says that the message came through a router.
const HOP_LIMIT: u8 = 255;
const SOLICITED: u32 = 0x4000_0000;
const OVERRIDE: u32 = 0x2000_0000;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

/// Turns a question for an address into the answer that it is at `mac`; false, and nothing changed, for any other frame.
///
/// The answer goes back where the question came from, so let [`Verdict::Tx`](crate::Verdict::Tx) follow. A gratuitous ARP
/// request is no question.
pub fn answer(pkt: &mut Packet, ip: IpAddr, mac: MacAddr) -> bool {
    match (ip, pkt.ether_type()) {
        (IpAddr::V4(ip), ether_type::ARP) => answer_arp(pkt, ip, mac).is_some(),
        (IpAddr::V6(ip), ether_type::IPV6) => answer_solicitation(pkt, ip, mac).is_some(),
        _ => false,
    }
}

fn answer_arp(pkt: &mut Packet, ip: Ipv4Addr, mac: MacAddr) -> Option<()> {
    let asker = pkt.eth().src();
    let mut arp = pkt.arp_mut()?;
    let sender = arp.sender_ip();
    let asks = arp.is_ethernet_ipv4() && arp.operation() == arp_operation::REQUEST;
    if !asks || arp.target_ip() != ip || sender == ip || !asker.is_unicast() {
        return None;
    }
    arp.set_operation(arp_operation::REPLY);
    arp.set_target_mac(arp.sender_mac());
    arp.set_target_ip(sender);
    arp.set_sender_mac(mac);
    arp.set_sender_ip(ip);
    let mut eth = pkt.eth_mut()?;
    eth.set_dst(asker);
    eth.set_src(mac);
    Some(())
}

fn answer_solicitation(pkt: &mut Packet, ip: Ipv6Addr, mac: MacAddr) -> Option<()> {
    let asker = pkt.eth().src();
    let start = pkt.network_offset()?;
    let (src, target) = asked(&pkt.ipv6()?, pkt.csum_partial())?;
    if pkt.is_l3() || target != ip || src == ip || !asker.is_unicast() {
        return None;
    }
    // To an address that is about to be claimed nobody can send: everybody is told (7.2.4).
    let (dst, dst_mac, solicited) = if src.is_unspecified() {
        (ALL_NODES, ALL_NODES_MAC, 0)
    } else {
        (src, asker, SOLICITED)
    };
    pkt.set_len(start + IPV6 + MESSAGE).ok()?;
    let mut header = pkt.ipv6_mut()?;
    header.set_payload_len(MESSAGE as u16);
    header.set_next_header(ip_protocol::ICMPV6);
    header.set_hop_limit(HOP_LIMIT);
    header.set_src(ip);
    header.set_dst(dst);
    let mut icmp = Icmpv6::new_checked(header.payload_mut()).ok()?;
    icmp.set_kind(icmpv6_type::NEIGHBOR_ADVERTISEMENT);
    icmp.set_rest(solicited | OVERRIDE);
    icmp.set_first_lladdr(ndp_option::TARGET_LLADDR, mac);
    icmp.fill_checksum(ip, dst);
    pkt.csum_finished();
    let mut eth = pkt.eth_mut()?;
    eth.set_dst(dst_mac);
    eth.set_src(mac);
    Some(())
}

/// Returns who asks for which address in a solicitation that RFC 4861, 7.1.1 calls valid.
fn asked(ip: &Ipv6<&[u8]>, partial: bool) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let icmp = message(ip, partial).filter(|icmp| icmp.kind() == icmpv6_type::NEIGHBOR_SOLICITATION)?;
    let src = ip.src();
    let probe_ok = !src.is_unspecified() || icmp.lladdr(ndp_option::SOURCE_LLADDR).is_none();
    (probe_ok && !src.is_multicast()).then(|| (src, icmp.target()))
}

/// Returns a whole, right message of Neighbour Discovery that no router passed on.
fn message<'a>(ip: &'a Ipv6<&[u8]>, partial: bool) -> Option<Icmpv6<&'a [u8]>> {
    let payload = ip.payload();
    let len = payload.len() as u32;
    let whole = ip.next_header() == ip_protocol::ICMPV6
        && ip.hop_limit() == HOP_LIMIT
        && u32::from(ip.payload_len()) == len
        && payload.len() >= PROBE;
    let sum_ok = || fold(pseudo_v6(ip.src(), ip.dst(), ip_protocol::ICMPV6, len) + sum(payload)) == 0xffff;
    if !whole || !(partial || sum_ok()) {
        return None;
    }
    Icmpv6::new_checked(payload).ok().filter(|icmp| icmp.code() == 0)
}

/// Returns the address and station that an ARP message or a neighbour advertisement tells of.
///
/// Whoever may send frames may lie in them: nothing here proves who sent it.
#[must_use]
pub fn heard(pkt: &Packet) -> Option<(IpAddr, MacAddr)> {
    let (ip, mac): (IpAddr, MacAddr) = match pkt.ether_type() {
        ether_type::ARP => {
            let arp = pkt.arp().filter(Arp::is_ethernet_ipv4)?;
            (arp.sender_ip().into(), arp.sender_mac())
        }
        ether_type::IPV6 => {
            let ip = pkt.ipv6()?;
            let icmp = message(&ip, pkt.csum_partial())?;
            if icmp.kind() != icmpv6_type::NEIGHBOR_ADVERTISEMENT {
                return None;
            }
            let mac = icmp
                .lladdr(ndp_option::TARGET_LLADDR)
                .unwrap_or_else(|| pkt.eth().src());
            (icmp.target().into(), mac)
        }
        _ => return None,
    };
    (!ip.is_unspecified() && mac.is_unicast() && mac != MacAddr::ZERO).then_some((ip, mac))
}

/// A frame that asks who has an address.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Question {
    /// Returns the frame's bytes.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Makes a broadcast ARP request or a solicitation that asks for `target` from the station `mac`.
///
/// `source` is the asker's own address; without one, or with one of the other family, it asks as a host does that has no
/// address yet. The answer to that teaches nobody an address, and an advertisement then goes to all nodes.
#[must_use]
pub fn question(target: IpAddr, mac: MacAddr, source: Option<IpAddr>) -> Question {
    let mut question = Question {
        bytes: [0; LONGEST],
        len: LONGEST,
    };
    let mut eth = Ethernet::new_unchecked(&mut question.bytes[..]);
    eth.set_src(mac);
    match target {
        IpAddr::V4(target) => {
            eth.set_dst(MacAddr::BROADCAST);
            eth.set_ether_type(ether_type::ARP);
            let mut arp = Arp::new_unchecked(eth.payload_mut());
            arp.set_ethernet_ipv4();
            arp.set_operation(arp_operation::REQUEST);
            arp.set_sender_mac(mac);
            if let Some(IpAddr::V4(source)) = source {
                arp.set_sender_ip(source);
            }
            arp.set_target_ip(target);
            question.len = ETHERNET + ARP;
        }
        IpAddr::V6(target) => {
            let [.., a, b, c] = target.octets();
            eth.set_dst(MacAddr([0x33, 0x33, 0xff, a, b, c]));
            eth.set_ether_type(ether_type::IPV6);
            let group = Ipv6Addr::from_bits(
                0xff02_0000_0000_0000_0000_0001_ff00_0000 | target.to_bits() & 0x00ff_ffff,
            );
            let source = match source {
                Some(IpAddr::V6(source)) => source,
                _ => Ipv6Addr::UNSPECIFIED,
            };
            let len = if source.is_unspecified() { PROBE } else { MESSAGE };
            let mut ip = Ipv6::new_unchecked(eth.payload_mut());
            ip.set_version_class_flow(0, 0);
            ip.set_payload_len(len as u16);
            ip.set_next_header(ip_protocol::ICMPV6);
            ip.set_hop_limit(HOP_LIMIT);
            ip.set_src(source);
            ip.set_dst(group);
            let mut icmp = Icmpv6::new_unchecked(ip.payload_mut());
            icmp.set_kind(icmpv6_type::NEIGHBOR_SOLICITATION);
            icmp.set_target(target);
            if len == MESSAGE {
                icmp.set_first_lladdr(ndp_option::SOURCE_LLADDR, mac);
            }
            icmp.fill_checksum(source, group);
            question.len = ETHERNET + IPV6 + len;
        }
    }
    question
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::testing::Host;
    use crate::testing::frames::{sums_are_right, tagged};
    use crate::verdict::Verdict;

    const ASKER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const PAIRS: [(IpAddr, IpAddr); 2] = [
        (
            IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
        ),
        (
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0xab, 0xcdef)),
        ),
    ];

    fn answers(pkt: &mut Packet) -> Verdict {
        if PAIRS.iter().any(|(_, own)| answer(pkt, *own, OWN)) {
            Verdict::Tx
        } else {
            Verdict::Pass
        }
    }

    fn listens(pkt: &mut Packet) -> Verdict {
        let told = PAIRS.iter().any(|(_, own)| heard(pkt) == Some((*own, OWN)));
        if told { Verdict::Tx } else { Verdict::Pass }
    }

    fn answered(frame: &[u8]) -> Option<Vec<u8>> {
        let out = Host::new(answers).judge(frame);
        (out.verdict == Verdict::Tx).then_some(out.bytes)
    }

    #[test]
    fn a_question_is_answered_and_the_answer_is_heard() {
        for (asker, own) in PAIRS {
            for source in [Some(asker), None] {
                let question = question(own, ASKER, source);
                for frame in [question.frame().to_vec(), tagged(5, question.frame())] {
                    let reply = answered(&frame).expect("an answer");
                    assert!(sums_are_right(&frame) && sums_are_right(&reply));
                    assert_eq!(reply[6..12], OWN.0);
                    assert_eq!(Host::new(listens).judge(&reply).verdict, Verdict::Tx);
                    let to_all = source.is_none() && own.is_ipv6();
                    assert_eq!(reply[..6], if to_all { ALL_NODES_MAC.0 } else { ASKER.0 });
                }
            }
        }
    }

    #[test]
    fn nobody_answers_for_others_or_on_what_is_cut_short_or_came_through_a_router() {
        for (asker, own) in PAIRS {
            assert_eq!(answered(question(asker, ASKER, Some(asker)).frame()), None);
            let question = question(own, ASKER, Some(asker));
            for len in 0..question.len {
                assert_eq!(answered(&question.bytes[..len]), None);
            }
            let claim = super::question(own, ASKER, Some(own));
            assert_eq!(answered(claim.frame()), None);
            let mut routed = question.frame().to_vec();
            routed[21] = if own.is_ipv6() { 254 } else { 2 };
            assert_eq!(answered(&routed), None);
        }
    }
}
