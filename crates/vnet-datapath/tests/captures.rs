//! Recordings of ports, and captures that are replayed.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use support::recording::{record, scope};
use support::switch::{Bench, eth};
use support::{PASS, frame, port, settled, stage};
use vnet_datapath::{
    EngineError, Output, Pipeline, Port, PortInfo, RecordOptions, Recorder, ReplayOptions, replay,
};
use vnet_packet::{Layer, pcap};

struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("vnet-{test}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Dir(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn records(path: &Path) -> Vec<(Vec<u8>, u32)> {
    let mut reader = pcap::Reader::open(BufReader::new(File::open(path).unwrap())).unwrap();
    let mut bytes = Vec::new();
    let mut all = Vec::new();
    while let Some(record) = reader.next(&mut bytes).unwrap() {
        all.push((bytes.clone(), record.orig_len));
    }
    all
}

fn options(input: &Path, output: &Path) -> ReplayOptions {
    ReplayOptions {
        input: input.to_owned(),
        output: Some(output.to_owned()),
        stages: vec![stage(PASS, 1)],
        diff: false,
        line: None,
        stop: Arc::default(),
    }
}

fn write(path: &Path, frames: &[(Vec<u8>, u32)]) {
    let file = File::create(path).unwrap();
    let mut out = pcap::Writer::pcapng(file, pcap::Linktype::ETHERNET, 262_144, "test").unwrap();
    for (bytes, orig_len) in frames {
        out.write(1, bytes, *orig_len, None).unwrap();
    }
    out.flush().unwrap();
}

#[test]
fn only_frames_that_left_are_recorded_as_leaving() {
    let dir = Dir::new("record");
    let ((a, mut ea), (b, _eb)) = (
        port("a"),
        Port::memory(PortInfo {
            name: "narrow".into(),
            layer: Layer::L2,
            mtu: 500,
        })
        .unwrap(),
    );
    let wire = Pipeline::wire(a, b).unwrap();
    let path = dir.file("b.pcapng");
    let recorder = record(&path);
    let id = wire.record(1, &recorder).unwrap();
    assert!(ea.push(&vec![2; 1000], Default::default()));
    assert!(ea.push(&frame(2, 1), Default::default()));
    let stats = settled(&wire, 2);
    assert_eq!(stats.ports[1].drops["tx_oversize"], 1);
    assert!(wire.stop_record(id).unwrap());
    let recorded = recorder.finish().unwrap();
    assert_eq!((recorded.frames, recorded.lost), (1, 0));
    assert_eq!(records(&path), [(frame(2, 1), 60)]);
}

#[test]
fn recordings_of_several_ports_run_side_by_side_and_outlive_a_port() {
    let dir = Dir::new("many");
    let mut bench = Bench::new(3);
    let (all, one) = (dir.file("all.pcapng"), dir.file("one.pcapng"));
    let named: Vec<_> = (0..3).map(|n| (n, format!("h{n}"))).collect();
    let (of_all, of_one) = (record(&all), record(&one));
    let first = bench.switch.record_scope(scope(&named), &of_all).unwrap();
    let second = bench.switch.record_scope(scope(&named[1..2]), &of_one).unwrap();
    bench.sends(0, &eth(1, 0xff, 7), &[1, 2]);
    bench.switch.remove_port(1).unwrap();
    bench.sends(0, &eth(1, 0xff, 8), &[2]);
    assert!(bench.switch.stop_record(first).unwrap());
    let recorded = of_all.finish().unwrap();
    assert_eq!((recorded.frames, recorded.lost), (5, 0));
    let numbers: Vec<_> = records(&all).iter().map(|(frame, _)| frame[14]).collect();
    assert_eq!(numbers, [7, 7, 7, 8, 8]);
    assert!(bench.switch.stop_record(second).unwrap());
    assert_eq!(of_one.finish().unwrap().frames, 1);
    assert!(!bench.switch.stop_record(first).unwrap());
    bench.sends(2, &eth(2, 1, 9), &[0]);
    let options = RecordOptions::default;
    let refused = Recorder::start(Output::File(dir.file("gone/x.pcapng")), options()).unwrap_err();
    assert!(refused.to_string().contains("cannot create"), "{refused}");
    let two = record(&dir.file("two.pcap"));
    let both = scope(&[named[0].clone(), named[2].clone()]);
    let refused = bench.switch.record_scope(both, &two).unwrap_err();
    assert!(refused.to_string().contains("pcapng"), "{refused}");
    for ports in [&named[..], &named[..0]] {
        let refused = bench.switch.record_scope(scope(ports), &record(&all));
        assert!(
            matches!(refused, Err(EngineError::NoSuchPlace { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_replay_never_writes_over_its_input_by_whatever_name() {
    let dir = Dir::new("same");
    let (input, hard, soft) = (
        dir.file("in.pcapng"),
        dir.file("hard.pcapng"),
        dir.file("soft.pcapng"),
    );
    write(&input, &[(frame(2, 1), 60)]);
    let before = std::fs::read(&input).unwrap();
    std::fs::hard_link(&input, &hard).unwrap();
    std::os::unix::fs::symlink(&input, &soft).unwrap();
    for output in [&input, &hard, &soft] {
        let refused = replay(options(&input, output)).unwrap_err().to_string();
        assert!(refused.contains("also the input"), "{refused}");
        assert_eq!(std::fs::read(&input).unwrap(), before);
    }
}

#[test]
fn a_replay_keeps_the_length_that_frames_had_before_the_capture_cut_them() {
    let dir = Dir::new("cut");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    let frames = [(frame(2, 1), 1514), (frame(2, 2), 60)];
    write(&input, &frames);
    replay(options(&input, &output)).unwrap();
    assert_eq!(records(&output), frames);
}

#[test]
fn an_empty_capture_replays_to_an_empty_one() {
    let dir = Dir::new("empty");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    write(&input, &[]);
    let report = replay(options(&input, &output)).unwrap();
    assert_eq!((report.frames_in, report.frames_out), (0, 0));
    assert_eq!(records(&output), []);
}

#[test]
fn a_capture_cut_in_the_middle_of_a_frame_is_an_error_that_says_where() {
    let dir = Dir::new("torn");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    write(&input, &[(frame(2, 1), 60), (frame(2, 2), 60)]);
    let bytes = std::fs::read(&input).unwrap();
    std::fs::write(&input, &bytes[..bytes.len() - 10]).unwrap();
    let refused = replay(options(&input, &output)).unwrap_err().to_string();
    assert!(refused.contains("byte"), "{refused}");
    assert_eq!(records(&output), [(frame(2, 1), 60)]);
}

#[test]
fn frames_too_long_for_the_engine_are_named_drops() {
    let dir = Dir::new("huge");
    let (input, output) = (dir.file("in.pcapng"), dir.file("out.pcapng"));
    write(&input, &[(vec![2; 65_560], 65_560), (frame(2, 2), 60)]);
    let report = replay(options(&input, &output)).unwrap();
    assert_eq!((report.frames_in, report.frames_out), (2, 1));
    assert_eq!(report.drops["oversize"], 1);
}
