use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::abi::flags;
use vnet_plugin::neighbor::{answer, question};
use vnet_plugin::testing::frames::{ethernet, ip, sums_are_right, tagged, tcp, udp};
use vnet_plugin::testing::{Batch, Host, Input};
use vnet_plugin::wire::MacAddr;

use super::*;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const LOCAL6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const REMOTE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1));
const OWN: MacAddr = MacAddr([0x02, 0x76, 0x6e, 0x65, 0x74, 0x03]);
const HOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x77]);
const INSIDE: u16 = 0;
const OUT: u16 = 1;

/// One end of a tunnel whose next hop is known.
fn end(local: IpAddr, remote: IpAddr, more: &str) -> Host {
    let mut host = Host::new(tunnel);
    let config = format!(r#"{{"local": "{local}", "remote": "{remote}", "gateway_mac": "02:00:00:00:00:77"{more}}}"#);
    host.configure(configure, &config).expect("accepted");
    host
}

fn run(host: &mut Host, bytes: &[u8], port: u16, ts_ns: u64) -> Batch {
    host.run(&[Input {
        bytes: bytes.to_vec(),
        port,
        ts_ns,
        ..Input::default()
    }])
}

fn judge(host: &mut Host, bytes: &[u8], port: u16) -> (Verdict, Vec<u8>) {
    let out = run(host, bytes, port, 1).frames.remove(0);
    (out.verdict, out.bytes)
}

fn inner() -> Vec<u8> {
    let (from, to) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
    ethernet(2, 1, &ip(from, to, 6, &tcp(from, to, (1000, 80), 2, &[], b"hello")))
}

#[test]
fn a_frame_goes_through_the_tunnel_and_comes_out_as_it_was() {
    for (local, remote, checksum) in [
        (LOCAL, REMOTE, ""),
        (LOCAL, REMOTE, r#", "udp_checksum": true"#),
        (LOCAL6, REMOTE6, ""),
        (LOCAL6, REMOTE6, r#", "udp_checksum": false"#),
    ] {
        let more = format!(r#", "vni": 5000{checksum}"#);
        let (verdict, sent) = judge(&mut end(local, remote, &more), &inner(), INSIDE);
        assert_eq!(verdict, Verdict::Pass);
        assert!(sums_are_right(&sent));
        assert_eq!((&sent[..6], &sent[6..12]), (&HOP.0[..], &OWN.0[..]));
        let udp = sent.len() - inner().len() - 16;
        let source = u16::from_be_bytes([sent[udp], sent[udp + 1]]);
        assert!(source >= 49_152);
        assert_eq!(sent[udp + 2..udp + 4], 4789_u16.to_be_bytes());
        assert_eq!(sent[udp + 8..udp + 16], [8, 0, 0, 0, 0, 0x13, 0x88, 0]);
        let none = sent[udp + 6..udp + 8] == [0, 0];
        assert_eq!(none, checksum.contains("false") || checksum.is_empty() && local.is_ipv4());
        assert_eq!(judge(&mut end(remote, local, &more), &sent, OUT), (Verdict::Pass, inner()));
    }
}

#[test]
fn conversations_spread_over_source_ports_and_each_keeps_its_own() {
    let mut host = end(LOCAL, REMOTE, r#", "vni": 1"#);
    let (from, to) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
    let mut port_of = |source| {
        let frame = ethernet(2, 1, &ip(from, to, 17, &udp(from, to, source, 53, b"")));
        let (_, sent) = judge(&mut host, &frame, INSIDE);
        u16::from_be_bytes([sent[34], sent[35]])
    };
    let ports: std::collections::BTreeSet<u16> = (0..200).map(&mut port_of).collect();
    assert!(ports.len() > 190, "{}", ports.len());
    assert_eq!(port_of(7), port_of(7));
}

#[test]
fn vlans_are_dropped_kept_or_networks_of_their_own() {
    let frame = tagged(0x600a, &inner());
    let mut plain = end(LOCAL, REMOTE, r#", "vni": 1"#);
    assert_eq!(judge(&mut plain, &frame, INSIDE).0, Verdict::DropFor(TAGGED));
    let keep = r#", "vni": 1, "keep_tags": true"#;
    let (_, sent) = judge(&mut end(LOCAL, REMOTE, keep), &frame, INSIDE);
    assert_eq!(judge(&mut end(REMOTE, LOCAL, keep), &sent, OUT), (Verdict::Pass, frame.clone()));
    assert_eq!(judge(&mut end(REMOTE, LOCAL, r#", "vni": 1"#), &sent, OUT).0, Verdict::DropFor(TAGGED));
    let map = r#", "vni": 1, "map": [{"vlan": 10, "vni": 1010}, {"vlan": 20, "vni": 1020}]"#;
    let (_, sent) = judge(&mut end(LOCAL, REMOTE, map), &frame, INSIDE);
    assert_eq!((sent.len(), &sent[46..49]), (inner().len() + 50, &[0, 0x03, 0xf2][..]));
    assert_eq!(judge(&mut end(REMOTE, LOCAL, map), &sent, OUT), (Verdict::Pass, tagged(10, &inner())));
    let mut mapped = end(LOCAL, REMOTE, map);
    assert_eq!(judge(&mut mapped, &tagged(30, &inner()), INSIDE).0, Verdict::DropFor(TAGGED));
    assert_eq!(judge(&mut mapped, &tagged(0, &inner()), INSIDE).0, Verdict::DropFor(TAGGED));
    assert_eq!(judge(&mut mapped, &inner(), INSIDE).0, Verdict::Pass);
}

#[test]
fn only_the_other_endpoint_and_its_networks_get_in() {
    let (_, sent) = judge(&mut end(LOCAL, REMOTE, r#", "vni": 1"#), &inner(), INSIDE);
    let mut host = end(REMOTE, LOCAL, r#", "vni": 1"#);
    let mut other = |at: usize, byte: u8| {
        let mut frame = sent.clone();
        frame[at] = byte;
        judge(&mut host, &frame, OUT).0
    };
    assert_eq!(other(29, 9), Verdict::DropFor(WRONG_PEER));
    assert_eq!(other(33, 9), Verdict::DropFor(OUTSIDE));
    assert_eq!(other(37, 9), Verdict::DropFor(OUTSIDE));
    assert_eq!(other(42, 0), Verdict::DropFor(MALFORMED));
    assert_eq!(other(48, 9), Verdict::DropFor(WRONG_VNI));
    assert_eq!(other(41, 9), Verdict::DropFor(MALFORMED), "a wrong UDP checksum");
    assert_eq!(other(20, 0x20), Verdict::DropFor(MALFORMED), "a fragment");
    for len in 14..sent.len() {
        assert_ne!(judge(&mut host, &sent[..len], OUT).0, Verdict::Pass, "{len}");
    }
}

#[test]
fn frames_too_big_for_the_outside_are_dropped() {
    let mut frame = inner();
    frame.resize(1500 - 36, 0);
    let mut host = end(LOCAL, REMOTE, r#", "vni": 1, "mtu": 1500"#);
    let (verdict, sent) = judge(&mut host, &frame, INSIDE);
    assert_eq!((verdict, sent.len()), (Verdict::Pass, 1514));
    frame.push(0);
    assert_eq!(judge(&mut host, &frame, INSIDE).0, Verdict::DropFor(TOO_BIG));
}

fn is_hop(pkt: &mut Packet) -> Verdict {
    if answer(pkt, REMOTE, HOP) || answer(pkt, REMOTE6, HOP) { Verdict::Tx } else { Verdict::Pass }
}

#[test]
fn it_asks_for_the_next_hop_and_answers_for_itself() {
    for (local, remote) in [(LOCAL, REMOTE), (LOCAL6, REMOTE6)] {
        let start = || {
            let mut host = Host::new(tunnel);
            let config = format!(r#"{{"local": "{local}", "remote": "{remote}", "vni": 1}}"#);
            host.configure(configure, &config).expect("accepted");
            host
        };
        let mut host = start();
        let batch = run(&mut host, &inner(), INSIDE, 1);
        assert_eq!((batch.frames[0].verdict, batch.appended[0].verdict), (Verdict::DropFor(NO_NEIGHBOR), Verdict::Pass));
        assert_eq!(run(&mut host, &inner(), INSIDE, 2).appended, []);
        let reply = Host::new(is_hop).judge(&batch.appended[0].bytes);
        assert_eq!(reply.verdict, Verdict::Tx);
        let mut host = start();
        assert_eq!(judge(&mut host, &reply.bytes, OUT).0, Verdict::DropFor(OUTSIDE));
        let (verdict, sent) = judge(&mut host, &inner(), INSIDE);
        assert_eq!((verdict, &sent[..6]), (Verdict::Pass, &HOP.0[..]));
        let (verdict, told) = judge(&mut host, question(local, HOP, Some(remote)).frame(), OUT);
        assert_eq!((verdict, &told[6..12]), (Verdict::Tx, &OWN.0[..]));
    }
}

#[test]
fn a_devices_way_out_is_the_outside() {
    let (_, sent) = judge(&mut end(LOCAL, REMOTE, r#", "vni": 1"#), &inner(), INSIDE);
    let input = Input {
        bytes: sent,
        flags: flags::EGRESS,
        ..Input::default()
    };
    let out = end(REMOTE, LOCAL, r#", "vni": 1"#).run(&[input]).frames.remove(0);
    assert_eq!((out.verdict, out.bytes), (Verdict::Pass, inner()));
    let mut turned = end(LOCAL, REMOTE, r#", "vni": 1, "end": "b""#);
    assert!(judge(&mut turned, &inner(), 1).1.len() > inner().len());
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (config, word) in [
        (r#"{"remote": "10.0.0.1", "vni": 1}"#, "local must"),
        (r#"{"local": "10.0.0.1", "vni": 1}"#, "remote must"),
        (r#"{"local": "10.0.0.1", "remote": "fd00::1", "vni": 1}"#, "same family"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "gateway": "fd00::1", "vni": 1}"#, "gateway must"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2"}"#, "give vni"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "vni": 16777216}"#, "vni is"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "map": [{"vlan": 0, "vni": 1}]}"#, "vlan in map"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "vni": 1, "map": [{"vlan": 1, "vni": 1}]}"#, "one network"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "keep_tags": true, "map": [{"vlan": 1, "vni": 1}]}"#, "not both"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "vni": 1, "mtu": 500}"#, "mtu is"),
        (r#"{"local": "10.0.0.1", "remote": "10.0.0.2", "vni": 1, "mac": "x"}"#, "mac"),
    ] {
        let refused = Host::new(tunnel).configure(configure, config).expect_err(config);
        assert!(refused.contains(word), "{config}: {refused}");
    }
}

proptest! {
    #[test]
    fn never_panics_whatever_comes_from_either_side(
        given in vec((0..4_usize, vec((0..120_usize, any::<u8>()), 0..5), 0..160_usize, 0..3_u16), 1..30),
        six in any::<bool>(),
    ) {
        let (local, remote) = if six { (LOCAL6, REMOTE6) } else { (LOCAL, REMOTE) };
        let more = r#", "vni": 1, "map": [{"vlan": 5, "vni": 2}]"#;
        let (_, sent) = judge(&mut end(remote, local, more), &inner(), INSIDE);
        let bases = [inner(), sent, question(local, HOP, Some(remote)).frame().to_vec(), tagged(5, &inner())];
        let mut host = end(local, remote, more);
        for (base, changes, keep, port) in given {
            let mut bytes = bases[base].clone();
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(keep);
            judge(&mut host, &bytes, port);
        }
    }
}
