//! IP, ICMP, IGMP, ICMPv6.

use vnet_packet::Layer;

use crate::MAC_A;
use crate::frames::{ethernet, ipv4, ipv6, tcp, udp};
use crate::oracle::{assert_same, on_ethernet};

fn icmp(kind: u8, code: u8, rest: u32, payload: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0][..], &rest.to_be_bytes(), payload].concat()
}

#[test]
fn tells_icmp_messages() {
    let inner = ipv4(17, &[], &udp(0, b"abc"));
    let mut messages: Vec<_> = (0..=12)
        .chain([13, 15, 16, 17, 18, 19])
        .filter(|kind| *kind != 9)
        .map(|kind| icmp(kind, 0, 0x0001_0002, &[b'x'; 8]))
        .collect();
    messages.extend((0..=16).map(|code| icmp(3, code, 1400, &inner)));
    messages.push(icmp(3, 4, 0, &inner));
    messages.push(icmp(3, 3, 0, &ipv4(6, &[], &tcp(1, 2, &[], b""))));
    messages.push(icmp(3, 3, 0, &ipv4(47, &[], b"abcdefgh")));
    messages.extend((0..5).map(|code| icmp(5, code, 0x0a00_0009, &inner)));
    messages.extend((0..3).map(|code| icmp(11, code, 0, &inner)));
    messages.extend((0..2).map(|code| icmp(12, code, 0x0500_0000, &inner)));
    messages.extend([0, 10, 19, 20].map(|len| icmp(3, 1, 0, &inner[..len])));
    messages.extend([20, 22, 24].map(|len| icmp(3, 3, 0, &inner[..len])));
    messages.extend((0..9).map(|len| icmp(8, 0, 0x0001_0002, b"x")[..len].to_vec()));
    assert_same(&on_ethernet(messages.iter().map(|m| ipv4(1, &[], m))), Layer::L2);
}

#[test]
fn tells_igmp_messages() {
    let messages: [&[u8]; 11] = [
        b"\x11\x64\0\0\0\0\0\0",
        b"\x11\0\0\0\0\0\0\0",
        b"\x11\x0a\0\0\xe0\0\0\xfb",
        b"\x11\x64\0\0\0\0\0\0\x02\x7d\0\0",
        b"\x11\x64\0\0\xe0\0\0\x05\x02\x7d\0\x01\x0a\0\0\x01",
        b"\x16\0\0\0\xe0\0\0\xfb",
        b"\x17\0\0\0\xe0\0\0\xfb",
        b"\x12\0\0\0\xe0\0\0\xfb",
        b"\x22\0\0\0\0\0\0\x01\x04\0\0\0\xe0\0\0\xfb",
        b"\x99\0\0\0\0\0\0\x02",
        b"\x16\0\0",
    ];
    assert_same(&on_ethernet(messages.iter().map(|m| ipv4(2, &[], m))), Layer::L2);
}

#[test]
fn tells_icmpv6_messages() {
    let target = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let inner = ipv6(17, &[], &udp(0, b"xyz"));
    let lladdr = [&[1, 1][..], &MAC_A].concat();
    let mut messages = vec![
        icmp(128, 0, 0x0001_0002, &[b'x'; 56]),
        icmp(129, 0, 0x0001_0002, b""),
        icmp(133, 0, 0, b""),
        icmp(133, 0, 0, &lladdr),
        icmp(134, 0, 0x4000_0708, &[&[0; 8][..], &lladdr].concat()),
        icmp(135, 0, 0, &[&target[..], &lladdr].concat()),
        icmp(136, 0, 0x6000_0000, &[&target[..], &lladdr].concat()),
        icmp(136, 0, 0, &target[..8]),
        icmp(137, 0, 0, &[target, target].concat()),
        icmp(130, 0, 0x2710_0000, &[0; 16]),
        icmp(130, 0, 0x2710_0000, &[&[0; 16][..], &[0, 0x7d, 0, 0]].concat()),
        icmp(
            130,
            0,
            0x2710_0000,
            &[&target[..], &[0, 0x7d, 0, 1], &target].concat(),
        ),
        icmp(130, 0, 0, &[0; 17]),
        icmp(131, 0, 0, &target),
        icmp(132, 0, 0, &target),
        icmp(143, 0, 1, &[&[4, 0, 0, 0][..], &target].concat()),
        icmp(2, 0, 1280, &inner),
        icmp(1, 4, 0, &ipv6(6, &[], &tcp(1, 2, &[], b""))),
        icmp(1, 4, 0, &ipv6(58, &[], b"abcdefgh")),
        icmp(1, 0, 0, b"abc"),
    ];
    messages.extend((0..6).map(|code| icmp(1, code, 0, &inner)));
    messages.extend((0..3).map(|code| icmp(3, code, 0, &inner)));
    messages.extend((0..5).map(|code| icmp(4, code, 40, &inner)));
    messages.extend([0, 5, 127, 199].map(|kind| icmp(kind, 0, 0, &[0; 40])));
    messages.extend((0..9).map(|len| icmp(128, 0, 0x0001_0002, b"x")[..len].to_vec()));
    assert_same(&on_ethernet(messages.iter().map(|m| ipv6(58, &[], m))), Layer::L2);
}

#[test]
fn tells_ip_headers_and_extensions() {
    let datagram = udp(0, b"xyz");
    let padded = |kind| (kind, vec![0, 1, 4, 0, 0, 0, 0]);
    let fragment = |field: u16| {
        let [high, low] = field.to_be_bytes();
        (44, vec![0, high, low, 0, 0, 0, 7])
    };
    let mut address = vec![0; 15];
    address.push(1);
    let routing = |kind| (43, [&[2, kind, 1, 0, 0, 0, 0][..], &address].concat());
    let mut packets = vec![
        ipv6(17, &[padded(0)], &datagram),
        ipv6(17, &[padded(60)], &datagram),
        ipv6(6, &[padded(0), padded(60)], &tcp(1, 2, &[], b"")),
        ipv6(58, &[padded(0)], &icmp(128, 0, 0x0001_0002, b"abcd")),
        ipv6(17, &[routing(0)], &datagram),
        ipv6(17, &[routing(4)], &datagram),
        ipv6(17, &[fragment(0)], &datagram),
        ipv6(17, &[fragment(1)], &datagram),
        ipv6(17, &[fragment(0x11)], &datagram),
        ipv6(17, &[fragment(0x10)], &datagram),
        ipv6(58, &[fragment(1)], &icmp(128, 0, 0x0001_0002, b"abcd")),
        ipv6(17, &[(0, vec![255, 1, 4, 0, 0, 0, 0])], &datagram),
        ipv6(
            17,
            &[(51, [&[4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &[0x61; 12]].concat())],
            &datagram,
        ),
        ipv6(50, &[], b"\0\0\0\x01\0\0\0\x02abcdefghijkl"),
        ipv6(59, &[], b"abc"),
        ipv6(253, &[], b"abc"),
        ipv6(1, &[], &icmp(8, 0, 0, b"")),
        ipv6(2, &[], b"abcdefgh"),
        ipv6(4, &[], &ipv4(17, &[], &datagram)),
        ipv6(41, &[], &ipv6(17, &[], &datagram)),
        ipv4(41, &[], &ipv6(17, &[], &datagram)),
        ipv4(4, &[], &ipv4(17, &[], &datagram)),
        ipv4(58, &[], &icmp(128, 0, 0, b"")),
        ipv4(50, &[], b"\0\0\0\x01\0\0\0\x02abcdefghijkl"),
        ipv4(59, &[], b"abc"),
        ipv4(253, &[], b"abc"),
        ipv4(17, &[1, 1, 1, 0], &datagram),
    ];
    for (good, at) in [(ipv4(17, &[], &datagram), 2), (ipv6(17, &[], &datagram), 4)] {
        packets.extend((1..good.len()).map(|len| good[..len].to_vec()));
        for value in [0_u16, 5, 10, 19, 20, 24, 100] {
            let mut packet = good.clone();
            packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
            packets.push(packet);
        }
    }
    assert_same(&on_ethernet(packets.clone()), Layer::L2);
    for first in [0x44, 0x4f, 0x65, 0x35] {
        let mut packet = ipv4(17, &[], &datagram);
        packet[0] = first;
        assert_same(&[[ethernet(&[], 0x0800), packet].concat()], Layer::L2);
    }
    let mut raw: Vec<_> = packets.into_iter().filter(|p| !p.is_empty()).collect();
    raw.push(vec![0x35, 1, 2]);
    assert_same(&raw, Layer::L3);
}
