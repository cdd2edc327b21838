//! Super-frames beyond 64 KiB over IPv4 (BIG TCP) on their way through ports and plugins.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::time::{Duration, Instant};

use support::lan::{Lan, NODE_END, can_run};
use vnet_datapath::{Direction, LinkSide, Place};
use vnet_packet::{Layer, checksum};
use vnet_runtime::Stage;
use vnet_sys::{PacketOptions, PacketSocket, RecvSlot, VnetHdr, vnet_hdr};

const MSS: u16 = 1448;
const PAYLOAD: usize = 179_000;
const HEADERS: usize = 54;
/// Passes a frame.
const PASSES: &str = "(i32.store8 offset=12 (local.get $d) (i32.const 0))";

/// A frame to everybody, with the total length 0 that the kernel writes into such frames.
fn giant() -> (VnetHdr, Vec<u8>) {
    let mut f = vec![0u8; HEADERS + PAYLOAD];
    f[..12].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x77]);
    f[12..14].copy_from_slice(&[8, 0]);
    f[14] = 0x45;
    f[22] = 64;
    f[23] = 6;
    f[26..34].copy_from_slice(&[10, 9, 9, 1, 10, 9, 9, 2]);
    f[34..38].copy_from_slice(&[0x12, 0x34, 0, 80]);
    f[46] = 0x50;
    f[47] = 0x10;
    for (i, b) in f[HEADERS..].iter_mut().enumerate() {
        *b = (i ^ (i >> 8)) as u8;
    }
    let (start, offset) = checksum::seed(&mut f, Layer::L2).unwrap();
    let header = VnetHdr {
        flags: vnet_hdr::F_NEEDS_CSUM,
        gso_type: vnet_hdr::GSO_TCPV4,
        hdr_len: HEADERS as u16,
        gso_size: MSS,
        csum_start: start as u16,
        csum_offset: offset as u16,
    };
    (header, f)
}

/// Sends the giant from the first node; returns what the second receives of it, in order, as payload lengths.
fn lengths(lan: &Lan) -> Vec<usize> {
    let options = PacketOptions::default();
    let mut rx = lan.nodes[1]
        .run(|| PacketSocket::open(NODE_END, options).unwrap())
        .unwrap();
    let tx = lan.nodes[0]
        .run(|| PacketSocket::open_sender(NODE_END).unwrap())
        .unwrap();
    let (header, sent) = giant();
    tx.send(&header, &sent).unwrap();
    let (mut got, mut lengths) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 200_000];
    let deadline = Instant::now() + Duration::from_secs(10);
    while got.len() < PAYLOAD {
        assert!(
            Instant::now() < deadline,
            "{} of {PAYLOAD} bytes: {lengths:?}",
            got.len()
        );
        let (len, truncated) = {
            let mut slots = [RecvSlot::new(&mut buffer)];
            match rx.recv_batch(&mut slots) {
                Ok(1) => (slots[0].len, slots[0].truncated),
                _ => continue,
            }
        };
        if len < HEADERS || buffer[6..12] != sent[6..12] {
            continue;
        }
        assert!(!truncated);
        let total = usize::from(u16::from_be_bytes([buffer[16], buffer[17]]));
        assert_eq!(
            total,
            if len > 65_549 { 0 } else { len - 14 },
            "the length in the IPv4 header"
        );
        got.extend_from_slice(&buffer[HEADERS..len]);
        lengths.push(len - HEADERS);
    }
    assert!(got == sent[HEADERS..], "payload in order, nothing lost");
    lengths
}

fn through(stage: Option<Stage>) -> Vec<usize> {
    let lan = Lan::big(2);
    if let Some(stage) = stage {
        let place = Place::Link(0, Direction::Both, LinkSide::A);
        lan.switch.attach(place, stage, None).unwrap();
    }
    lan.switch.start().unwrap();
    let lengths = lengths(&lan);
    lan.transfer(0, 1, 8 << 20);
    lan.transfer(1, 0, 8 << 20);
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.balance(), 0, "{stats:?}");
    assert!(stats.drops.is_empty() && stats.stage_drops == 0, "{stats:?}");
    assert!(stats.ports.iter().all(|port| port.drops.is_empty()), "{stats:?}");
    lengths
}

#[test]
fn a_giant_crosses_a_switch_whole() {
    if can_run() {
        assert_eq!(through(None), [PAYLOAD]);
    }
}

#[test]
fn a_plugin_whose_slots_hold_it_sees_it_whole() {
    if can_run() {
        let passes = support::batch_with_slots(180_544, 3, PASSES);
        assert_eq!(through(Some(support::stage(&passes, 2))), [PAYLOAD]);
    }
}

#[test]
fn it_is_cut_into_super_frames_at_the_door_of_a_plugin_with_slots_of_64_kib() {
    if can_run() {
        let passes = support::batch(3, PASSES);
        let lengths = through(Some(support::stage(&passes, 2)));
        assert_eq!(lengths.len(), 3);
        assert!(
            lengths[..2].iter().all(|len| len % usize::from(MSS) == 0),
            "{lengths:?}"
        );
    }
}

#[test]
fn it_is_cut_into_segments_for_a_plugin_that_takes_no_super_frames() {
    if can_run() {
        let lengths = through(Some(support::stage(support::PASS, 2)));
        assert_eq!(lengths.len(), PAYLOAD.div_ceil(usize::from(MSS)));
    }
}

#[test]
fn a_port_of_an_ordinary_link_gets_super_frames_of_64_kib() {
    if !can_run() {
        return;
    }
    let mut lan = Lan::big(1);
    lan.be_ordinary();
    lan.add_node();
    lan.switch.start().unwrap();
    assert_eq!(lengths(&lan).len(), 3);
    lan.transfer(0, 1, 8 << 20);
    lan.transfer(1, 0, 8 << 20);
    let stats = lan.switch.stats().unwrap();
    assert_eq!(stats.balance(), 0, "{stats:?}");
    assert!(stats.ports.iter().all(|port| port.drops.is_empty()), "{stats:?}");
}
