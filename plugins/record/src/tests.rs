use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const A6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
/// Twice as many packets as a walk through the table takes at most.
const ROUND: u64 = 16;

fn host(config: &str) -> Host {
    let mut host = Host::new(record);
    host.configure(configure, config).expect("accepted");
    host
}

fn segment(flags: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(2, 1, &ip(A, B, 6, &tcp(A, B, (1000, 80), flags, &[], payload)))
}

/// Sends frames that are in no flow of ours, from a time on, until every slot was looked at; the last comes 2 seconds later.
fn walk(host: &mut Host, from_ns: u64) {
    let other = ethernet(2, 1, &ip(B, B, 17, &udp(B, B, 9, 9, b"")));
    for n in 0..=ROUND {
        host.judge_at(&other, 0, from_ns + n * SECOND / 8);
    }
}

#[test]
fn a_flow_is_counted_while_it_lasts_and_logged_when_it_has_ended() {
    let mut host = host("{}");
    for (n, flags) in [2_u8, 0x10, 0x18, 0x11].into_iter().enumerate() {
        let frame = segment(flags, &[0; 100]);
        let frame = if n % 2 == 0 { frame } else { tagged(7, &frame) };
        let out = host.judge_at(&frame, 0, SECOND + n as u64 * 5_000_000);
        assert_eq!((out.verdict, out.bytes), (Verdict::Pass, frame));
    }
    assert_eq!((FLOWS.len(), host.logs().len()), (1, 0));
    walk(&mut host, 4 * SECOND);
    let lines: Vec<String> = host.logs().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["flow tcp 10.0.0.1:1000 > 10.0.0.2:80 packets 4 bytes 560 ms 15 flags FSPA"]);
    assert_eq!((host.counters()["flows"], host.counters()["ended"], FLOWS.len()), (2, 1, 1));
}

#[test]
fn a_flow_without_an_end_is_one_that_fell_silent() {
    let mut host = host(r#"{"idle": 10}"#);
    let frame = ethernet(2, 1, &ip(A6, A6, 17, &udp(A6, A6, 5353, 53, b"abc")));
    let ping = ethernet(2, 1, &ip(A, B, 1, &icmp(A, B, 8, 0, [0; 4], b"")));
    host.judge_at(&frame, 0, SECOND);
    host.judge_at(&ping, 0, SECOND);
    walk(&mut host, 9 * SECOND);
    assert_eq!(host.logs(), []);
    walk(&mut host, 11 * SECOND + 1);
    let mut lines: Vec<String> = host.logs().into_iter().map(|(_, line)| line).collect();
    lines.sort();
    assert_eq!(lines, [
        "flow icmp 10.0.0.1 > 10.0.0.2 packets 1 bytes 28 ms 0 flags -",
        "flow udp [fd00::1]:5353 > [fd00::1]:53 packets 1 bytes 51 ms 0 flags -",
    ]);
}

#[test]
fn a_super_frame_counts_as_its_segments_and_the_log_can_be_off() {
    let mut host = host(r#"{"log": false, "idle": 1}"#);
    let input = Input {
        bytes: segment(0x10, &[0; 2501]),
        flags: flags::GSO | flags::CSUM_PARTIAL,
        gso_size: 1000,
        ts_ns: SECOND,
        ..Input::default()
    };
    host.run(&[input]);
    let mut packets = 0;
    FLOWS.retain(|_, value| {
        packets = u64::from_le_bytes(*value.first_chunk().expect("eight bytes"));
        true
    });
    assert_eq!(packets, 3);
    walk(&mut host, 4 * SECOND);
    assert_eq!((host.logs().len(), host.counters()["ended"]), (0, 1));
}

#[test]
fn a_full_table_says_so_and_what_is_no_ip_is_counted_apart() {
    let mut host = host("{}");
    host.judge(&[0xff; 60]);
    for n in 0..25_000_u32 {
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        host.judge_at(&ethernet(2, 1, &ip(from, B, 17, &udp(from, B, 1, 2, b""))), 0, SECOND);
    }
    let counters = host.counters();
    assert_eq!((counters["flows"], counters["untracked"], counters["other"]), (24_576, 424, 1));
    let refused = host.configure(configure, r#"{"idle": 0}"#).expect_err("no time");
    assert!(refused.contains("idle is"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn never_panics_and_changes_nothing(
        given in vec((0..3_usize, vec((0..100_usize, any::<u8>()), 0..5), 0..120_usize, any::<u64>()), 1..40),
    ) {
        let mut host = host(r#"{"idle": 1}"#);
        let bases = [
            segment(2, b"abc"),
            ethernet(2, 1, &ip(A6, A6, 17, &udp(A6, A6, 5353, 53, b"abc"))),
            tagged(5, &ethernet(2, 1, &ip(A, B, 1, &icmp(A, B, 8, 0, [0; 4], b"")))),
        ];
        for (base, changes, keep, now) in given {
            let mut bytes = bases[base].clone();
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(keep);
            let out = host.judge_at(&bytes, 0, now);
            prop_assert_eq!((out.verdict, out.bytes), (Verdict::Pass, bytes));
        }
    }
}
