//! Conversations between zones, packet by packet.

use std::net::IpAddr;
use std::vec::Vec;

use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const SECOND: u64 = 1_000_000_000;
const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;
const FIN: u8 = tcp_flags::FIN;
const RST: u8 = tcp_flags::RST;
const LINK: &str = r#"{"zones": {"inside": [0], "outside": [1]}, "allow": [{"from": "inside", "to": "outside"}]}"#;
const SWITCH: &str = r#"{"zones": {"inside": [0, 3], "dmz": [1], "outside": [2]}, "allow": [
    {"from": "inside"},
    {"to": "dmz", "protocol": "tcp", "dport": 80},
    {"from": "dmz", "to": "outside", "protocol": "udp", "dport": "50-60", "src": "10.0.0.0/24"}
]}"#;
const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";

struct Wall(Host);

impl Wall {
    fn new(config: &str) -> Wall {
        let mut host = Host::new(stateful_firewall);
        host.configure(configure, config).expect("accepted");
        Wall(host)
    }

    fn at(&mut self, seconds: u64, port: u16, frame: &[u8]) -> Verdict {
        let out = self.0.judge_at(frame, port, seconds * SECOND);
        assert_eq!(out.bytes, frame, "unchanged");
        out.verdict
    }

    fn on(&mut self, port: u16, frame: &[u8]) -> Verdict {
        self.at(1, port, frame)
    }
}

fn pair(src: &str, dst: &str) -> (IpAddr, IpAddr) {
    (src.parse().expect("an address"), dst.parse().expect("an address"))
}

fn tcp_frame(src: (&str, u16), dst: (&str, u16), flags: u8) -> Vec<u8> {
    let (from, to) = pair(src.0, dst.0);
    ethernet(2, 1, &ip(from, to, 6, &tcp(from, to, (src.1, dst.1), flags, &[], b"")))
}

fn udp_frame(src: (&str, u16), dst: (&str, u16)) -> Vec<u8> {
    let (from, to) = pair(src.0, dst.0);
    ethernet(2, 1, &ip(from, to, 17, &udp(from, to, src.1, dst.1, b"1234567890123456")))
}

fn icmp_frame(src: &str, dst: &str, kind: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let (from, to) = pair(src, dst);
    let protocol = if from.is_ipv4() { 1 } else { 58 };
    ethernet(2, 1, &ip(from, to, protocol, &icmp(from, to, kind, 0, rest, data)))
}

const DENY: Verdict = Verdict::DropFor(DENIED);
const WRONG: Verdict = Verdict::DropFor(INVALID);
const PASS: Verdict = Verdict::Pass;

#[test]
fn answers_come_in_and_nothing_else() {
    for (a, b) in [(A, B), ("fd00::1", "fd00::2")] {
        let mut wall = Wall::new(LINK);
        let (one, two) = ((a, 5000), (b, 80));
        for (port, frame, verdict) in [
            (1, tcp_frame(two, one, SYN), DENY),
            (1, tcp_frame(two, one, SYN | ACK), WRONG),
            (0, tcp_frame(one, two, ACK), WRONG),
            (0, tcp_frame(one, two, SYN), PASS),
            (1, tcp_frame((b, 81), one, SYN | ACK), WRONG),
            (0, tcp_frame(one, two, ACK), WRONG),
            (1, tcp_frame(two, one, ACK), WRONG),
            (1, tcp_frame(two, one, SYN | ACK), PASS),
            (0, tcp_frame(one, two, ACK), PASS),
            (1, tcp_frame(two, one, ACK), PASS),
            (1, udp_frame(two, one), DENY),
            (0, udp_frame(one, two), PASS),
            (1, udp_frame(two, one), PASS),
            (1, udp_frame((b, 81), one), DENY),
        ] {
            assert_eq!(wall.on(port, &frame), verdict, "{frame:02x?}");
            assert_eq!(wall.on(port, &tagged(9, &frame)), verdict, "tagged");
        }
    }
}

#[test]
fn pings_are_conversations_and_errors_belong_to_them() {
    for (a, b, request, reply, error) in [(A, B, 8, 0, 11), ("fd00::1", "fd00::2", 128, 129, 3)] {
        let mut wall = Wall::new(LINK);
        let ping = |src, dst, kind, id: u8| icmp_frame(src, dst, kind, [0, id, 0, 1], b"data");
        assert_eq!(wall.on(1, &ping(b, a, reply, 7)), WRONG);
        assert_eq!(wall.on(1, &ping(b, a, request, 7)), DENY);
        assert_eq!(wall.on(0, &ping(a, b, request, 7)), PASS);
        assert_eq!(wall.on(1, &ping(b, a, reply, 7)), PASS);
        assert_eq!(wall.on(1, &ping(b, a, reply, 8)), WRONG);
        let sent = udp_frame((a, 1000), (b, 33434));
        let about = |port: u16| {
            let quoted = udp_frame((a, port), (b, 33434));
            icmp_frame(b, a, error, [0; 4], &quoted[14..])
        };
        assert_eq!(wall.on(1, &about(1000)), WRONG);
        assert_eq!(wall.on(0, &sent), PASS);
        assert_eq!(wall.on(1, &about(1000)), PASS);
        assert_eq!(wall.on(1, &about(1001)), WRONG);
        assert_eq!(wall.0.counters()["related"], 1);
    }
}

#[test]
fn the_zone_of_destination_is_where_the_receiver_was_heard() {
    let mut wall = Wall::new(SWITCH);
    let frame = |to: u8, from: u8, dport: u16| {
        let (a, b) = pair(&std::format!("10.0.0.{from}"), &std::format!("10.0.0.{to}"));
        ethernet(to, from, &ip(a, b, 6, &tcp(a, b, (4000, dport), SYN, &[], b"")))
    };
    // Nobody was heard: a rule that names no zone of destination allows it.
    assert_eq!(wall.on(0, &frame(2, 1, 1)), PASS);
    assert_eq!(wall.on(2, &frame(2, 3, 80)), DENY);
    for (port, station) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        let mut arp = std::vec![0xff; 60];
        arp[6..14].copy_from_slice(&[2, 0, 0, 0, 0, station, 8, 6]);
        assert_eq!(wall.on(port, &arp), PASS);
    }
    for (port, to, from, dport, verdict) in [
        (2, 2, 3, 80, PASS),
        (2, 2, 3, 81, DENY),
        (2, 1, 3, 80, DENY),
        (1, 1, 2, 80, DENY),
        (1, 3, 2, 80, DENY),
        (0, 3, 1, 22, PASS),
        (0, 4, 1, 22, PASS),
        (3, 2, 4, 22, PASS),
        (4, 2, 5, 80, Verdict::DropFor(NO_ZONE)),
    ] {
        assert_eq!(wall.on(port, &frame(to, from, dport)), verdict, "{from} to {to}:{dport}");
    }
    assert_eq!(wall.0.counters()["within_a_zone"], 1);
}

#[test]
fn a_device_has_its_other_side_as_port_one() {
    let mut wall = Wall::new(LINK);
    let mut run = |frame: &[u8], flags: u16| {
        let input = Input { bytes: frame.to_vec(), flags, ..Input::default() };
        wall.0.run(&[input]).frames[0].verdict
    };
    let (out, back) = (udp_frame((A, 1), (B, 2)), udp_frame((B, 2), (A, 1)));
    assert_eq!(run(&back, flags::EGRESS), DENY);
    assert_eq!(run(&out, 0), PASS);
    assert_eq!(run(&back, flags::EGRESS), PASS);
    assert_eq!(run(&out[14..], flags::L3), PASS);
}

#[test]
fn silent_conversations_end_and_finished_ones_begin_anew() {
    let mut wall = Wall::new(LINK);
    let (one, two) = ((A, 5000), (B, 80));
    assert_eq!(wall.at(0, 0, &udp_frame(one, two)), PASS);
    assert_eq!(wall.at(120, 1, &udp_frame(two, one)), PASS);
    assert_eq!(wall.at(420, 1, &udp_frame(two, one)), PASS);
    assert_eq!(wall.at(721, 1, &udp_frame(two, one)), DENY);
    for (at, port, flags, verdict) in [
        (0, 0, SYN, PASS),
        (1, 1, SYN | ACK, PASS),
        (2, 0, ACK, PASS),
        (7_000, 1, ACK, PASS),
        (7_001, 1, FIN | ACK, PASS),
        (7_002, 0, FIN | ACK, PASS),
        (7_003, 1, ACK, PASS),
        (7_004, 1, SYN, DENY),
        (7_005, 0, SYN, PASS),
        (7_006, 1, RST | ACK, PASS),
        (7_020, 1, ACK, WRONG),
    ] {
        let frame = if port == 0 { tcp_frame(one, two, flags) } else { tcp_frame(two, one, flags) };
        assert_eq!(wall.at(1_000 + at, port, &frame), verdict, "at {at} s");
    }
}

#[test]
fn pieces_follow_their_first() {
    let mut wall = Wall::new(LINK);
    let mut first = udp_frame((A, 1), (B, 2));
    first[20..22].copy_from_slice(&[0x20, 0]);
    let mut later = first.clone();
    later[20..22].copy_from_slice(&[0, 3]);
    assert_eq!(wall.on(0, &later), WRONG);
    assert_eq!(wall.on(0, &first), PASS);
    assert_eq!(wall.on(0, &later), PASS);
    later[18] ^= 1;
    assert_eq!(wall.on(0, &later), WRONG, "of another packet");
    assert_eq!(wall.on(0, &udp_frame((A, 1), (B, 2))[..36]), Verdict::DropFor(MALFORMED));
    assert_eq!(wall.on(0, &udp_frame((A, 1), (B, 2))[..30]), Verdict::DropFor(MALFORMED));
}

#[test]
fn a_full_table_keeps_what_was_answered_and_gives_up_the_rest() {
    let mut wall = Wall::new(LINK);
    for port in 0..8_192 {
        assert_eq!(wall.on(0, &udp_frame((A, port), (B, 53))), PASS);
        if port % 2 == 0 {
            assert_eq!(wall.on(1, &udp_frame((B, 53), (A, port))), PASS);
        }
    }
    // A flood puts out those that nobody answered, its own among them, and never one that was.
    for port in 8_192..40_000 {
        let verdict = wall.on(0, &udp_frame((A, port), (B, 53)));
        assert!(verdict == PASS || verdict == Verdict::DropFor(TABLE_FULL));
    }
    assert!(conversations::CONVERSATIONS.len() <= 8_192);
    for port in (0..8_192).step_by(2) {
        assert_eq!(wall.on(1, &udp_frame((B, 53), (A, port))), PASS, "{port}");
    }
}

#[test]
fn a_table_full_of_answered_conversations_begins_nothing_until_they_are_old() {
    let mut wall = Wall::new(LINK);
    for port in 0..8_192 {
        assert_eq!(wall.on(0, &udp_frame((A, port), (B, 53))), PASS);
        assert_eq!(wall.on(1, &udp_frame((B, 53), (A, port))), PASS);
    }
    assert_eq!(wall.on(0, &udp_frame((A, 9_000), (B, 53))), Verdict::DropFor(TABLE_FULL));
    assert_eq!(wall.on(1, &udp_frame((B, 53), (A, 8_191))), PASS);
    let late = (0..600).filter(|again| wall.at(310, 0, &udp_frame((A, 10_000 + again), (B, 53))) != PASS).count();
    assert!(late < 10, "slots of the forgotten are found: {late}");
}

#[test]
fn refuses_a_wrong_configuration() {
    let mut host = Host::new(stateful_firewall);
    for config in [
        r#"{"zones": {"a": [0]}}"#,
        r#"{"zones": {"a": [0], "b": []}}"#,
        r#"{"zones": {"a": [0], "b": [0]}}"#,
        r#"{"zones": {"a": [0], "b": [5000]}}"#,
        r#"{"zones": {"a": [0], "b": [1]}, "allow": [{"from": "c"}]}"#,
        r#"{"zones": {"a": [0], "b": [1]}, "allow": [{"src": "x"}]}"#,
        r#"{"zones": {"a": [0], "b": [1]}, "allow": [{"dport": 80}]}"#,
        r#"{"zones": {"a": [0], "b": [1]}, "allow": [{"protocol": "sctp"}]}"#,
        r#"{"zones": {"a": [0], "b": [1]}, "other": "maybe"}"#,
    ] {
        assert!(host.configure(configure, config).is_err(), "{config}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..160), six in any::<bool>(), port in 0..4_u16) {
        for config in [LINK, SWITCH] {
            let mut wall = Wall::new(config);
            wall.on(port, &frame);
            if frame.len() > 30 {
                frame[12..14].copy_from_slice(if six { &[0x86, 0xdd] } else { &[8, 0] });
                frame[14] = if six { 0x60 } else { 0x45 };
                let protocol = [1, 6, 17, 58][usize::from(frame[0] & 3)];
                frame[if six { 20 } else { 23 }] = protocol;
            }
            for flags in [0, flags::L3, flags::EGRESS] {
                wall.0.run(&[Input { bytes: frame.clone(), port, flags, ..Input::default() }]);
            }
        }
    }

    /// Whatever the outside sends, the first packet of every conversation came from inside.
    #[test]
    fn nothing_begins_from_outside(
        packets in proptest::collection::vec((any::<bool>(), 0..3_u16, any::<bool>(), 0..32_u8), 1..60)
    ) {
        let mut wall = Wall::new(LINK);
        let mut begun = std::collections::BTreeSet::new();
        for (inward, port, is_tcp, flags) in packets {
            let (src, dst) = if inward { ((B, 80), (A, port)) } else { ((A, port), (B, 80)) };
            let frame = if is_tcp { tcp_frame(src, dst, flags) } else { udp_frame(src, dst) };
            let passed = wall.on(inward.into(), &frame) == PASS;
            if passed && inward {
                prop_assert!(begun.contains(&(is_tcp, port)));
            } else if passed {
                begun.insert((is_tcp, port));
            }
        }
    }
}
