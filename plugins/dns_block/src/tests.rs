use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::testing::frames::{ethernet, ip, sums_are_right, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input};

use super::*;

const ASKER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 53));
const ASKER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
const SERVER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x53));
const FAMILIES: [(IpAddr, IpAddr); 2] = [(ASKER4, SERVER4), (ASKER6, SERVER6)];
const A: u8 = 1;
const AAAA: u8 = 28;

fn host() -> Host {
    let mut host = Host::new(dns_block);
    let config = r#"{"names": ["ads.example", "WWW.Example.ORG."], "suffixes": "tracker.example, net"}"#;
    host.configure(configure, config).expect("accepted");
    host
}

fn query(name: &str, kind: u8, edns: bool) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, kind, 0, 1]);
    if edns {
        message.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 4, 0, 10, 0, 0]);
    }
    message
}

fn asked((from, to): (IpAddr, IpAddr), message: &[u8]) -> Vec<u8> {
    ethernet(2, 1, &ip(from, to, 17, &udp(from, to, 40_000, 53, message)))
}

/// What becomes of a question for a name.
fn fate(host: &mut Host, name: &str) -> Verdict {
    host.judge(&asked(FAMILIES[0], &query(name, A, false))).verdict
}

#[test]
fn blocked_names_are_answered_with_nxdomain_in_both_families() {
    let mut host = host();
    for (from, to) in FAMILIES {
        for (kind, edns) in [(A, false), (AAAA, true)] {
            let message = query("aDs.ExaMple", kind, edns);
            for tags in [&[][..], &[5], &[5, 6]] {
                let frame = tags.iter().fold(asked((from, to), &message), |frame, tag| tagged(*tag, &frame));
                let out = host.judge(&frame);
                assert_eq!(out.verdict, Verdict::Tx);
                assert!(sums_are_right(&out.bytes), "{:02x?}", out.bytes);
                let mut expected = message.clone();
                expected[2..4].copy_from_slice(&[0x81, 0x83]);
                if edns {
                    let opt = expected.len() - 15;
                    expected.truncate(opt);
                    expected.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
                }
                let answer = ethernet(1, 2, &ip(to, from, 17, &udp(to, from, 53, 40_000, &expected)));
                let answer = tags.iter().fold(answer, |frame, tag| tagged(*tag, &frame));
                assert_eq!(out.bytes, answer, "{from} {kind}");
            }
        }
    }
    assert_eq!(host.counters()["blocked"], 12);
}

#[test]
fn names_match_whole_and_suffixes_with_everything_below_them() {
    let mut host = host();
    for name in ["ads.example", "www.example.org", "tracker.example", "a.b.tracker.example", "net", "x.NET"] {
        assert_eq!(fate(&mut host, name), Verdict::Tx, "{name}");
    }
    for name in ["example", "x.ads.example", "example.org", "xtracker.example", "tracker.example.com", "nett", "a"] {
        assert_eq!(fate(&mut host, name), Verdict::Pass, "{name}");
    }
    assert_eq!(host.counters()["allowed"], 7);
}

#[test]
fn other_traffic_passes_untouched() {
    let mut host = host();
    let (from, to) = FAMILIES[0];
    let mut response = query("ads.example", A, false);
    response[2] |= 0x80;
    let mut update = query("ads.example", A, false);
    update[2] |= 0x28;
    let segment = tcp(from, to, (40_000, 53), 2, &[], b"");
    let elsewhere = udp(from, to, 53, 5353, &query("ads.example", A, false));
    for frame in [
        asked((from, to), &response),
        asked((from, to), &update),
        ethernet(2, 1, &ip(from, to, 6, &segment)),
        ethernet(2, 1, &ip(from, to, 17, &elsewhere)),
        vec![0xff; 60],
    ] {
        let out = host.judge(&frame);
        assert_eq!((out.verdict, out.bytes), (Verdict::Pass, frame));
    }
    host.configure(configure, r#"{"names": "a", "drop_tcp": true}"#).expect("accepted");
    let out = host.judge(&ethernet(2, 1, &ip(from, to, 6, &segment)));
    assert_eq!(out.verdict, Verdict::DropFor(OVER_TCP));
}

#[test]
fn what_cannot_be_read_as_a_query_is_dropped() {
    let mut host = host();
    let right = query("www.ads.example", A, false);
    let mut hostile = vec![
        // A name that points at itself, at its header, or has a reserved label type.
        [&right[..12], &[0xc0, 12, 0, 1, 0, 1]].concat(),
        [&right[..12], &[3, b'a', b'd', b's', 0xc0, 0, 0, 1, 0, 1]].concat(),
        [&right[..12], &[0x41, 0, 0, 1, 0, 1]].concat(),
        // Longer than a name may be.
        [&right[..12], &[&[63][..], &[b'a'; 63]].concat().repeat(4), &[0, 0, 1, 0, 1]].concat(),
        // Two questions; an answer in a question.
        [&right[..5], &[2], &right[6..], &right[12..]].concat(),
        [&right[..7], &[1], &right[8..]].concat(),
    ];
    hostile.extend((0..right.len()).map(|len| right[..len].to_vec()));
    for message in hostile {
        let out = host.judge(&asked(FAMILIES[1], &message));
        assert_eq!(out.verdict, Verdict::DropFor(MALFORMED), "{message:02x?}");
    }
    let root = [&right[..12], &[0, 0, 2, 0, 1]].concat();
    assert_eq!(host.judge(&asked(FAMILIES[0], &root)).verdict, Verdict::Pass);
    // The first piece of a fragmented packet.
    let mut piece = asked(FAMILIES[0], &right);
    piece[20] = 0x20;
    assert_eq!(host.judge(&piece).verdict, Verdict::DropFor(MALFORMED));
}

#[test]
fn answers_leave_options_and_extension_headers_out() {
    let mut host = host();
    let (from, to) = FAMILIES[1];
    let message = query("ads.example", A, false);
    let packet = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &udp(from, to, 9, 53, &message)].concat();
    let out = host.judge(&ethernet(2, 1, &ip(from, to, 60, &packet)));
    assert_eq!((out.verdict, out.bytes[20]), (Verdict::Tx, 17));
    assert!(sums_are_right(&out.bytes));
    let (from, to) = FAMILIES[0];
    let mut packet = ip(from, to, 17, &[&[1; 4][..], &udp(from, to, 9, 53, &message)].concat());
    packet[0] = 0x46;
    let out = host.judge(&ethernet(2, 1, &packet));
    assert_eq!((out.verdict, out.bytes[14]), (Verdict::Tx, 0x45));
    assert!(sums_are_right(&out.bytes));
}

#[test]
fn packets_of_tun_devices_are_answered_and_a_devices_way_out_has_no_way_back() {
    let mut host = host();
    let frame = asked(FAMILIES[0], &query("ads.example", A, false));
    let mut run = |bytes: &[u8], flags| {
        let input = Input {
            bytes: bytes.to_vec(),
            flags,
            ..Input::default()
        };
        host.run(&[input]).frames.remove(0)
    };
    let out = run(&frame[14..], flags::L3);
    assert_eq!((out.verdict, &out.bytes[12..20]), (Verdict::Tx, &[10, 0, 0, 53, 10, 0, 0, 1][..]));
    assert_eq!(run(&frame, flags::EGRESS).verdict, Verdict::DropFor(LEAVING));
    let out = run(&frame, flags::CSUM_PARTIAL);
    assert!(!out.csum_partial && sums_are_right(&out.bytes));
}

#[test]
fn thousands_of_names_fit_and_more_are_refused() {
    let mut host = Host::new(dns_block);
    let list = |n: usize| {
        let names: Vec<String> = (0..n).map(|n| format!("\"host{n}.example\"")).collect();
        format!(r#"{{"names": [{}]}}"#, names.join(","))
    };
    host.configure(configure, &list(4096)).expect("accepted");
    assert_eq!(fate(&mut host, "host4095.example"), Verdict::Tx);
    assert_eq!(fate(&mut host, "host4096.example"), Verdict::Pass);
    let refused = host.configure(configure, &list(4097)).expect_err("too many");
    assert!(refused.contains("4,096"), "{refused}");
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    let long = format!(r#"{{"names": "{}"}}"#, "a".repeat(64));
    for (config, word) in [
        ("{}", "nothing to block"),
        (r#"{"names": []}"#, "nothing to block"),
        (r#"{"names": "a..b"}"#, "domain names"),
        (r#"{"names": "*.example"}"#, "without *"),
        (r#"{"suffixes": ["."]}"#, "domain names"),
        (r#"{"names": [7]}"#, "domain names"),
        (&long, "domain names"),
    ] {
        let refused = Host::new(dns_block).configure(configure, config).expect_err(config);
        assert!(refused.contains(word), "{config}: {refused}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_answers_nothing_longer_than_its_question(
        body in vec(any::<u8>(), 0..80),
        changes in vec((0..160_usize, any::<u8>()), 0..6),
        keep in 0..200_usize,
        six in any::<bool>(),
        edns in any::<bool>(),
    ) {
        let mut host = host();
        let family = FAMILIES[usize::from(six)];
        let right = query("a.tracker.example", A, edns);
        for message in [right.clone(), body.clone(), [&right[..12], &body].concat()] {
            let frame = asked(family, &message);
            let out = host.judge(&frame);
            prop_assert!(out.bytes.len() <= frame.len() && sums_are_right(&out.bytes));
            let mut hostile = frame;
            for (at, byte) in &changes {
                if let Some(place) = hostile.get_mut(*at) {
                    *place = *byte;
                }
            }
            hostile.truncate(keep);
            let out = host.judge(&hostile);
            prop_assert!(out.bytes.len() <= hostile.len());
        }
    }
}
