//! Questions built by hand, answers checked with a checksum of their own.

use std::vec::Vec;

use vnet_plugin::abi::flags;
use vnet_plugin::testing::{Host, Input, Output};

use super::*;
use crate::ndp::ALL_NODES;

const ASKER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0a];
const OWN: [u8; 6] = [0x02, 0x76, 0x6e, 0x65, 0x74, 0x01];
const BROADCAST: [u8; 6] = [0xff; 6];
const A4: [u8; 4] = [10, 0, 0, 1];
const B4: [u8; 4] = [10, 0, 0, 2];
const A6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const B6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const NONE6: [u8; 16] = [0; 16];

/// RFC 1071, word by word.
fn sum(pieces: &[&[u8]]) -> u16 {
    let bytes = pieces.concat();
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn pseudo(src: &[u8], dst: &[u8], len: usize) -> Vec<u8> {
    [src, dst, &(len as u32).to_be_bytes(), &[0, 0, 0, 58]].concat()
}

fn ethernet(dst: [u8; 6], tags: &[u8], kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&dst[..], &ASKER, tags, &kind, packet].concat()
}

fn arp(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 1][..], &ASKER, &sender, &[0; 6], &target].concat()
}

fn ping4(src: [u8; 4], dst: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0x12, 0x34, 0, 1][..], data].concat();
    let check = sum(&[&icmp]);
    icmp[2..4].copy_from_slice(&check.to_be_bytes());
    let len = (20 + icmp.len()) as u16;
    let mut ip = [
        &[0x45, 0][..],
        &len.to_be_bytes(),
        &[0xab, 0xcd, 0x40, 0, 37, 1, 0, 0],
        &src,
        &dst,
    ]
    .concat();
    let check = sum(&[&ip]);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    [ip, icmp].concat()
}

fn icmpv6(src: [u8; 16], dst: [u8; 16], limit: u8, body: &[u8]) -> Vec<u8> {
    let mut icmp = body.to_vec();
    let check = sum(&[&pseudo(&src, &dst, icmp.len()), &icmp]);
    icmp[2..4].copy_from_slice(&check.to_be_bytes());
    [
        &[0x60, 0, 0, 0][..],
        &(icmp.len() as u16).to_be_bytes(),
        &[58, limit],
        &src,
        &dst,
        &icmp,
    ]
    .concat()
}

fn ping6(src: [u8; 16], dst: [u8; 16], data: &[u8]) -> Vec<u8> {
    icmpv6(
        src,
        dst,
        37,
        &[&[128, 0, 0, 0, 0x12, 0x34, 0, 1][..], data].concat(),
    )
}

fn solicitation(src: [u8; 16], target: [u8; 16], option: &[u8]) -> Vec<u8> {
    let mut group = [0; 16];
    group[..13].copy_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
    group[13..].copy_from_slice(&target[13..]);
    icmpv6(
        src,
        group,
        255,
        &[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, option].concat(),
    )
}

fn group_mac(target: [u8; 16]) -> [u8; 6] {
    [0x33, 0x33, 0xff, target[13], target[14], target[15]]
}

fn host(config: &str) -> Host {
    let mut host = Host::new(icmp_echo);
    host.configure(configure, config).expect("accepted");
    host
}

fn judge(host: &mut Host, bytes: &[u8], flags: u16) -> Output {
    host.run(&[Input {
        bytes: bytes.to_vec(),
        flags,
        ..Input::default()
    }])
    .frames
    .remove(0)
}

fn passes(host: &mut Host, bytes: &[u8], flags: u16) -> bool {
    let out = judge(host, bytes, flags);
    out.verdict == Verdict::Pass && out.bytes == bytes
}

fn check_reply4(packet: &[u8], src: [u8; 4], dst: [u8; 4], asked: &[u8]) {
    let len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    assert_eq!(sum(&[&packet[..20]]), 0, "IPv4 sum");
    assert_eq!(sum(&[&packet[20..len]]), 0, "ICMP sum");
    assert_eq!(
        (&packet[12..16], &packet[16..20], packet[8]),
        (&src[..], &dst[..], 64)
    );
    assert_eq!((packet[20], packet[21]), (0, 0), "echo reply");
    assert_eq!(packet[24..], asked[24..], "identifier, sequence, data");
}

fn check_icmpv6(packet: &[u8], src: [u8; 16], dst: [u8; 16]) {
    let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    assert_eq!((&packet[8..24], &packet[24..40]), (&src[..], &dst[..]));
    assert_eq!(
        sum(&[&pseudo(&src, &dst, len), &packet[40..40 + len]]),
        0,
        "ICMPv6 sum"
    );
}

#[test]
fn answers_arp_for_any_address_from_its_own_mac() {
    let mut host = host("{}");
    let out = judge(&mut host, &ethernet(BROADCAST, &[], [8, 6], &arp(A4, B4)), 0);
    let reply = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &OWN, &B4, &ASKER, &A4].concat();
    assert_eq!(out.verdict, Verdict::Tx);
    assert_eq!(out.bytes, [&ASKER[..], &OWN, &[8, 6], &reply].concat());
    assert_eq!(host.counters()["arp_replies"], 1);
}

#[test]
fn answers_an_arp_request_to_one_station_from_that_station() {
    let station = [0x02, 0, 0, 0, 0, 0x77];
    let out = judge(&mut host("{}"), &ethernet(station, &[], [8, 6], &arp(A4, B4)), 0);
    assert_eq!(
        (out.verdict, &out.bytes[6..12], &out.bytes[22..28]),
        (Verdict::Tx, &station[..], &station[..])
    );
}

#[test]
fn keeps_out_of_duplicate_address_detection() {
    let mut any = host("{}");
    assert!(
        passes(&mut any, &ethernet(BROADCAST, &[], [8, 6], &arp([0; 4], B4)), 0),
        "ARP probe"
    );
    assert!(
        passes(&mut any, &ethernet(BROADCAST, &[], [8, 6], &arp(B4, B4)), 0),
        "gratuitous ARP"
    );
    assert!(
        passes(
            &mut any,
            &ethernet(group_mac(B6), &[], [0x86, 0xdd], &solicitation(NONE6, B6, &[])),
            0
        ),
        "IPv6"
    );
    let mut own = host(r#"{"address": ["10.0.0.2", "fe80::2"]}"#);
    assert!(
        passes(&mut own, &ethernet(BROADCAST, &[], [8, 6], &arp(B4, B4)), 0),
        "gratuitous ARP for its own"
    );
}

#[test]
fn defends_a_configured_address() {
    let mut host = host(r#"{"address": ["10.0.0.2", "fe80::2"]}"#);
    assert_eq!(
        judge(&mut host, &ethernet(BROADCAST, &[], [8, 6], &arp([0; 4], B4)), 0).verdict,
        Verdict::Tx
    );
    let out = judge(
        &mut host,
        &ethernet(group_mac(B6), &[], [0x86, 0xdd], &solicitation(NONE6, B6, &[])),
        0,
    );
    let all_nodes = ALL_NODES.octets();
    assert_eq!(
        (out.verdict, &out.bytes[..6]),
        (Verdict::Tx, &[0x33, 0x33, 0, 0, 0, 1][..])
    );
    check_icmpv6(&out.bytes[14..], B6, all_nodes);
    assert_eq!(out.bytes[14 + 44] >> 4, 0x2, "override, not solicited");
}

#[test]
fn answers_pings_with_right_sums() {
    for data in [&b""[..], b"odd", &[0x5a; 1472]] {
        let asked = ping4(A4, B4, data);
        let out = judge(&mut host("{}"), &ethernet(OWN, &[], [8, 0], &asked), 0);
        assert_eq!(
            (out.verdict, &out.bytes[..12]),
            (Verdict::Tx, &[ASKER, OWN].concat()[..])
        );
        check_reply4(&out.bytes[14..], B4, A4, &asked);

        let asked = ping6(A6, B6, data);
        let out = judge(&mut host("{}"), &ethernet(OWN, &[], [0x86, 0xdd], &asked), 0);
        assert_eq!(
            (out.verdict, &out.bytes[..12]),
            (Verdict::Tx, &[ASKER, OWN].concat()[..])
        );
        check_icmpv6(&out.bytes[14..], B6, A6);
        assert_eq!((out.bytes[14 + 40], out.bytes[14 + 7]), (129, 64));
        assert_eq!(out.bytes[14 + 44..], asked[44..], "identifier, sequence, data");
    }
}

#[test]
fn answers_in_the_askers_vlan_and_keeps_the_padding() {
    let tags = [0x88, 0xa8, 0x20, 7, 0x81, 0, 0, 42];
    let asked = [ping4(A4, B4, b"x"), vec![0xee; 13]].concat();
    let out = judge(&mut host("{}"), &ethernet(OWN, &tags, [8, 0], &asked), 0);
    assert_eq!(
        (out.verdict, &out.bytes[12..22]),
        (Verdict::Tx, &[&tags[..], &[8, 0]].concat()[..])
    );
    check_reply4(&out.bytes[22..], B4, A4, &asked);
    let out = judge(
        &mut host("{}"),
        &ethernet(BROADCAST, &tags[4..], [8, 6], &arp(A4, B4)),
        0,
    );
    assert_eq!(
        (out.verdict, &out.bytes[12..18]),
        (Verdict::Tx, &[0x81, 0, 0, 42, 8, 6][..])
    );
    let question = solicitation(A6, B6, &[1, 1, 2, 0, 0, 0, 0, 0x0a]);
    let out = judge(
        &mut host("{}"),
        &ethernet(group_mac(B6), &tags[4..], [0x86, 0xdd], &question),
        0,
    );
    assert_eq!(
        (out.verdict, &out.bytes[12..18]),
        (Verdict::Tx, &[0x81, 0, 0, 42, 0x86, 0xdd][..])
    );
    check_icmpv6(&out.bytes[18..], B6, A6);
}

#[test]
fn finishes_partial_checksums() {
    let mut asked = ping6(A6, B6, b"data");
    asked[42..44].copy_from_slice(&[0xde, 0xad]);
    let frame = ethernet(OWN, &[], [0x86, 0xdd], &asked);
    let out = judge(&mut host("{}"), &frame, flags::CSUM_PARTIAL);
    assert_eq!((out.verdict, out.csum_partial), (Verdict::Tx, false));
    check_icmpv6(&out.bytes[14..], B6, A6);
    assert!(
        passes(&mut host("{}"), &frame, 0),
        "a wrong sum that is not partial"
    );
}

#[test]
fn answers_solicitations_with_or_without_the_askers_address() {
    for option in [&[1, 1, 2, 0, 0, 0, 0, 0x0a][..], &[]] {
        let question = solicitation(A6, B6, option);
        let out = judge(
            &mut host("{}"),
            &ethernet(group_mac(B6), &[], [0x86, 0xdd], &question),
            0,
        );
        assert_eq!((out.verdict, out.bytes.len()), (Verdict::Tx, 14 + 40 + 32));
        assert_eq!(out.bytes[..12], [ASKER, OWN].concat());
        let packet = &out.bytes[14..];
        check_icmpv6(packet, B6, A6);
        assert_eq!(
            (packet[7], &packet[40..42], packet[44]),
            (255, &[136, 0][..], 0x60)
        );
        assert_eq!(packet[48..], [&B6[..], &[2, 1], &OWN].concat());
    }
    let mut routed = solicitation(A6, B6, &[]);
    routed[7] = 254;
    assert!(
        passes(
            &mut host("{}"),
            &ethernet(group_mac(B6), &[], [0x86, 0xdd], &routed),
            0
        ),
        "came through a router"
    );
}

#[test]
fn answers_for_configured_addresses_only() {
    let mut one = host(r#"{"address": "10.0.0.2"}"#);
    assert_eq!(
        judge(&mut one, &ethernet(OWN, &[], [8, 0], &ping4(A4, B4, b"")), 0).verdict,
        Verdict::Tx
    );
    assert!(passes(
        &mut one,
        &ethernet(OWN, &[], [8, 0], &ping4(A4, [10, 0, 0, 3], b"")),
        0
    ));
    assert!(passes(
        &mut one,
        &ethernet(BROADCAST, &[], [8, 6], &arp(A4, [10, 0, 0, 3])),
        0
    ));
    assert!(passes(
        &mut one,
        &ethernet(OWN, &[], [0x86, 0xdd], &ping6(A6, B6, b"")),
        0
    ));
    let mut both = host(r#"{"address":["10.0.0.9","fe80::2"],"mac":"02:00:00:00:00:BB"}"#);
    let mac = [2, 0, 0, 0, 0, 0xbb];
    let question = solicitation(A6, B6, &[]);
    let out = judge(
        &mut both,
        &ethernet(group_mac(B6), &[], [0x86, 0xdd], &question),
        0,
    );
    assert_eq!(
        (out.verdict, &out.bytes[6..12], &out.bytes[80..86]),
        (Verdict::Tx, &mac[..], &mac[..])
    );
    assert_eq!(
        judge(
            &mut both,
            &ethernet(mac, &[], [0x86, 0xdd], &ping6(A6, B6, b"")),
            0
        )
        .verdict,
        Verdict::Tx
    );
    assert!(
        passes(
            &mut both,
            &ethernet(OWN, &[], [0x86, 0xdd], &ping6(A6, B6, b"")),
            0
        ),
        "to another station"
    );
}

#[test]
fn answers_on_a_tun_device() {
    let asked = ping4(A4, B4, b"tun");
    let out = judge(&mut host("{}"), &asked, flags::L3);
    assert_eq!(out.verdict, Verdict::Tx);
    check_reply4(&out.bytes, B4, A4, &asked);
    let out = judge(&mut host("{}"), &ping6(A6, B6, b"tun"), flags::L3);
    assert_eq!(out.verdict, Verdict::Tx);
    check_icmpv6(&out.bytes, B6, A6);
    assert!(passes(&mut host("{}"), &solicitation(A6, B6, &[]), flags::L3));
}

#[test]
fn leaves_alone_what_it_does_not_answer() {
    let mut host = host("{}");
    let ping = ping4(A4, B4, b"data");
    let changed = |at: usize, value: u8| {
        let mut packet = ping.clone();
        packet[at] = value;
        let check = {
            packet[10..12].fill(0);
            sum(&[&packet[..20]])
        };
        packet[10..12].copy_from_slice(&check.to_be_bytes());
        ethernet(OWN, &[], [8, 0], &packet)
    };
    assert!(passes(&mut host, &changed(6, 0x20), 0), "a fragment");
    assert!(
        passes(&mut host, &changed(20, 0), 0),
        "an echo reply, its sum wrong"
    );
    assert!(passes(&mut host, &changed(9, 17), 0), "UDP");
    assert!(passes(&mut host, &changed(30, 0xff), 0), "damaged data");
    assert!(passes(&mut host, &changed(3, 200), 0), "longer than the frame");
    assert!(
        passes(&mut host, &ethernet(OWN, &[], [8, 0], &ping), flags::EGRESS),
        "on its way out"
    );
    assert!(
        passes(&mut host, &ethernet(BROADCAST, &[], [8, 0], &ping), 0),
        "to a broadcast MAC"
    );
    assert!(
        passes(
            &mut host,
            &ethernet(OWN, &[], [8, 0], &ping4(A4, [255; 4], b"")),
            0
        ),
        "to the broadcast address"
    );
    assert!(
        passes(
            &mut host,
            &ethernet(OWN, &[], [8, 0], &ping4(A4, [224, 0, 0, 1], b"")),
            0
        ),
        "to a group"
    );
    assert!(
        passes(&mut host, &ethernet(OWN, &[], [8, 0], &ping4([0; 4], B4, b"")), 0),
        "from nobody"
    );
    assert!(
        passes(&mut host, &ethernet(OWN, &[], [8, 0], &ping4(B4, B4, b"")), 0),
        "from itself"
    );
}

#[test]
fn survives_every_cut_of_every_question() {
    let mut host = host("{}");
    let questions = [
        ethernet(BROADCAST, &[], [8, 6], &arp(A4, B4)),
        ethernet(OWN, &[0x81, 0, 0, 1], [8, 0], &ping4(A4, B4, b"data")),
        ethernet(OWN, &[], [0x86, 0xdd], &ping6(A6, B6, b"data")),
        ethernet(
            group_mac(B6),
            &[],
            [0x86, 0xdd],
            &solicitation(A6, B6, &[1, 1, 2, 0, 0, 0, 0, 0x0a]),
        ),
    ];
    for question in questions {
        assert_eq!(judge(&mut host, &question, 0).verdict, Verdict::Tx);
        for len in 0..question.len() {
            assert!(passes(&mut host, &question[..len], 0), "cut to {len}");
        }
    }
}

#[test]
fn refuses_a_wrong_configuration() {
    let mut host = Host::new(icmp_echo);
    for config in [
        r#"{"address": "10.0.0"}"#,
        r#"{"address": "224.0.0.1"}"#,
        r#"{"address": []}"#,
        r#"{"address": 5}"#,
        r#"{"address": ["10.0.0.1", 7]}"#,
        r#"{"address": "::"}"#,
        r#"{"mac": "ff:ff:ff:ff:ff:ff"}"#,
        r#"{"mac": "x"}"#,
    ] {
        assert!(host.configure(configure, config).is_err(), "{config}");
    }
}
