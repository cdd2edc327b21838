//! Capture files: round trips, every variant of the formats, damage, and other programs' files.

use std::io::{Cursor, ErrorKind, Read};
use std::process::Command;

use proptest::prelude::*;
use vnet_packet::Layer;
use vnet_packet::pcap::{CaptureError, Crossing, Direction, Linktype, Reader, Record, Writer};

type Frames = Vec<(Record, Vec<u8>)>;

fn read_all(file: &[u8]) -> Result<Frames, CaptureError> {
    let mut reader = Reader::open(file)?;
    let mut frame = Vec::new();
    let mut out = Vec::new();
    while let Some(record) = reader.next(&mut frame)? {
        out.push((record, frame.clone()));
    }
    Ok(out)
}

fn record(ts_ns: u64, orig_len: u32, interface: u32, linktype: Linktype) -> Record {
    Record {
        ts_ns,
        orig_len,
        interface,
        linktype,
        direction: None,
        packet: 0,
        comment: None,
    }
}

#[derive(Clone, Copy, Debug)]
struct Endian(bool);

impl Endian {
    fn b2(self, v: u16) -> [u8; 2] {
        if self.0 { v.to_be_bytes() } else { v.to_le_bytes() }
    }
    fn b4(self, v: u32) -> [u8; 4] {
        if self.0 { v.to_be_bytes() } else { v.to_le_bytes() }
    }
    fn b8(self, v: u64) -> [u8; 8] {
        if self.0 { v.to_be_bytes() } else { v.to_le_bytes() }
    }

    fn classic(self, magic: u32, linktype: u32) -> Vec<u8> {
        let words = [0, 0, 65_535, linktype].map(|w| self.b4(w)).concat();
        [&self.b4(magic)[..], &self.b2(2), &self.b2(4), &words].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let total = self.b4((body.len() + padding.len() + 12) as u32);
        [&self.b4(kind)[..], &total, body, &padding, &total].concat()
    }

    fn section(self) -> Vec<u8> {
        let body = [
            &self.b4(0x1a2b_3c4d)[..],
            &self.b2(1),
            &self.b2(0),
            &self.b8(u64::MAX),
        ]
        .concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&self.b2(code)[..], &self.b2(value.len() as u16), value, &padding].concat()
    }

    fn interface(self, linktype: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
        let body = [&self.b2(linktype)[..], &self.b2(0), &self.b4(snaplen), options].concat();
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ts: u64, data: &[u8], options: &[u8]) -> Vec<u8> {
        let padding = vec![0; data.len().next_multiple_of(4) - data.len()];
        let words = [
            interface,
            (ts >> 32) as u32,
            ts as u32,
            data.len() as u32,
            data.len() as u32,
        ];
        let words = words.map(|w| self.b4(w)).concat();
        self.block(6, &[&words[..], data, &padding, options].concat())
    }
}

const ENDIANS: [Endian; 2] = [Endian(false), Endian(true)];

#[test]
fn reads_pcap_of_both_resolutions_and_byte_orders() {
    for e in ENDIANS {
        for (magic, ns) in [(0xa1b2_c3d4, 1_000_002_000), (0xa1b2_3c4d, 1_000_000_002)] {
            let header = [1, 2, 3, 60].map(|w| e.b4(w)).concat();
            let file = [&e.classic(magic, 101)[..], &header, b"abc"].concat();
            let frames = read_all(&file).expect("a good file");
            assert_eq!(frames, [(record(ns, 60, 0, Linktype::RAW), b"abc".to_vec())]);
        }
    }
}

#[test]
fn the_high_half_of_pcaps_linktype_is_not_the_linktype() {
    let e = Endian(false);
    let file = [&e.classic(0xa1b2_c3d4, 0x2400_0001)[..], &[0; 16]].concat();
    assert_eq!(
        read_all(&file).expect("a good file")[0].0.linktype,
        Linktype::ETHERNET
    );
}

#[test]
fn reads_pcapng_with_interfaces_resolutions_comments_and_unknown_blocks() {
    for e in ENDIANS {
        let micro = e.interface(1, 0, &[]);
        let nano = e.interface(
            101,
            0,
            &[e.option(2, b"tun0"), e.option(9, &[9]), e.option(0, &[])].concat(),
        );
        let binary = e.interface(
            228,
            0,
            &[e.option(9, &[0x80 | 10]), e.option(14, &e.b8(5))].concat(),
        );
        let comment = [
            e.option(2, &[0; 4]),
            e.option(1, "größer".as_bytes()),
            e.option(0, &[]),
        ]
        .concat();
        let file = [
            e.section(),
            micro,
            nano,
            e.block(4, b"name resolution"),
            binary,
            e.enhanced(1, 7, b"one", &[]),
            e.block(0xbad, &[]),
            e.enhanced(0, 1 << 33, b"four", &comment),
            e.enhanced(2, 512, b"", &[]),
            e.block(5, &[0; 8]),
        ]
        .concat();
        let frames = read_all(&file).expect("a good file");
        let mut second = record((1 << 33) * 1000, 4, 0, Linktype::ETHERNET);
        second.comment = Some("größer".into());
        assert_eq!(
            frames,
            [
                (record(7, 3, 1, Linktype::RAW), b"one".to_vec()),
                (second, b"four".to_vec()),
                (record(5_500_000_000, 0, 2, Linktype::IPV4), Vec::new()),
            ]
        );
    }
}

#[test]
fn sections_may_change_byte_order_and_their_interfaces_count_on() {
    let [little, big] = ENDIANS;
    let file = [
        little.section(),
        little.interface(1, 0, &[]),
        little.interface(1, 0, &[]),
        big.section(),
        big.interface(101, 0, &[]),
        big.enhanced(0, 1, b"x", &[]),
    ]
    .concat();
    assert_eq!(
        read_all(&file).expect("a good file"),
        [(record(1000, 1, 2, Linktype::RAW), b"x".to_vec())]
    );
}

#[test]
fn reads_simple_and_obsolete_packets() {
    let e = Endian(false);
    let simple = e.block(3, &[&e.b4(9)[..], b"abcde"].concat());
    let words = [0x0007_0000, 0, 5, 2, 3].map(|w| e.b4(w)).concat();
    let obsolete = e.block(2, &[&words[..], b"xy"].concat());
    let file = [e.section(), e.interface(1, 5, &[]), simple, obsolete].concat();
    assert_eq!(
        read_all(&file).expect("a good file"),
        [
            (record(0, 9, 0, Linktype::ETHERNET), b"abcde".to_vec()),
            (record(5000, 3, 0, Linktype::ETHERNET), b"xy".to_vec()),
        ]
    );
}

fn complaint(file: &[u8]) -> String {
    read_all(file).expect_err("must be refused").to_string()
}

#[test]
fn files_that_are_no_captures_are_named_for_what_they_are() {
    assert_eq!(complaint(b""), "no pcap or pcapng file: the file is empty");
    assert!(complaint(b"\x1f\x8b\x08\0\0").contains("gunzip"));
    assert!(complaint(b"#!/bin/sh").contains("23 21 2f 62"));
    assert_eq!(
        complaint(b"\xd4\xc3"),
        "capture is cut off at byte 2: expected 2 more bytes of the file header"
    );
}

#[test]
fn damage_is_named_with_its_byte_and_what_was_expected() {
    let e = Endian(false);
    let start = [e.section(), e.interface(1, 0, &[])].concat();
    let with = |block: Vec<u8>| complaint(&[start.clone(), block].concat());
    let at = start.len();

    let mut far = e.enhanced(0, 1, b"abcd", &[]);
    far[20..24].copy_from_slice(&e.b4(5));
    assert_eq!(
        with(far),
        format!(
            "capture is damaged at byte {}: expected a packet that ends inside its block, found 5 bytes in a block of 24",
            at + 20
        )
    );
    assert_eq!(
        with(e.enhanced(3, 1, b"", &[])),
        format!(
            "capture is damaged at byte {}: expected a packet of an interface that was described before it, found interface 3 of 1",
            at + 8
        )
    );
    let mut again = e.enhanced(0, 1, b"", &[]);
    let end = again.len() - 4;
    again[end] ^= 4;
    assert!(with(again).contains("the block length again"));
    assert!(with(e.block(6, &[0; 8])).contains("fixed fields"));
    for total in [0_u32, 8, 13, 1 << 30] {
        let text = with([e.b4(6), e.b4(total)].concat());
        assert!(
            text.contains(&format!("byte {}", at + 4)) && text.contains("multiple of 4"),
            "{text}"
        );
    }
    let huge = [&e.classic(0xa1b2_c3d4, 1)[..], &[0; 8], &e.b4(u32::MAX), &[0; 4]].concat();
    assert_eq!(
        complaint(&huge),
        "capture is damaged at byte 32: expected a packet of at most 16 MiB, found 4294967295 bytes"
    );
    let short = [
        &e.classic(0xa1b2_c3d4, 1)[..],
        &[0; 8],
        &e.b4(10),
        &[0; 4],
        b"abc",
    ]
    .concat();
    assert_eq!(
        complaint(&short),
        "capture is cut off at byte 43: expected 7 more bytes of a packet"
    );
    let mut version = e.classic(0xa1b2_c3d4, 1);
    version[4] = 9;
    assert!(complaint(&version).contains("pcap version 2, found version 9"));
}

#[test]
fn an_error_ends_the_capture() {
    let e = Endian(false);
    let file = [e.section(), e.enhanced(0, 1, b"", &[]), e.interface(1, 0, &[])].concat();
    let mut reader = Reader::open(&file[..]).expect("a good header");
    let mut frame = vec![1];
    assert!(reader.next(&mut frame).is_err());
    assert!(frame.is_empty());
    assert!(reader.next(&mut frame).expect("no second error").is_none());
}

#[test]
fn a_failing_disk_is_an_error_with_the_byte() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buf)? {
                0 => Err(std::io::Error::other("bad sector")),
                n => Ok(n),
            }
        }
    }
    let file = Endian(false).classic(0xa1b2_c3d4, 1);
    let mut reader = Reader::open(Failing(Cursor::new(file))).expect("a good header");
    let error = reader.next(&mut Vec::new()).expect_err("the disk fails");
    assert_eq!(
        error.to_string(),
        "reading the capture failed at byte 24: bad sector"
    );
}

#[test]
fn linktypes_tell_their_layer_or_are_refused_in_words() {
    assert_eq!(Linktype::ETHERNET.layer().ok(), Some(Layer::L2));
    for linktype in [Linktype::RAW, Linktype::IPV4, Linktype::IPV6, Linktype(12)] {
        assert_eq!(linktype.layer().ok(), Some(Layer::L3));
    }
    let text = Linktype::LINUX_SLL
        .layer()
        .expect_err("no Ethernet header")
        .to_string();
    assert!(
        text.contains("113 (LINUX_SLL)") && text.contains("hint: capture on one interface"),
        "{text}"
    );
    assert!(
        Linktype(105)
            .layer()
            .expect_err("no Ethernet header")
            .to_string()
            .contains("linktype 105")
    );
}

#[test]
fn frames_are_cut_off_at_the_snaplen_and_keep_their_length() {
    for file in [
        Writer::pcap(Vec::new(), Linktype::ETHERNET, 4),
        Writer::pcapng(Vec::new(), Linktype::ETHERNET, 4, "a"),
    ] {
        let mut writer = file.expect("a vector takes all");
        writer.write(1, b"abcdef", 6, None).expect("a vector takes all");
        writer.write(2, b"ab", 60, None).expect("a vector takes all");
        let file = writer.into_inner().expect("a vector takes all");
        assert_eq!(
            read_all(&file).expect("a good file"),
            [
                (record(1, 6, 0, Linktype::ETHERNET), b"abcd".to_vec()),
                (record(2, 60, 0, Linktype::ETHERNET), b"ab".to_vec()),
            ]
        );
    }
}

#[test]
fn what_does_not_fit_the_format_is_refused() {
    let mut classic = Writer::pcap(Vec::new(), Linktype::ETHERNET, 0).expect("a vector takes all");
    let error = classic.write(u64::MAX, b"", 0, None).expect_err("beyond 32 bits");
    assert!(error.to_string().contains("hint: write pcapng"), "{error}");
    let mut ng = Writer::pcapng(Vec::new(), Linktype::ETHERNET, 0, "a").expect("a vector takes all");
    assert!(ng.write(0, b"", 0, Some(&"x".repeat(65_536))).is_err());
    assert!(Writer::pcapng(Vec::new(), Linktype::ETHERNET, 0, &"x".repeat(65_536)).is_err());
}

prop_compose! {
    fn frames()(list in proptest::collection::vec(
        (0..4_294_967_295_000_000_000_u64, proptest::collection::vec(any::<u8>(), 0..80), any::<u16>(),
         proptest::option::of("[ -~é]{0,20}")),
        0..8,
    )) -> Vec<(u64, Vec<u8>, u16, Option<String>)> { list }
}

fn written(ng: bool, frames: &[(u64, Vec<u8>, u16, Option<String>)]) -> Vec<u8> {
    let mut writer = if ng {
        Writer::pcapng(Vec::new(), Linktype::RAW, 262_144, "tun0").expect("a vector takes all")
    } else {
        Writer::pcap(Vec::new(), Linktype::RAW, 262_144).expect("a vector takes all")
    };
    for (ts, frame, orig, comment) in frames {
        writer
            .write(*ts, frame, (*orig).into(), comment.as_deref())
            .expect("a vector takes all");
    }
    writer.into_inner().expect("a vector takes all")
}

proptest! {
    #[test]
    fn what_is_written_is_read(list in frames(), ng in any::<bool>()) {
        let read = read_all(&written(ng, &list)).expect("a good file");
        prop_assert_eq!(read.len(), list.len());
        for ((record, frame), (ts, original, orig, comment)) in read.iter().zip(&list) {
            prop_assert_eq!(record.ts_ns, *ts);
            prop_assert_eq!(record.orig_len, u32::from(*orig).max(original.len() as u32));
            prop_assert_eq!(record.linktype, Linktype::RAW);
            prop_assert_eq!(frame, original);
            prop_assert_eq!(&record.comment, if ng { comment } else { &None });
        }
    }

    #[test]
    fn every_truncation_keeps_the_whole_frames_and_never_panics(
        list in frames(), ng in any::<bool>(), cut in any::<prop::sample::Index>(),
    ) {
        let file = written(ng, &list);
        let cut = cut.index(file.len());
        let Ok(mut reader) = Reader::open(&file[..cut]) else { return Ok(()) };
        let mut frame = Vec::new();
        for (ts, original, ..) in &list {
            match reader.next(&mut frame) {
                Ok(Some(record)) => {
                    prop_assert_eq!(record.ts_ns, *ts);
                    prop_assert_eq!(&frame, original);
                }
                Ok(None) => break,
                Err(error) => {
                    let truncated = matches!(error, CaptureError::Truncated { .. });
                    prop_assert!(truncated, "{}", error);
                    break;
                }
            }
        }
    }

    #[test]
    fn mutated_files_never_panic(
        list in frames(), ng in any::<bool>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut file = written(ng, &list);
        for (at, value) in edits {
            let at = at.index(file.len());
            file[at] = value;
        }
        let _ = read_all(&file);
    }

    #[test]
    fn random_bytes_behind_a_good_header_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..7_u8, big in any::<bool>(),
    ) {
        let e = Endian(big);
        let _ = read_all(&[&e.classic(0xa1b2_c3d4, 1)[..], &bytes].concat());
        let block = e.block(kind.into(), &bytes);
        let interface = e.interface(1, 0, &bytes);
        let _ = read_all(&[e.section(), interface, block, e.enhanced(0, 1, &bytes, &bytes)].concat());
    }
}

/// Runs a program of Wireshark's; `None`, said aloud, where it is not installed.
fn run(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed; hint: apt-get install tshark");
            None
        }
        other => {
            let output = other.expect("the program runs");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program} {args:?}: {errors}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
    }
}

/// An ARP request, which any dissector knows.
const ARP: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06\0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x01\x0a\0\0\x01\0\0\0\0\0\0\x0a\0\0\x02";

#[test]
fn tshark_reads_time_length_interface_and_comment_of_what_is_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, ng) in [("a.pcapng", true), ("a.pcap", false)] {
        let path = directory.path().join(name);
        let file = std::fs::File::create(&path).expect("the file is made");
        let mut writer = if ng {
            Writer::pcapng(file, Linktype::ETHERNET, 262_144, "tap0").expect("header")
        } else {
            Writer::pcap(file, Linktype::ETHERNET, 262_144).expect("header")
        };
        writer
            .write(1_700_000_000_123_456_789, ARP, 42, Some("dropped: broadcast"))
            .expect("frame");
        writer
            .write(1_700_000_001_000_000_001, ARP, 1500, None)
            .expect("frame");
        writer.into_inner().expect("flush");
        let path = path.to_str().expect("a plain path");
        let mut args = vec!["-r", path, "-T", "fields", "-E", "separator=|"];
        for field in [
            "frame.time_epoch",
            "frame.len",
            "frame.cap_len",
            "arp.dst.proto_ipv4",
            "frame.interface_name",
            "frame.comment",
        ] {
            args.extend(["-e", field]);
        }
        let Some(text) = run("tshark", &args) else { return };
        let (interface, comment) = if ng {
            ("tap0", "dropped: broadcast")
        } else {
            ("", "")
        };
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                format!("1700000000.123456789|42|42|10.0.0.2|{interface}|{comment}"),
                format!("1700000001.000000001|1500|42|10.0.0.2|{interface}|"),
            ]
        );
    }
}

#[test]
fn several_interfaces_tell_their_frames_apart_and_which_way_they_went() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcapng");
    let file = std::fs::File::create(&path).expect("the file is made");
    let mut writer = Writer::pcapng(file, Linktype::ETHERNET, 262_144, "h1-eth0").expect("header");
    let other = writer
        .add_interface(Linktype::ETHERNET, "h2-eth0")
        .expect("interface");
    let crossings = [
        (0, Some(Direction::Inbound), None),
        (other, Some(Direction::Outbound), Some("flooded")),
        (other, None, None),
    ];
    for (interface, direction, comment) in crossings {
        let at = Crossing {
            interface,
            direction,
            packet: 0,
        };
        writer.write_at(at, 1, ARP, 42, comment).expect("frame");
    }
    writer.into_inner().expect("flush");
    let read = read_all(&std::fs::read(&path).expect("the file")).expect("a capture");
    let seen: Vec<_> = read
        .iter()
        .map(|(r, _)| (r.interface, r.comment.as_deref()))
        .collect();
    assert_eq!(seen, [(0, None), (1, Some("flooded")), (1, None)]);
    let path = path.to_str().expect("a plain path");
    let mut args = vec!["-r", path, "-T", "fields", "-E", "separator=|"];
    for field in ["frame.interface_name", "frame.packet_flags_direction"] {
        args.extend(["-e", field]);
    }
    let Some(text) = run("tshark", &args) else { return };
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines, ["h1-eth0|0x00000001", "h2-eth0|0x00000002", "h2-eth0|"]);
}

#[test]
fn files_converted_by_editcap_read_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = directory.path().join("source.pcapng");
    let file = std::fs::File::create(&source).expect("the file is made");
    let mut writer = Writer::pcapng(file, Linktype::ETHERNET, 262_144, "tap0").expect("header");
    for i in 0..5_u64 {
        writer
            .write(1_700_000_000_000_000_000 + i * 1_001_000, ARP, 42, Some("note"))
            .expect("frame");
    }
    writer.into_inner().expect("flush");
    let original = read_all(&std::fs::read(&source).expect("the file is there")).expect("a good file");
    for format in ["pcap", "nsecpcap", "pcapng"] {
        let target = directory.path().join(format);
        let (from, to) = (source.to_str().expect("plain"), target.to_str().expect("plain"));
        if run("editcap", &["-F", format, from, to]).is_none() {
            return;
        }
        let read = read_all(&std::fs::read(&target).expect("the file is there")).expect("a good file");
        assert_eq!(read.len(), original.len());
        for ((theirs, frame), (ours, same)) in read.iter().zip(&original) {
            assert_eq!(
                (theirs.ts_ns, theirs.orig_len, frame),
                (ours.ts_ns, ours.orig_len, same),
                "{format}"
            );
            assert_eq!(theirs.comment.is_some(), format == "pcapng");
        }
    }
}
