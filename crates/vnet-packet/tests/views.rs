//! Header views: fields where the RFCs put them, and no panic on any bytes.

mod frames;

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use frames::{ethernet, ipv4, ipv6, tcp, udp};
use proptest::prelude::*;
use vnet_packet::wire::{
    Arp, Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, MacAddr, Tcp, Truncated, Udp, Vlan, arp_operation, ether_type,
    icmp_type, icmpv6_type, ip_protocol, ndp_option, tcp_flags,
};

#[test]
fn reads_a_tagged_tcp_segment_built_by_another_library() {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .single_vlan(0x123.try_into().expect("fits 12 bits"))
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 61)
        .tcp(1234, 80, 0xdead_beef, 4096)
        .ack(77)
        .psh();
    let mut frame = Vec::new();
    builder.write(&mut frame, b"hello").expect("a vector takes all");

    let eth = Ethernet::new_checked(&frame).expect("whole");
    assert_eq!(eth.src(), MacAddr([2, 0, 0, 0, 0, 1]));
    assert_eq!(eth.dst(), MacAddr([2, 0, 0, 0, 0, 2]));
    assert_eq!(eth.ether_type(), ether_type::VLAN);
    let vlan = Vlan::new_checked(eth.payload()).expect("whole");
    assert_eq!(
        (vlan.vid(), vlan.priority(), vlan.drop_eligible()),
        (0x123, 0, false)
    );
    assert_eq!(vlan.ether_type(), ether_type::IPV4);
    let ip = Ipv4::new_checked(vlan.payload()).expect("whole");
    assert_eq!((ip.version(), ip.header_len(), ip.ttl()), (4, 20, 61));
    assert_eq!(
        (ip.src(), ip.dst()),
        (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
    );
    assert_eq!(ip.protocol(), ip_protocol::TCP);
    assert!(ip.checksum_ok() && !ip.is_fragment());
    let tcp = Tcp::new_checked(ip.payload()).expect("whole");
    assert_eq!(
        (tcp.src_port(), tcp.dst_port(), tcp.seq(), tcp.ack()),
        (1234, 80, 0xdead_beef, 77)
    );
    assert_eq!(tcp.flags(), tcp_flags::ACK | tcp_flags::PSH);
    assert_eq!((tcp.window(), tcp.payload()), (4096, &b"hello"[..]));
}

#[test]
fn reads_a_udp_datagram_over_ipv6_built_by_another_library() {
    let (src, dst) = (
        Ipv6Addr::LOCALHOST,
        "fd00::2".parse::<Ipv6Addr>().expect("an address"),
    );
    let mut packet = Vec::new();
    PacketBuilder::ipv6(src.octets(), dst.octets(), 9)
        .udp(53, 5353)
        .write(&mut packet, b"abc")
        .expect("a vector takes all");
    let ip = Ipv6::new_checked(&packet).expect("whole");
    assert_eq!((ip.version(), ip.hop_limit(), ip.payload_len()), (6, 9, 11));
    assert_eq!(
        (ip.src(), ip.dst(), ip.next_header()),
        (src, dst, ip_protocol::UDP)
    );
    let udp = Udp::new_checked(ip.payload()).expect("whole");
    assert_eq!(
        (udp.src_port(), udp.dst_port(), udp.len(), udp.payload()),
        (53, 5353, 11, &b"abc"[..])
    );
}

#[test]
fn turns_an_arp_request_into_its_reply_in_place() {
    let mut bytes = [0_u8; 28];
    let (a, b) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    let (ip_a, ip_b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let mut arp = Arp::new_checked(&mut bytes).expect("whole");
    arp.set_ethernet_ipv4();
    arp.set_operation(arp_operation::REPLY);
    arp.set_sender_mac(b);
    arp.set_sender_ip(ip_b);
    arp.set_target_mac(a);
    arp.set_target_ip(ip_a);
    assert!(arp.is_ethernet_ipv4());
    assert_eq!(
        bytes,
        [
            0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1
        ]
    );
}

#[test]
fn writes_every_ip_and_transport_field() {
    let mut packet = [0_u8; 20];
    let mut ip = Ipv4::new_unchecked(&mut packet);
    ip.set_version_and_header_len(20);
    ip.set_tos(0x10);
    ip.set_total_len(20);
    ip.set_id(0xabcd);
    ip.set_fragment(true, false, 0);
    ip.set_ttl(64);
    ip.set_protocol(ip_protocol::UDP);
    ip.set_src(Ipv4Addr::new(192, 0, 2, 1));
    ip.set_dst(Ipv4Addr::new(192, 0, 2, 2));
    ip.fill_checksum();
    assert!(ip.checksum_ok() && ip.dont_fragment());
    let parsed = etherparse::Ipv4HeaderSlice::from_slice(&packet).expect("a whole header");
    assert_eq!(
        parsed.header_checksum(),
        parsed.to_header().calc_header_checksum()
    );
    assert_eq!(
        (parsed.identification(), parsed.ttl(), parsed.dcp().value()),
        (0xabcd, 64, 4)
    );

    let mut packet = [0_u8; 48];
    let mut ip = Ipv6::new_unchecked(&mut packet);
    ip.set_version_class_flow(0xa5, 0xf_1234);
    ip.set_payload_len(8);
    ip.set_next_header(ip_protocol::UDP);
    ip.set_hop_limit(3);
    ip.set_src(Ipv6Addr::LOCALHOST);
    ip.set_dst(Ipv6Addr::LOCALHOST);
    assert_eq!(
        (ip.version(), ip.traffic_class(), ip.flow_label()),
        (6, 0xa5, 0xf_1234)
    );
    assert_eq!(ip.payload_mut().len(), 8);
    let parsed = etherparse::Ipv6HeaderSlice::from_slice(&packet).expect("a whole header");
    assert_eq!((parsed.flow_label().value(), parsed.hop_limit()), (0xf_1234, 3));

    let mut segment = [0_u8; 24];
    let mut view = Tcp::new_unchecked(&mut segment);
    view.set_src_port(1);
    view.set_dst_port(2);
    view.set_seq(3);
    view.set_ack(4);
    view.set_header_len(20);
    view.set_flags(tcp_flags::SYN);
    view.set_window(5);
    view.set_urgent(6);
    view.payload_mut().copy_from_slice(b"data");
    let parsed = etherparse::TcpHeaderSlice::from_slice(&segment).expect("a whole header");
    assert_eq!((parsed.source_port(), parsed.destination_port()), (1, 2));
    assert_eq!((parsed.sequence_number(), parsed.acknowledgment_number()), (3, 4));
    assert!(parsed.syn() && !parsed.ack());
    assert_eq!((parsed.window_size(), parsed.urgent_pointer()), (5, 6));
}

#[test]
fn vlan_fields_do_not_touch_each_other() {
    let mut tag = Vlan::new_unchecked([0_u8; 4]);
    tag.set_tci(0xffff);
    tag.set_vid(1);
    assert_eq!((tag.priority(), tag.drop_eligible(), tag.vid()), (7, true, 1));
    tag.set_priority(2);
    assert_eq!((tag.priority(), tag.drop_eligible(), tag.vid()), (2, true, 1));
    tag.set_ether_type(ether_type::ARP);
    assert_eq!(tag.into_inner(), [0x50, 1, 8, 6]);
}

#[test]
fn icmp_echo_is_answered_in_place() {
    let mut message = *b"\x08\x00\x00\x00\x12\x34\x00\x07abc";
    let mut icmp = Icmp::new_checked(&mut message).expect("whole");
    assert_eq!(
        (icmp.kind(), icmp.echo_id(), icmp.echo_seq()),
        (icmp_type::ECHO_REQUEST, 0x1234, 7)
    );
    icmp.set_kind(icmp_type::ECHO_REPLY);
    icmp.fill_checksum();
    assert_eq!(frames::naive_checksum(&[&message]), 0);
}

#[test]
fn neighbour_messages_carry_target_and_link_layer_address() {
    let (src, dst) = (
        "fe80::1".parse().expect("an address"),
        "ff02::1".parse().expect("an address"),
    );
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    let mut message = [0_u8; 32];
    let mut icmp = Icmpv6::new_checked(&mut message).expect("whole");
    icmp.set_kind(icmpv6_type::NEIGHBOR_ADVERTISEMENT);
    icmp.set_rest(0x6000_0000);
    icmp.set_target(src);
    icmp.set_first_lladdr(ndp_option::TARGET_LLADDR, mac);
    icmp.fill_checksum(src, dst);
    assert_eq!(
        (icmp.target(), icmp.lladdr(ndp_option::TARGET_LLADDR)),
        (src, Some(mac))
    );
    assert_eq!(icmp.lladdr(ndp_option::SOURCE_LLADDR), None);
    let packet = ipv6(58, &[], &message);
    let mut packet = packet;
    packet[8..24].copy_from_slice(&src.octets());
    packet[24..40].copy_from_slice(&dst.octets());
    let head = frames::pseudo(&packet, 0, 58, 32);
    assert_eq!(frames::naive_checksum(&[&head, &message]), 0);
}

#[test]
fn option_of_length_zero_ends_the_search() {
    let message = [0_u8; 64];
    assert_eq!(Icmpv6::new_unchecked(&message[..]).lladdr(9), None);
}

#[test]
fn payload_leaves_padding_out() {
    let mut packet = ipv4(17, &[], &udp(0, b"ab"));
    packet.extend([0; 18]);
    let ip = Ipv4::new_checked(&packet).expect("whole");
    assert_eq!(Udp::new_checked(ip.payload()).expect("whole").payload(), b"ab");
    let mut packet = ipv6(6, &[], &tcp(0, 0, &[], b"abc"));
    packet.extend([0; 9]);
    let ip = Ipv6::new_checked(&packet).expect("whole");
    assert_eq!(Tcp::new_checked(ip.payload()).expect("whole").payload(), b"abc");
}

#[test]
fn short_buffers_are_refused_with_what_is_missing() {
    let error = Ethernet::new_checked(&[0; 13][..]).expect_err("13 bytes are too few");
    assert_eq!(
        error,
        Truncated {
            header: "Ethernet",
            needed: 14,
            available: 13
        }
    );
    assert_eq!(
        error.to_string(),
        "Ethernet header is cut short: it takes 14 bytes and has 13"
    );
    let mut packet = ipv4(17, &[], &[]);
    packet[0] = 0x44;
    assert!(Ipv4::new_checked(&packet).is_err());
    packet[0] = 0x46;
    assert!(Ipv4::new_checked(&packet).is_err());
    let mut segment = tcp(0, 0, &[], &[]);
    segment[12] = 0x60;
    assert!(Tcp::new_checked(&segment).is_err());
}

proptest! {
    #[test]
    fn no_accessor_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = bytes;
        let eth = Ethernet::new_unchecked(&bytes);
        let _ = (eth.dst(), eth.src(), eth.ether_type(), eth.payload().len());
        let vlan = Vlan::new_unchecked(&bytes);
        let _ = (vlan.tci(), vlan.ether_type(), vlan.payload().len());
        let arp = Arp::new_unchecked(&bytes);
        let _ = (arp.is_ethernet_ipv4(), arp.sender_mac(), arp.sender_ip(), arp.target_mac(), arp.target_ip());
        let ip = Ipv4::new_unchecked(&bytes);
        let _ = (ip.checksum_ok(), ip.options().len(), ip.payload().len(), ip.src(), ip.dst());
        let ip = Ipv6::new_unchecked(&bytes);
        let _ = (ip.payload().len(), ip.src(), ip.dst(), ip.flow_label());
        let udp = Udp::new_unchecked(&bytes);
        let _ = (udp.payload().len(), udp.checksum(), udp.is_empty());
        let tcp = Tcp::new_unchecked(&bytes);
        let _ = (tcp.options().len(), tcp.payload().len(), tcp.urgent());
        let icmp = Icmp::new_unchecked(&bytes);
        let _ = (icmp.rest(), icmp.echo_seq(), icmp.payload().len());
        let icmp = Icmpv6::new_unchecked(&bytes);
        let _ = (icmp.target(), icmp.lladdr(1), icmp.payload().len());

        let mut ip = Ipv4::new_unchecked(&mut bytes);
        ip.fill_checksum();
        ip.set_dst(Ipv4Addr::BROADCAST);
        let _ = ip.payload_mut().len();
        let _ = Tcp::new_unchecked(&mut bytes).payload_mut().len();
        let _ = Udp::new_unchecked(&mut bytes).payload_mut().len();
        Icmp::new_unchecked(&mut bytes).fill_checksum();
        Icmpv6::new_unchecked(&mut bytes).fill_checksum(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        Icmpv6::new_unchecked(&mut bytes).set_first_lladdr(1, MacAddr::BROADCAST);
        Ethernet::new_unchecked(&mut bytes).set_src(MacAddr::BROADCAST);
    }

    #[test]
    fn checked_views_have_their_whole_header(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(ip) = Ipv4::new_checked(&bytes) {
            prop_assert_eq!(ip.header().len(), ip.header_len());
            prop_assert_eq!(ip.options().len() + 20, ip.header_len());
        }
        if let Ok(tcp) = Tcp::new_checked(&bytes) {
            prop_assert_eq!(tcp.options().len() + 20, tcp.header_len());
            prop_assert_eq!(tcp.payload().len() + tcp.header_len(), bytes.len());
        }
        if let Ok(eth) = Ethernet::new_checked(&bytes) {
            prop_assert_eq!(eth.payload().len() + 14, bytes.len());
        }
    }
}

#[test]
fn ethernet_fields_are_written_in_place() {
    let mut frame = ethernet(&[], 0);
    let mut eth = Ethernet::new_checked(&mut frame[..]).expect("whole");
    eth.set_dst(MacAddr::BROADCAST);
    eth.set_ether_type(ether_type::ARP);
    assert_eq!(frame, [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6]);
}
