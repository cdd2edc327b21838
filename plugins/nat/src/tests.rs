//! Packets out and back, checked with sums of their own.

use std::net::IpAddr;
use std::vec::Vec;

use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, sums_are_right, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input, Output};

use super::*;

const CONFIG: &str = r#"{"address": "203.0.113.1", "inside": ["10.0.0.0/8", "192.168.0.0/16"], "forward": [
    {"protocol": "tcp", "port": 8080, "to": "10.0.0.5", "to_port": 80}, {"protocol": "udp", "port": 53, "to": "10.0.0.5"}]}"#;
const SECOND: u64 = 1_000_000_000;
const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;

fn v4(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn started(config: &str) -> Host {
    let mut host = Host::new(nat);
    host.configure(configure, config).expect("accepted");
    host
}

fn tcp_frame(src: (&str, u16), dst: (&str, u16), flags: u8) -> Vec<u8> {
    let (from, to) = (v4(src.0), v4(dst.0));
    ethernet(
        2,
        1,
        &ip(from, to, 6, &tcp(from, to, (src.1, dst.1), flags, &[], b"data")),
    )
}

fn udp_frame(src: (&str, u16), dst: (&str, u16)) -> Vec<u8> {
    let (from, to) = (v4(src.0), v4(dst.0));
    ethernet(2, 1, &ip(from, to, 17, &udp(from, to, src.1, dst.1, b"data")))
}

fn ping(src: &str, dst: &str, kind: u8, id: u16) -> Vec<u8> {
    let (from, to) = (v4(src), v4(dst));
    let [high, low] = id.to_be_bytes();
    ethernet(
        2,
        1,
        &ip(from, to, 1, &icmp(from, to, kind, 0, [high, low, 0, 7], b"data")),
    )
}

/// What an address and port became; the sums have to be right.
fn ends(out: &Output) -> ((String, u16), (String, u16)) {
    assert_eq!(out.verdict, Verdict::Pass);
    assert!(sums_are_right(&out.bytes), "{:02x?}", out.bytes);
    let flow = Flow::parse(&out.bytes, vnet_plugin::Layer::L2).expect("IP");
    let id = || flow.echo(&out.bytes).map(|(id, _)| (id, id));
    let (src, dst) = flow.ports.or_else(id).unwrap_or_default();
    ((flow.src.to_string(), src), (flow.dst.to_string(), dst))
}

fn pair(src: (&str, u16), dst: (&str, u16)) -> ((String, u16), (String, u16)) {
    ((src.0.into(), src.1), (dst.0.into(), dst.1))
}

const WEB: (&str, u16) = ("198.51.100.7", 80);
const OUTSIDE: &str = "203.0.113.1";

#[test]
fn hides_a_host_and_finds_it_again() {
    let mut host = started(CONFIG);
    for (kind, one) in [(6, ("10.0.0.2", 5000)), (17, ("192.168.3.4", 5001))] {
        let (out, back) = if kind == 6 {
            (
                tcp_frame(one, WEB, SYN),
                tcp_frame(WEB, (OUTSIDE, one.1), SYN | ACK),
            )
        } else {
            (udp_frame(one, WEB), udp_frame(WEB, (OUTSIDE, one.1)))
        };
        assert_eq!(ends(&host.judge(&out)), pair((OUTSIDE, one.1), WEB));
        assert_eq!(ends(&host.judge(&tagged(7, &out))), pair((OUTSIDE, one.1), WEB));
        assert_eq!(ends(&host.judge(&back)), pair(WEB, one));
    }
    assert_eq!(
        ends(&host.judge(&ping("10.0.0.2", WEB.0, 8, 5000))),
        pair((OUTSIDE, 5000), (WEB.0, 5000))
    );
    assert_eq!(
        ends(&host.judge(&ping(WEB.0, OUTSIDE, 0, 5000))),
        pair((WEB.0, 5000), ("10.0.0.2", 5000))
    );
    let counters = host.counters();
    assert_eq!(
        (
            counters["new_mappings"],
            counters["translated_out"],
            counters["translated_in"]
        ),
        (3, 5, 3)
    );
}

#[test]
fn hosts_that_use_the_same_port_get_ports_of_their_own() {
    let mut host = started(CONFIG);
    let mut seen = std::collections::BTreeSet::new();
    for last in 2..52 {
        let inside = std::format!("10.0.0.{last}");
        let ((_, port), _) = ends(&host.judge(&tcp_frame((&inside, 5000), WEB, SYN)));
        assert!(seen.insert(port), "{port} twice");
        let back = tcp_frame(WEB, (OUTSIDE, port), SYN | ACK);
        assert_eq!(ends(&host.judge(&back)).1, (inside, 5000));
    }
    // Whoever it talks to, an endpoint keeps its port.
    let other = tcp_frame(("10.0.0.2", 5000), ("192.0.2.1", 443), SYN);
    assert_eq!(ends(&host.judge(&other)).0.1, 5000);
}

#[test]
fn forwards_ports_and_opens_nothing_else() {
    let mut host = started(CONFIG);
    let client = ("198.51.100.9", 40000);
    assert_eq!(
        ends(&host.judge(&tcp_frame(client, (OUTSIDE, 8080), SYN))),
        pair(client, ("10.0.0.5", 80))
    );
    assert_eq!(
        ends(&host.judge(&tcp_frame(("10.0.0.5", 80), client, SYN | ACK))),
        pair((OUTSIDE, 8080), client)
    );
    assert_eq!(
        ends(&host.judge(&udp_frame(client, (OUTSIDE, 53)))).1,
        ("10.0.0.5".into(), 53)
    );
    for closed in [
        tcp_frame(client, (OUTSIDE, 80), SYN),
        udp_frame(client, (OUTSIDE, 54)),
    ] {
        let out = host.judge(&closed);
        assert_eq!(
            (out.verdict, out.bytes),
            (Verdict::Pass, closed),
            "goes to the router itself"
        );
    }
    // A port that a host inside has is closed to connections from outside.
    host.judge(&tcp_frame(("10.0.0.2", 5000), WEB, SYN));
    let knock = tcp_frame(client, (OUTSIDE, 5000), SYN);
    assert_eq!(host.judge(&knock).bytes, knock);
    // Nobody is given a forwarded port.
    assert_ne!(
        ends(&host.judge(&tcp_frame(("10.0.0.2", 8080), WEB, SYN))).0.1,
        8080
    );
}

#[test]
fn turns_the_packet_in_an_icmp_error_back_too() {
    let mut host = started(CONFIG);
    let quotes = [
        (udp_frame(("10.0.0.2", 100), ("198.51.100.7", 33434)), 28),
        (tcp_frame(("10.0.0.2", 100), WEB, SYN), 40),
        (tcp_frame(("10.0.0.2", 100), WEB, SYN), 28),
        (ping("10.0.0.2", WEB.0, 8, 9), 32),
    ];
    for (sent, quoted_len) in quotes {
        let out = host.judge(&sent).bytes;
        let router = v4("198.51.100.1");
        let error = icmp(router, v4(OUTSIDE), 11, 0, [0; 4], &out[14..14 + quoted_len]);
        let back = host.judge(&ethernet(1, 2, &ip(router, v4(OUTSIDE), 1, &error)));
        assert!(sums_are_right(&back.bytes));
        assert_eq!(&back.bytes[30..34], &[10, 0, 0, 2]);
        assert_eq!(back.bytes[42..], sent[14..14 + quoted_len], "as the host sent it");
        // And an error that a host inside sends about what came to it.
        let answer = match sent[23] {
            6 => tcp_frame(WEB, (OUTSIDE, out_port(&out)), ACK),
            17 => udp_frame(("198.51.100.7", 33434), (OUTSIDE, out_port(&out))),
            _ => continue,
        };
        let inner = host.judge(&answer).bytes;
        let error = icmp(v4("10.0.0.2"), v4(WEB.0), 3, 3, [0; 4], &inner[14..42]);
        let out = host.judge(&ethernet(1, 2, &ip(v4("10.0.0.2"), v4(WEB.0), 1, &error)));
        assert!(sums_are_right(&out.bytes));
        assert_eq!(
            (&out.bytes[26..30], &out.bytes[42..70]),
            (&[203, 0, 113, 1][..], &answer[14..42])
        );
    }
    let stray = icmp(
        v4("10.0.0.3"),
        v4(WEB.0),
        3,
        3,
        [0; 4],
        &udp_frame(WEB, ("10.0.0.3", 7))[14..42],
    );
    let out = host.judge(&ethernet(1, 2, &ip(v4("10.0.0.3"), v4(WEB.0), 1, &stray)));
    assert_eq!(out.verdict, Verdict::DropFor(UNKNOWN_ERROR));
}

fn out_port(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[34], frame[35]])
}

#[test]
fn silent_conversations_are_forgotten_and_open_ones_kept() {
    let mut host = started(CONFIG);
    let (one, two) = (("10.0.0.2", 5000), ("10.0.0.3", 5000));
    host.judge_at(&udp_frame(one, WEB), 0, SECOND);
    let late = 130 * SECOND;
    let stray = udp_frame(WEB, (OUTSIDE, 5000));
    assert_eq!(host.judge_at(&stray, 0, late).bytes, stray, "nobody's any more");
    assert_eq!(
        ends(&host.judge_at(&udp_frame(two, WEB), 0, late)).0.1,
        5000,
        "free again"
    );
    assert_ne!(ends(&host.judge_at(&udp_frame(one, WEB), 0, late)).0.1, 5000);
    for (at, frame) in [
        (0, tcp_frame(one, WEB, SYN)),
        (1, tcp_frame(WEB, (OUTSIDE, 5000), SYN | ACK)),
        (2, tcp_frame(one, WEB, ACK)),
        (7_000, tcp_frame(WEB, (OUTSIDE, 5000), ACK)),
        (14_000, tcp_frame(one, WEB, ACK)),
    ] {
        assert_ne!(
            host.judge_at(&frame, 0, late + at * SECOND).bytes,
            frame,
            "at {at} s"
        );
    }
}

#[test]
fn the_router_keeps_its_own_conversations() {
    let mut host = started(CONFIG);
    let own = tcp_frame((OUTSIDE, 5000), WEB, SYN);
    assert_eq!(host.judge(&own).bytes, own);
    assert_ne!(
        ends(&host.judge(&tcp_frame(("10.0.0.2", 5000), WEB, SYN))).0.1,
        5000
    );
    let answer = tcp_frame(WEB, (OUTSIDE, 5000), SYN | ACK);
    assert_eq!(host.judge(&answer).bytes, answer);
    for passes in [
        ping(WEB.0, OUTSIDE, 8, 1),
        ping(OUTSIDE, WEB.0, 0, 1),
        udp_frame(("10.0.0.2", 1), ("10.0.0.3", 2)),
        udp_frame(("10.0.0.2", 1), ("224.0.0.251", 5353)),
        udp_frame(("fd00::1", 1), ("fd00::2", 2)),
    ] {
        assert_eq!(host.judge(&passes).bytes, passes);
    }
}

#[test]
fn pieces_follow_their_first_and_what_it_does_not_know_stays_inside() {
    let mut host = started(CONFIG);
    host.judge(&udp_frame(("10.0.0.2", 5000), WEB));
    let mut first = udp_frame(WEB, (OUTSIDE, 5000));
    first[20..22].copy_from_slice(&[0x20, 0]);
    let mut later = first.clone();
    later[20..22].copy_from_slice(&[0, 9]);
    assert_eq!(host.judge(&later).bytes, later, "not yet known");
    assert_eq!(host.judge(&first).bytes[30..34], [10, 0, 0, 2]);
    let out = host.judge(&later).bytes;
    assert_eq!((&out[30..34], &out[34..]), (&[10, 0, 0, 2][..], &later[34..]));
    let mut mine = udp_frame(("10.0.0.2", 5000), WEB);
    mine[20..22].copy_from_slice(&[0, 9]);
    let out = host.judge(&mine).bytes;
    assert_eq!((&out[26..30], &out[34..]), (&[203, 0, 113, 1][..], &mine[34..]));
    let gre = ethernet(1, 2, &ip(v4("10.0.0.2"), v4(WEB.0), 47, b"payload"));
    assert_eq!(host.judge(&gre).verdict, Verdict::DropFor(UNSUPPORTED));
    let cut = &udp_frame(("10.0.0.2", 5000), WEB)[..36];
    assert_eq!(host.judge(cut).verdict, Verdict::DropFor(MALFORMED));
}

#[test]
fn a_partial_checksum_stays_partial() {
    let mut host = started(CONFIG);
    for mut frame in [
        tcp_frame(("10.0.0.2", 5000), WEB, SYN),
        udp_frame(("10.0.0.2", 5000), WEB),
    ] {
        let (start, offset) =
            vnet_plugin::checksum::seed(&mut frame, vnet_plugin::Layer::L2).expect("TCP or UDP");
        let input = Input {
            bytes: frame,
            flags: flags::CSUM_PARTIAL,
            ..Input::default()
        };
        let mut out = host.run(&[input]).frames.remove(0);
        assert!(out.csum_partial);
        assert!(vnet_plugin::checksum::complete(&mut out.bytes, start, offset));
        assert_eq!(ends(&out).0, (OUTSIDE.into(), 5000));
    }
    let mut without = udp_frame(("10.0.0.2", 5000), WEB);
    without[40..42].fill(0);
    assert_eq!(host.judge(&without).bytes[40..42], [0, 0]);
}

#[test]
fn a_full_range_is_said_so() {
    let mut host = started(r#"{"address": "203.0.113.1", "inside": "10.0.0.0/8", "ports": "2000-2003"}"#);
    for port in 1..=4 {
        let ((_, outside), _) = ends(&host.judge(&udp_frame(("10.0.0.2", port), WEB)));
        assert!((2000..=2003).contains(&outside));
    }
    assert_eq!(
        host.judge(&udp_frame(("10.0.0.2", 5), WEB)).verdict,
        Verdict::DropFor(NO_PORT)
    );
    // Another protocol has ports of its own.
    assert_eq!(
        host.judge(&tcp_frame(("10.0.0.2", 5), WEB, SYN)).verdict,
        Verdict::Pass
    );
}

#[test]
fn a_full_table_keeps_the_hosts_that_were_answered() {
    let mut host = started(CONFIG);
    let inside = |n: u16| std::format!("10.1.{}.{}", n >> 8, n & 255);
    let mut ports = Vec::new();
    for n in 0..100 {
        let ((_, outside), _) = ends(&host.judge(&udp_frame((&inside(n), 5000), WEB)));
        assert_eq!(ends(&host.judge(&udp_frame(WEB, (OUTSIDE, outside)))).1, (inside(n), 5000));
        ports.push(outside);
    }
    for n in 100..40_000 {
        host.judge(&udp_frame((&inside(n), 6000), WEB));
    }
    assert!(mappings::NAT.len() <= 16_384 && mappings::PORTS.len() <= mappings::NAT.len());
    for (n, outside) in (0..100).zip(ports) {
        assert_eq!(ends(&host.judge(&udp_frame(WEB, (OUTSIDE, outside)))).1, (inside(n), 5000));
    }
}

#[test]
fn refuses_a_wrong_configuration() {
    let mut host = Host::new(nat);
    for config in [
        r#"{"inside": "10.0.0.0/8"}"#,
        r#"{"address": "203.0.113.1"}"#,
        r#"{"address": "0.0.0.0", "inside": "10.0.0.0/8"}"#,
        r#"{"address": "10.0.0.1", "inside": "10.0.0.0/8"}"#,
        r#"{"address": "203.0.113.1", "inside": "fd00::/8"}"#,
        r#"{"address": "203.0.113.1", "inside": "10.0.0.0/33"}"#,
        r#"{"address": "203.0.113.1", "inside": "10.0.0.0/8", "ports": "9-8"}"#,
        r#"{"address": "203.0.113.1", "inside": "10.0.0.0/8", "forward": [{"protocol": "tcp", "port": 80, "to": "9.9.9.9"}]}"#,
        r#"{"address": "203.0.113.1", "inside": "10.0.0.0/8", "forward": [
            {"protocol": "tcp", "port": 80, "to": "10.0.0.2"}, {"protocol": "tcp", "port": 80, "to": "10.0.0.3"}]}"#,
    ] {
        assert!(host.configure(configure, config).is_err(), "{config}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_right_sums_stay_right(
        mut frame in proptest::collection::vec(any::<u8>(), 0..160), at in 0..60_usize, four in any::<bool>(),
    ) {
        let mut host = started(CONFIG);
        host.judge(&frame);
        if four && frame.len() > 34 {
            frame[12..14].copy_from_slice(&[8, 0]);
            frame[14] = 0x45;
            frame[23] = [1, 6, 17, 47][at % 4];
            let addresses = if at % 8 < 4 { [10, 0, 0, 2, 198, 51, 100, 7] } else { [198, 51, 100, 7, 203, 0, 113, 1] };
            frame[26..34].copy_from_slice(&addresses);
        }
        for flags in [0, flags::L3, flags::CSUM_PARTIAL, flags::EGRESS] {
            host.run(&[Input { bytes: frame.clone(), flags, ..Input::default() }]);
        }
    }

    #[test]
    fn every_conversation_comes_back_to_its_host(
        hosts in proptest::collection::vec((2..9_u8, 1..6_u16, any::<bool>()), 1..80)
    ) {
        let mut host = started(CONFIG);
        for (last, port, is_tcp) in hosts {
            let inside = std::format!("10.0.0.{last}");
            let frame = |src, dst, flags| if is_tcp { tcp_frame(src, dst, flags) } else { udp_frame(src, dst) };
            let ((_, outside), _) = ends(&host.judge(&frame((&inside, port), WEB, SYN)));
            let back = host.judge(&frame(WEB, (OUTSIDE, outside), SYN | ACK));
            prop_assert_eq!(ends(&back).1, (inside, port));
        }
    }
}
