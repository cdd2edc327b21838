//! Rules against packets, and against a plain model of them.

use std::net::IpAddr;
use std::vec::Vec;

use proptest::prelude::*;
use vnet_plugin::Prefix;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

fn started(config: &str) -> Host {
    let mut host = Host::new(acl);
    host.configure(configure, config).expect("accepted");
    host
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn tcp_frame(src: &str, dst: &str, sport: u16, dport: u16) -> Vec<u8> {
    let (from, to) = (address(src), address(dst));
    ethernet(2, 1, &ip(from, to, 6, &tcp(from, to, (sport, dport), 2, &[], b"")))
}

fn udp_frame(src: &str, dst: &str, sport: u16, dport: u16) -> Vec<u8> {
    let (from, to) = (address(src), address(dst));
    ethernet(2, 1, &ip(from, to, 17, &udp(from, to, sport, dport, b"")))
}

fn icmp_frame(src: &str, dst: &str, kind: u8) -> Vec<u8> {
    let (from, to) = (address(src), address(dst));
    let protocol = if from.is_ipv4() { 1 } else { 58 };
    ethernet(2, 1, &ip(from, to, protocol, &icmp(from, to, kind, 0, [0; 4], b"12345678901234567890")))
}

const CONFIG: &str = r#"{"rules": [
    {"action": "deny", "protocol": "tcp", "dst": "10.0.0.0/24", "dport": 22},
    {"action": "permit", "protocol": "tcp", "dst": "10.0.0.0/24", "dport": "1-1023"},
    {"action": "permit", "src": "fd00::/64", "dst": "fd00:1::1"},
    {"action": "permit", "protocol": "icmp", "type": 8},
    {"action": "permit", "protocol": "udp", "sport": "1000-2000"},
    {"action": "deny", "src": "192.168.0.0/16"},
    {"action": "permit", "protocol": 47}
]}"#;

#[test]
fn the_first_rule_that_matches_decides_and_counts() {
    let mut host = started(CONFIG);
    let deny = |rule: u16| Verdict::DropFor(BY_RULE + rule);
    let default = Verdict::DropFor(BY_DEFAULT);
    for (frame, verdict) in [
        (tcp_frame("1.1.1.1", "10.0.0.9", 5000, 22), deny(0)),
        (tcp_frame("1.1.1.1", "10.0.0.9", 5000, 23), Verdict::Pass),
        (tcp_frame("1.1.1.1", "10.0.0.9", 22, 1024), default),
        (tcp_frame("1.1.1.1", "10.0.1.9", 5000, 23), default),
        (udp_frame("1.1.1.1", "10.0.0.9", 5000, 22), default),
        (udp_frame("1.1.1.1", "10.0.0.9", 1000, 22), Verdict::Pass),
        (udp_frame("192.168.1.1", "10.0.0.9", 2000, 22), Verdict::Pass),
        (udp_frame("192.168.1.1", "10.0.0.9", 2001, 22), deny(5)),
        (tcp_frame("fd00::7", "fd00:1::1", 1, 2), Verdict::Pass),
        (tcp_frame("fd00:0:0:1::7", "fd00:1::1", 1, 2), default),
        (udp_frame("fd00:1::7", "fd00:1::2", 1500, 2), Verdict::Pass),
        (icmp_frame("1.1.1.1", "2.2.2.2", 8), Verdict::Pass),
        (icmp_frame("1.1.1.1", "2.2.2.2", 0), default),
        (icmp_frame("fd00::1", "fd00:2::2", 128), default),
    ] {
        assert_eq!(host.judge(&frame).verdict, verdict, "{frame:02x?}");
        assert_eq!(host.judge(&tagged(5, &frame)).verdict, verdict, "tagged");
        assert_eq!(host.judge(&frame).bytes, frame, "unchanged");
    }
    let counters = host.counters();
    assert_eq!((counters["rule_0"], counters["rule_1"], counters["rule_5"], counters["default"]), (3, 3, 3, 18));
}

#[test]
fn other_frames_have_a_choice_of_their_own() {
    let mut arp = std::vec![0xff; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    let mut solicitation = icmp_frame("fe80::1", "ff02::1:ff00:1", 135);
    solicitation[21] = 255;
    let mut far = solicitation.clone();
    far[21] = 254;
    for (config, verdict) in [("{}", Verdict::Pass), (r#"{"other": "deny"}"#, Verdict::DropFor(OTHER_DENIED))] {
        let mut host = started(config);
        assert_eq!(host.judge(&arp).verdict, verdict);
        assert_eq!(host.judge(&solicitation).verdict, verdict);
        assert_eq!(host.judge(&far).verdict, Verdict::DropFor(BY_DEFAULT), "not from the link");
    }
    let mut open = started(r#"{"default": "permit"}"#);
    assert_eq!(open.judge(&far).verdict, Verdict::Pass);
}

#[test]
fn ports_that_are_not_there_match_no_rule_that_names_them() {
    let mut host = started(r#"{"rules": [{"action": "deny", "protocol": "udp", "dport": 53}], "default": "permit"}"#);
    let frame = udp_frame("1.1.1.1", "2.2.2.2", 9, 53);
    assert_eq!(host.judge(&frame).verdict, Verdict::DropFor(BY_RULE));
    let mut later = frame.clone();
    later[20..22].copy_from_slice(&[0, 5]);
    assert_eq!(host.judge(&later).verdict, Verdict::Pass);
    assert_eq!(host.judge(&frame[..36]).verdict, Verdict::DropFor(MALFORMED), "ports cut off");
    assert_eq!(host.judge(&frame[..20]).verdict, Verdict::DropFor(MALFORMED), "header cut off");
}

#[test]
fn takes_as_many_rules_as_it_says() {
    let rules = |count: usize| {
        let list: Vec<_> = (0..count)
            .map(|port| std::format!(r#"{{"action": "deny", "protocol": "tcp", "dport": {port}}}"#))
            .collect();
        std::format!(r#"{{"rules": [{}]}}"#, list.join(","))
    };
    let mut host = started(&rules(240));
    assert_eq!(host.judge(&tcp_frame("1.1.1.1", "2.2.2.2", 1, 239)).verdict, Verdict::DropFor(BY_RULE + 239));
    assert_eq!(host.counters()["rule_239"], 1);
    assert!(host.configure(configure, &rules(241)).is_err());
}

#[test]
fn refuses_a_wrong_configuration_and_names_the_rule() {
    let mut host = Host::new(acl);
    for rule in [
        r#"{"action": "allow"}"#,
        r#"{}"#,
        r#"{"action": "deny", "protocol": "igmp"}"#,
        r#"{"action": "deny", "src": "10.0.0.0/33"}"#,
        r#"{"action": "deny", "src": "10.0.0.0/8", "dst": "fd00::/8"}"#,
        r#"{"action": "deny", "protocol": "tcp", "dport": "9-8"}"#,
        r#"{"action": "deny", "protocol": "tcp", "dport": 65536}"#,
        r#"{"action": "deny", "dport": 80}"#,
        r#"{"action": "deny", "type": 8}"#,
    ] {
        let config = std::format!(r#"{{"rules": [{{"action": "permit"}}, {rule}]}}"#);
        assert!(host.configure(configure, &config).is_err(), "{rule}");
        assert!(host.logs().iter().any(|(_, text)| text.contains("rules.1 is wrong")), "{rule}");
    }
}

#[derive(Clone, Debug)]
struct Plain {
    permit: bool,
    tcp: Option<bool>,
    src: Option<(u8, u8)>,
    dst: Option<(u8, u8)>,
    dport: Option<(u16, u16)>,
}

impl Plain {
    fn json(&self) -> std::string::String {
        let mut text = std::format!(r#"{{"action": "{}""#, if self.permit { "permit" } else { "deny" });
        if let Some(tcp) = self.tcp {
            text += if tcp { r#", "protocol": "tcp""# } else { r#", "protocol": "udp""# };
        }
        for (key, prefix) in [("src", self.src), ("dst", self.dst)] {
            if let Some((last, len)) = prefix {
                text += &std::format!(r#", "{key}": "10.0.0.{last}/{len}""#);
            }
        }
        if let Some((first, last)) = self.dport {
            text += &std::format!(r#", "dport": "{first}-{last}""#);
        }
        text + "}"
    }

    fn matches(&self, tcp: bool, src: u8, dst: u8, dport: u16) -> bool {
        let holds = |prefix: Option<(u8, u8)>, last: u8| {
            prefix.is_none_or(|(own, len)| {
                let prefix = Prefix::new(address(&std::format!("10.0.0.{own}")), len).expect("a length");
                prefix.contains(address(&std::format!("10.0.0.{last}")))
            })
        };
        self.tcp.is_none_or(|own| own == tcp)
            && holds(self.src, src)
            && holds(self.dst, dst)
            && self.dport.is_none_or(|(first, last)| (first..=last).contains(&dport))
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let prefix = || proptest::option::of((any::<u8>(), 24..=32_u8));
    let ports = (0..9_u16, 0..4_u16).prop_map(|(first, span)| (first, first + span));
    (any::<bool>(), any::<bool>(), prefix(), prefix(), proptest::option::of(ports)).prop_map(
        |(permit, tcp, src, dst, dport)| Plain {
            permit,
            tcp: dport.map(|_| tcp),
            src,
            dst,
            dport,
        },
    )
}

proptest! {
    #[test]
    fn agrees_with_a_plain_reading_of_the_rules(
        rules in proptest::collection::vec(plain(), 0..12),
        packets in proptest::collection::vec((any::<bool>(), any::<u8>(), any::<u8>(), 0..12_u16), 1..40),
    ) {
        let list: Vec<_> = rules.iter().map(Plain::json).collect();
        let mut host = started(&std::format!(r#"{{"rules": [{}], "default": "permit"}}"#, list.join(",")));
        for (tcp, src, dst, dport) in packets {
            let (from, to) = (std::format!("10.0.0.{src}"), std::format!("10.0.0.{dst}"));
            let frame = if tcp { tcp_frame(&from, &to, 1, dport) } else { udp_frame(&from, &to, 1, dport) };
            let permit = rules.iter().find(|rule| rule.matches(tcp, src, dst, dport)).is_none_or(|rule| rule.permit);
            prop_assert_eq!(host.judge(&frame).verdict == Verdict::Pass, permit);
        }
    }

    #[test]
    fn nothing_makes_it_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..120), six in any::<bool>()) {
        let mut host = started(CONFIG);
        host.judge(&frame);
        if frame.len() > 20 {
            frame[12..14].copy_from_slice(if six { &[0x86, 0xdd] } else { &[8, 0] });
            frame[14] = if six { 0x60 } else { 0x45 };
        }
        for flags in [0, flags::L3, flags::EGRESS] {
            host.run(&[Input { bytes: frame.clone(), flags, ..Input::default() }]);
        }
    }
}
