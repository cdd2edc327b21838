//! Claims of stations, true and forged.

use std::vec::Vec;

use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::neighbor;
use vnet_plugin::testing::frames::{ethernet, ip as packet, tagged, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const SECOND: u64 = 1_000_000_000;
const ALICE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const MALLORY: MacAddr = MacAddr([2, 0, 0, 0, 0, 66]);
const PASS: Verdict = Verdict::Pass;

struct Guard(Host);

impl Guard {
    fn new(config: &str) -> Guard {
        let mut host = Host::new(arp_guard);
        host.configure(configure, config).expect("accepted");
        Guard(host)
    }

    fn at(&mut self, seconds: u64, port: u16, frame: &[u8]) -> Verdict {
        self.0.judge_at(frame, port, seconds * SECOND).verdict
    }

    fn on(&mut self, port: u16, frame: &[u8]) -> Verdict {
        self.at(1, port, frame)
    }
}

/// A question of a station, which tells who has `ip`.
fn asks(ip: &str, mac: MacAddr) -> Vec<u8> {
    let target = if ip.contains(':') { "fd00::99" } else { "10.0.0.99" };
    neighbor::question(target.parse().expect("an address"), mac, ip.parse().ok()).frame().to_vec()
}

fn arp_reply(ip: &str, mac: MacAddr) -> Vec<u8> {
    let mut frame = asks(ip, mac);
    frame[21] = 2;
    frame
}

fn advertisement(ip: &str, mac: MacAddr) -> Vec<u8> {
    let mut frame = asks(ip, mac);
    let target: core::net::Ipv6Addr = ip.parse().expect("an address");
    frame[54] = 136;
    frame[62..78].copy_from_slice(&target.octets());
    frame[78] = 2;
    frame
}

#[test]
fn whoever_claims_an_address_first_keeps_it() {
    for (ip, claim) in [
        ("10.0.0.1", arp_reply as fn(&str, MacAddr) -> Vec<u8>),
        ("10.0.0.1", asks),
        ("fd00::1", asks),
        ("fd00::1", advertisement),
    ] {
        let mut guard = Guard::new("{}");
        assert_eq!(guard.on(0, &asks(ip, ALICE)), PASS);
        assert_eq!(guard.on(0, &claim(ip, ALICE)), PASS);
        assert_eq!(guard.on(2, &claim(ip, MALLORY)), Verdict::DropFor(FORGED));
        assert_eq!(guard.on(2, &claim(ip, ALICE)), Verdict::DropFor(FORGED), "with the right MAC, at another port");
        assert_eq!(guard.on(2, &tagged(7, &claim(ip, MALLORY))), PASS, "in another VLAN it is another address");
        let mut other = claim(ip, ALICE);
        other[6..12].copy_from_slice(&MALLORY.0);
        assert_eq!(guard.on(2, &other), Verdict::DropFor(MISMATCH));
        assert!(guard.0.logs().iter().any(|(level, text)| *level == 1 && text.contains("was claimed by")));
        let counters = guard.0.counters();
        assert_eq!((counters["learned"], counters["confirmed"]), (2, 1));
    }
}

#[test]
fn configured_bindings_hold_before_anything_was_heard() {
    let mut guard = Guard::new(
        r#"{"bindings": [{"ip": "10.0.0.1", "mac": "02:00:00:00:00:01", "port": 0}, {"ip": "fd00::1", "mac": "02:00:00:00:00:01"}],
            "learn": false}"#,
    );
    assert_eq!(guard.on(2, &arp_reply("10.0.0.1", MALLORY)), Verdict::DropFor(FORGED));
    assert_eq!(guard.on(2, &asks("10.0.0.1", ALICE)), Verdict::DropFor(FORGED));
    assert_eq!(guard.on(0, &asks("10.0.0.1", ALICE)), PASS);
    assert_eq!(guard.on(5, &asks("fd00::1", ALICE)), PASS);
    assert_eq!(guard.on(0, &advertisement("fd00::1", MALLORY)), Verdict::DropFor(FORGED));
    assert_eq!(guard.on(0, &asks("10.0.0.2", ALICE)), Verdict::DropFor(UNKNOWN));
}

#[test]
fn a_silent_owner_loses_a_learned_address() {
    let mut guard = Guard::new(r#"{"timeout": 60}"#);
    assert_eq!(guard.at(0, 0, &asks("10.0.0.1", ALICE)), PASS);
    assert_eq!(guard.at(50, 0, &asks("10.0.0.1", ALICE)), PASS);
    assert_eq!(guard.at(110, 1, &asks("10.0.0.1", MALLORY)), Verdict::DropFor(FORGED));
    assert_eq!(guard.at(111, 1, &asks("10.0.0.1", MALLORY)), PASS);
    assert_eq!(guard.at(112, 0, &asks("10.0.0.1", ALICE)), Verdict::DropFor(FORGED));
}

#[test]
fn trusted_ports_are_believed_and_alone_may_be_routers() {
    let mut router = advertisement("fd00::1", ALICE);
    router[54] = 134;
    let mut guard = Guard::new(r#"{"trusted": [0]}"#);
    assert_eq!(guard.on(1, &asks("10.0.0.1", MALLORY)), PASS);
    assert_eq!(guard.on(0, &asks("10.0.0.1", ALICE)), PASS);
    assert_eq!(guard.on(1, &asks("10.0.0.1", MALLORY)), Verdict::DropFor(FORGED));
    assert_eq!((guard.on(0, &router), guard.on(1, &router)), (PASS, Verdict::DropFor(NOT_TRUSTED)));
    assert_eq!(Guard::new("{}").on(1, &router), PASS);
}

#[test]
fn probes_claim_nothing_and_malformed_messages_are_dropped() {
    let mut guard = Guard::new("{}");
    assert_eq!(guard.on(0, &asks("0.0.0.0", ALICE)), PASS);
    assert_eq!(guard.on(0, neighbor::question("fd00::1".parse().expect("an address"), ALICE, None).frame()), PASS);
    assert_eq!(guard.0.counters().get("learned"), None);
    for bad in [
        asks("10.0.0.1", ALICE)[..40].to_vec(),
        asks("224.0.0.1", ALICE),
        { let mut frame = asks("fd00::1", ALICE); frame[21] = 64; frame },
        advertisement("fd00::1", ALICE)[..70].to_vec(),
    ] {
        assert_eq!(guard.on(0, &bad), Verdict::DropFor(MALFORMED), "{bad:02x?}");
    }
}

#[test]
fn one_port_cannot_take_all_addresses() {
    let mut guard = Guard::new(r#"{"most_per_port": 10, "timeout": 60}"#);
    for last in 1..=10 {
        assert_eq!(guard.on(0, &asks(&std::format!("10.0.0.{last}"), ALICE)), PASS);
    }
    assert_eq!(guard.on(0, &asks("10.0.0.11", ALICE)), Verdict::DropFor(TOO_MANY));
    assert_eq!(guard.on(1, &asks("10.0.0.11", MALLORY)), PASS);
    assert_eq!(guard.on(0, &asks("10.0.0.1", ALICE)), PASS);
    let mut later = (0..200).map(|_| guard.at(100, 0, &asks("10.0.0.12", ALICE)));
    assert!(later.any(|verdict| verdict == PASS), "what is forgotten makes room");
}

#[test]
fn packets_from_anothers_address_are_dropped_when_asked_for() {
    let from = |ip: &str, station: u8| {
        let (src, dst) = (ip.parse().expect("an address"), "10.0.0.9".parse().expect("an address"));
        ethernet(9, station, &packet(src, dst, 17, &udp(src, dst, 1, 2, b"")))
    };
    for (config, verdict) in [("{}", PASS), (r#"{"sources": true}"#, Verdict::DropFor(WRONG_SOURCE))] {
        let mut guard = Guard::new(config);
        guard.on(0, &asks("10.0.0.1", ALICE));
        assert_eq!(guard.on(0, &from("10.0.0.1", 1)), PASS);
        assert_eq!(guard.on(1, &from("10.0.0.1", 66)), verdict);
        assert_eq!(guard.on(1, &from("10.0.0.2", 66)), PASS);
    }
}

#[test]
fn refuses_a_wrong_configuration() {
    let mut host = Host::new(arp_guard);
    for config in [
        r#"{"bindings": [{"ip": "10.0.0", "mac": "02:00:00:00:00:01"}]}"#,
        r#"{"bindings": [{"ip": "10.0.0.1", "mac": "ff:ff:ff:ff:ff:ff"}]}"#,
        r#"{"bindings": [{"ip": "10.0.0.1", "mac": "02:00:00:00:00:01", "port": 2000}]}"#,
        r#"{"bindings": [{"ip": "::1", "mac": "02:00:00:00:00:01"}, {"ip": "::1", "mac": "02:00:00:00:00:02"}]}"#,
        r#"{"trusted": [5000]}"#,
        r#"{"timeout": -1}"#,
    ] {
        assert!(host.configure(configure, config).is_err(), "{config}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 0..3_usize, port in 0..3_u16) {
        let mut guard = Guard::new(r#"{"sources": true, "trusted": [2]}"#);
        guard.on(port, &bytes);
        if bytes.len() > 56 {
            bytes[12..14].copy_from_slice(&[[8, 0], [0x86, 0xdd], [8, 6]][kind]);
            bytes[14] = [0x45, 0x60, 0][kind];
            if kind == 1 {
                (bytes[20], bytes[21], bytes[55]) = (58, 255, 0);
                bytes[54] = 133 + bytes[54] % 5;
            }
        }
        for flags in [0, flags::EGRESS] {
            guard.0.run(&[Input { bytes: bytes.clone(), port, flags, ..Input::default() }]);
        }
    }
}
