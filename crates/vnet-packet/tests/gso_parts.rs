//! Long super-frames cut into shorter ones: whatever is cut in the end is the same frames.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod frames;

use frames::{be16, ethernet, ipv4, ipv6, tcp};
use proptest::prelude::*;
use vnet_packet::gso::{BadGso, Offload, gso_type, parts, segments};
use vnet_packet::{Layer, checksum};

const FLAGS: u8 = 0x80 | 0x10 | 0x08 | 0x01;

/// A frame with `payload` bytes of TCP; the total length of one beyond 64 KiB is 0, as the kernel's is.
fn frame(v4: bool, payload: usize, mss: u16) -> (Vec<u8>, Offload) {
    let bytes: Vec<u8> = (0..payload).map(|i| (i * 7 + (i >> 8)) as u8).collect();
    let segment = tcp(0xffff_f000, FLAGS, &[1, 1, 1, 0], &bytes);
    let mut f = ethernet(&[(0x8100, 5)], if v4 { 0x0800 } else { 0x86dd });
    let l3 = f.len();
    f.extend(if v4 {
        ipv4(6, &[], &segment)
    } else {
        ipv6(6, &[], &segment)
    });
    if f.len() - l3 > usize::from(u16::MAX) {
        let at = if v4 { l3 + 2 } else { l3 + 4 };
        f[at..at + 2].copy_from_slice(&[0, 0]);
    }
    let (start, offset) = checksum::seed(&mut f, Layer::L2).unwrap();
    let off = Offload {
        gso_type: if v4 { gso_type::TCPV4 } else { gso_type::TCPV6 },
        gso_size: mss,
        hdr_len: 0,
        needs_csum: true,
        csum_start: start as u16,
        csum_offset: offset as u16,
    };
    (f, off)
}

fn cut(f: &[u8], off: &Offload) -> Vec<Vec<u8>> {
    if off.gso_type == gso_type::NONE {
        let mut whole = f.to_vec();
        let (start, offset) = (usize::from(off.csum_start), usize::from(off.csum_offset));
        assert!(!off.needs_csum || checksum::complete(&mut whole, start, offset));
        return vec![whole];
    }
    let mut cursor = segments(f, Layer::L2, off).unwrap();
    let mut buffer = vec![0; cursor.longest()];
    std::iter::from_fn(|| cursor.next_into(&mut buffer).map(|len| buffer[..len].to_vec())).collect()
}

fn check(v4: bool, payload: usize, mss: u16, most: usize) {
    let (f, off) = frame(v4, payload, mss);
    let mut cursor = parts(&f, Layer::L2, &off, most).unwrap();
    let (count, longest) = (cursor.count(), cursor.longest());
    assert!(longest <= most && longest <= 18 + 65_535);
    let mut buffer = vec![0; longest];
    let (mut seen, mut out) = (0, Vec::new());
    while let Some((len, todo)) = cursor.next_into(&mut buffer) {
        if v4 {
            assert_eq!(
                usize::from(be16(&buffer, 20)),
                len - 18,
                "the length of the IPv4 packet"
            );
        }
        assert_eq!(todo.gso_type == gso_type::NONE, todo.gso_size == 0);
        out.extend(cut(&buffer[..len], &todo));
        seen += 1;
    }
    assert_eq!(seen, count);
    assert_eq!(out, cut(&f, &off));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_segments_of_the_parts_are_those_of_the_whole(
        v4: bool,
        payload in 1usize..190_000,
        mss in 500u16..9000,
        most in 9_200usize..70_000,
    ) {
        check(v4, payload, mss, most);
    }
}

#[test]
fn what_fills_a_big_tcp_frame_is_cut_into_three() {
    let (f, off) = frame(true, 180_000 - 58, 1448);
    assert_eq!(be16(&f, 20), 0);
    assert_eq!(parts(&f, Layer::L2, &off, 65_558).unwrap().count(), 3);
    check(true, 180_000 - 58, 1448, 65_558);
}

#[test]
fn a_buffer_below_one_segment_is_refused() {
    let (f, off) = frame(true, 10_000, 1448);
    assert_eq!(parts(&f, Layer::L2, &off, 1400).unwrap_err(), BadGso::Size(1448));
}
