//! DNS, DHCP, NTP.

use vnet_packet::Layer;

use crate::MAC_A;
use crate::frames::{ipv4, ipv6, tcp, udp};
use crate::oracle::{assert_same, on_ethernet, with_ports};

const NAME: &[u8] = b"\x07example\x03com\0";

fn dns(flags: u16, counts: [u16; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![0x12, 0x34];
    out.extend(flags.to_be_bytes());
    out.extend(counts.iter().flat_map(|n| n.to_be_bytes()));
    out.extend(body.concat());
    out
}

fn question(name: &[u8], kind: u16, class: u16) -> Vec<u8> {
    [name, &kind.to_be_bytes(), &class.to_be_bytes()].concat()
}

fn record(name: &[u8], kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u16).to_be_bytes();
    [
        name,
        &kind.to_be_bytes(),
        &class.to_be_bytes(),
        &[0, 0, 1, 44],
        &len,
        data,
    ]
    .concat()
}

#[test]
fn tells_dns_questions_and_answers() {
    let ask = |flags, counts, body: &[&[u8]]| (1000, 53, dns(flags, counts, body));
    let q = |kind| question(NAME, kind, 1);
    let mut messages = vec![
        ask(0x100, [1, 0, 0, 0], &[&q(1)]),
        ask(0, [1, 0, 0, 0], &[&q(28)]),
        ask(0x120, [1, 0, 0, 1], &[&q(1), &record(b"\0", 41, 1232, b"")]),
        ask(0x100, [1, 0, 0, 0], &[&question(b"\0", 2, 1)]),
        ask(0x100, [2, 0, 0, 0], &[&q(1), &q(28)]),
        ask(0x100, [1, 0, 0, 0], &[&question(NAME, 1, 3)]),
        ask(0x110, [1, 0, 0, 0], &[&q(1)]),
        ask(0x100, [1, 1, 2, 0], &[&q(1)]),
        ask(0x100, [2, 0, 0, 0], &[&q(1)]),
        ask(0x2800, [1, 0, 0, 0], &[&q(1)]),
        ask(0x1000, [1, 0, 0, 0], &[&q(1)]),
        ask(0x100, [0; 4], &[]),
        ask(
            0x100,
            [1, 0, 0, 0],
            &[&question(b"\x03a.b\x02\\c\x02\x01\xff\0", 1, 1)],
        ),
        ask(0x100, [1, 0, 0, 0], &[&question(b"\xc0\x0c", 1, 1)]),
    ];
    for kind in [
        1, 2, 5, 6, 12, 13, 15, 16, 17, 28, 29, 33, 35, 39, 41, 43, 46, 47, 48, 50, 52, 64, 65, 99, 249, 250,
        251, 252, 255, 256, 257, 999,
    ] {
        messages.push(ask(0x100, [1, 0, 0, 0], &[&q(kind)]));
    }
    let whole = dns(0x100, [1, 0, 0, 0], &[&q(1)]);
    messages.extend((0..whole.len()).map(|len| (1000, 53, whole[..len].to_vec())));

    let answer = |flags, records: &[Vec<u8>]| {
        let body = [q(1), records.concat()].concat();
        (53, 1000, dns(flags, [1, records.len() as u16, 0, 0], &[&body]))
    };
    let r = |kind, data: &[u8]| record(b"\xc0\x0c", kind, 1, data);
    let address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    messages.extend([
        answer(0x8180, &[r(1, &[10, 0, 0, 1])]),
        answer(0x8180, &[r(5, b"\x03www\xc0\x0c"), r(28, &address)]),
        answer(0x8580, &[r(15, b"\0\x0a\x04mail\xc0\x0c")]),
        answer(0x8180, &[r(16, b"\x05hello\x03abc")]),
        answer(0x8180, &[r(33, b"\0\x01\0\x02\x1f\x90\x03www\xc0\x0c")]),
        answer(
            0x8180,
            &[r(
                6,
                b"\x02ns\xc0\x0c\x04mail\xc0\x0c\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01",
            )],
        ),
        answer(0x8180, &[r(12, b"\x03ptr\xc0\x0c")]),
        answer(0x8180, &[r(2, b"\x02ns\xc0\x0c")]),
        answer(0x8180, &[r(999, b"abc")]),
        answer(0x8180, &[record(b"\xc0\x0c", 1, 3, &[10, 0, 0, 1])]),
        answer(0x8180, &[r(5, b"\xc0\xff")]),
        answer(0x8180, &[r(5, b"\xc0\x29")]),
        answer(0x8380, &[]),
        answer(0x81a0, &[]),
        answer(0x8100, &[]),
        answer(0xa800, &[]),
    ]);
    messages.extend((0..16).map(|code| answer(0x8180 | code, &[])));
    messages.push((
        53,
        1000,
        dns(0x8180, [1, 2, 0, 0], &[&q(1), &r(1, &[10, 0, 0, 1])]),
    ));
    messages.push((53, 1000, dns(0x8180, [1, 1, 0, 0], &[&q(1)])));
    messages.push((53, 1000, dns(0x8180, [0; 4], &[])));

    messages.extend([
        (
            5353,
            5353,
            dns(
                0,
                [2, 0, 0, 0],
                &[
                    &question(b"\x04_tcp\x05local\0", 12, 1),
                    &question(NAME, 12, 0x8001),
                ],
            ),
        ),
        (
            5353,
            5353,
            dns(0x8400, [0, 1, 0, 0], &[&record(NAME, 1, 0x8001, &[10, 0, 0, 1])]),
        ),
        (
            5353,
            5353,
            dns(
                0x8400,
                [0, 2, 0, 1],
                &[
                    &record(NAME, 12, 1, b"\x01a\x03com\0"),
                    &record(NAME, 16, 0x8001, b"\0"),
                    &record(NAME, 33, 0x8001, b"\0\0\0\0\0\x50\x01a\0"),
                ],
            ),
        ),
    ]);
    let mut packets: Vec<_> = messages
        .iter()
        .map(|(src, dst, message)| ipv4(17, &[], &with_ports(udp(0, message), *src, *dst)))
        .collect();
    let in_tcp = |len: u16| [&len.to_be_bytes()[..], &whole].concat();
    for prefix in [whole.len() as u16, 7] {
        packets.push(ipv6(
            6,
            &[],
            &with_ports(tcp(1, 0x18, &[], &in_tcp(prefix)), 1000, 53),
        ));
    }
    assert_same(&on_ethernet(packets), Layer::L2);
}

#[test]
fn tells_dhcp_and_ntp() {
    let mut dhcp = vec![0; 240];
    dhcp[..3].copy_from_slice(&[1, 1, 6]);
    dhcp[28..34].copy_from_slice(&MAC_A);
    let mut messages = vec![
        (68, 67, dhcp.clone()),
        (68, 67, dhcp[..100].to_vec()),
        (68, 67, dhcp[..30].to_vec()),
    ];
    for (at, value) in [(0, 2), (0, 3), (1, 6)] {
        let mut other = dhcp.clone();
        other[at] = value;
        messages.push((67, 68, other));
    }
    for first in [0x23_u8, 0x24, 0x1b, 0xe3, 0x20, 0x21, 0x22, 0x25, 0x0b] {
        messages.push((123, 123, [&[first][..], &[0; 47]].concat()));
    }
    messages.push((123, 123, Vec::new()));
    let packets = messages
        .iter()
        .map(|(src, dst, m)| ipv4(17, &[], &with_ports(udp(0, m), *src, *dst)));
    assert_same(&on_ethernet(packets), Layer::L2);
}
