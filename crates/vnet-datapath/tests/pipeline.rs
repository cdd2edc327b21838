//! Pipelines over in-memory ports, with plugins written as WebAssembly text.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::time::{Duration, Instant};

use support::{PASS, frame, port, settled, stage, wait_for};
use vnet_datapath::{Direction, EngineError, Pipeline, Place, Port, PortInfo};
use vnet_packet::Layer;
use vnet_packet::gso::Offload;

/// Drops frames whose first byte is 0xff, sends those back whose first byte is 0xee, passes the rest.
const JUDGE: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $n i32) (result i32)
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0xff)) (then (return (i32.const 1))))
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0xee)) (then (return (i32.const 3))))
    (i32.const 0)))"#;

/// Adds 1 to the last byte of every frame, so that a test sees how often a frame met a stage.
const TALLY: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $n i32) (result i32) (local $q i32)
    (local.set $q (i32.sub (i32.add (local.get $p) (local.get $n)) (i32.const 1)))
    (i32.store8 (local.get $q) (i32.add (i32.load8_u (local.get $q)) (i32.const 1)))
    (i32.const 0)))"#;

/// The same as JUDGE in the batch form, with a ring of 8 and slots of 2,048.
const JUDGE_BATCH: &str = r#"(module (memory (export "memory") 2)
  (data (i32.const 1024) "VNET\01\00\00\00\28\00\00\00\08\00\00\00\00\08\00\00\00\10\00\00\00\40\00\00\00\00\00\00")
  (func (export "vnet_info") (result i32) (i32.const 1024))
  (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32) (local $p i32)
    (loop $next
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      (local.set $p (i32.load (local.get $d)))
      (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0xff))
        (then (i32.store8 offset=12 (local.get $d) (i32.const 1)))
        (else (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0xee))
          (then (i32.store8 offset=12 (local.get $d) (i32.const 3)))
          (else (i32.store8 offset=12 (local.get $d) (i32.const 0))))))
      (local.set $d (i32.add (local.get $d) (i32.const 40)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next))
    (i32.const 0)))"#;

#[test]
fn a_wire_carries_frames_both_ways_in_order() {
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    let pipeline = Pipeline::wire(a, b).unwrap();
    for n in 0..200 {
        assert!(ea.push(&frame(2, n), Offload::default()));
        assert!(eb.push(&frame(4, n), Offload::default()));
    }
    for n in 0..200 {
        assert_eq!(wait_for("frame at b", || eb.pop()), frame(2, n));
        assert_eq!(wait_for("frame at a", || ea.pop()), frame(4, n));
    }
    let stats = settled(&pipeline, 400);
    assert_eq!((stats.ports[0].tx_packets, stats.ports[1].tx_packets), (200, 200));
}

#[test]
fn every_form_drops_sends_back_and_passes_with_counters_that_add_up() {
    for wat in [JUDGE, JUDGE_BATCH] {
        let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
        let pipeline = Pipeline::wire(a, b).unwrap();
        let id = pipeline
            .attach(Place::Wire(Direction::Both), stage(wat, 2), None)
            .unwrap();
        for n in 0..90 {
            assert!(ea.push(&frame([0xff, 0xee, 2][usize::from(n % 3)], n), Offload::default()));
        }
        for n in (1..90).step_by(3) {
            assert_eq!(wait_for("frame sent back", || ea.pop()), frame(0xee, n));
        }
        for n in (2..90).step_by(3) {
            assert_eq!(wait_for("frame passed", || eb.pop()), frame(2, n));
        }
        let stats = settled(&pipeline, 90);
        assert_eq!(stats.stage_drops, 30);
        let last = pipeline.detach(id).unwrap();
        assert_eq!(
            (last.packets_in, last.dropped, last.tx, last.passed),
            (90, 30, 30, 30)
        );
        assert!(matches!(
            pipeline.detach(id),
            Err(EngineError::NoSuchStage { .. })
        ));
        assert!(ea.push(&frame(0xff, 1), Offload::default()));
        assert_eq!(wait_for("frame after detach", || eb.pop()), frame(0xff, 1));
    }
}

#[test]
fn a_held_wire_passes_nothing_before_its_plugins_are_there() {
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    assert!(ea.push(&frame(0xff, 1), Offload::default()));
    let pipeline = Pipeline::wire_held(a, b).unwrap();
    assert!(ea.push(&frame(0xff, 2), Offload::default()));
    let id = pipeline
        .attach(Place::Wire(Direction::Both), stage(JUDGE, 2), None)
        .unwrap();
    assert_eq!(pipeline.stats().unwrap().ports[0].rx_packets, 0);
    pipeline.start().unwrap();
    pipeline.start().unwrap();
    assert!(ea.push(&frame(2, 3), Offload::default()));
    assert_eq!(wait_for("the frame that passes", || eb.pop()), frame(2, 3));
    assert_eq!(pipeline.detach(id).unwrap().dropped, 2);
}

#[test]
fn device_stages_surround_the_wires_and_survive_it() {
    let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
    let first = Pipeline::sink(a).unwrap();
    first
        .attach(Place::Port(0, Direction::Ingress), stage(TALLY, 1), None)
        .unwrap();
    assert!(ea.push(&frame(2, 0), Offload::default()));
    first.recv(Some(Duration::from_secs(10))).unwrap().unwrap();
    let a = first.into_parts().unwrap().ports.pop().unwrap();
    let wire = Pipeline::wire(a, b).unwrap();
    wire.attach(Place::Port(1, Direction::Egress), stage(TALLY, 1), None)
        .unwrap();
    wire.attach(Place::Wire(Direction::Both), stage(TALLY, 2), None)
        .unwrap();
    assert!(ea.push(&frame(2, 0), Offload::default()));
    assert!(eb.push(&frame(2, 0), Offload::default()));
    assert_eq!(wait_for("frame at b", || eb.pop())[59], 3);
    assert_eq!(wait_for("frame at a", || ea.pop())[59], 1);
    let mut parts = wire.into_parts().unwrap();
    assert_eq!(
        parts.stats.balance(),
        0,
        "numbers of the earlier pipeline do not count"
    );
    parts.ports.truncate(1);
    let again = Pipeline::sink(parts.ports.pop().unwrap()).unwrap();
    assert!(ea.push(&frame(2, 0), Offload::default()));
    let got = again.recv(Some(Duration::from_secs(10))).unwrap().unwrap();
    assert_eq!(got.bytes[59], 1);
}

#[test]
fn an_answer_leaves_through_the_egress_stages_of_its_port_but_not_through_its_maker() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    pipeline
        .attach(Place::Port(0, Direction::Both), stage(TALLY, 1), None)
        .unwrap();
    pipeline
        .attach(Place::Port(0, Direction::Both), stage(JUDGE, 1), None)
        .unwrap();
    assert!(ea.push(&frame(0xee, 7), Offload::default()));
    // Once on its way in, once on its way out.
    let answer = wait_for("answer", || ea.pop());
    assert_eq!((answer[0], answer[59]), (0xee, 2));
    let stats = settled(&pipeline, 1);
    assert_eq!(stats.stages[1].packets_in, 1);
}

#[test]
fn sent_frames_pass_egress_stages_and_bad_ones_are_refused() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    pipeline
        .attach(Place::Port(0, Direction::Egress), stage(TALLY, 1), None)
        .unwrap();
    pipeline.send(0, &frame(2, 1)).unwrap();
    assert_eq!(wait_for("sent frame", || ea.pop())[59], 1);
    assert!(matches!(
        pipeline.send(0, &[0; 13]),
        Err(EngineError::BadFrame { len: 13, .. })
    ));
    assert!(matches!(
        pipeline.send(0, &[0; 1523]),
        Err(EngineError::BadFrame { len: 1523, .. })
    ));
    assert!(matches!(
        pipeline.send(1, &[0; 60]),
        Err(EngineError::NoSuchPlace { .. })
    ));
    assert_eq!(settled(&pipeline, 0).sent_in, 1);
}

#[test]
fn a_full_receive_queue_is_a_named_drop() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    let big = vec![2; 1514];
    let mut pushed = 0;
    while pushed < 4000 {
        if ea.push(&big, Offload::default()) {
            pushed += 1;
        }
    }
    let stats = settled(&pipeline, 4000);
    let lost = stats.drops["sink_full"];
    assert!(lost > 0);
    assert_eq!(stats.delivered + lost, 4000);
    for _ in 0..stats.delivered {
        assert!(pipeline.recv(Some(Duration::ZERO)).unwrap().is_some());
    }
    assert!(pipeline.recv(Some(Duration::ZERO)).unwrap().is_none());
}

#[test]
fn receivers_wait_for_their_timeout_and_the_descriptor_tells_of_frames() {
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    let start = Instant::now();
    assert!(pipeline.recv(Some(Duration::from_millis(50))).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(ea.push(&frame(2, 1), Offload::default()));
    let fd = pipeline.event_fd().unwrap();
    let ready = rustix::event::poll(
        &mut [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)],
        Some(&rustix::event::Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        }),
    );
    assert_eq!(ready, Ok(1));
    assert_eq!(
        pipeline.recv(Some(Duration::ZERO)).unwrap().unwrap().bytes,
        frame(2, 1)
    );
}

/// An IPv4 TCP super-frame of `payload` bytes with a pseudo-header sum only, as a kernel hands it over.
fn super_frame(payload: usize, mss: u16) -> (Vec<u8>, Offload) {
    let mut f = vec![0u8; 14 + 20 + 20 + payload];
    f[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    f[12..14].copy_from_slice(&[8, 0]);
    f[14] = 0x45;
    let total = (f.len() - 14) as u16;
    f[16..18].copy_from_slice(&total.to_be_bytes());
    f[22] = 64;
    f[23] = 6;
    f[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    f[34..38].copy_from_slice(&[0x12, 0x34, 0, 80]);
    f[46] = 0x50;
    f[47] = 0x18;
    for (i, b) in f[54..].iter_mut().enumerate() {
        *b = i as u8;
    }
    let (start, offset) = vnet_packet::checksum::seed(&mut f, Layer::L2).unwrap();
    let offload = Offload {
        gso_type: 1,
        gso_size: mss,
        hdr_len: 54,
        needs_csum: true,
        csum_start: start as u16,
        csum_offset: offset as u16,
    };
    (f, offload)
}

#[test]
fn super_frames_are_cut_at_the_door_of_plugin_port_and_receive_queue() {
    for with_plugin in [false, true] {
        let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
        let pipeline = Pipeline::wire(a, b).unwrap();
        if with_plugin {
            pipeline
                .attach(Place::Wire(Direction::Both), stage(PASS, 2), None)
                .unwrap();
        }
        let (big, offload) = super_frame(10_000, 1448);
        assert!(ea.push(&big, offload));
        let mut payload = Vec::new();
        for i in 0..7 {
            let segment = wait_for("segment", || eb.pop());
            assert_eq!(
                segment.len(),
                if i < 6 { 54 + 1448 } else { 54 + 10_000 - 6 * 1448 }
            );
            let mut right = segment.clone();
            vnet_packet::checksum::fix(&mut right, Layer::L2);
            assert_eq!(segment, right, "checksums are complete");
            assert_eq!(u32::from_be_bytes(segment[38..42].try_into().unwrap()), i * 1448);
            payload.extend_from_slice(&segment[54..]);
        }
        assert_eq!(payload, big[54..]);
        let stats = settled(&pipeline, 1);
        assert_eq!(stats.segmented, 6);
    }
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    let (big, offload) = super_frame(3000, 1448);
    assert!(ea.push(&big, offload));
    let mut whole = Vec::new();
    for _ in 0..3 {
        whole.extend_from_slice(
            &pipeline
                .recv(Some(Duration::from_secs(10)))
                .unwrap()
                .unwrap()
                .bytes[54..],
        );
    }
    assert_eq!(whole, big[54..]);
}

#[test]
fn a_plugin_whose_buffers_the_mtu_does_not_fit_is_refused() {
    let (a, _ea) = Port::memory(PortInfo {
        name: "jumbo".into(),
        layer: Layer::L2,
        mtu: 9000,
    })
    .unwrap();
    let pipeline = Pipeline::sink(a).unwrap();
    let refused = pipeline.attach(Place::Port(0, Direction::Ingress), stage(PASS, 1), None);
    assert!(
        matches!(refused, Err(EngineError::PluginTooSmall { need: 9022, .. })),
        "{refused:?}"
    );
}

#[test]
fn ethernet_and_bare_ip_are_not_joined() {
    let (a, _ea) = port("tap");
    let (b, _eb) = Port::memory(PortInfo {
        name: "tun".into(),
        layer: Layer::L3,
        mtu: 1500,
    })
    .unwrap();
    assert!(matches!(
        Pipeline::wire(a, b),
        Err(EngineError::LayersDiffer { .. })
    ));
}

/// Asks for new checksums on every frame.
const DIRTY: &str = r"(i32.store16 offset=14 (local.get $d)
    (i32.or (i32.load16_u offset=14 (local.get $d)) (i32.const 256)))";

#[test]
fn a_partial_sum_that_csum_dirty_does_not_reach_is_completed_all_the_same() {
    // UDP behind an IPv6 hop-by-hop header with padding.
    let mut f = vec![0u8; 14 + 40 + 8 + 8 + 30];
    f[12..14].copy_from_slice(&[0x86, 0xdd]);
    f[14] = 0x60;
    f[18..20].copy_from_slice(&46u16.to_be_bytes());
    f[20..22].copy_from_slice(&[0, 64]);
    f[22..54].copy_from_slice(&[0xfd; 32]);
    f[54..62].copy_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    f[62..68].copy_from_slice(&[0x12, 0x34, 0, 80, 0, 38]);
    f[70..].fill(7);
    let (start, offset) = vnet_packet::checksum::seed(&mut f, Layer::L2).unwrap();
    let offload = Offload {
        needs_csum: true,
        csum_start: start as u16,
        csum_offset: offset as u16,
        ..Offload::default()
    };
    let mut whole = f.clone();
    assert!(vnet_packet::checksum::complete(&mut whole, start, offset));
    let (a, mut ea) = port("a");
    let pipeline = Pipeline::sink(a).unwrap();
    pipeline
        .attach(
            Place::Port(0, Direction::Ingress),
            stage(&support::batch(2, DIRTY), 1),
            None,
        )
        .unwrap();
    assert!(ea.push(&f, offload));
    let got = pipeline.recv(Some(Duration::from_secs(10))).unwrap().unwrap();
    assert_eq!(got.bytes, whole);
}

#[test]
fn a_segment_longer_than_any_buffer_is_a_named_drop() {
    // The longest payload length an IPv6 header can say, cut into one whole segment and a rest.
    let mut f = vec![0u8; 14 + 40 + 20 + 65_515];
    f[12..14].copy_from_slice(&[0x86, 0xdd]);
    f[14] = 0x60;
    f[18..22].copy_from_slice(&[0xff, 0xff, 6, 64]);
    f[66] = 0x50;
    let offload = Offload {
        gso_type: 4,
        gso_size: 65_515,
        ..Offload::default()
    };
    let ((a, mut ea), (b, _eb)) = (port("a"), port("b"));
    let pipeline = Pipeline::wire(a, b).unwrap();
    let place = Place::Port(0, Direction::Ingress);
    pipeline
        .attach(place, stage(&support::batch(3, ""), 1), None)
        .unwrap();
    assert!(ea.push(&f, offload));
    let stats = settled(&pipeline, 1);
    assert_eq!(stats.ports[1].drops["oversize"], 1);
}
