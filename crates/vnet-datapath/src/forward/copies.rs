//! Copies of one frame, each finished at its own door.

use vnet_packet::gso::Offload;
use vnet_packet::{Layer, checksum};

use super::Place;
use super::rig::{PASS, Rig, shipped, text};
use crate::stage::{Direction, LinkSide};

const MSS: u16 = 1448;

/// An IPv4 TCP frame to everybody with `payload` bytes and a pseudo-header sum only.
pub(super) fn tcp(payload: usize) -> (Vec<u8>, Offload) {
    let mut f = vec![0u8; 14 + 20 + 20 + payload];
    f[..12].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2]);
    f[12..14].copy_from_slice(&[8, 0]);
    f[14] = 0x45;
    let total = (f.len() - 14) as u16;
    f[16..18].copy_from_slice(&total.to_be_bytes());
    f[22] = 64;
    f[23] = 6;
    f[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    f[34..38].copy_from_slice(&[0x12, 0x34, 0, 80]);
    f[46] = 0x50;
    for (i, b) in f[54..].iter_mut().enumerate() {
        *b = i as u8;
    }
    let (start, offset) = checksum::seed(&mut f, Layer::L2).unwrap();
    let is_large = payload > usize::from(MSS);
    let offload = Offload {
        gso_type: u8::from(is_large),
        gso_size: if is_large { MSS } else { 0 },
        hdr_len: 54,
        needs_csum: true,
        csum_start: start as u16,
        csum_offset: offset as u16,
    };
    (f, offload)
}

fn complete(frame: &[u8]) -> Vec<u8> {
    let mut right = frame.to_vec();
    checksum::fix(&mut right, Layer::L2);
    right
}

/// Ports 0, 2 and 4 take everything, 1 and 3 nothing; a frame enters by 0.
fn flooded(rig: &mut Rig, payload: usize) -> (Vec<u8>, Offload) {
    for port in [0, 2, 4] {
        rig.accept_all(port);
    }
    let (frame, offload) = tcp(payload);
    assert!(rig.ends[0].push(&frame, offload));
    rig.pump(0, 1);
    (frame, offload)
}

#[test]
fn one_copys_checksum_does_not_reach_the_next() {
    let mut rig = Rig::new(5);
    let (frame, offload) = flooded(&mut rig, 100);
    for port in [1, 3] {
        assert_eq!(rig.ends[port].pop(), Some(complete(&frame)), "port {port}");
    }
    for port in [2, 4] {
        let (copy, todo) = rig.ends[port].pop_unfinished().unwrap();
        assert_eq!(
            (copy, todo.needs_csum, todo.csum_start),
            (frame.clone(), true, offload.csum_start)
        );
    }
    assert_eq!(rig.forwarder.stats().flooded, 3);
}

#[test]
fn a_super_frame_stays_whole_where_the_way_takes_it_and_is_cut_where_not() {
    let mut rig = Rig::new(5);
    let (frame, offload) = flooded(&mut rig, 10_000);
    for port in [1, 3] {
        let mut payload = Vec::new();
        while let Some(segment) = rig.ends[port].pop() {
            assert!(segment.len() <= 54 + usize::from(MSS));
            assert_eq!(segment, complete(&segment));
            payload.extend_from_slice(&segment[54..]);
        }
        assert_eq!(payload, frame[54..], "port {port}");
    }
    for port in [2, 4] {
        assert_eq!(rig.ends[port].pop_unfinished(), Some((frame.clone(), offload)));
        assert_eq!(rig.ends[port].pop(), None);
    }
    let stats = rig.forwarder.stats();
    assert_eq!((stats.flooded, stats.segmented), (3, 2 * 6));
}

#[test]
fn stages_that_take_super_frames_leave_them_whole_and_others_cut_their_own_copy_only() {
    let mut rig = Rig::new(5);
    for (place, plugin) in [
        (Place::Switch(Direction::Ingress), shipped("learning_switch.wasm")),
        (Place::Port(0, Direction::Both), shipped("count.wasm")),
        (
            Place::Link(4, Direction::Both, LinkSide::B),
            shipped("count.wasm"),
        ),
        (Place::Link(2, Direction::Both, LinkSide::A), text(PASS)),
    ] {
        rig.attach(place, &plugin);
    }
    let (frame, offload) = flooded(&mut rig, 10_000);
    assert_eq!(rig.ends[4].pop_unfinished(), Some((frame, offload)));
    let mut cut = 0;
    while let Some((segment, todo)) = rig.ends[2].pop_unfinished() {
        assert_eq!((complete(&segment), todo), (segment, Offload::default()));
        cut += 1;
    }
    assert_eq!(cut, 7);
}
