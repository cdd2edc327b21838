//! `checksum::fix`, `complete` and `locate` on whole frames, against independent sums.

mod frames;

use frames::{be16, ethernet, ipv4, ipv6, naive_checksum, pseudo, tcp, udp};
use proptest::prelude::*;
use vnet_packet::Layer;
use vnet_packet::checksum::{complete, fix, locate};

const TAG: (u16, u16) = (0x8100, 100);
const OUTER: (u16, u16) = (0x88a8, 7);

fn framed(tags: &[(u16, u16)], packet: &[u8]) -> (Vec<u8>, usize) {
    let mut frame = ethernet(tags, if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd });
    let l3 = frame.len();
    frame.extend(packet);
    (frame, l3)
}

fn fixed(frame: &[u8], layer: Layer) -> Vec<u8> {
    let mut out = frame.to_vec();
    fix(&mut out, layer);
    out
}

/// Whether the L4 segment of `len` bytes at `l4` verifies as its receiver verifies it.
fn verifies(frame: &[u8], l3: usize, l4: usize, protocol: u8, len: usize) -> bool {
    let head = if protocol == 1 {
        Vec::new()
    } else {
        pseudo(frame, l3, protocol, len)
    };
    naive_checksum(&[&head, &frame[l4..l4 + len]]) == 0
}

#[test]
fn writes_every_sum_through_up_to_two_tags_and_without_ethernet() {
    let icmp = [8, 0, 0xba, 0xad, 0, 1, 0, 1, 0x61, 0x62, 0x63];
    let icmp6 = [128, 0, 0xba, 0xad, 0, 1, 0, 1, 0x61, 0x62, 0x63];
    let segments: [(u8, Vec<u8>); 4] = [
        (6, tcp(1, 0x18, &[1, 1, 1, 0], b"hello")),
        (17, udp(0x1111, b"hello!")),
        (1, icmp.to_vec()),
        (58, icmp6.to_vec()),
    ];
    for (protocol, segment) in &segments {
        let mut packets = Vec::new();
        if *protocol != 58 {
            packets.push((ipv4(*protocol, &[1, 1, 1, 0], segment), 24));
        }
        if *protocol != 1 {
            packets.push((ipv6(*protocol, &[], segment), 40));
        }
        for (packet, header) in packets {
            for tags in [&[][..], &[TAG], &[OUTER, TAG]] {
                let (frame, l3) = framed(tags, &packet);
                let out = fixed(&frame, Layer::L2);
                assert!(
                    verifies(&out, l3, l3 + header, *protocol, segment.len()),
                    "{protocol} {tags:?}"
                );
                if header == 24 {
                    assert_eq!(naive_checksum(&[&out[l3..l3 + 24]]), 0);
                }
            }
            let out = fixed(&packet, Layer::L3);
            assert!(
                verifies(&out, 0, header, *protocol, segment.len()),
                "{protocol} on L3"
            );
        }
    }
}

#[test]
fn leaves_frames_with_three_tags_alone() {
    let (frame, _) = framed(&[OUTER, OUTER, TAG], &ipv4(6, &[], &tcp(1, 2, &[], &[])));
    assert_eq!(fixed(&frame, Layer::L2), frame);
}

#[test]
fn fragments_get_only_their_header_sum() {
    let segment = udp(0x1111, &[1; 32]);
    for field in [0x2000_u16, 0x0001, 0x2004, 0x1fff] {
        let mut packet = ipv4(17, &[], &segment);
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        let out = fixed(&packet, Layer::L3);
        assert_eq!(naive_checksum(&[&out[..20]]), 0, "{field:#x}");
        assert_eq!(out[20..], packet[20..], "{field:#x}");
    }
}

#[test]
fn dont_fragment_and_the_reserved_bit_are_no_fragment() {
    for field in [0x4000_u16, 0x8000] {
        let segment = udp(0x1111, &[1; 32]);
        let mut packet = ipv4(17, &[], &segment);
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        assert!(verifies(&fixed(&packet, Layer::L3), 0, 20, 17, segment.len()));
    }
}

#[test]
fn extension_headers_hide_the_l4_sum() {
    let packet = ipv6(17, &[(60, vec![0, 1, 4, 0, 0, 0, 0])], &udp(0x1111, b"x"));
    assert_eq!(fixed(&packet, Layer::L3), packet);
}

#[test]
fn udp_without_a_sum_stays_without() {
    for packet in [ipv4(17, &[], &udp(0, b"x")), ipv6(17, &[], &udp(0, b"x"))] {
        let out = fixed(&packet, Layer::L3);
        let l4 = packet.len() - 9;
        assert_eq!(out[l4..], packet[l4..]);
    }
}

/// A UDP payload of two bytes that makes the sum of this packet come out as 0.
fn payload_for_zero(packet: impl Fn(&[u8]) -> Vec<u8>, l4: usize) -> [u8; 2] {
    let mut probe = packet(&[0, 0]);
    probe[l4 + 6..l4 + 8].copy_from_slice(&[0, 0]);
    let head = pseudo(&probe, 0, 17, 10);
    naive_checksum(&[&head, &probe[l4..]]).to_be_bytes()
}

#[test]
fn udp_sum_that_comes_out_as_zero_is_written_as_all_ones() {
    let v4 = |payload: &[u8]| ipv4(17, &[], &udp(0x1111, payload));
    let v6 = |payload: &[u8]| ipv6(17, &[], &udp(0x1111, payload));
    let out = fixed(&v4(&payload_for_zero(v4, 20)), Layer::L3);
    assert_eq!(be16(&out, 26), 0xffff);
    let out = fixed(&v6(&payload_for_zero(v6, 40)), Layer::L3);
    assert_eq!(be16(&out, 46), 0xffff);
}

#[test]
fn padding_behind_the_packet_is_not_summed() {
    let segment = udp(0x1111, b"abc");
    let (mut frame, l3) = framed(&[], &ipv4(17, &[], &segment));
    frame.extend([0x5a; 15]);
    let out = fixed(&frame, Layer::L2);
    assert!(verifies(&out, l3, l3 + 20, 17, segment.len()));
    assert_eq!(out[out.len() - 15..], [0x5a; 15]);
}

#[test]
fn lengths_that_contradict_each_other_leave_the_l4_sum_alone() {
    let good = ipv4(17, &[], &udp(0x1111, b"abcdef"));
    let edits: [(usize, u16); 5] = [(2, 200), (2, 19), (2, 0), (24, 7), (24, 15)];
    for (at, value) in edits {
        let mut packet = good.clone();
        packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
        let out = fixed(&packet, Layer::L3);
        assert_eq!(be16(&out, 26), 0x1111, "{value} at {at}");
        assert_eq!(naive_checksum(&[&out[..20]]), 0, "{value} at {at}");
    }
    let mut tcp_packet = ipv4(6, &[], &tcp(1, 2, &[], b"abc"));
    tcp_packet[32] = 0xf0;
    assert_eq!(be16(&fixed(&tcp_packet, Layer::L3), 36), 0xbeef);
    let mut v6 = ipv6(6, &[], &tcp(1, 2, &[], b"abc"));
    v6[5] += 1;
    assert_eq!(fixed(&v6, Layer::L3), v6);
}

#[test]
fn type_field_and_version_must_agree() {
    let (mut frame, _) = framed(&[], &ipv4(17, &[], &udp(0x1111, b"x")));
    frame[12..14].copy_from_slice(&0x86dd_u16.to_be_bytes());
    assert_eq!(fixed(&frame, Layer::L2), frame);
}

#[test]
fn a_partial_sum_completes_to_what_fix_computes() {
    for tags in [&[][..], &[TAG], &[OUTER, TAG]] {
        for protocol in [6_u8, 17] {
            let segment = if protocol == 6 {
                tcp(1, 0x18, &[], b"hello")
            } else {
                udp(1, b"hello")
            };
            for packet in [ipv4(protocol, &[], &segment), ipv6(protocol, &[], &segment)] {
                let (mut frame, l3) = framed(tags, &packet);
                let whole = fixed(&frame, Layer::L2);
                fix(&mut frame, Layer::L2);
                let (start, offset) = locate(&frame, Layer::L2).expect("TCP or UDP");
                assert_eq!(start, frame.len() - segment.len());
                let head = pseudo(&frame, l3, protocol, segment.len());
                let partial = !naive_checksum(&[&head]);
                frame[start + offset..start + offset + 2].copy_from_slice(&partial.to_be_bytes());
                assert!(complete(&mut frame, start, offset));
                assert_eq!(frame, whole, "{tags:?} {protocol}");
            }
        }
    }
}

#[test]
fn complete_refuses_a_field_outside_the_frame() {
    let before = [7_u8; 40];
    for (start, offset) in [
        (0, 39),
        (38, 1),
        (40, 0),
        (41, 0),
        (usize::MAX, 6),
        (10, usize::MAX),
    ] {
        let mut frame = before;
        assert!(!complete(&mut frame, start, offset), "{start} {offset}");
        assert_eq!(frame, before);
    }
    assert!(complete(&mut before.clone(), 38, 0));
}

#[test]
fn complete_writes_all_ones_for_a_udp_sum_of_zero() {
    let mut frame = [0_u8; 8];
    frame[6..].copy_from_slice(&[0xff, 0xff]);
    assert!(complete(&mut frame, 0, 6));
    assert_eq!(frame[6..], [0xff, 0xff]);
}

#[test]
fn locate_goes_through_extension_headers_but_not_fragments() {
    let options = (60, vec![0, 1, 4, 0, 0, 0, 0]);
    let packet = ipv6(17, &[(0, vec![0, 1, 4, 0, 0, 0, 0]), options], &udp(1, b"x"));
    assert_eq!(locate(&packet, Layer::L3), Some((56, 6)));
    let atomic = ipv6(6, &[(44, vec![0, 0, 0, 0, 0, 0, 1])], &tcp(1, 2, &[], b""));
    assert_eq!(locate(&atomic, Layer::L3), Some((48, 16)));
    let fragment = ipv6(6, &[(44, vec![0, 0, 1, 0, 0, 0, 1])], &tcp(1, 2, &[], b""));
    assert_eq!(locate(&fragment, Layer::L3), None);
    let mut v4_fragment = ipv4(6, &[], &tcp(1, 2, &[], b""));
    v4_fragment[6] = 0x20;
    assert_eq!(locate(&v4_fragment, Layer::L3), None);
    assert_eq!(locate(&ipv4(1, &[], &[8, 0, 0, 0, 0, 0, 0, 0]), Layer::L3), None);
    let cut = ipv4(6, &[], &tcp(1, 2, &[], b""));
    assert_eq!(locate(&cut[..39], Layer::L3), None);
}

/// Bytes that look like frames: valid types and versions with the rest random.
fn frame_like() -> impl Strategy<Value = Vec<u8>> {
    let ether_type = prop_oneof![
        Just(0x0800_u16),
        Just(0x86dd),
        Just(0x8100),
        Just(0x88a8),
        Just(0x0806),
        any::<u16>()
    ];
    let first = prop_oneof![0x40..=0x4f_u8, 0x60..=0x6f_u8, any::<u8>()];
    (ether_type, first, proptest::collection::vec(any::<u8>(), 0..160)).prop_map(|(kind, first, rest)| {
        let mut frame = ethernet(&[], kind);
        frame.push(first);
        frame.extend(rest);
        frame
    })
}

proptest! {
    #[test]
    fn no_bytes_make_any_of_it_panic_and_fixing_twice_changes_nothing(
        frame in prop_oneof![frame_like(), proptest::collection::vec(any::<u8>(), 0..100)],
        start in 0..200_usize,
        offset in 0..40_usize,
    ) {
        for layer in [Layer::L2, Layer::L3] {
            let once = fixed(&frame, layer);
            prop_assert_eq!(&fixed(&once, layer), &once);
            if let Some((start, offset)) = locate(&frame, layer) {
                prop_assert!(start + offset + 2 <= frame.len());
            }
        }
        let mut copy = frame.clone();
        prop_assert_eq!(complete(&mut copy, start, offset), start + offset + 2 <= frame.len());
    }

    #[test]
    fn every_udp_and_tcp_packet_comes_out_verifying(
        payload in proptest::collection::vec(any::<u8>(), 0..1600),
        sum in 1_u16..,
        is_tcp in any::<bool>(),
        v4 in any::<bool>(),
    ) {
        let segment = if is_tcp { tcp(9, 0x10, &[], &payload) } else { udp(sum, &payload) };
        let protocol = if is_tcp { 6 } else { 17 };
        let packet = if v4 { ipv4(protocol, &[], &segment) } else { ipv6(protocol, &[], &segment) };
        let l4 = packet.len() - segment.len();
        prop_assert!(verifies(&fixed(&packet, Layer::L3), 0, l4, protocol, segment.len()));
    }
}
