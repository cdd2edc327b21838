use core::net::{Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, sums_are_right, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input, Output};

use super::*;

const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const RST: u8 = 4;
const VIP_MAC: [u8; 6] = [0x02, 0x76, 0x6e, 0x65, 0x74, 0x02];

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()
}

fn host(config: &str) -> Host {
    let mut host = Host::new(load_balancer);
    host.configure(configure, config).expect("accepted");
    host
}

/// Four servers whose stations are known: 02:00:00:00:00:0b to :0e.
fn four(mode: &str) -> Host {
    let mut host = host(&format!(
        r#"{{"address": "10.0.0.100", "mode": "{mode}", "servers": "10.0.0.11,10.0.0.12,10.0.0.13,10.0.0.14"}}"#
    ));
    for last in 11..15 {
        let (server, other) = (v4(last), v4(250));
        assert_eq!(host.judge(&ethernet(9, last, &ip(server, other, 17, &udp(server, other, 1, 2, b"")))).verdict, Verdict::Pass);
    }
    host
}

fn segment(from: IpAddr, to: IpAddr, ports: (u16, u16), flags: u8) -> Vec<u8> {
    let station = if let IpAddr::V4(from) = from { from.octets()[3] } else { 1 };
    ethernet(9, station, &ip(from, to, 6, &tcp(from, to, ports, flags, &[], b"")))
}

fn destination(frame: &[u8]) -> u8 {
    frame[33]
}

#[test]
fn a_connection_goes_to_one_server_and_its_answers_come_from_the_service() {
    let mut host = four("rewrite");
    let client = v4(1);
    for port in 1000..1100 {
        let out = host.judge(&segment(client, v4(100), (port, 80), SYN));
        assert_eq!(out.verdict, Verdict::Pass);
        assert!(sums_are_right(&out.bytes));
        let last = destination(&out.bytes);
        assert!((11..15).contains(&last) && out.bytes[5] == last, "frame and packet go to the same server");
        let again = host.judge(&segment(client, v4(100), (port, 80), ACK));
        assert_eq!(destination(&again.bytes), last);
        let answer = host.judge(&segment(v4(last), client, (80, port), SYN_ACK));
        assert!(sums_are_right(&answer.bytes));
        assert_eq!(answer.bytes[26..30], [10, 0, 0, 100]);
        // The same server's own connections are none of ours.
        let own = segment(v4(last), client, (8080, port), SYN);
        assert_eq!(host.judge(&own).bytes, own);
    }
    let counters = host.counters();
    assert_eq!((counters["connections"], counters["to_servers"], counters["to_clients"]), (100, 200, 100));
}

#[test]
fn connections_spread_evenly_and_stay_when_a_server_goes() {
    let mut host = four("rewrite");
    let mut places = BTreeMap::new();
    let mut sums: BTreeMap<u8, u32> = BTreeMap::new();
    for port in 2000..6000 {
        let last = destination(&host.judge(&segment(v4(1), v4(100), (port, 80), SYN)).bytes);
        places.insert(port, last);
        *sums.entry(last).or_default() += 1;
    }
    assert!(sums.len() == 4 && sums.values().all(|n| (800..1200).contains(n)), "{sums:?}");
    // Another configuration, the same connections: only those of the missing server move.
    host.configure(configure, r#"{"address": "10.0.0.100", "servers": [
        {"address": "10.0.0.11", "mac": "02:00:00:00:00:0b"}, {"address": "10.0.0.12", "mac": "02:00:00:00:00:0c"},
        {"address": "10.0.0.14", "mac": "02:00:00:00:00:0e"}]}"#).expect("accepted");
    for (port, last) in places {
        let now = destination(&host.judge(&segment(v4(1), v4(100), (port, 80), ACK)).bytes);
        assert!(now == last || last == 13, "{port}: {last} to {now}");
        assert_ne!(now, 13);
    }
}

#[test]
fn direct_mode_changes_the_station_alone() {
    let mut host = four("direct");
    let frame = segment(v4(1), v4(100), (1000, 80), SYN);
    let out = host.judge(&frame);
    assert_eq!((out.verdict, &out.bytes[6..]), (Verdict::Pass, &frame[6..]));
    assert!((11..15).contains(&out.bytes[5]));
    let answer = segment(v4(100), v4(1), (80, 1000), SYN_ACK);
    assert_eq!(host.judge(&answer).bytes, answer);
}

#[test]
fn ports_are_rewritten_both_ways_in_both_families() {
    for (address, server, client) in [(v4(100), v4(11), v4(1)), (v6(100), v6(11), v6(1))] {
        let config = format!(
            r#"{{"address": "{address}", "port": 80, "servers": [{{"address": "{server}", "port": 8080, "mac": "02:00:00:00:00:0b"}}]}}"#
        );
        let mut host = host(&config);
        for (protocol, there, back) in [
            (6, tcp(client, address, (1000, 80), SYN, &[], b""), tcp(server, client, (8080, 1000), SYN_ACK, &[], b"")),
            (17, udp(client, address, 1000, 80, b"abc"), udp(server, client, 8080, 1000, b"abc")),
        ] {
            let out = host.judge(&tagged(7, &ethernet(9, 1, &ip(client, address, protocol, &there))));
            let expected = match protocol {
                6 => tcp(client, server, (1000, 8080), SYN, &[], b""),
                _ => udp(client, server, 1000, 8080, b"abc"),
            };
            assert_eq!(out.bytes, tagged(7, &ethernet(11, 1, &ip(client, server, protocol, &expected))));
            let out = host.judge(&ethernet(1, 11, &ip(server, client, protocol, &back)));
            let expected = match protocol {
                6 => tcp(address, client, (80, 1000), SYN_ACK, &[], b""),
                _ => udp(address, client, 80, 1000, b"abc"),
            };
            assert_eq!(out.bytes, ethernet(1, 11, &ip(address, client, protocol, &expected)));
        }
        let other = ethernet(9, 1, &ip(client, address, 6, &tcp(client, address, (1000, 81), SYN, &[], b"")));
        assert_eq!(host.judge(&other).verdict, Verdict::DropFor(NO_SERVICE));
    }
}

#[test]
fn pings_of_the_service_reach_a_server_and_come_back() {
    for (address, server, client, request, reply, protocol) in
        [(v4(100), v4(11), v4(1), 8, 0, 1), (v6(100), v6(11), v6(1), 128, 129, 58)]
    {
        let config = format!(r#"{{"address": "{address}", "servers": [{{"address": "{server}", "mac": "02:00:00:00:00:0b"}}]}}"#);
        let mut host = host(&config);
        let rest = [0x12, 0x34, 0, 1];
        let ping = ethernet(9, 1, &ip(client, address, protocol, &icmp(client, address, request, 0, rest, b"x")));
        let out = host.judge(&ping);
        assert_eq!(out.bytes, ethernet(11, 1, &ip(client, server, protocol, &icmp(client, server, request, 0, rest, b"x"))));
        let pong = ethernet(1, 11, &ip(server, client, protocol, &icmp(server, client, reply, 0, rest, b"x")));
        let out = host.judge(&pong);
        assert_eq!(out.bytes, ethernet(1, 11, &ip(address, client, protocol, &icmp(address, client, reply, 0, rest, b"x"))));
    }
}

#[test]
fn errors_about_a_connection_follow_it() {
    let mut host = four("rewrite");
    let (client, address, router) = (v4(1), v4(100), v4(254));
    let out = host.judge(&segment(client, address, (1000, 80), SYN));
    let server = v4(destination(&out.bytes));
    // A router on the way to the client: the segment is too big.
    let sent = ip(address, client, 6, &tcp(address, client, (80, 1000), ACK, &[], b""));
    let out = host.judge(&ethernet(9, 4, &ip(router, address, 1, &icmp(router, address, 3, 4, [0, 0, 5, 0], &sent))));
    let told = ip(server, client, 6, &tcp(server, client, (80, 1000), ACK, &[], b""));
    assert_eq!((out.verdict, out.csum_dirty), (Verdict::Pass, true));
    assert_eq!(out.bytes[30..34], out.bytes[54..58], "the packet and what it quotes name the server");
    assert_eq!(out.bytes[42..58], told[..16]);
    // The server itself: nobody listens there.
    let got = ip(client, server, 6, &tcp(client, server, (1000, 80), ACK, &[], b""));
    let out = host.judge(&ethernet(1, 11, &ip(server, client, 1, &icmp(server, client, 3, 3, [0; 4], &got))));
    assert_eq!(out.bytes[26..30], [10, 0, 0, 100]);
    assert_eq!(out.bytes[58..62], [10, 0, 0, 100]);
    // About somebody else's.
    let other = ip(address, client, 6, &tcp(address, client, (80, 1001), ACK, &[], b""));
    let out = host.judge(&ethernet(9, 4, &ip(router, address, 1, &icmp(router, address, 3, 4, [0; 4], &other))));
    assert_eq!(out.verdict, Verdict::DropFor(NO_SERVICE));
}

fn run(host: &mut Host, bytes: &[u8], ts_ns: u64, flags: u16) -> (Output, Vec<Output>) {
    let input = Input {
        bytes: bytes.to_vec(),
        ts_ns,
        flags,
        ..Input::default()
    };
    let mut batch = host.run(&[input]);
    (batch.frames.remove(0), batch.appended)
}

#[test]
fn it_answers_for_the_service_and_asks_for_servers_it_does_not_know() {
    for (address, server, client) in [(v4(100), v4(11), v4(1)), (v6(100), v6(11), v6(1))] {
        let mut host = host(&format!(r#"{{"address": "{address}", "servers": "{server}"}}"#));
        let station = MacAddr([2, 0, 0, 0, 0, 1]);
        let (out, asked) = run(&mut host, neighbor::question(address, station, Some(client)).frame(), 1, 0);
        assert_eq!((out.verdict, &out.bytes[6..12]), (Verdict::Tx, &VIP_MAC[..]));
        assert_eq!(asked.iter().map(|frame| frame.verdict).collect::<Vec<_>>(), [Verdict::Pass, Verdict::Tx]);
        let syn = ethernet(9, 1, &ip(client, address, 6, &tcp(client, address, (1, 80), SYN, &[], b"")));
        let (out, asked_again) = run(&mut host, &syn, 2, 0);
        assert_eq!((out.verdict, asked_again.len()), (Verdict::DropFor(NO_NEIGHBOR), 0));
        let (_, asked_later) = run(&mut host, &syn, 2 + ASK_NS, 0);
        assert_eq!(asked_later.len(), 2);
        // The server hears the question, and its answer tells where it is.
        let mut server_host = Host::new(answers_for_11);
        let answer = server_host.judge(&asked[0].bytes);
        assert_eq!(answer.verdict, Verdict::Tx);
        // What Host::new above reset is configured again.
        host = super::tests::host(&format!(r#"{{"address": "{address}", "servers": "{server}"}}"#));
        assert_eq!(run(&mut host, &answer.bytes, 3, 0).0.verdict, Verdict::Pass);
        let (out, _) = run(&mut host, &syn, 4, 0);
        assert_eq!((out.verdict, &out.bytes[..6]), (Verdict::Pass, &[2, 0, 0, 0, 0, 11][..]));
    }
}

fn answers_for_11(pkt: &mut Packet) -> Verdict {
    let mac = MacAddr([2, 0, 0, 0, 0, 11]);
    if neighbor::answer(pkt, v4(11), mac) || neighbor::answer(pkt, v6(11), mac) {
        Verdict::Tx
    } else {
        Verdict::Pass
    }
}

#[test]
fn a_reset_ends_a_connection_and_silence_forgets_it() {
    const SECOND: u64 = 1_000_000_000;
    let mut host = four("rewrite");
    let client = v4(1);
    let last = destination(&run(&mut host, &segment(client, v4(100), (1000, 80), SYN), SECOND, 0).0.bytes);
    let answer = segment(v4(last), client, (80, 1000), SYN_ACK);
    assert_ne!(run(&mut host, &answer, 2 * SECOND, 0).0.bytes, answer);
    run(&mut host, &segment(client, v4(100), (1000, 80), RST), 3 * SECOND, 0);
    assert_ne!(run(&mut host, &answer, 4 * SECOND, 0).0.bytes, answer, "a late segment is still translated");
    assert_eq!(run(&mut host, &answer, 40 * SECOND, 0).0.bytes, answer);
    // A reset of what is not known is passed on and not remembered.
    let before = CONNECTIONS.len();
    assert_eq!(run(&mut host, &segment(client, v4(100), (1001, 80), RST), 41 * SECOND, 0).0.verdict, Verdict::Pass);
    assert_eq!(CONNECTIONS.len(), before);
}

#[test]
fn fragments_and_packets_of_tun_devices() {
    let mut host = four("rewrite");
    let mut piece = segment(v4(1), v4(100), (1000, 80), ACK);
    piece[20] = 0x20;
    assert_eq!(host.judge(&piece).verdict, Verdict::DropFor(FRAGMENT));
    let packet = &segment(v4(1), v4(100), (1000, 80), SYN)[14..];
    let (out, _) = run(&mut host, packet, 1, flags::L3);
    assert_eq!(out.verdict, Verdict::Pass);
    assert!((11..15).contains(&out.bytes[19]));
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (config, word) in [
        (r#"{"servers": "10.0.0.1"}"#, "address must"),
        (r#"{"address": "10.0.0.9"}"#, "at least one server"),
        (r#"{"address": "10.0.0.9", "servers": []}"#, "at least one server"),
        (r#"{"address": "10.0.0.9", "servers": "10.0.0.9"}"#, "as its own"),
        (r#"{"address": "10.0.0.9", "servers": "fd00::1"}"#, "same family"),
        (r#"{"address": "10.0.0.9", "servers": "10.0.0.1,10.0.0.1"}"#, "twice"),
        (r#"{"address": "10.0.0.9", "servers": "10.0.0.1:80"}"#, "need the port"),
        (r#"{"address": "10.0.0.9", "servers": "x"}"#, "a server is"),
        (r#"{"address": "10.0.0.9", "servers": [{"address": "10.0.0.1", "weight": 0}]}"#, "weight"),
        (r#"{"address": "10.0.0.9", "servers": [{"address": "10.0.0.1", "mac": "01:00:00:00:00:00"}]}"#, "mac"),
        (r#"{"address": "10.0.0.9", "servers": "10.0.0.1:80", "port": 80, "mode": "direct"}"#, "direct mode"),
        (r#"{"address": "10.0.0.9", "servers": "10.0.0.1", "mode": "x"}"#, "mode is"),
        (r#"{"address": "10.0.0.9", "servers": "10.0.0.1", "protocol": "sctp"}"#, "protocol is"),
    ] {
        let refused = Host::new(load_balancer).configure(configure, config).expect_err(config);
        assert!(refused.contains(word), "{config}: {refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn never_panics_whatever_comes(
        frames in vec((0..6_usize, vec((0..120_usize, any::<u8>()), 0..5), 0..160_usize, 0..3_u16), 1..40),
    ) {
        let mut host = four("rewrite");
        let (client, address, server) = (v4(1), v4(100), v4(11));
        let quoted = ip(address, client, 6, &tcp(address, client, (80, 1000), ACK, &[], b""));
        let bases = [
            segment(client, address, (1000, 80), SYN),
            segment(server, client, (80, 1000), SYN_ACK),
            ethernet(9, 1, &ip(client, address, 17, &udp(client, address, 5, 6, b"abc"))),
            ethernet(9, 4, &ip(server, address, 1, &icmp(server, address, 3, 4, [0; 4], &quoted))),
            neighbor::question(address, MacAddr([2, 0, 0, 0, 0, 1]), Some(client)).frame().to_vec(),
            ethernet(9, 1, &ip(client, address, 1, &icmp(client, address, 8, 0, [0; 4], b""))),
        ];
        for (base, changes, keep, flag) in frames {
            let mut bytes = bases[base].clone();
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(keep);
            let (out, _) = run(&mut host, &bytes, 1, [0, flags::CSUM_PARTIAL, flags::EGRESS][usize::from(flag)]);
            prop_assert_eq!(out.bytes.len(), bytes.len());
        }
    }
}
