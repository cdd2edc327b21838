//! What a line does to a frame's bytes: marks of congestion, and errors.

use vnet_packet::Layer;

const ETHERNET: usize = 14;
const TAG: usize = 4;
const TAGGED: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// The ECN field in the second byte of an IPv4 header (RFC 3168, section 23.1).
const ECN4: u8 = 0b11;
/// The ECN field in the second byte of an IPv6 header.
const ECN6: u8 = 0b11 << 4;

/// Where a frame keeps its ECN field.
enum Ecn {
    V4 { header: usize },
    V6 { header: usize },
}

/// Finds the ECN field behind up to two VLAN tags; nothing in what is no whole IP header.
fn ecn(frame: &[u8], layer: Layer) -> Option<Ecn> {
    let header = match layer {
        Layer::L3 => 0,
        Layer::L2 => {
            let mut at = ETHERNET - 2;
            for _ in 0..2 {
                if TAGGED.iter().any(|tag| frame.get(at..at + 2) == Some(tag)) {
                    at += TAG;
                }
            }
            let kind = frame.get(at..at + 2)?;
            if kind != IPV4 && kind != IPV6 {
                return None;
            }
            at + 2
        }
    };
    match frame.get(header)? >> 4 {
        4 if frame.len() >= header + 20 => Some(Ecn::V4 { header }),
        6 if frame.len() >= header + 40 => Some(Ecn::V6 { header }),
        _ => None,
    }
}

/// Tells whether a frame's sender knows ECN.
pub(super) fn knows_ecn(frame: &[u8], layer: Layer) -> bool {
    match ecn(frame, layer) {
        Some(Ecn::V4 { header }) => frame[header + 1] & ECN4 != 0,
        Some(Ecn::V6 { header }) => frame[header + 1] & ECN6 != 0,
        None => false,
    }
}

/// Marks a frame as having met congestion, and corrects the IPv4 header's sum.
pub(super) fn congested(frame: &mut [u8], layer: Layer) {
    match ecn(frame, layer) {
        Some(Ecn::V4 { header }) => {
            let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            let before = word(frame, header);
            frame[header + 1] |= ECN4;
            let after = word(frame, header);
            // RFC 1624, equation 3: a sum that was wrong stays wrong.
            let sum = u32::from(!word(frame, header + 10)) + u32::from(!before) + u32::from(after);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
            frame[header + 10..header + 12].copy_from_slice(&sum.to_be_bytes());
        }
        Some(Ecn::V6 { header }) => frame[header + 1] |= ECN6,
        None => {}
    }
}

/// Flips a bit of what follows the Ethernet header, counted round and round: an error in the addresses would make the frame
/// somebody else's, and teach a switch stations that do not exist.
pub(super) fn flip(frame: &mut [u8], layer: Layer, bit: u64) {
    let header = match layer {
        Layer::L2 if frame.len() > ETHERNET => ETHERNET,
        _ => 0,
    };
    let body = &mut frame[header..];
    if body.is_empty() {
        return;
    }
    let at = (bit / 8 % body.len() as u64) as usize;
    body[at] ^= 1 << (bit % 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Ethernet frame with an IPv4 header whose sum is right.
    fn ipv4(tos: u8, tags: usize) -> Vec<u8> {
        let mut frame = vec![2; 12];
        for _ in 0..tags {
            frame.extend([0x81, 0x00, 0, 5]);
        }
        frame.extend(IPV4);
        let header = frame.len();
        frame.extend([
            0x45, tos, 0, 40, 1, 2, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        let sum = sum(&frame[header..]);
        frame[header + 10..header + 12].copy_from_slice(&(!sum).to_be_bytes());
        frame.extend([7; 20]);
        frame
    }

    fn sum(header: &[u8]) -> u16 {
        let mut sum: u32 = header[..20]
            .chunks(2)
            .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn a_marked_header_keeps_a_right_sum() {
        for tos in (0..=255).filter(|tos| tos & 3 != 0) {
            for tags in 0..3 {
                let mut frame = ipv4(tos, tags);
                assert!(knows_ecn(&frame, Layer::L2));
                congested(&mut frame, Layer::L2);
                let header = 14 + 4 * tags;
                assert_eq!(frame[header + 1], tos | 3);
                assert_eq!(sum(&frame[header..]), 0xffff);
                let mut packet = ipv4(tos, 0)[14..].to_vec();
                congested(&mut packet, Layer::L3);
                assert_eq!(packet[1], tos | 3);
            }
        }
    }

    #[test]
    fn only_ip_that_says_so_knows_ecn() {
        assert!(!knows_ecn(&ipv4(0xfc, 0), Layer::L2));
        let mut v6 = vec![0; 54];
        v6[12..14].copy_from_slice(&IPV6);
        v6[14] = 0x60;
        assert!(!knows_ecn(&v6, Layer::L2));
        v6[15] = 0x20;
        assert!(knows_ecn(&v6, Layer::L2));
        congested(&mut v6, Layer::L2);
        assert_eq!(v6[15], 0x30);
        for len in 0..54 {
            assert!(!knows_ecn(&v6[..len], Layer::L2));
            congested(&mut v6[..len].to_vec(), Layer::L2);
        }
        assert!(!knows_ecn(&[0xff; 60], Layer::L2));
    }

    #[test]
    fn an_error_is_one_bit_behind_the_ethernet_header() {
        for bit in 0..2000 {
            for (layer, len, header) in [(Layer::L2, 60, 14), (Layer::L3, 60, 0), (Layer::L2, 10, 0)] {
                let mut frame = vec![0; len];
                flip(&mut frame, layer, bit);
                let set: u32 = frame.iter().map(|b| b.count_ones()).sum();
                assert_eq!((set, &frame[..header]), (1, &vec![0; header][..]));
            }
        }
        flip(&mut [], Layer::L3, 5);
    }
}
