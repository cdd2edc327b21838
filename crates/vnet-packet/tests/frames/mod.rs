//! Frames built and checked byte by byte, without the code under test.
#![allow(dead_code)] // Each test binary uses its part.

/// RFC 1071's definition: the complemented sum of 16-bit words.
pub fn naive_checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// An Ethernet header with VLAN tags, outermost first.
pub fn ethernet(tags: &[(u16, u16)], ether_type: u16) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for (tpid, tci) in tags {
        out.extend(tpid.to_be_bytes());
        out.extend(tci.to_be_bytes());
    }
    out.extend(ether_type.to_be_bytes());
    out
}

/// An IPv4 packet with a checksum of 0xdead in its header.
pub fn ipv4(protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let header_len = 20 + options.len();
    let total = (header_len + payload.len()) as u16;
    let mut out = vec![0x40 | (header_len / 4) as u8, 0];
    out.extend(total.to_be_bytes());
    out.extend([
        0x12, 0x34, 0x40, 0, 64, protocol, 0xde, 0xad, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    out.extend(options);
    out.extend(payload);
    out
}

/// An IPv6 packet; `extensions` are `(protocol, bytes without the next-header byte)`.
pub fn ipv6(protocol: u8, extensions: &[(u8, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
    let mut chain = Vec::new();
    for (i, (_, body)) in extensions.iter().enumerate() {
        chain.push(extensions.get(i + 1).map_or(protocol, |next| next.0));
        chain.extend(body);
    }
    let first = extensions.first().map_or(protocol, |e| e.0);
    let mut out = vec![0x60, 0, 0, 0];
    out.extend(((chain.len() + payload.len()) as u16).to_be_bytes());
    out.extend([first, 64]);
    out.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    out.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    out.extend(chain);
    out.extend(payload);
    out
}

/// A UDP datagram with this checksum.
pub fn udp(checksum: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x30, 0x39, 0x27, 0x0f];
    out.extend(((8 + payload.len()) as u16).to_be_bytes());
    out.extend(checksum.to_be_bytes());
    out.extend(payload);
    out
}

/// A TCP segment with a checksum of 0xbeef.
pub fn tcp(seq: u32, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let mut out = vec![0x30, 0x39, 0x00, 0x50];
    out.extend(seq.to_be_bytes());
    out.extend([
        0,
        0,
        0,
        7,
        ((20 + options.len()) / 4 * 16) as u8,
        flags,
        0xff,
        0xff,
        0xbe,
        0xef,
        0,
        0,
    ]);
    out.extend(options);
    out.extend(payload);
    out
}

/// The pseudo-header of an L4 segment whose packet starts at `l3`.
pub fn pseudo(frame: &[u8], l3: usize, protocol: u8, len: usize) -> Vec<u8> {
    if frame[l3] >> 4 == 4 {
        let mut out = frame[l3 + 12..l3 + 20].to_vec();
        out.extend([0, protocol]);
        out.extend((len as u16).to_be_bytes());
        out
    } else {
        let mut out = frame[l3 + 8..l3 + 40].to_vec();
        out.extend((len as u32).to_be_bytes());
        out.extend([0, 0, 0, protocol]);
        out
    }
}
