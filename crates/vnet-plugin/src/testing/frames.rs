//! Frames for tests, built layer by layer with right lengths and checksums.
//!
//! ```
//! use vnet_plugin::testing::frames::{ethernet, ip, sums_are_right, udp};
//!
//! let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
//! let frame = ethernet(2, 1, &ip(from, to, 17, &udp(from, to, 1234, 53, b"hello")));
//! assert!(sums_are_right(&frame));
//! ```

use core::net::IpAddr;
use std::vec::Vec;

use crate::checksum::{fold, internet, pseudo_v4, pseudo_v6, sum};
use crate::wire::{ether_type, ip_protocol};

/// Returns an Ethernet frame between the stations 02:00:00:00:00:`to` and 02:00:00:00:00:`from`, its type that of the IP
/// packet in it.
#[must_use]
pub fn ethernet(to: u8, from: u8, packet: &[u8]) -> Vec<u8> {
    let kind = match packet.first().map(|first| first >> 4) {
        Some(6) => ether_type::IPV6,
        _ => ether_type::IPV4,
    };
    let header = [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from];
    [&header[..], &kind.to_be_bytes(), packet].concat()
}

/// Returns the frame with an IEEE 802.1Q tag put behind its addresses.
#[must_use]
pub fn tagged(tci: u16, frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(frame.len().min(12));
    [
        addresses,
        &ether_type::VLAN.to_be_bytes(),
        &tci.to_be_bytes(),
        rest,
    ]
    .concat()
}

/// Returns an IP packet of the family of both addresses, with TTL 64.
///
/// # Panics
/// Where the addresses are of different families.
#[must_use]
pub fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = [0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0].to_vec();
            header[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
            header.extend(from.octets());
            header.extend(to.octets());
            let check = internet(&header);
            header[10..12].copy_from_slice(&check.to_be_bytes());
            [&header, payload].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = [0x60, 0, 0, 0, 0, 0, protocol, 64].to_vec();
            header[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
            header.extend(from.octets());
            header.extend(to.octets());
            [&header, payload].concat()
        }
        _ => panic!("addresses of two families"),
    }
}

/// Returns a UDP datagram with its checksum.
#[must_use]
pub fn udp(from: IpAddr, to: IpAddr, source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    seal(from, to, ip_protocol::UDP, &mut datagram, 6);
    datagram
}

/// Returns a TCP segment with these flags and options, which are a multiple of 4 bytes, and its checksum.
#[must_use]
pub fn tcp(
    from: IpAddr,
    to: IpAddr,
    ports: (u16, u16),
    flags: u8,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut segment = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    segment.extend([((20 + options.len()) << 2) as u8, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    seal(from, to, ip_protocol::TCP, &mut segment, 16);
    segment
}

/// Returns an ICMP or, between IPv6 addresses, ICMPv6 message with its checksum.
#[must_use]
pub fn icmp(from: IpAddr, to: IpAddr, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], &rest, payload].concat();
    if from.is_ipv4() {
        let check = internet(&message);
        message[2..4].copy_from_slice(&check.to_be_bytes());
    } else {
        seal(from, to, ip_protocol::ICMPV6, &mut message, 2);
    }
    message
}

/// Says whether the IPv4 header's checksum and that of TCP, UDP, ICMP or ICMPv6 are right, through any VLAN tags; frames
/// without IP, fragments, and UDP without a checksum are right.
#[must_use]
pub fn sums_are_right(frame: &[u8]) -> bool {
    let mut at = 12;
    let be16 = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    while ether_type::is_vlan(be16(at)) {
        at += 4;
    }
    let packet = &frame[at + 2..];
    let (protocol, pseudo, body) = match be16(at) {
        ether_type::IPV4 => {
            let header = usize::from(packet[0] & 15) * 4;
            if internet(&packet[..header]) != 0 {
                return false;
            }
            if u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0 {
                return true;
            }
            let body = &packet[header..usize::from(u16::from_be_bytes([packet[2], packet[3]]))];
            let octets = |at: usize| -> [u8; 4] { packet[at..at + 4].try_into().expect("four bytes") };
            let pseudo = pseudo_v4(octets(12).into(), octets(16).into(), packet[9], body.len() as u16);
            (packet[9], pseudo, body)
        }
        ether_type::IPV6 => {
            let body = &packet[40..40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]))];
            let octets = |at: usize| -> [u8; 16] { packet[at..at + 16].try_into().expect("sixteen bytes") };
            let pseudo = pseudo_v6(octets(8).into(), octets(24).into(), packet[6], body.len() as u32);
            (packet[6], pseudo, body)
        }
        _ => return true,
    };
    match protocol {
        ip_protocol::ICMP => internet(body) == 0,
        ip_protocol::UDP if body[6..8] == [0, 0] => true,
        ip_protocol::TCP | ip_protocol::UDP | ip_protocol::ICMPV6 => fold(pseudo + sum(body)) == 0xffff,
        _ => true,
    }
}

/// Writes the checksum at `at`.
fn seal(from: IpAddr, to: IpAddr, protocol: u8, body: &mut [u8], at: usize) {
    let pseudo = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => pseudo_v4(from, to, protocol, body.len() as u16),
        (IpAddr::V6(from), IpAddr::V6(to)) => pseudo_v6(from, to, protocol, body.len() as u32),
        _ => panic!("addresses of two families"),
    };
    let check = match !fold(pseudo + sum(body)) {
        0 if protocol == ip_protocol::UDP => 0xffff,
        check => check,
    };
    body[at..at + 2].copy_from_slice(&check.to_be_bytes());
}
