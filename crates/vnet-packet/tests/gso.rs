//! Software segmentation, checked by reassembling what it wrote with independent code.

mod frames;

use frames::{be16, be32, ethernet, ipv4, ipv6, naive_checksum, pseudo, tcp, udp};
use proptest::prelude::*;
use vnet_packet::Layer;
use vnet_packet::gso::{BadGso, Offload, gso_type, segments};

#[derive(Clone, Debug)]
struct Super {
    frame: Vec<u8>,
    layer: Layer,
    off: Offload,
    l3: usize,
    l4: usize,
    /// Where the payload starts.
    data: usize,
    padding: usize,
}

fn cut(s: &Super) -> Vec<Vec<u8>> {
    let mut cursor = segments(&s.frame, s.layer, &s.off).expect("super-frame is well formed");
    let (count, longest) = (cursor.count(), cursor.longest());
    let mut buffer = vec![0xaa; longest];
    let mut out = Vec::new();
    while let Some(len) = cursor.next_into(&mut buffer) {
        out.push(buffer[..len].to_vec());
        assert_eq!(cursor.remaining(), count - out.len());
    }
    assert_eq!(out.len(), count);
    assert_eq!(out.iter().map(Vec::len).max(), Some(longest));
    out
}

/// Reassembles the segments and checks every field that the cut may and may not change.
fn check(s: &Super) {
    let v4 = s.frame[s.l3] >> 4 == 4;
    let is_tcp = s.off.kind() != gso_type::UDP_L4;
    let payload = &s.frame[s.data..s.frame.len() - s.padding];
    let size = usize::from(s.off.gso_size);
    let pieces = cut(s);
    assert_eq!(pieces.len(), payload.len().div_ceil(size).max(1));
    let mut together: Vec<u8> = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        let (first, last) = (i == 0, i + 1 == pieces.len());
        assert!(last || piece.len() == s.data + size, "all but the last are full");
        let mut expected = s.frame[..s.data].to_vec();
        if v4 {
            assert_eq!(usize::from(be16(piece, s.l3 + 2)), piece.len() - s.l3);
            assert_eq!(
                be16(piece, s.l3 + 4),
                be16(&s.frame, s.l3 + 4).wrapping_add(i as u16)
            );
            assert_eq!(
                naive_checksum(&[&piece[s.l3..s.l4]]),
                0,
                "IPv4 header sum of segment {i}"
            );
            for range in [s.l3 + 2..s.l3 + 6, s.l3 + 10..s.l3 + 12] {
                expected[range.clone()].copy_from_slice(&piece[range]);
            }
        } else {
            assert_eq!(usize::from(be16(piece, s.l3 + 4)), piece.len() - s.l3 - 40);
            expected[s.l3 + 4..s.l3 + 6].copy_from_slice(&piece[s.l3 + 4..s.l3 + 6]);
        }
        let sum_at = if is_tcp {
            assert_eq!(
                be32(piece, s.l4 + 4),
                be32(&s.frame, s.l4 + 4).wrapping_add((i * size) as u32)
            );
            let mut flags = s.frame[s.l4 + 13];
            flags &= if first { 0xff } else { !0x80 };
            flags &= if last { 0xff } else { !0x09 };
            assert_eq!(piece[s.l4 + 13], flags, "flags of segment {i}");
            expected[s.l4 + 4..s.l4 + 8].copy_from_slice(&piece[s.l4 + 4..s.l4 + 8]);
            expected[s.l4 + 13] = flags;
            s.l4 + 16
        } else {
            assert_eq!(usize::from(be16(piece, s.l4 + 4)), piece.len() - s.l4);
            expected[s.l4 + 4..s.l4 + 6].copy_from_slice(&piece[s.l4 + 4..s.l4 + 6]);
            s.l4 + 6
        };
        if !is_tcp && !s.off.needs_csum && be16(&s.frame, s.l4 + 6) == 0 {
            assert_eq!(be16(piece, sum_at), 0, "no checksum stays none");
        } else {
            let protocol = if is_tcp { 6 } else { 17 };
            let head = pseudo(piece, s.l3, protocol, piece.len() - s.l4);
            assert_eq!(
                naive_checksum(&[&head, &piece[s.l4..]]),
                0,
                "L4 sum of segment {i}"
            );
            assert!(is_tcp || be16(piece, sum_at) != 0);
        }
        expected[sum_at..sum_at + 2].copy_from_slice(&piece[sum_at..sum_at + 2]);
        assert_eq!(piece[..s.data], expected, "other header bytes of segment {i}");
        together.extend(&piece[s.data..]);
    }
    assert_eq!(together, payload);
}

prop_compose! {
    fn super_frame()(
        payload in proptest::collection::vec(any::<u8>(), 0..6000),
        gso_size in 1_u16..2000,
        v4 in any::<bool>(),
        is_tcp in any::<bool>(),
        l3_only in any::<bool>(),
        tags in proptest::collection::vec((prop_oneof![Just(0x8100), Just(0x88a8)], any::<u16>()), 0..=2),
        ip_options in 0..=3_usize,
        extensions in proptest::collection::vec((prop_oneof![Just(0_u8), Just(60)], 0..3_u8), 0..3),
        tcp_options in 0..=10_usize,
        seq in any::<u32>(),
        flags in any::<u8>(),
        ecn in any::<bool>(),
        udp_sum in prop_oneof![Just(0), any::<u16>()],
        needs_csum in any::<bool>(),
        padding in 0..7_usize,
    ) -> Super {
        let segment = if is_tcp {
            tcp(seq, flags, &vec![1; tcp_options * 4], &payload)
        } else {
            udp(udp_sum, &payload)
        };
        let protocol = if is_tcp { 6 } else { 17 };
        let packet = if v4 {
            ipv4(protocol, &vec![1; ip_options * 4], &segment)
        } else {
            let extensions: Vec<_> = extensions.iter().map(|&(kind, units)| {
                let mut body = vec![0; usize::from(units) * 8 + 7];
                body[0] = units;
                (kind, body)
            }).collect();
            ipv6(protocol, &extensions, &segment)
        };
        let mut frame = if l3_only { Vec::new() } else { ethernet(&tags, if v4 { 0x0800 } else { 0x86dd }) };
        let l3 = frame.len();
        frame.extend(&packet);
        let data = frame.len() - payload.len();
        let l4 = frame.len() - segment.len();
        frame.extend(vec![0x55; padding]);
        let kind = match (is_tcp, v4) {
            (true, true) => gso_type::TCPV4,
            (true, false) => gso_type::TCPV6,
            (false, _) => gso_type::UDP_L4,
        };
        let off = Offload {
            gso_type: kind | if ecn && is_tcp { gso_type::ECN } else { 0 },
            gso_size,
            hdr_len: 0,
            needs_csum,
            csum_start: 0,
            csum_offset: 0,
        };
        Super { frame, layer: if l3_only { Layer::L3 } else { Layer::L2 }, off, l3, l4, data, padding }
    }
}

proptest! {
    #[test]
    fn segments_reassemble_to_the_super_frame(s in super_frame()) {
        check(&s);
    }

    #[test]
    fn mutated_super_frames_never_panic(
        mut s in super_frame(),
        edits in proptest::collection::vec((0..120_usize, any::<u8>()), 1..6),
        cut_to in 0..200_usize,
        truncate in any::<bool>(),
        kind in any::<u8>(),
    ) {
        for (at, value) in edits {
            if let Some(byte) = s.frame.get_mut(at) {
                *byte = value;
            }
        }
        if truncate {
            s.frame.truncate(cut_to);
        }
        let mut out = vec![0; 70_000];
        for gso_type in [s.off.gso_type, kind] {
            let off = Offload { gso_type, ..s.off };
            if let Ok(mut cursor) = segments(&s.frame, s.layer, &off) {
                let mut seen = 0;
                while let Some(len) = cursor.next_into(&mut out) {
                    seen += 1;
                    prop_assert!(len <= cursor.longest());
                }
                prop_assert_eq!(seen, cursor.count());
            }
        }
    }
}

fn tcp_v4(payload: usize, gso_size: u16) -> (Vec<u8>, Offload) {
    let mut frame = ethernet(&[], 0x0800);
    frame.extend(ipv4(6, &[], &tcp(1, 0x18, &[], &vec![7; payload])));
    (
        frame,
        Offload {
            gso_type: gso_type::TCPV4,
            gso_size,
            ..Offload::default()
        },
    )
}

#[test]
fn short_buffer_keeps_the_segment_for_later() {
    let (frame, off) = tcp_v4(250, 100);
    let mut cursor = segments(&frame, Layer::L2, &off).expect("well formed");
    let mut out = [0; 154];
    assert_eq!(cursor.next_into(&mut out[..153]), None);
    assert_eq!(cursor.remaining(), 3);
    assert_eq!(cursor.next_into(&mut out), Some(154));
    assert_eq!(cursor.next_into(&mut out), Some(154));
    assert_eq!(cursor.next_into(&mut out[..104]), Some(104));
    assert_eq!((cursor.next_into(&mut out), cursor.remaining()), (None, 0));
}

#[test]
fn zero_total_length_means_to_the_end_of_the_frame() {
    let (mut frame, off) = tcp_v4(70_000 - 54, 1448);
    frame[16..18].copy_from_slice(&[0, 0]);
    let s = Super {
        frame,
        layer: Layer::L2,
        off,
        l3: 14,
        l4: 34,
        data: 54,
        padding: 0,
    };
    check(&s);
}

#[test]
fn refuses_what_it_cannot_cut_and_says_why() {
    let (frame, off) = tcp_v4(3000, 1448);
    let refused = |frame: &[u8], off: Offload| {
        segments(frame, Layer::L2, &off)
            .expect_err("must be refused")
            .to_string()
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = frame.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    assert_eq!(
        segments(&frame, Layer::L2, &Offload { gso_type: 3, ..off }).err(),
        Some(BadGso::Type(3))
    );
    assert_eq!(
        segments(&frame, Layer::L2, &Offload { gso_size: 0, ..off }).err(),
        Some(BadGso::Size(0))
    );
    assert!(
        refused(
            &frame,
            Offload {
                gso_type: gso_type::TCPV6,
                ..off
            }
        )
        .contains("offload type")
    );
    assert!(
        refused(
            &frame,
            Offload {
                gso_type: gso_type::UDP_L4,
                ..off
            }
        )
        .contains("offload type")
    );
    assert!(refused(&with(20, &[0x20, 0]), off).contains("fragment"));
    assert!(refused(&with(16, &[0xff, 0xff]), off).contains("total length"));
    assert!(refused(&with(16, &[0, 19]), off).contains("total length"));
    assert!(refused(&with(46, &[0x40]), off).contains("TCP header"));
    assert!(refused(&with(12, &[0x08, 0x06]), off).contains("no IP packet"));
    assert!(refused(&frame[..30], off).contains("IPv4 header"));
}

#[test]
fn refuses_segments_longer_than_an_ip_packet() {
    let (mut frame, off) = tcp_v4(80_000, 65_500);
    frame[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(
        segments(&frame, Layer::L2, &off).err(),
        Some(BadGso::Size(65_500))
    );
}

#[test]
fn refuses_ipv6_jumbograms_fragments_and_hops_left() {
    let off = Offload {
        gso_type: gso_type::TCPV6,
        gso_size: 1000,
        ..Offload::default()
    };
    let segment = tcp(1, 0x10, &[], &[9; 3000]);
    let refused = |extension: (u8, Vec<u8>), jumbo: bool| {
        let mut packet = ipv6(6, &[extension], &segment);
        if jumbo {
            packet[4..6].copy_from_slice(&[0, 0]);
        }
        segments(&packet, Layer::L3, &off)
            .expect_err("must be refused")
            .to_string()
    };
    assert!(refused((0, vec![0, 0xc2, 4, 0, 1, 0, 0]), true).contains("jumbogram"));
    assert!(refused((44, vec![0, 0, 1, 0, 0, 0, 1]), false).contains("fragment"));
    assert!(refused((43, vec![0, 0, 1, 0, 0, 0, 0]), false).contains("hops left"));
}
