//! ICMP errors (RFC 792, RFC 1812 section 4.3, RFC 4443): the packet itself becomes the error that goes back.

use core::net::IpAddr;

use vnet_plugin::wire::{Icmp, Icmpv6, Ipv4, Ipv6, icmp_type, ip_protocol};
use vnet_plugin::{Flow, Packet, Verdict};

use crate::settings::Interface;
use crate::{ERRORS, send_back};

/// Why a packet is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    Expired,
    NoRoute,
    NoHost,
    NoPort,
    /// Longer than this MTU, and not to be cut.
    TooBig(u16),
}

const TTL: u8 = 64;
const V4: usize = 20;
const V6: usize = 40;
const ICMP: usize = 8;
/// Longest error: RFC 1812, 4.3.2.3 for IPv4, RFC 4443, 2.4 (c) for IPv6.
const LONGEST_V4: usize = 576;
const LONGEST_V6: usize = 1_280;
/// Bytes quoted of a super-frame: the headers and some more, so that the error is shorter than its segments.
const OF_SUPER_FRAME: usize = 128;

impl Problem {
    const fn v4(self) -> (u8, u8) {
        match self {
            Problem::Expired => (icmp_type::TIME_EXCEEDED, 0),
            Problem::NoRoute => (icmp_type::UNREACHABLE, 0),
            Problem::NoHost => (icmp_type::UNREACHABLE, 1),
            Problem::NoPort => (icmp_type::UNREACHABLE, 3),
            Problem::TooBig(_) => (icmp_type::UNREACHABLE, 4),
        }
    }

    const fn v6(self) -> (u8, u8) {
        match self {
            Problem::Expired => (3, 0),
            Problem::NoRoute => (1, 0),
            Problem::NoHost => (1, 3),
            Problem::NoPort => (1, 4),
            Problem::TooBig(_) => (2, 0),
        }
    }

    /// Returns what stands behind the checksum: the MTU (RFC 1191, section 4; RFC 4443, 3.2), else nothing.
    const fn word(self) -> [u8; 4] {
        match self {
            Problem::TooBig(mtu) => (mtu as u32).to_be_bytes(),
            _ => [0; 4],
        }
    }
}

/// Sends the packet's sender an error in the packet's place; where there may be none, the packet is dropped for `reason`.
pub fn answer(pkt: &mut Packet, flow: &Flow, interface: &Interface, problem: Problem, reason: u16) -> Verdict {
    match turn(pkt, flow, interface, problem) {
        Some(()) => {
            ERRORS.increment();
            Verdict::Tx
        }
        None => Verdict::DropFor(reason),
    }
}

fn turn(pkt: &mut Packet, flow: &Flow, interface: &Interface, problem: Problem) -> Option<()> {
    // No error about an error or a later fragment.
    let about_error = match flow.icmp(pkt.frame()) {
        Some((kind, _)) if flow.src.is_ipv4() => !matches!(kind, icmp_type::ECHO_REQUEST | icmp_type::ECHO_REPLY),
        Some((kind, _)) => kind < 128,
        None => false,
    };
    if about_error || flow.l4_at.is_none() {
        return None;
    }
    let source = interface.address_for(flow.src)?;
    let packet_len = match pkt.gso_size() {
        Some(_) => OF_SUPER_FRAME.min(flow.end - flow.ip_at),
        None => flow.end - flow.ip_at,
    };
    match (source, flow.src) {
        (IpAddr::V4(source), IpAddr::V4(sender)) => {
            let quoted = packet_len.min(LONGEST_V4 - V4 - ICMP);
            pkt.push_at(flow.ip_at, V4 + ICMP).ok()?;
            pkt.set_len(flow.ip_at + V4 + ICMP + quoted).ok()?;
            let packet = pkt.frame_mut().get_mut(flow.ip_at..)?;
            let mut ip = Ipv4::new_unchecked(packet);
            ip.set_version_and_header_len(V4);
            ip.set_total_len((V4 + ICMP + quoted) as u16);
            ip.set_tos(0xc0);
            ip.set_ttl(TTL);
            ip.set_protocol(ip_protocol::ICMP);
            ip.set_src(source);
            ip.set_dst(sender);
            ip.fill_checksum();
            let message = ip.payload_mut();
            message.get_mut(4..ICMP)?.copy_from_slice(&problem.word());
            let mut icmp = Icmp::new_unchecked(message);
            let (kind, code) = problem.v4();
            icmp.set_kind(kind);
            icmp.set_code(code);
            icmp.fill_checksum();
        }
        (IpAddr::V6(source), IpAddr::V6(sender)) => {
            let quoted = packet_len.min(LONGEST_V6 - V6 - ICMP);
            pkt.push_at(flow.ip_at, V6 + ICMP).ok()?;
            pkt.set_len(flow.ip_at + V6 + ICMP + quoted).ok()?;
            let packet = pkt.frame_mut().get_mut(flow.ip_at..)?;
            let mut ip = Ipv6::new_unchecked(packet);
            ip.set_version_class_flow(0, 0);
            ip.set_payload_len((ICMP + quoted) as u16);
            ip.set_next_header(ip_protocol::ICMPV6);
            ip.set_hop_limit(TTL);
            ip.set_src(source);
            ip.set_dst(sender);
            let message = ip.payload_mut();
            message.get_mut(4..ICMP)?.copy_from_slice(&problem.word());
            let mut icmp = Icmpv6::new_unchecked(message);
            let (kind, code) = problem.v6();
            icmp.set_kind(kind);
            icmp.set_code(code);
            icmp.fill_checksum(source, sender);
        }
        _ => return None,
    }
    // The sum that was not finished is in the quotation, which nobody finishes.
    pkt.csum_finished();
    send_back(pkt, interface.mac);
    Some(())
}
