use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::checksum::{complete, seed};
use vnet_plugin::testing::frames::{ethernet, ip, sums_are_right, tagged, tcp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const A4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const A6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;

fn host(config: &str) -> Host {
    let mut host = Host::new(mss_clamp);
    host.configure(configure, config).expect("accepted");
    host
}

fn segment(address: IpAddr, flags: u8, options: &[u8]) -> Vec<u8> {
    ethernet(2, 1, &ip(address, address, 6, &tcp(address, address, (1, 80), flags, options, b"")))
}

/// Returns what the MSS becomes, where it stood `pad` bytes into the options.
fn clamp(host: &mut Host, address: IpAddr, flags: u8, pad: usize, mss: u16) -> u16 {
    let mut options = vec![1; pad];
    options.extend([2, 4]);
    options.extend(mss.to_be_bytes());
    options.resize(options.len().next_multiple_of(4), 0);
    let frame = segment(address, flags, &options);
    let at = frame.len() - options.len() + pad + 2;
    let out = host.judge(&frame);
    assert_eq!(out.verdict, Verdict::Pass);
    assert!(sums_are_right(&out.bytes), "{:02x?}", out.bytes);
    let mut expected = frame.clone();
    expected[at..at + 2].copy_from_slice(&out.bytes[at..at + 2]);
    let checksum = at - pad - 2 - 4;
    expected[checksum..checksum + 2].copy_from_slice(&out.bytes[checksum..checksum + 2]);
    assert_eq!(out.bytes, expected, "nothing else changes");
    u16::from_be_bytes([out.bytes[at], out.bytes[at + 1]])
}

#[test]
fn lowers_the_mss_of_both_handshake_segments_and_never_raises_it() {
    let mut host = host(r#"{"mtu": 1400}"#);
    for flags in [SYN, SYN_ACK] {
        for pad in 0..5 {
            assert_eq!(clamp(&mut host, A4, flags, pad, 1460), 1360);
            assert_eq!(clamp(&mut host, A6, flags, pad, 1440), 1340);
            assert_eq!(clamp(&mut host, A4, flags, pad, 1360), 1360);
            assert_eq!(clamp(&mut host, A4, flags, pad, 536), 536);
        }
    }
    assert_eq!(clamp(&mut host, A4, 0x10, 0, 1460), 1460, "no SYN");
    assert_eq!((host.counters()["clamped"], host.counters()["kept"]), (20, 20));
}

#[test]
fn a_fixed_size_holds_for_both_families_and_1500_is_the_mtu_of_before() {
    let mut fixed = host(r#"{"mss": 1000}"#);
    assert_eq!(clamp(&mut fixed, A4, SYN, 0, 1460), 1000);
    assert_eq!(clamp(&mut fixed, A6, SYN, 1, 1440), 1000);
    let mut plain = host("{}");
    assert_eq!(clamp(&mut plain, A4, SYN, 0, 8960), 1460);
    assert_eq!(clamp(&mut plain, A6, SYN, 0, 8960), 1440);
}

#[test]
fn looks_through_tags_and_extension_headers_and_at_packets_of_tun_devices() {
    let mut host = host(r#"{"mss": 1000}"#);
    let frame = segment(A4, SYN, &[2, 4, 0x05, 0xb4]);
    let out = host.judge(&tagged(5, &frame));
    assert!(sums_are_right(&out.bytes));
    assert_eq!(out.bytes[58..62], [2, 4, 0x03, 0xe8]);
    let hop_by_hop = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(A6, A6, (1, 80), SYN, &[2, 4, 0x05, 0xb4], b"")].concat();
    let out = host.judge(&ethernet(2, 1, &ip(A6, A6, 0, &hop_by_hop)));
    assert_eq!(out.bytes[82..], [2, 4, 0x03, 0xe8]);
    let input = Input {
        bytes: frame[14..].to_vec(),
        flags: flags::L3,
        ..Input::default()
    };
    assert_eq!(host.run(&[input]).frames[0].bytes[40..], [2, 4, 0x03, 0xe8]);
}

#[test]
fn a_partial_checksum_stays_as_it_is() {
    let mut frame = segment(A4, SYN, &[1, 2, 4, 0x05, 0xb4, 0, 0, 0]);
    let (start, offset) = seed(&mut frame, vnet_plugin::Layer::L2).expect("TCP");
    let mut host = host(r#"{"mss": 1000}"#);
    let input = Input {
        bytes: frame,
        flags: flags::CSUM_PARTIAL,
        ..Input::default()
    };
    let mut out = host.run(&[input]).frames.remove(0);
    assert!(out.csum_partial && complete(&mut out.bytes, start, offset));
    assert!(sums_are_right(&out.bytes));
}

#[test]
fn options_that_lie_about_their_length_end_the_search() {
    let mut host = host(r#"{"mss": 1000}"#);
    for options in [[3, 0, 2, 4], [3, 1, 2, 4], [1, 1, 2, 4], [2, 3, 0xff, 1], [3, 200, 2, 4], [0, 2, 4, 9]] {
        let frame = segment(A4, SYN, &options);
        assert_eq!(host.judge(&frame).bytes, frame, "{options:?}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (config, word) in [
        (r#"{"mss": 1000, "mtu": 1500}"#, "not both"),
        (r#"{"mss": 87}"#, "88 to 65,535"),
        (r#"{"mtu": 100}"#, "148"),
        (r#"{"mtu": 70000}"#, "65,575"),
    ] {
        let refused = Host::new(mss_clamp).configure(configure, config).expect_err(config);
        assert!(refused.contains(word), "{config}: {refused}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_keeps_right_sums_right(
        options in vec(prop_oneof![Just(0_u8), Just(1), Just(2), Just(4), any::<u8>()], 0..40),
        changes in vec((0..90_usize, any::<u8>()), 0..4),
        keep in 0..200_usize,
        six in any::<bool>(),
    ) {
        let mut options = options;
        options.truncate(options.len() / 4 * 4);
        let frame = segment(if six { A6 } else { A4 }, SYN, &options);
        let mut host = host(r#"{"mss": 88}"#);
        prop_assert!(sums_are_right(&host.judge(&frame).bytes));
        let mut hostile = frame;
        for (at, byte) in changes {
            if let Some(place) = hostile.get_mut(at) {
                *place = byte;
            }
        }
        hostile.truncate(keep);
        let out = host.judge(&hostile);
        prop_assert_eq!((out.verdict, out.bytes.len()), (Verdict::Pass, hostile.len()));
    }
}
