//! Expressions on packets, and what is said of wrong ones.

use std::net::IpAddr;
use std::vec::Vec;

use proptest::prelude::*;
use vnet_packet::filter::{Filter, NoNames};
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const DROPPED: Verdict = Verdict::DropFor(NO_MATCH);

fn started(config: &str) -> Host {
    let mut host = Host::new(filter);
    host.configure(configure, config).expect("accepted");
    host
}

fn addresses(six: bool) -> (IpAddr, IpAddr) {
    let (from, to) = if six { ("fd00::1", "fd00::2") } else { ("10.0.0.1", "10.0.0.2") };
    (from.parse().expect("an address"), to.parse().expect("an address"))
}

fn web(six: bool) -> Vec<u8> {
    let (from, to) = addresses(six);
    ethernet(2, 1, &ip(from, to, 6, &tcp(from, to, (5000, 80), 2, &[], b"")))
}

fn dns(six: bool) -> Vec<u8> {
    let (from, to) = addresses(six);
    ethernet(2, 1, &ip(from, to, 17, &udp(from, to, 5000, 53, b"")))
}

fn ping() -> Vec<u8> {
    let (from, to) = addresses(false);
    ethernet(2, 1, &ip(from, to, 1, &icmp(from, to, 8, 0, [0; 4], b"")))
}

fn arp() -> Vec<u8> {
    let mut frame = std::vec![0xff; 60];
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame
}

#[test]
fn what_matches_passes_and_the_rest_is_dropped() {
    let mut host = started(r#"{"expression": "tcp port 80 or udp port 53"}"#);
    for (frame, verdict) in [
        (web(false), Verdict::Pass),
        (web(true), Verdict::Pass),
        (dns(false), Verdict::Pass),
        (tagged(7, &dns(true)), Verdict::Pass),
        (ping(), DROPPED),
        (arp(), DROPPED),
        (Vec::new(), DROPPED),
    ] {
        assert_eq!(host.judge(&frame).verdict, verdict, "{frame:02x?}");
        assert_eq!(host.judge(&frame).bytes, frame, "unchanged");
    }
}

#[test]
fn or_it_is_dropped_and_the_rest_passes() {
    let mut host = started(r#"{"expression": "icmp or arp", "action": "drop"}"#);
    for (frame, verdict) in [(ping(), Verdict::DropFor(MATCH)), (arp(), Verdict::DropFor(MATCH)), (web(true), Verdict::Pass)] {
        assert_eq!(host.judge(&frame).verdict, verdict);
    }
}

#[test]
fn without_an_ethernet_header_it_judges_ip() {
    let mut host = started(r#"{"expression": "tcp dst port 80 and dst host 10.0.0.2"}"#);
    let of = |frame: &[u8], flags| Input {
        bytes: frame.to_vec(),
        flags,
        ..Input::default()
    };
    let inputs = [
        of(&web(false)[14..], flags::L3),
        of(&web(false), 0),
        of(&web(true)[14..], flags::L3),
        of(&web(false)[14..], 0),
    ];
    let verdicts: Vec<_> = host.run(&inputs).frames.iter().map(|frame| frame.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, DROPPED, DROPPED]);
}

#[test]
fn another_configuration_takes_the_place_of_the_first() {
    let mut host = started(r#"{"expression": "icmp", "action": "drop"}"#);
    host.configure(configure, r#"{"expression": "tcp"}"#).expect("accepted");
    assert_eq!(host.judge(&web(false)).verdict, Verdict::Pass);
    assert_eq!(host.judge(&ping()).verdict, DROPPED);
    // One that is refused leaves it.
    assert!(host.configure(configure, r#"{"expression": "tcp prot 80"}"#).is_err());
    assert_eq!(host.judge(&web(false)).verdict, Verdict::Pass);
}

#[test]
fn a_wrong_expression_is_shown_where_it_is_wrong() {
    let mut host = Host::new(filter);
    let mut refused = |config: &str| host.configure(configure, config).expect_err("refused");
    assert_eq!(
        refused(r#"{"expression": "tcp prot 80"}"#),
        "expression: no filter: `tcp prot 80`: at character 5: `prot` is no word of the filter language; \
         did you mean `proto` or `port`?"
    );
    let said = refused(r#"{"expression": "tcp\n  and host h1"}"#);
    assert!(said.starts_with("expression: no filter: at line 2, character 12: `h1` is no address\n"), "{said}");
    assert!(said.contains("\n  and host h1\n           ^^\nwrite an address"), "{said}");
    for (config, said) in [
        (r#"{"expression": ""}"#, "is empty"),
        (r#"{"expression": " \n\t "}"#, "is empty"),
        ("{}", "must be a filter"),
        (r#"{"expression": "tcp", "action": "deny"}"#, "pass or drop"),
        (r#"{"expression": "ip[8] < 5"}"#, "arithmetic"),
    ] {
        assert!(refused(config).contains(said), "{config}");
    }
}

#[test]
fn takes_as_long_an_expression_as_it_says() {
    let ports: Vec<_> = (0..1_300).map(|port| std::format!("port {port}")).collect();
    let expression = ports.join(" or ");
    assert!((15_000..16_384).contains(&expression.len()));
    let mut host = started(&std::format!(r#"{{"expression": "{expression}"}}"#));
    assert_eq!(host.judge(&dns(false)).verdict, Verdict::Pass);
    assert_eq!(host.judge(&ping()).verdict, DROPPED);
    let spaces = " ".repeat(EXPRESSION_MAX_TESTED);
    assert!(host.configure(configure, &std::format!(r#"{{"expression": "tcp{spaces}"}}"#)).is_err());
}

/// Above what `configure` reads.
const EXPRESSION_MAX_TESTED: usize = 65_536;

const WORDS: &[&str] = &[
    "tcp", "udp", "icmp", "ip", "ip6", "arp", "and", "or", "not", "(", ")", "port", "80", "53", "host", "10.0.0.1", "net", "10",
    "src", "dst", "vlan", "7", "less", "60", "broadcast", "ether", "proto", "fd00::1", "é", "\\",
];

proptest! {
    #[test]
    fn agrees_with_the_filters_of_captures_and_nothing_makes_it_panic(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..10),
        noise in proptest::collection::vec(any::<u8>(), 0..90),
    ) {
        let expression = words.join(" ");
        let config = std::format!(r#"{{"expression": "{}"}}"#, expression.replace('\\', "\\\\"));
        let mut host = Host::new(filter);
        let accepted = host.configure(configure, &config).is_ok();
        let plain = Filter::parse(&expression, &NoNames);
        prop_assert_eq!(accepted, plain.as_ref().is_ok_and(|plain| !plain.is_everything()));
        for frame in [web(false), web(true), dns(false), tagged(7, &dns(true)), ping(), arp(), noise] {
            for (layer, flags) in [(Layer::L2, 0), (Layer::L3, flags::L3)] {
                let input = Input { bytes: frame.clone(), flags, ..Input::default() };
                let verdict = host.run(&[input]).frames[0].verdict;
                let matches = accepted && plain.as_ref().is_ok_and(|plain| plain.matches(layer, &frame));
                prop_assert_eq!(verdict == Verdict::Pass, matches);
            }
        }
    }
}
