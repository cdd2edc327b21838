//! The plugins that ship with vnet and the examples beside them, judged as an engine would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vnet_abi::flags;
use vnet_runtime::{
    Fate, Frame, Frames, Layer, LoadOptions, Module, PluginError, Reason, Source, Stage, StageOptions,
};

const HEADROOM: usize = vnet_abi::HEADROOM;
const OWN: [u8; 6] = [0x02, 0x76, 0x6e, 0x65, 0x74, 0x01];
const ASKER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0a];
const BROADCAST: [u8; 6] = [0xff; 6];

/// Every form of the filter that the ABI page shows; all of them must agree.
const DROP_BCAST: [&str; 5] = [
    "shipped/drop_bcast.wasm",
    "examples/drop_bcast_c.wasm",
    "examples/drop_bcast_rust.wasm",
    "drop_bcast/simple.wat",
    "drop_bcast/batch.wat",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../plugins")
        .join(name)
}

fn module(name: &str) -> Module {
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    Module::load(&Source::File(path(name)), &options).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn start(name: &str, options: StageOptions) -> Result<Stage, PluginError> {
    Stage::new(&module(name), options)
}

fn stage(name: &str, config: Value) -> Stage {
    start(
        name,
        StageOptions {
            config,
            ..StageOptions::default()
        },
    )
    .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A judged frame with its bytes.
struct Out {
    frame: Frame,
    bytes: Vec<u8>,
}

fn judge(stage: &mut Stage, inputs: &[(Vec<u8>, u16)]) -> Vec<Out> {
    let mut outputs = Vec::new();
    let mut frames = Frames::with_capacity(vnet_abi::RING_MAX);
    for batch in inputs.chunks(stage.traits().batch) {
        frames.clear();
        let arena = stage.arena();
        for (slot, (bytes, flags)) in batch.iter().enumerate() {
            let off = slot * arena.stride + HEADROOM;
            arena.bytes[off..off + bytes.len()].copy_from_slice(bytes);
            frames.push(Frame {
                off: off as u32,
                len: bytes.len() as u32,
                flags: *flags,
                ..Frame::default()
            });
        }
        stage.run(&mut frames);
        let arena = stage.arena();
        for frame in frames.as_slice() {
            let bytes = arena.bytes[frame.off as usize..][..frame.len as usize].to_vec();
            outputs.push(Out { frame: *frame, bytes });
        }
    }
    outputs
}

fn judge_one(stage: &mut Stage, bytes: &[u8], flags: u16) -> Out {
    let mut outputs = judge(stage, &[(bytes.to_vec(), flags)]);
    assert_eq!(outputs.len(), 1);
    outputs.remove(0)
}

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Frames of 1 to 1,514 bytes; half start with ones, of which some end early.
fn generated(n: usize) -> Vec<(Vec<u8>, u16)> {
    let mut numbers = Numbers(1);
    let mut frames = Vec::new();
    for _ in 0..n {
        let len = if numbers.below(4) == 0 {
            1 + numbers.below(20)
        } else {
            14 + numbers.below(1501)
        };
        let ones = if numbers.below(2) == 0 {
            numbers.below(16)
        } else {
            0
        };
        let frame = (0..len)
            .map(|at| if at < ones { 0xff } else { numbers.next() as u8 })
            .collect();
        frames.push((frame, 0));
    }
    frames
}

/// RFC 1071, word by word.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in pieces.concat().chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ethernet(dst: [u8; 6], kind: &[u8], packet: &[u8]) -> Vec<u8> {
    [&dst[..], &ASKER, kind, packet].concat()
}

fn arp_request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 1][..], &ASKER, &sender, &[0; 6], &target].concat()
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut ip = [
        &[0x45, 0][..],
        &len.to_be_bytes(),
        &[0, 1, 0x40, 0, 9, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
    ]
    .concat();
    let sum = checksum(&[&ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [&ip[..], payload].concat()
}

fn ping4(data: &[u8]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0x12, 0x34, 0, 1][..], data].concat();
    let sum = checksum(&[&icmp]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv4(1, &icmp)
}

/// An ICMPv6 packet between fe80::1 and fe80::2.
fn icmpv6(limit: u8, body: &[u8]) -> Vec<u8> {
    let station = |last| [&[0xfe, 0x80][..], &[0; 13], &[last]].concat();
    let (src, dst) = (station(1), station(2));
    let mut icmp = body.to_vec();
    let sum = checksum(&[
        &src,
        &dst,
        &(icmp.len() as u32).to_be_bytes(),
        &[0, 0, 0, 58],
        &icmp,
    ]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
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

fn icmpv6_sum(packet: &[u8]) -> u16 {
    let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    checksum(&[
        &packet[8..40],
        &(len as u32).to_be_bytes(),
        &[0, 0, 0, 58],
        &packet[40..40 + len],
    ])
}

#[test]
fn fast_forms_take_super_frames_and_whole_batches() {
    for name in [
        "shipped/drop_bcast.wasm",
        "shipped/icmp_echo.wasm",
        "shipped/count.wasm",
        "shipped/learning_switch.wasm",
        "drop_bcast/batch.wat",
    ] {
        let traits = stage(name, json!({})).traits();
        // Slots for super-frames beyond 64 KiB are fewer.
        let batch = 64;
        assert!(
            traits.gso && traits.csum && traits.batch == batch && traits.max_frame >= 65_664,
            "{name}: {traits:?}"
        );
    }
    assert!(stage("shipped/drop_bcast.wasm", json!({})).traits().pure);
    assert!(
        !stage("shipped/count.wasm", json!({})).traits().pure,
        "a cached verdict counts nothing"
    );
}

#[test]
fn all_forms_of_drop_bcast_judge_generated_frames_alike() {
    let frames = generated(3_000);
    let expected: Vec<bool> = frames
        .iter()
        .map(|(f, _)| f.len() >= 14 && f[..6] == BROADCAST)
        .collect();
    assert!(expected.iter().filter(|drop| **drop).count() > 300);
    for name in DROP_BCAST {
        let outputs = judge(&mut stage(name, json!({})), &frames);
        assert_eq!(outputs.len(), frames.len(), "{name}");
        for ((out, drop), (bytes, _)) in outputs.iter().zip(&expected).zip(&frames) {
            assert_eq!(
                matches!(out.frame.fate, Fate::Drop(Reason::Plugin(_))),
                *drop,
                "{name}: {bytes:02x?}"
            );
            assert_eq!(out.frame.fate == Fate::Pass, !drop, "{name}: {bytes:02x?}");
            assert_eq!(out.bytes, *bytes, "{name} changed a frame");
        }
    }
}

#[test]
fn drop_bcast_names_its_reason_and_lets_arp_pass_when_told_to() {
    let arp = ethernet(BROADCAST, &[8, 6], &arp_request([10, 0, 0, 1], [10, 0, 0, 2]));
    let tagged = ethernet(
        BROADCAST,
        &[0x81, 0, 0, 7, 8, 6],
        &arp_request([10, 0, 0, 1], [10, 0, 0, 2]),
    );
    let ip = ethernet(BROADCAST, &[8, 0], &ping4(b""));
    let frames = [(arp, 0), (tagged, 0), (ip, 0)];
    let mut strict = stage("shipped/drop_bcast.wasm", json!({}));
    assert!(
        judge(&mut strict, &frames)
            .iter()
            .all(|out| out.frame.fate == Fate::Drop(Reason::Plugin(1)))
    );
    assert_eq!(
        strict.stats().drops,
        BTreeMap::from([("broadcast".to_string(), 3)])
    );
    let mut lenient = stage("shipped/drop_bcast.wasm", json!({"allow_arp": true}));
    let fates: Vec<Fate> = judge(&mut lenient, &frames)
        .iter()
        .map(|out| out.frame.fate)
        .collect();
    assert_eq!(fates, [Fate::Pass, Fate::Pass, Fate::Drop(Reason::Plugin(1))]);
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (name, config, word) in [
        (
            "shipped/drop_bcast.wasm",
            json!({"allow_arp": "yes"}),
            "allow_arp",
        ),
        ("shipped/drop_bcast.wasm", json!({"alow_arp": true}), "alow_arp"),
        ("shipped/count.wasm", json!({"x": 1}), "x"),
        (
            "shipped/icmp_echo.wasm",
            json!({"address": "10.0.0.256"}),
            "10.0.0.2",
        ),
        ("shipped/icmp_echo.wasm", json!({"address": 10}), "address"),
        ("shipped/icmp_echo.wasm", json!({"mac": "02:00"}), "mac"),
        ("examples/vlan_push.wasm", json!({"id": 4096}), "id"),
    ] {
        let refusal = start(
            name,
            StageOptions {
                config: config.clone(),
                ..StageOptions::default()
            },
        );
        match refusal {
            Err(PluginError::Rejected { reason, .. }) => assert!(reason.contains(word), "{name}: {reason}"),
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name} took {config}"),
        }
    }
}

#[test]
fn icmp_echo_answers_arp_and_pings_with_right_sums() {
    let mut stage = stage("shipped/icmp_echo.wasm", json!({}));
    let question = ethernet(BROADCAST, &[8, 6], &arp_request([10, 0, 0, 1], [10, 0, 0, 2]));
    let out = judge_one(&mut stage, &question, 0);
    let reply = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..],
        &OWN,
        &[10, 0, 0, 2],
        &ASKER,
        &[10, 0, 0, 1],
    ]
    .concat();
    assert_eq!(out.frame.fate, Fate::Tx);
    assert_eq!(out.bytes, [&ASKER[..], &OWN, &[8, 6], &reply].concat());

    let asked = ping4(&[0x5a; 999]);
    let out = judge_one(&mut stage, &ethernet(OWN, &[0x81, 0, 0, 7, 8, 0], &asked), 0);
    let packet = &out.bytes[18..];
    assert_eq!((out.frame.fate, out.frame.csum_dirty), (Fate::Tx, false));
    assert_eq!(
        out.bytes[..18],
        [&ASKER[..], &OWN, &[0x81, 0, 0, 7, 8, 0]].concat()
    );
    assert_eq!((checksum(&[&packet[..20]]), checksum(&[&packet[20..]])), (0, 0));
    assert_eq!(
        (packet[8], packet[20], &packet[12..20]),
        (64, 0, &[10, 0, 0, 2, 10, 0, 0, 1][..])
    );
    assert_eq!(packet[24..], asked[24..]);

    let out = judge_one(&mut stage, &asked, flags::L3);
    assert_eq!((out.frame.fate, checksum(&[&out.bytes[20..]])), (Fate::Tx, 0));
    let counters = stage.stats().counters;
    assert_eq!(
        (
            counters["arp_replies"],
            counters["echo_replies"],
            counters["echo_replies_v6"]
        ),
        (1, 2, 0)
    );
}

#[test]
fn icmp_echo_answers_neighbour_discovery_and_partial_pings() {
    let mut stage = stage(
        "shipped/icmp_echo.wasm",
        json!({"address": ["10.9.9.9", "fe80::2"]}),
    );
    let target = [&[0xfe, 0x80][..], &[0; 13], &[2]].concat();
    let body = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &[1, 1], &ASKER].concat();
    let question = ethernet([0x33, 0x33, 0xff, 0, 0, 2], &[0x86, 0xdd], &icmpv6(255, &body));
    let out = judge_one(&mut stage, &question, 0);
    let packet = &out.bytes[14..];
    assert_eq!((out.frame.fate, icmpv6_sum(packet)), (Fate::Tx, 0));
    assert_eq!((&packet[7..8], packet[40], packet[44]), (&[255][..], 136, 0x60));
    assert_eq!(packet[48..], [&target[..], &[2, 1], &OWN].concat());

    let mut asked = icmpv6(64, &[128, 0, 0, 0, 0, 1, 0, 1, 0xaa]);
    asked[42..44].copy_from_slice(&[0xab, 0xcd]);
    let frame = ethernet(OWN, &[0x86, 0xdd], &asked);
    let out = judge_one(&mut stage, &frame, flags::CSUM_PARTIAL);
    assert_eq!((out.frame.fate, icmpv6_sum(&out.bytes[14..])), (Fate::Tx, 0));
    assert!(out.frame.csum_finished && out.frame.flags & flags::CSUM_PARTIAL == 0);
    assert_eq!(
        judge_one(&mut stage, &frame, 0).frame.fate,
        Fate::Pass,
        "the sum is wrong"
    );
}

#[test]
fn icmp_echo_keeps_out_of_duplicate_address_detection() {
    let mut stage = stage("shipped/icmp_echo.wasm", json!({}));
    let target = [&[0xfe, 0x80][..], &[0; 13], &[2]].concat();
    let body = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target].concat();
    let mut probe = icmpv6(255, &body);
    probe[8..24].fill(0);
    probe[42..44].fill(0);
    let sum = icmpv6_sum(&probe);
    probe[42..44].copy_from_slice(&sum.to_be_bytes());
    for question in [
        ethernet(BROADCAST, &[8, 6], &arp_request([0; 4], [10, 0, 0, 2])),
        ethernet(BROADCAST, &[8, 6], &arp_request([10, 0, 0, 2], [10, 0, 0, 2])),
        ethernet([0x33, 0x33, 0xff, 0, 0, 2], &[0x86, 0xdd], &probe),
    ] {
        let out = judge_one(&mut stage, &question, 0);
        assert_eq!((out.frame.fate, &out.bytes), (Fate::Pass, &question));
    }
}

#[test]
fn count_counts_by_protocol() {
    let mut stage = stage("shipped/count.wasm", json!({}));
    let udp = ethernet(OWN, &[8, 0], &ipv4(17, &[0, 9, 0, 9, 0, 8, 0, 0]));
    let frames: Vec<(Vec<u8>, u16)> = [
        vec![udp; 100],
        vec![ethernet(BROADCAST, &[0x81, 0, 0, 7, 8, 6], &[0; 28]); 3],
        vec![
            ethernet(
                [0x33, 0x33, 0, 0, 0, 1],
                &[0x86, 0xdd],
                &icmpv6(255, &[134, 0, 0, 0, 0, 0, 0, 0])
            );
            2
        ],
        vec![ethernet(OWN, &[0x88, 0xcc], &[0; 46])],
    ]
    .concat()
    .into_iter()
    .map(|bytes| (bytes, 0))
    .collect();
    assert!(
        judge(&mut stage, &frames)
            .iter()
            .all(|out| out.frame.fate == Fate::Pass)
    );
    let bytes = frames.iter().map(|(bytes, _)| bytes.len() as u64).sum();
    let expected = [
        ("arp", 3),
        ("broadcast", 3),
        ("bytes", bytes),
        ("icmp", 0),
        ("icmpv6", 2),
        ("ipv4", 100),
        ("ipv6", 2),
        ("multicast", 2),
        ("other", 1),
        ("other_ip", 0),
        ("tcp", 0),
        ("udp", 100),
        ("vlan", 3),
    ];
    assert_eq!(
        stage.stats().counters,
        BTreeMap::from(expected.map(|(name, n)| (name.to_string(), n)))
    );
}

#[test]
fn vlan_push_tags_and_vlan_pop_takes_the_tag_off_again() {
    let mut push = stage("examples/vlan_push.wasm", json!({"id": 100, "priority": 5}));
    let mut service = stage("examples/vlan_push.wasm", json!({"id": 7, "service": true}));
    let mut pop = stage("examples/vlan_pop.wasm", json!({}));
    let mut only = stage("examples/vlan_pop.wasm", json!({"id": 100}));
    let frame = ethernet(OWN, &[8, 0], &ping4(b"payload"));
    let tagged = ethernet(OWN, &[0x81, 0, 0xa0, 100, 8, 0], &ping4(b"payload"));
    let double = ethernet(
        OWN,
        &[0x88, 0xa8, 0, 7, 0x81, 0, 0xa0, 100, 8, 0],
        &ping4(b"payload"),
    );

    let out = judge_one(&mut push, &frame, 0);
    assert_eq!(
        (out.frame.fate, out.frame.off as usize, &out.bytes),
        (Fate::Pass, HEADROOM - 4, &tagged)
    );
    assert_eq!(judge_one(&mut service, &tagged, 0).bytes, double);
    assert_eq!(judge_one(&mut pop, &double, 0).bytes, tagged);
    assert_eq!(judge_one(&mut pop, &tagged, 0).bytes, frame);
    assert_eq!(judge_one(&mut pop, &frame, 0).bytes, frame);
    assert_eq!(judge_one(&mut only, &tagged, 0).frame.fate, Fate::Pass);
    assert_eq!(
        judge_one(&mut only, &frame, 0).frame.fate,
        Fate::Drop(Reason::Plugin(1))
    );
    assert_eq!(
        judge_one(&mut only, &double, 0).frame.fate,
        Fate::Drop(Reason::Plugin(1))
    );
    assert_eq!(
        only.stats().drops,
        BTreeMap::from([("other vlan".to_string(), 2)])
    );
    assert_eq!(
        judge_one(&mut push, &[1; 13], 0).frame.fate,
        Fate::Drop(Reason::Plugin(1)),
        "no Ethernet header"
    );
}

#[test]
fn the_first_plugin_drops_dns() {
    let mut stage = stage("examples/first.wasm", json!({}));
    let udp = |port: u8| ethernet(OWN, &[8, 0], &ipv4(17, &[0, 9, 0, port, 0, 8, 0, 0]));
    assert_eq!(
        judge_one(&mut stage, &udp(53), 0).frame.fate,
        Fate::Drop(Reason::Plugin(1))
    );
    assert_eq!(judge_one(&mut stage, &udp(54), 0).frame.fate, Fate::Pass);
    assert_eq!(judge_one(&mut stage, &udp(53)[..40], 0).frame.fate, Fate::Pass);
    assert_eq!(stage.stats().drops, BTreeMap::from([("dns".to_string(), 1)]));
}

#[test]
fn plugins_are_refused_on_a_layer_they_do_not_understand() {
    let l3 = |name| {
        start(
            name,
            StageOptions {
                layer: Layer::L3,
                ..StageOptions::default()
            },
        )
    };
    assert!(matches!(
        l3("shipped/drop_bcast.wasm"),
        Err(PluginError::Rejected { .. })
    ));
    assert!(l3("shipped/icmp_echo.wasm").is_ok() && l3("shipped/count.wasm").is_ok());
}
