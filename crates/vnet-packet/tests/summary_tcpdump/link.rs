//! Ethernet, VLAN tags, ARP.

use vnet_packet::{Layer, summary};

use crate::MAC_A;
use crate::frames::{ethernet, ipv4, udp};
use crate::oracle::assert_same;

const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn arp(operation: u8, target: [u8; 6], ips: [[u8; 4]; 2], padding: usize) -> Vec<u8> {
    let mut out = ethernet(&[], 0x0806);
    out.extend([0, 1, 8, 0, 6, 4, 0, operation]);
    out.extend([&MAC_A[..], &ips[0], &target, &ips[1]].concat());
    out.extend(vec![0; padding]);
    out
}

#[test]
fn tells_arp_messages() {
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut frames = vec![
        arp(1, [0; 6], [a, b], 0),
        arp(1, MAC_B, [a, b], 18),
        arp(1, [0; 6], [a, a], 0),
        arp(1, [0; 6], [[0; 4], b], 0),
        arp(2, MAC_B, [a, b], 0),
        arp(3, MAC_B, [a, b], 0),
        arp(4, MAC_B, [a, b], 0),
        arp(8, MAC_B, [a, b], 0),
        arp(9, MAC_B, [a, b], 0),
    ];
    let request = frames[0].clone();
    frames.extend([17, 20, 22, 30, 41].map(|len| request[..len].to_vec()));
    for (at, byte) in [(16, 0x86), (18, 0), (19, 6)] {
        let mut frame = request.clone();
        frame[at] = byte;
        frame.extend([0; 8]);
        frames.push(frame);
    }
    assert_same(&frames, Layer::L2);
}

#[test]
fn tells_tags_and_frames_that_are_cut_short() {
    let packet = ipv4(17, &[], &udp(0, b"x"));
    let whole = [ethernet(&[(0x8100, 0x2064)], 0x0800), packet.clone()].concat();
    let double = [ethernet(&[(0x88a8, 0x1064), (0x8100, 0xe005)], 0x0800), packet].concat();
    assert_eq!(
        summary(&whole, Layer::L2),
        "vlan 100, p 1, IP 10.0.0.1.12345 > 10.0.0.2.9999: UDP, length 1"
    );
    assert_eq!(
        summary(&double, Layer::L2),
        "vlan 100, p 0, DEI, vlan 5, p 7, IP 10.0.0.1.12345 > 10.0.0.2.9999: UDP, length 1"
    );
    let mut frames: Vec<_> = (1..=whole.len()).map(|len| whole[..len].to_vec()).collect();
    frames.extend([whole, double]);
    assert_same(&frames, Layer::L2);
}

#[test]
fn unknown_types_start_like_tcpdump_with_addresses_and_type() {
    for kind in [0x1234_u16, 0x88b5, 0x05ff] {
        let frame = [ethernet(&[], kind), vec![7; 20]].concat();
        assert_same(&[frame], Layer::L2);
    }
}
