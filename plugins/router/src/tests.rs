//! Packets through one router, answers and errors, and next hops that are asked for.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ip, sums_are_right, tcp, udp, icmp};
use vnet_plugin::testing::{Batch, Host, Input};

use super::*;

const CONFIG: &str = r#"{
    "ports": [
        {"addresses": ["10.0.0.1/24", "fd00::1/64"]},
        {"addresses": ["10.0.1.1/24", "fd00:1::1/64"], "mac": "02:00:00:00:00:aa"},
        {"addresses": ["10.0.2.1/24"]}
    ],
    "routes": [
        {"to": "0.0.0.0/0", "via": "10.0.2.9"}, {"to": "10.9.0.0/16", "via": "10.0.1.9"},
        {"to": "10.9.9.0/24", "via": "10.0.2.8"}, {"to": "fd00:9::/32", "via": "fd00:1::9"}
    ]}"#;
const SECOND: u64 = 1_000_000_000;
const P0: MacAddr = MacAddr([2, 0x76, 0x72, 0, 0, 0]);
const P1: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
const P2: MacAddr = MacAddr([2, 0x76, 0x72, 0, 0, 2]);
const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

struct Box(Host);

impl Box {
    fn new() -> Box {
        let mut host = Host::new(router);
        host.configure(configure, CONFIG).expect("accepted");
        Box(host)
    }

    fn at(&mut self, seconds: u64, port: u16, bytes: &[u8]) -> Batch {
        self.0.run(&[Input { bytes: bytes.to_vec(), port, ts_ns: seconds * SECOND, ..Input::default() }])
    }

    /// A neighbour tells the router of itself.
    fn hears(&mut self, seconds: u64, port: u16, ip: &str, mac: MacAddr) -> Batch {
        let ip: IpAddr = ip.parse().expect("an address");
        let mut frame = neighbor::question("10.0.0.254".parse().expect("an address"), mac, Some(ip)).frame().to_vec();
        if ip.is_ipv6() {
            frame = neighbor::question("fd00::fe".parse().expect("an address"), mac, Some(ip)).frame().to_vec();
        }
        self.at(seconds, port, &frame)
    }
}

fn frame(to: MacAddr, packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
    [&to.0[..], &HOST.0, &kind, packet].concat()
}

fn packet(src: &str, dst: &str, ttl: u8) -> Vec<u8> {
    let (from, to): (IpAddr, IpAddr) = (src.parse().expect("an address"), dst.parse().expect("an address"));
    let mut packet = ip(from, to, 17, &udp(from, to, 1000, 33434, b"data"));
    if from.is_ipv4() {
        packet[8] = ttl;
        packet[10..12].fill(0);
        let sum = vnet_plugin::checksum::internet(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[7] = ttl;
    }
    packet
}

fn only(batch: Batch) -> (Verdict, Vec<u8>) {
    assert!(batch.appended.is_empty());
    let out = &batch.frames[0];
    assert!(sums_are_right(&out.bytes), "{:02x?}", out.bytes);
    (out.verdict, out.bytes.clone())
}

#[test]
fn forwards_by_the_longest_prefix_with_one_hop_less() {
    let mut router = Box::new();
    for (port, ip) in [(1, "10.0.1.9"), (2, "10.0.2.8"), (2, "10.0.2.9"), (1, "fd00:1::9"), (0, "10.0.0.7"), (1, "10.0.1.5")] {
        router.hears(1, port, ip, OTHER);
    }
    for (src, dst, out, own) in [
        ("10.0.0.2", "10.9.1.1", Verdict::Redirect(1), P1),
        ("10.0.0.2", "10.9.9.1", Verdict::Redirect(2), P2),
        ("10.0.0.2", "8.8.8.8", Verdict::Redirect(2), P2),
        ("10.0.0.2", "10.0.1.5", Verdict::Redirect(1), P1),
        ("10.0.0.2", "10.0.0.7", Verdict::Tx, P0),
        ("fd00::2", "fd00:9::1", Verdict::Redirect(1), P1),
    ] {
        let sent = frame(P0, &packet(src, dst, 9));
        let (verdict, bytes) = only(router.at(2, 0, &sent));
        assert_eq!((verdict, &bytes[..12]), (out, &[OTHER.0, own.0].concat()[..]), "{dst}");
        assert_eq!(bytes[14..], packet(src, dst, 8));
    }
    assert_eq!(router.0.counters()["forwarded"], 6);
}

#[test]
fn asks_for_the_next_hop_and_sends_what_waited() {
    for (src, dst) in [("10.0.0.2", "10.0.1.5"), ("fd00::2", "fd00:1::5")] {
        let mut router = Box::new();
        let sent = frame(P0, &packet(src, dst, 9));
        let asked = router.at(1, 0, &sent);
        assert_eq!(asked.frames[0].verdict, Verdict::DropFor(NO_NEIGHBOR));
        assert_eq!((asked.appended.len(), asked.appended[0].verdict), (1, Verdict::Redirect(1)));
        let own: IpAddr = if src.contains(':') { "fd00:1::1" } else { "10.0.1.1" }.parse().expect("an address");
        let question = neighbor::question(dst.parse().expect("an address"), P1, Some(own));
        assert_eq!(asked.appended[0].bytes, question.frame());
        assert!(router.at(1, 0, &sent).appended.is_empty(), "once a second");
        // The neighbour's answer, made as a neighbour makes it.
        fn is_there(pkt: &mut Packet) -> Verdict {
            let dst: IpAddr = if pkt.ether_type() == ether_type::ARP { "10.0.1.5" } else { "fd00:1::5" }.parse().expect("an address");
            if neighbor::answer(pkt, dst, OTHER) { Verdict::Tx } else { Verdict::Drop }
        }
        let answer = router.0.judged_by(is_there, question.frame());
        let released = router.at(2, 1, &answer);
        assert_eq!(released.frames[0].verdict, Verdict::DropFor(DONE));
        let out: Vec<_> = released.appended.iter().map(|out| (out.verdict, out.bytes[14..].to_vec())).collect();
        assert_eq!(out, std::vec![(Verdict::Tx, packet(src, dst, 8)); 2], "out by the port the answer came from");
        assert_eq!(released.appended[0].bytes[..12], [OTHER.0, P1.0].concat());
        assert_eq!(only(router.at(3, 0, &sent)).0, Verdict::Redirect(1));
        assert!(router.at(70, 0, &sent).appended.len() == 1, "asked again after a minute, and used on");
        assert_eq!(router.at(70, 0, &sent).frames[0].verdict, Verdict::Redirect(1));
    }
}

trait JudgedBy {
    fn judged_by(&mut self, judge: fn(&mut Packet) -> Verdict, frame: &[u8]) -> Vec<u8>;
}

impl JudgedBy for Host {
    /// Another thread's host: this thread's values stay.
    fn judged_by(&mut self, judge: fn(&mut Packet) -> Verdict, frame: &[u8]) -> Vec<u8> {
        let frame = frame.to_vec();
        std::thread::spawn(move || Host::new(judge).judge(&frame).bytes).join().expect("judged")
    }
}

#[test]
fn tells_the_sender_why_it_does_not_forward() {
    let mut router = Box::new();
    for (src, dst, ttl, port, own, error) in [
        ("10.0.0.2", "8.8.8.8", 1, 0, "10.0.0.1", [11, 0]),
        ("fd00::2", "fd00:9::1", 1, 0, "fd00::1", [3, 0]),
        ("fd00::2", "fd00:8::1", 9, 0, "fd00::1", [1, 0]),
        ("10.0.1.2", "10.0.0.1", 1, 1, "10.0.1.1", [3, 3]),
        ("fd00::2", "fd00:1::1", 9, 0, "fd00::1", [1, 4]),
    ] {
        let sent = packet(src, dst, ttl);
        let (verdict, bytes) = only(router.at(1, port, &frame(if port == 0 { P0 } else { P1 }, &sent)));
        assert_eq!(verdict, Verdict::Tx);
        let flow = Flow::parse(&bytes, vnet_plugin::Layer::L2).expect("IP");
        assert_eq!((flow.src.to_string(), flow.dst.to_string()), (String::from(own), String::from(src)));
        let at = flow.l4_at.expect("ICMP");
        assert_eq!((&bytes[at..at + 2], &bytes[at + 8..]), (&error[..], &sent[..]), "{dst}");
        assert_eq!(bytes[..6], HOST.0);
        // No error about an error.
        let mut again = bytes.clone();
        again[..6].copy_from_slice(&if port == 0 { P0 } else { P1 }.0);
        again[if src.contains(':') { 21 } else { 22 }] = 1;
        assert!(matches!(router.at(1, port, &again).frames[0].verdict, Verdict::DropFor(_)));
    }
    // A neighbour that does not answer is not there.
    let sent = frame(P0, &packet("10.0.0.2", "10.0.1.77", 9));
    for seconds in 10..14 {
        let out = router.at(seconds, 0, &sent);
        assert_eq!((out.frames[0].verdict, out.appended.len()), (Verdict::DropFor(NO_NEIGHBOR), 1));
    }
    let out = router.at(14, 0, &sent);
    assert_eq!((out.frames[0].verdict, &out.frames[0].bytes[34..36]), (Verdict::Tx, &[3, 1][..]));
}

#[test]
fn an_error_about_a_long_packet_is_cut() {
    let mut router = Box::new();
    for (src, dst, len) in [("10.0.0.2", "10.0.1.5", 576), ("fd00::2", "fd00:1::5", 1280)] {
        let (from, to): (IpAddr, IpAddr) = (src.parse().expect("an address"), dst.parse().expect("an address"));
        let mut long = ip(from, to, 6, &tcp(from, to, (1, 2), 16, &[], &[7; 1400]));
        long[if from.is_ipv4() { 8 } else { 7 }] = 1;
        let (verdict, bytes) = only(router.at(1, 0, &frame(P0, &long)));
        assert_eq!((verdict, bytes.len()), (Verdict::Tx, 14 + len));
    }
}

#[test]
fn answers_pings_and_questions_for_its_own_addresses() {
    let mut router = Box::new();
    for (src, dst, protocol, kind, reply) in [("10.0.0.2", "10.0.1.1", 1, 8, 0), ("fd00::2", "fd00::1", 58, 128, 129)] {
        let (from, to): (IpAddr, IpAddr) = (src.parse().expect("an address"), dst.parse().expect("an address"));
        let ping = ip(from, to, protocol, &icmp(from, to, kind, 0, [0, 9, 0, 1], b"data"));
        let (verdict, bytes) = only(router.at(1, 0, &frame(P0, &ping)));
        let flow = Flow::parse(&bytes, vnet_plugin::Layer::L2).expect("IP");
        assert_eq!((verdict, flow.src, flow.dst), (Verdict::Tx, to, from));
        assert_eq!(bytes[flow.l4_at.expect("ICMP")], reply);
    }
    for (port, own, asker, mac) in [(0, "10.0.0.1", "10.0.0.2", P0), (1, "fd00:1::1", "fd00:1::2", P1)] {
        let question = neighbor::question(own.parse().expect("an address"), HOST, asker.parse().ok());
        let (verdict, bytes) = only(router.at(1, port, question.frame()));
        assert_eq!((verdict, &bytes[..12]), (Verdict::Tx, &[HOST.0, mac.0].concat()[..]));
        // Another port's address is not answered for.
        assert_eq!(only(router.at(1, port ^ 1, question.frame())).0, Verdict::DropFor(DONE));
    }
}

#[test]
fn what_is_not_for_a_router_ends_here() {
    let mut router = Box::new();
    for (port, bytes, reason) in [
        (0, frame(P1, &packet("10.0.0.2", "10.0.1.5", 9)), NOT_FOR_ROUTER),
        (0, frame(MacAddr::BROADCAST, &packet("10.0.0.2", "255.255.255.255", 9)), NOT_ROUTED),
        (0, frame(P0, &packet("10.0.0.2", "224.0.0.1", 9)), NOT_ROUTED),
        (0, frame(P0, &packet("fe80::2", "fd00:1::5", 9)), NOT_ROUTED),
        (0, frame(P0, &packet("10.0.0.2", "10.0.1.5", 9)[..12]), MALFORMED),
        (7, frame(P0, &packet("10.0.0.2", "10.0.1.5", 9)), NO_INTERFACE),
        (0, vnet_plugin::testing::frames::tagged(5, &frame(P0, &packet("10.0.0.2", "10.0.1.5", 9))), NOT_ROUTED),
    ] {
        assert_eq!(router.at(1, port, &bytes).frames[0].verdict, Verdict::DropFor(reason));
    }
}

#[test]
fn refuses_a_wrong_configuration() {
    let mut host = Host::new(router);
    for config in [
        "{}",
        r#"{"ports": []}"#,
        r#"{"ports": [{"addresses": ["10.0.0.1/33"]}]}"#,
        r#"{"ports": [{"addresses": ["10.0.0.1/24"]}, {"addresses": ["10.0.0.1/24"]}]}"#,
        r#"{"ports": [{"addresses": ["224.0.0.1/24"]}]}"#,
        r#"{"ports": [{"addresses": ["10.0.0.1/24"], "mac": "ff:ff:ff:ff:ff:ff"}]}"#,
        r#"{"ports": [{"addresses": ["10.0.0.1/24"]}], "routes": [{"to": "10.2.0.0/16", "via": "10.0.1.1"}]}"#,
        r#"{"ports": [{"addresses": ["10.0.0.1/24"]}], "routes": [{"to": "fd00::/16", "via": "10.0.0.2"}]}"#,
    ] {
        assert!(host.configure(configure, config).is_err(), "{config}");
    }
}

const NARROW: &str = r#"{"ports": [
    {"addresses": ["10.0.0.1/24", "fd00::1/64"]}, {"addresses": ["10.0.1.1/24", "fd00:1::1/64"], "mtu": 1400}
]}"#;

fn long(src: &str, dst: &str, payload: usize) -> Vec<u8> {
    let (from, to): (IpAddr, IpAddr) = (src.parse().expect("an address"), dst.parse().expect("an address"));
    let payload: Vec<u8> = (0..payload).map(|n| n as u8).collect();
    ip(from, to, 17, &udp(from, to, 1000, 33434, &payload))
}

fn narrow() -> Box {
    let mut host = Host::new(router);
    host.configure(configure, NARROW).expect("accepted");
    let mut router = Box(host);
    router.hears(1, 1, "10.0.1.5", OTHER);
    router.hears(1, 1, "fd00:1::5", OTHER);
    router
}

#[test]
fn cuts_what_is_longer_than_the_mtu_into_pieces_that_make_the_packet_again() {
    let mut router = narrow();
    let mut packet = long("10.0.0.2", "10.0.1.5", 3000);
    packet[6..8].fill(0);
    packet[10..12].fill(0);
    let sum = vnet_plugin::checksum::internet(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let batch = router.at(1, 0, &frame(P0, &packet));
    assert_eq!(batch.frames[0].verdict, Verdict::Redirect(1));
    let pieces: Vec<&Vec<u8>> = batch.frames.iter().chain(&batch.appended).map(|out| &out.bytes).collect();
    assert_eq!(pieces.len(), 3);
    let mut payload = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= 14 + 1400);
        let ip = Ipv4::new_checked(&piece[14..]).expect("IPv4");
        assert_eq!(vnet_plugin::checksum::internet(&piece[14..34]), 0);
        assert_eq!((ip.fragment_offset(), ip.more_fragments(), ip.ttl()), (payload.len(), number < 2, 63));
        assert_eq!(piece[..6], OTHER.0);
        payload.extend_from_slice(&piece[34..]);
    }
    assert_eq!(payload, packet[20..]);
    assert!(batch.appended.iter().all(|out| out.verdict == Verdict::Redirect(1)));
    // A piece that is cut again stays in its place.
    let mut middle = pieces[1].clone();
    middle[..6].copy_from_slice(&P0.0);
    middle.truncate(14 + 20 + 1376);
    assert_eq!(only(router.at(1, 0, &middle)).0, Verdict::Redirect(1));
}

#[test]
fn says_the_mtu_where_it_may_not_cut() {
    let mut router = narrow();
    let mut four = long("10.0.0.2", "10.0.1.5", 1400);
    four[6..8].copy_from_slice(&[0x40, 0]);
    four[10..12].fill(0);
    let sum = vnet_plugin::checksum::internet(&four[..20]);
    four[10..12].copy_from_slice(&sum.to_be_bytes());
    let (verdict, error) = only(router.at(1, 0, &frame(P0, &four)));
    assert_eq!((verdict, &error[34..36], &error[38..42]), (Verdict::Tx, &[3, 4][..], &[0, 0, 5, 0x78][..]));
    assert_eq!(error[42..62], four[..20]);
    let six = long("fd00::2", "fd00:1::5", 1400);
    let (verdict, error) = only(router.at(1, 0, &frame(P0, &six)));
    assert_eq!((verdict, &error[54..56], &error[58..62]), (Verdict::Tx, &[2, 0][..], &[0, 0, 5, 0x78][..]));
    // Of a super-frame each segment counts.
    let (from, to): (IpAddr, IpAddr) = ("10.0.0.2".parse().expect("one"), "10.0.1.5".parse().expect("one"));
    let mut stream = ip(from, to, 6, &tcp(from, to, (1000, 80), 0x10, &[], &[7; 4000]));
    stream[6] = 0x40;
    for (size, expected) in [(1360, Verdict::Redirect(1)), (1361, Verdict::Tx)] {
        let input = Input { bytes: frame(P0, &stream), gso_size: size, flags: flags::GSO, ts_ns: SECOND, ..Input::default() };
        let out = &router.0.run(&[input]).frames[0];
        assert_eq!(out.verdict, expected);
        if expected == Verdict::Tx {
            assert_eq!((&out.bytes[34..36], out.bytes.len()), (&[3, 4][..], 14 + 28 + 128));
        }
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..160), kind in 0..4_usize, port in 0..4_u16) {
        let mut router = Box::new();
        router.at(1, port, &bytes);
        if bytes.len() > 54 {
            bytes[..6].copy_from_slice(&[P0, P1, P2, MacAddr::BROADCAST][usize::from(port)].0);
            bytes[12..14].copy_from_slice(&[[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0]][kind]);
            bytes[14] = [0x45, 0x60, 0, 0][kind];
        }
        for flags in [0, flags::CSUM_PARTIAL, flags::EGRESS] {
            router.0.run(&[Input { bytes: bytes.clone(), port, flags, ts_ns: 9, ..Input::default() }]);
        }
    }
}
