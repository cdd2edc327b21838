//! What tcpdump prints, and the comparison with it.

use std::io::ErrorKind;
use std::process::Command;

use vnet_packet::pcap::{Linktype, Writer};
use vnet_packet::{Layer, summary};

use crate::frames::ethernet;

/// What tcpdump prints, one line a frame; `None`, said aloud, where there is no tcpdump.
fn tcpdump(frames: &[Vec<u8>], layer: Layer) -> Option<Vec<String>> {
    let linktype = if layer == Layer::L2 {
        Linktype::ETHERNET
    } else {
        Linktype::RAW
    };
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut writer = Writer::pcap(file.as_file(), linktype, 0).expect("the header is written");
    for frame in frames {
        writer
            .write(1_000_000_000, frame, 0, None)
            .expect("the frame is written");
    }
    writer.flush().expect("the file is written");
    let output = match Command::new("tcpdump")
        .args(["-n", "-t", "-S", "-r"])
        .arg(file.path())
        .env("LC_ALL", "C")
        .output()
    {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: tcpdump is not installed; hint: apt-get install tcpdump");
            return None;
        }
        other => other.expect("tcpdump runs"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    // Hex dumps and second lines start with a tab; before a dump the line ends in a colon.
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('\t'))
        .map(|line| line.trim_end_matches([' ', ':']).to_owned())
        .collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        lines.len(),
        frames.len(),
        "one line a frame; tcpdump said: {errors}\n{text}"
    );
    Some(lines)
}

/// Without the tags, which tcpdump prints only with all of the Ethernet header.
fn untagged(line: &str) -> &str {
    let mut rest = line;
    while rest.starts_with("vlan ") {
        let after = rest.splitn(3, ", ").nth(2).unwrap_or_default();
        rest = after.strip_prefix("DEI, ").unwrap_or(after);
    }
    rest
}

pub fn assert_same(frames: &[Vec<u8>], layer: Layer) {
    let Some(theirs) = tcpdump(frames, layer) else {
        return;
    };
    let mut differ = Vec::new();
    for (frame, theirs) in frames.iter().zip(theirs) {
        let ours = summary(frame, layer);
        if untagged(&ours) != theirs {
            differ.push(format!("   ours: {ours}\ntcpdump: {theirs}\n"));
        }
    }
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        frames.len(),
        differ.iter().take(20).cloned().collect::<String>()
    );
}

pub fn on_ethernet(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let framed = |packet: Vec<u8>| {
        let kind = if packet.first().is_some_and(|b| b >> 4 == 6) {
            0x86dd
        } else {
            0x0800
        };
        [ethernet(&[], kind), packet].concat()
    };
    packets.into_iter().map(framed).collect()
}

pub fn with_ports(mut segment: Vec<u8>, src: u16, dst: u16) -> Vec<u8> {
    segment[..2].copy_from_slice(&src.to_be_bytes());
    segment[2..4].copy_from_slice(&dst.to_be_bytes());
    segment
}
