//! Summaries compared with what `tcpdump -n -t -S -r` prints for the same frames.

#[path = "../frames/mod.rs"]
mod frames;

mod application;
mod link;
mod network;
mod oracle;
mod transport;

use frames::{ethernet, ipv4, udp};
use proptest::prelude::*;
use vnet_packet::{Layer, summary};

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_print_without_end(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        kind in prop_oneof![Just(0x0800_u16), Just(0x86dd), Just(0x0806), Just(0x8100), any::<u16>()],
        first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
        protocol in prop_oneof![Just(1_u8), Just(2), Just(4), Just(6), Just(17), Just(41), Just(44), Just(58), any::<u8>()],
        port in prop_oneof![Just(53_u16), Just(67), Just(80), Just(123), Just(5353), any::<u16>()],
    ) {
        let mut packet = bytes;
        let l4 = if first >> 4 == 6 { 40 } else { 20 };
        for (at, value) in [(0, first), (if l4 == 40 { 6 } else { 9 }, protocol)] {
            if let Some(byte) = packet.get_mut(at) {
                *byte = value;
            }
        }
        if let Some(field) = packet.get_mut(l4..l4 + 2) {
            field.copy_from_slice(&port.to_be_bytes());
        }
        prop_assert!(summary(&packet, Layer::L3).len() < 100_000);
        prop_assert!(summary(&packet, Layer::L2).len() < 100_000);
        let framed = [ethernet(&[], kind), packet].concat();
        prop_assert!(summary(&framed, Layer::L2).len() < 100_000);
    }
}

#[test]
fn packets_in_packets_in_packets_end() {
    let mut packet = ipv4(17, &[], &udp(0, b""));
    while packet.len() < 65_000 {
        packet = ipv4(4, &[], &packet);
    }
    assert!(summary(&packet, Layer::L3).len() < 1000);
}
