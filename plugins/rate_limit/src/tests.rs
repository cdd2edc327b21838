//! Buckets that empty and fill again.

use std::vec::Vec;

use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, ip, tagged, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn started(config: &str) -> Host {
    let mut host = Host::new(rate_limit);
    host.configure(configure, config).expect("accepted");
    host
}

fn frame(src: &str, dst: &str, len: usize) -> Vec<u8> {
    let (from, to) = (src.parse().expect("an address"), dst.parse().expect("an address"));
    let payload = std::vec![7; len];
    ethernet(2, 1, &ip(from, to, 17, &udp(from, to, 1, 2, &payload)))
}

/// How many of these pass.
fn passed(host: &mut Host, frame: &[u8], port: u16, times: impl IntoIterator<Item = u64>) -> usize {
    times
        .into_iter()
        .filter(|at| host.judge_at(frame, port, *at).verdict == Verdict::Pass)
        .count()
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let mut host = started(r#"{"packets": 100, "burst": 20}"#);
    let sent = frame("10.0.0.1", "10.0.0.2", 10);
    assert_eq!(passed(&mut host, &sent, 0, [SECOND; 50]), 20);
    let every_ms = (1..=1000).map(|ms| SECOND + ms * 1_000_000);
    assert_eq!(passed(&mut host, &sent, 0, every_ms), 100);
    assert_eq!(passed(&mut host, &sent, 0, [100 * SECOND; 50]), 20, "a full bucket holds no more than the burst");
    assert_eq!(passed(&mut host, &sent, 0, [99 * SECOND; 5]), 0, "time that goes back gives nothing");
}

#[test]
fn bytes_are_counted_with_headers_and_super_frames_by_their_segments() {
    let mut host = started(r#"{"bytes": 1000000, "burst_bytes": 5000}"#);
    let sent = frame("10.0.0.1", "10.0.0.2", 958);
    assert_eq!(sent.len(), 1000);
    assert_eq!(passed(&mut host, &sent, 0, [SECOND; 9]), 5);
    assert_eq!(passed(&mut host, &sent, 0, [SECOND + 999_999]), 0);
    assert_eq!(passed(&mut host, &sent, 0, [SECOND + 1_000_000]), 1);
    let mut host = started(r#"{"packets": 100, "burst": 45}"#);
    let mut large = Input { bytes: sent.repeat(40), flags: flags::GSO, gso_size: 1000, ..Input::default() };
    assert_eq!(host.run(&[large.clone()]).frames[0].verdict, Verdict::Pass);
    assert_eq!(host.run(&[large.clone()]).frames[0].verdict, Verdict::DropFor(OVER));
    large.bytes.truncate(5000);
    assert_eq!(host.run(&[large]).frames[0].verdict, Verdict::Pass);
}

#[test]
fn each_key_has_a_bucket_of_its_own() {
    let (ab, ac, ba) = (("10.0.0.1", "10.0.0.2"), ("10.0.0.1", "10.0.0.3"), ("10.0.0.2", "10.0.0.1"));
    let six = ("fd00::1", "10.0.0.2");
    for (by, passing) in [("all", [1, 0, 0, 0]), ("source", [1, 0, 1, 0]), ("destination", [1, 1, 1, 0]), ("port", [1, 0, 0, 1])] {
        let mut host = started(&std::format!(r#"{{"packets": 1, "burst": 1, "by": "{by}"}}"#));
        let mut found = Vec::new();
        for (port, (src, dst)) in [(0, ab), (0, ac), (0, ba), (1, ab)] {
            found.push(passed(&mut host, &tagged(3, &frame(src, dst, 1)), port, [SECOND]));
        }
        assert_eq!(found, passing, "{by}");
    }
    let mut host = started(r#"{"packets": 1, "burst": 1, "by": "source"}"#);
    assert_eq!(passed(&mut host, &frame(six.0, "fd00::2", 1), 0, [SECOND; 2]), 1);
    assert_eq!(passed(&mut host, &frame("fd00::3", "fd00::2", 1), 0, [SECOND; 2]), 1);
    let mut arp = std::vec![0xff; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(passed(&mut host, &arp, 0, [SECOND; 2]), 1, "by MAC address");
}

#[test]
fn more_sources_than_buckets_share_one() {
    let mut host = started(r#"{"packets": 1, "burst": 1, "by": "source"}"#);
    let from = |n: u32| frame(&core::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string(), "10.255.0.1", 1);
    let fresh: usize = (0..4_096).map(|n| passed(&mut host, &from(n), 0, [SECOND])).sum();
    assert_eq!(fresh, 4_096);
    let more: usize = (5_000..5_100).map(|n| passed(&mut host, &from(n), 0, [SECOND])).sum();
    assert_eq!(more, 1);
    let later: usize = (6_000..6_400).map(|n| passed(&mut host, &from(n), 0, [3 * SECOND])).sum();
    assert!(later > 300, "full buckets make room: {later}");
}

#[test]
fn refuses_a_wrong_configuration() {
    let mut host = Host::new(rate_limit);
    for config in ["{}", r#"{"packets": 0}"#, r#"{"packets": 1, "burst": -1}"#, r#"{"packets": 1, "burst_bytes": 9}"#, r#"{"bytes": 9, "by": "host"}"#] {
        assert!(host.configure(configure, config).is_err(), "{config}");
    }
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate(
        rate in 1..2_000_u64, burst in 1..100_u64, mut steps in proptest::collection::vec(0..20_000_000_u64, 1..200)
    ) {
        let mut host = started(&std::format!(r#"{{"packets": {rate}, "burst": {burst}}}"#));
        let mut now = SECOND;
        for step in &mut steps {
            now += *step;
            *step = now;
        }
        let allowed = burst + (now - SECOND) * rate / SECOND + 1;
        let sent = steps.len() as u64;
        let found = passed(&mut host, &frame("10.0.0.1", "10.0.0.2", 1), 0, steps) as u64;
        prop_assert!(found <= allowed && found >= burst.min(sent));
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), ts_ns in any::<u64>(), gso_size in any::<u16>()) {
        for by in ["all", "source", "destination", "port"] {
            let mut host = started(&std::format!(r#"{{"packets": 1000000000, "bytes": 100000000000, "by": "{by}"}}"#));
            for flags in [0, flags::L3, flags::EGRESS, flags::GSO] {
                host.run(&[Input { bytes: bytes.clone(), flags, ts_ns, gso_size, ..Input::default() }]);
            }
        }
    }
}
