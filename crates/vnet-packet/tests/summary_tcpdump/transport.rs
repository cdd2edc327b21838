//! TCP and UDP.

use vnet_packet::Layer;

use crate::frames::{ipv4, ipv6, tcp, udp};
use crate::oracle::{assert_same, on_ethernet, with_ports};

#[test]
fn tells_tcp_flags_options_and_lengths() {
    let options: [&[u8]; 18] = [
        b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\x01\0\0\0\x02\x01\x03\x03\x07",
        b"\x01\x01\x05\x0a\0\0\0\x01\0\0\0\x02",
        b"\x01\x01\x05\x12\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04",
        b"\0\0\0\0",
        b"\x01\x01\x01\0",
        b"\x22\x06abcd\x01\x01",
        b"\x22\x02\x01\x01",
        b"\x02\x03\x01\x01",
        b"\x02\x05\x01\x01\0\0\0\0",
        b"\x63\x01\0\0",
        b"\x63\x20\0\0",
        b"\x63\x04ab",
        b"\x63\x02\x01\x01",
        b"\x05\x05\0\0\0\0\0\0",
        b"\x04\x03\x01\x01",
        b"\x08\x0a\0\0\0\x01\0\0",
        b"\x02\x02\x03\x02",
        b"\x01\x01\x01\x02",
    ];
    let mut packets: Vec<_> = options
        .iter()
        .map(|o| ipv4(6, &[], &tcp(1000, 0x10, o, b"xyz")))
        .collect();
    for flags in 0..=255 {
        packets.push(ipv4(6, &[], &tcp(u32::MAX, flags, &[], b"")));
        packets.push(ipv6(6, &[], &tcp(u32::MAX, flags, &[], b"hello")));
    }
    let whole = tcp(1000, 0x18, &[], b"hello");
    packets.extend((0..whole.len()).map(|len| ipv4(6, &[], &whole[..len])));
    packets.extend((0..whole.len()).map(|len| ipv4(6, &[], &whole)[..20 + len].to_vec()));
    for offset in [0_u8, 4, 15] {
        let mut bad = whole.clone();
        bad[12] = offset << 4;
        packets.push(ipv4(6, &[], &bad));
    }
    assert_same(&on_ethernet(packets), Layer::L2);
}

#[test]
fn tells_first_lines_of_text_protocols() {
    let lines: [(u16, &[u8]); 16] = [
        (80, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (80, b"HTTP/1.1 200 OK\r\n"),
        (8080, b"HTTP/1.0 404 Not Found\r\nA: b\r\n"),
        (80, b"binary\0"),
        (80, b"PATCH /x HTTP/1.1\r\n"),
        (80, b"GET"),
        (80, b"\r\n"),
        (80, b"POST /a\x01b HTTP/1.1"),
        (80, b"get / x\r\n"),
        (80, b"HTTP/1.1 2000 x\r\n"),
        (80, b"\xff\xfe\xfd"),
        (22, b"SSH-2.0-OpenSSH_9\r\n"),
        (22, b"\0\0\x01\x02"),
        (21, b"220 ready\r\n"),
        (25, b"EHLO host\r\n"),
        (443, b"\x16\x03\x01"),
    ];
    let packets = lines.iter().flat_map(|(port, line)| {
        let segment = tcp(1000, 0x18, &[], line);
        [
            ipv4(6, &[], &with_ports(segment.clone(), 1000, *port)),
            ipv6(6, &[], &with_ports(segment, *port, 1000)),
        ]
    });
    assert_same(&on_ethernet(packets), Layer::L2);
}

#[test]
fn tells_udp_lengths_that_contradict_each_other() {
    let mut packets = Vec::new();
    for len in [0_u16, 4, 8, 12, 18, 100] {
        let mut datagram = udp(0, &[0; 10]);
        datagram[4..6].copy_from_slice(&len.to_be_bytes());
        packets.push(ipv4(17, &[], &datagram));
        packets.push(ipv6(17, &[], &datagram));
    }
    for (field, proto) in [
        (0x2000_u16, 17),
        (0x2003, 17),
        (5, 17),
        (3, 6),
        (3, 1),
        (0x2000, 6),
    ] {
        let payload = if proto == 17 {
            udp(0, &[0; 10])
        } else {
            tcp(1, 0x10, &[], &[0; 10])
        };
        let mut packet = ipv4(proto, &[], &payload);
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        packets.push(packet);
    }
    assert_same(&on_ethernet(packets), Layer::L2);
}
