//! A capture of real traffic, taken by tcpdump on a veth between two namespaces: ping with
//! fragments, HTTP, DNS and UDP to closed ports, over IPv4 and IPv6. `lab.txt` is what
//! `tcpdump -n -t -S -r lab.pcap` (4.99.3) printed.

use vnet_packet::checksum::{complete, fix, locate};
use vnet_packet::pcap::{Linktype, Reader};
use vnet_packet::{Layer, summary};

fn frames() -> Vec<Vec<u8>> {
    let mut reader = Reader::open(&include_bytes!("data/lab.pcap")[..]).expect("a capture");
    let mut out = Vec::new();
    let mut frame = Vec::new();
    while let Some(record) = reader.next(&mut frame).expect("a whole capture") {
        assert_eq!(record.linktype, Linktype::ETHERNET);
        assert_eq!(record.orig_len as usize, frame.len());
        out.push(frame.clone());
    }
    out
}

#[test]
fn every_frame_is_told_as_tcpdump_tells_it() {
    let frames = frames();
    let golden: Vec<_> = include_str!("data/lab.txt").lines().collect();
    assert_eq!(frames.len(), golden.len());
    for (frame, line) in frames.iter().zip(golden) {
        assert_eq!(summary(frame, Layer::L2), line);
    }
}

/// The kernel leaves TCP's and UDP's sums on a veth partial, and writes all others.
#[test]
fn sums_of_the_kernel_are_those_that_fix_and_complete_compute() {
    let (mut partial, mut whole) = (0, 0);
    for frame in frames() {
        let mut fixed = frame.clone();
        fix(&mut fixed, Layer::L2);
        if fixed == frame {
            whole += 1;
            continue;
        }
        let (start, offset) = locate(&frame, Layer::L2).expect("only TCP and UDP are partial");
        let mut completed = frame.clone();
        assert!(complete(&mut completed, start, offset));
        assert_eq!(completed, fixed, "{}", summary(&frame, Layer::L2));
        partial += 1;
    }
    assert!(partial > 10 && whole > 10, "{partial} partial, {whole} whole");
}
