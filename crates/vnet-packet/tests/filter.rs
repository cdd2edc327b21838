//! The filter language, against tcpdump's own choice from the same frames.

mod frames;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use vnet_packet::Layer;
use vnet_packet::filter::{Filter, Names, NoNames};
use vnet_packet::pcap::{Linktype, Reader, Writer};
use vnet_packet::wire::MacAddr;

use crate::frames::{ethernet, ipv4, ipv6};

fn with_ports(src: u16, dst: u16) -> Vec<u8> {
    let mut segment = vec![0; 24];
    segment[..2].copy_from_slice(&src.to_be_bytes());
    segment[2..4].copy_from_slice(&dst.to_be_bytes());
    segment[4..6].copy_from_slice(&24_u16.to_be_bytes());
    segment
}

fn of_addresses(mut packet: Vec<u8>, src: u8, dst: u8) -> Vec<u8> {
    packet[12..20].copy_from_slice(&[10, 0, src, src, 10, 0, dst, dst]);
    packet
}

/// Untagged frames of many protocols, fragments among them; IPv6 without extension headers, at which tcpdump stops.
fn varied() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let on = |kind: u16, packet: Vec<u8>| [ethernet(&[], kind), packet].concat();
    for (number, protocol) in [1, 2, 6, 17, 47, 50, 89, 132, 33].into_iter().enumerate() {
        for ports in [(53, 6000), (6001, 80), (443, 443), (22, 53)] {
            let packet = ipv4(
                protocol,
                &[1, 1, 1, 1][..4 * (number % 2)],
                &with_ports(ports.0, ports.1),
            );
            let packet = of_addresses(packet, number as u8, ports.1 as u8 % 4);
            let mut later = packet.clone();
            later[6..8].copy_from_slice(&0x2005_u16.to_be_bytes());
            let mut first = packet.clone();
            first[6..8].copy_from_slice(&0x2000_u16.to_be_bytes());
            found.extend([packet, later, first].map(|packet| on(0x0800, packet)));
            if protocol != 1 && protocol != 50 {
                let packet = ipv6(
                    if protocol == 2 { 58 } else { protocol },
                    &[],
                    &with_ports(ports.0, ports.1),
                );
                found.push(on(0x86dd, packet));
            }
        }
    }
    for (operation, target) in [(1, 2), (2, 1)] {
        let mut arp = vec![0, 1, 8, 0, 6, 4, 0, operation];
        arp.extend([
            2, 0, 0, 0, 0, 1, 10, 0, 1, 1, 2, 0, 0, 0, 0, 2, 10, 0, target, target,
        ]);
        let mut broadcast = on(0x0806, arp);
        broadcast[..6].fill(0xff);
        found.push(broadcast);
    }
    let mut group = on(0x0800, of_addresses(ipv4(17, &[], &with_ports(5353, 5353)), 1, 1));
    group[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 0xfb]);
    group[30..34].copy_from_slice(&[224, 0, 0, 251]);
    found.push(group);
    found.push([ethernet(&[], 0x88b5), vec![0; 46]].concat());
    let mut reader = Reader::open(&include_bytes!("data/lab.pcap")[..]).expect("a capture");
    let mut frame = Vec::new();
    while reader.next(&mut frame).expect("a whole capture").is_some() {
        let extended = frame[12..14] == [0x86, 0xdd] && matches!(frame[20], 0 | 44 | 60);
        if !extended {
            found.push(frame.clone());
        }
    }
    found
}

/// Which frames tcpdump takes, by their times; `None`, said aloud, where there is no tcpdump.
struct Tcpdump(tempfile::NamedTempFile);

impl Tcpdump {
    fn new(frames: &[Vec<u8>], linktype: Linktype) -> Tcpdump {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut writer = Writer::pcap(file.as_file(), linktype, 0).expect("the header is written");
        for (number, frame) in frames.iter().enumerate() {
            let time = number as u64 * 1_000_000_000;
            writer.write(time, frame, 0, None).expect("the frame is written");
        }
        writer.flush().expect("the file is written");
        Tcpdump(file)
    }

    fn chosen(&self, filter: &str) -> Option<Vec<usize>> {
        let mut command = Command::new("tcpdump");
        command
            .args(["-n", "-tt", "-q", "-r"])
            .arg(self.0.path())
            .args(["-w", "-", filter]);
        let output = match command.output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "tcpdump is not installed: run scripts/setup"
                );
                eprintln!("skipped: tcpdump is not installed; hint: apt-get install tcpdump");
                return None;
            }
            other => other.expect("tcpdump runs"),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("rejects all packets") {
            return Some(Vec::new());
        }
        assert!(output.status.success(), "tcpdump refuses `{filter}`: {said}");
        let mut reader = Reader::open(&output.stdout[..]).expect("a capture");
        let (mut frame, mut found) = (Vec::new(), Vec::new());
        while let Some(record) = reader.next(&mut frame).expect("a whole capture") {
            found.push((record.ts_ns / 1_000_000_000) as usize);
        }
        Some(found)
    }
}

fn ours(filter: &str, frames: &[Vec<u8>], layer: Layer) -> Vec<usize> {
    let filter = Filter::parse(filter, &NoNames).unwrap_or_else(|error| panic!("{error}"));
    let meant = |&number: &usize| filter.matches(layer, &frames[number]);
    (0..frames.len()).filter(meant).collect()
}

const PRIMITIVES: &[&str] = &[
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "igmp",
    "sctp",
    "esp",
    "host 10.0.1.1",
    "src host 10.0.1.1",
    "dst 10.0.2.2",
    "src or dst 10.0.1.1",
    "src and dst host 10.0.1.1",
    "ip host 10.0.3.3",
    "arp host 10.0.2.2",
    "arp src 10.0.1.1",
    "host fd00::1",
    "dst host fd00::2",
    "net 10.0.1.0/24",
    "src net 10.0.0.0/22",
    "dst net 10.0",
    "net 10.0.0.0 mask 255.255.254.0",
    "ip6 net fd00::/8",
    "port 53",
    "src port 53",
    "dst port 80",
    "src or dst port 443",
    "src and dst port 443",
    "tcp port 80",
    "udp src port 6001",
    "tcp dst port 6000",
    "sctp port 22",
    "portrange 6000-6008",
    "udp portrange 1-60",
    "tcp src portrange 400-500",
    "proto 17",
    "ip proto 47",
    "ip6 proto 6",
    "ip proto \\tcp",
    "ether proto 0x88b5",
    "ether proto \\arp",
    "ip proto 89",
    "ether host 02:00:00:00:00:01",
    "ether src 02:00:00:00:00:02",
    "ether dst 02:00:00:00:00:02",
    "broadcast",
    "multicast",
    "ether broadcast",
    "ether multicast",
    "ip multicast",
    "ip6 multicast",
    "less 60",
    "greater 70",
    "vlan",
    "vlan 7",
];

#[test]
fn every_condition_takes_the_frames_that_tcpdump_takes() {
    let frames = varied();
    let tcpdump = Tcpdump::new(&frames, Linktype::ETHERNET);
    let more = [
        "port 53 or 80",
        "tcp port (80 or 443)",
        "host 10.0.1.1 and not 10.0.2.2",
        "not port 53 or 80",
        "src port 53 and 443",
        "tcp or udp and port 53",
        "port 53 and tcp or icmp",
        "not (tcp or udp)",
        "! tcp && ! udp || arp",
        "not not tcp",
        "src 10.0.1.1 or dst 10.0.2.2",
        "(tcp or udp) and (port 53 or 443)",
        "tcp dst port domain or http",
        "",
    ];
    for filter in PRIMITIVES.iter().chain(&more) {
        let Some(theirs) = tcpdump.chosen(filter) else {
            return;
        };
        assert_eq!(ours(filter, &frames, Layer::L2), theirs, "`{filter}`");
    }
}

#[test]
fn joined_conditions_take_the_frames_that_tcpdump_takes() {
    let frames = varied();
    let tcpdump = Tcpdump::new(&frames, Linktype::ETHERNET);
    // tcpdump's `vlan` shifts everything behind it.
    let plain: Vec<&str> = PRIMITIVES
        .iter()
        .copied()
        .filter(|one| !one.starts_with("vlan"))
        .collect();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let one = prop::sample::select(plain);
    let join = prop::sample::select(vec![" and ", " or ", " and not ", " or not "]);
    let shape = (one.clone(), join.clone(), one.clone(), join, one, 0..3_u8);
    for _ in 0..60 {
        let tree = shape.new_tree(&mut runner).expect("a filter");
        let (a, x, b, y, c, form) = tree.current();
        let filter = match form {
            0 => format!("{a}{x}{b}{y}{c}"),
            1 => format!("{a}{x}({b}{y}{c})"),
            _ => format!("not ({a}{x}{b}){y}{c}"),
        };
        let Some(theirs) = tcpdump.chosen(&filter) else {
            return;
        };
        assert_eq!(ours(&filter, &frames, Layer::L2), theirs, "`{filter}`");
    }
}

#[test]
fn packets_of_ip_alone_are_judged_as_tcpdump_judges_them() {
    let is_ip = |frame: &Vec<u8>| matches!(frame[12..14], [8, 0] | [0x86, 0xdd]);
    let packets: Vec<Vec<u8>> = varied()
        .into_iter()
        .filter(is_ip)
        .map(|frame| frame[14..].to_vec())
        .collect();
    let tcpdump = Tcpdump::new(&packets, Linktype::RAW);
    for filter in [
        "ip",
        "ip6",
        "tcp",
        "port 53",
        "host 10.0.1.1 and not udp",
        "net 10.0.0.0/23",
        "greater 50",
        "ip multicast",
    ] {
        let Some(theirs) = tcpdump.chosen(filter) else {
            return;
        };
        assert_eq!(ours(filter, &packets, Layer::L3), theirs, "`{filter}`");
    }
    for filter in ["ether host 02:00:00:00:00:01", "vlan", "arp", "broadcast"] {
        assert_eq!(ours(filter, &packets, Layer::L3), [0_usize; 0], "`{filter}`");
    }
}

#[test]
fn tags_and_extension_headers_hide_nothing() {
    let packet = ipv4(6, &[], &with_ports(80, 1024));
    let double = [ethernet(&[(0x88a8, 7), (0x8100, 0x6009)], 0x0800), packet].concat();
    let takes = |filter: &str, frame: &[u8]| {
        Filter::parse(filter, &NoNames)
            .expect("a filter")
            .matches(Layer::L2, frame)
    };
    for filter in [
        "vlan",
        "vlan 7",
        "vlan 9",
        "tcp port 80",
        "vlan 7 and tcp",
        "ip and host 10.0.0.1",
    ] {
        assert!(takes(filter, &double), "{filter}");
    }
    assert!(!takes("vlan 8", &double) && !takes("not vlan", &double));
    let option = (60, vec![0, 1, 4, 0, 0, 0, 0]);
    let packet = ipv6(17, &[option], &with_ports(53, 1024));
    let frame = [ethernet(&[], 0x86dd), packet].concat();
    assert!(takes("udp port 53 and ip6", &frame));
}

struct Lab;

impl Names for Lab {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        match name {
            "h1" => vec![[10, 0, 0, 1].into(), "fd00::1".parse().expect("an address")],
            "web" => vec![[10, 0, 0, 2].into()],
            _ => vec![],
        }
    }

    fn lladdrs(&self, name: &str) -> Vec<MacAddr> {
        (name == "h1")
            .then_some(MacAddr([2, 0, 0, 0, 0, 1]))
            .into_iter()
            .collect()
    }

    fn all(&self) -> Vec<String> {
        vec!["h1".into(), "web".into()]
    }
}

#[test]
fn names_of_nodes_stand_for_all_their_addresses() {
    let frame = [ethernet(&[], 0x0800), ipv4(6, &[], &with_ports(80, 1024))].concat();
    for filter in [
        "host h1",
        "h1",
        "src h1",
        "src h1 and dst web",
        "host h1 and web",
        "ether src h1",
        "host (h1 or web)",
    ] {
        let found = Filter::parse(filter, &Lab).unwrap_or_else(|error| panic!("{error}"));
        assert!(found.matches(Layer::L2, &frame), "{filter}");
        let plain = Filter::without_names(filter, &Lab).expect("a filter");
        let found = Filter::parse(&plain, &NoNames).unwrap_or_else(|error| panic!("{error}"));
        assert!(found.matches(Layer::L2, &frame), "{filter}: {plain}");
    }
    let filter = Filter::parse("dst h1 or src web", &Lab).expect("a filter");
    assert!(!filter.matches(Layer::L2, &frame));
}

#[test]
fn a_filter_without_names_has_addresses_in_their_place() {
    for (named, plain) in [
        ("tcp port 80", "tcp port 80"),
        ("host h1", "host (10.0.0.1 or fd00::1)"),
        ("port 80 or\n  h1", "port 80 or\n  host (10.0.0.1 or fd00::1)"),
        (
            "not src web and ether dst h1",
            "not src 10.0.0.2 and ether dst 02:00:00:00:00:01",
        ),
        (
            "dst host (web or h1) or web",
            "dst host (10.0.0.2 or (10.0.0.1 or fd00::1)) or 10.0.0.2",
        ),
        ("src web or h1", "src 10.0.0.2 or (10.0.0.1 or fd00::1)"),
    ] {
        assert_eq!(Filter::without_names(named, &Lab).as_deref(), Ok(plain));
        assert!(Filter::parse(plain, &NoNames).is_ok(), "{plain}");
    }
    assert!(Filter::without_names("host nobody", &Lab).is_err());
}

/// The filter, the character at which the error points, what it says, and a part of its hint.
const REFUSED: &[(&str, usize, &str, &str)] = &[
    (
        "tcp prot 80",
        5,
        "`prot` is neither a word",
        "did you mean `proto` or `port`?",
    ),
    ("host", 5, "the filter ends where an address", "host 10.0.0.1"),
    (
        "host wbe",
        6,
        "neither an address nor the name of a node",
        "did you mean `web`?",
    ),
    ("host 10.0.0.0/8", 6, "neither an address", "net 10.0.0.0/8"),
    ("host 02:00:00:00:00:01", 6, "neither an address", "ether host"),
    ("host 10.0.0.300", 6, "neither an address", "10.0.0.1"),
    ("port 80-90", 6, "`80-90` is no port", "portrange 80-90"),
    ("port 70000", 6, "`70000` is no port", "0 to 65535"),
    ("portrange 80", 11, "no range", "portrange 6000"),
    ("tcp host h1", 1, "`tcp` has no addresses", "tcp and host"),
    ("icmp port 80", 1, "`icmp` has no ports", "tcp"),
    ("ip port 80", 1, "`ip` has no ports", "tcp port"),
    ("ether", 1, "`ether` alone", "ether host"),
    ("ether port 80", 1, "has no ports", "tcp port"),
    ("(tcp or udp", 1, "not closed", ""),
    ("tcp or udp)", 11, "closes no parenthesis", ""),
    ("tcp udp", 5, "`udp` is neither", ""),
    ("port 80 tcp", 9, "`tcp` follows a whole condition", "and tcp"),
    ("and tcp", 1, "joins two conditions", ""),
    ("tcp and", 8, "the filter ends where a condition", ""),
    ("tcp[13] & 2 != 0", 4, "arithmetic", "tcp"),
    ("len > 100", 5, "arithmetic", "greater 100"),
    ("tcp & udp", 5, "arithmetic", "`and`"),
    ("vlan 5000", 6, "0 to 4095", ""),
    ("net 10.0.0.0/33", 5, "is no net", "10.0.0.0/8"),
    ("net 10.0.0.0 mask 255.0.255.0", 19, "no mask", ""),
    ("ip proto 300", 10, "no IP protocol", "0 to 255"),
    ("80", 1, "alone says nothing", "port 80"),
    ("tcp broadcast", 1, "cannot be told", "ether broadcast"),
    ("größe", 1, "neither a word", ""),
];

#[test]
fn what_is_no_filter_is_refused_at_its_word() {
    for &(filter, position, what, hint) in REFUSED {
        let error = Filter::parse(filter, &Lab).expect_err(filter);
        assert_eq!(error.position(), position, "{error}");
        assert!(error.what().contains(what), "{error}");
        assert!(
            error.hint().unwrap_or_default().contains(hint),
            "{filter}: {:?}",
            error.hint()
        );
    }
    let error = Filter::parse("größe > 1", &Lab).expect_err("arithmetic");
    assert_eq!(error.pointed(), "größe > 1\n      ^");
    let error = Filter::parse("tcp and\n\tport eighty\n", &NoNames).expect_err("no port");
    assert_eq!(error.place(), "line 2, character 7");
    assert_eq!(error.pointed(), " port eighty\n      ^^^^^^");
    assert!(
        error
            .to_string()
            .starts_with("no filter: at line 2, character 7: `eighty` is no port\n"),
        "{error}"
    );
    let error = Filter::parse(&format!("{}or", "tcp or ".repeat(1000)), &NoNames).expect_err("no condition");
    assert_eq!(error.place(), "character 7001");
    let pointed = error.pointed();
    let (shown, marks) = pointed.split_once('\n').expect("two lines");
    assert!(
        shown.chars().count() < 130 && shown.ends_with(" or or"),
        "{shown}"
    );
    assert_eq!(marks.chars().count(), shown.chars().count());
    for (filter, what, hint) in [
        ("host h1", "`h1` is no address", "10.0.0.1"),
        ("h1", "`h1` is no word", "host 10.0.0.1"),
        ("ether host h1", "no Ethernet address", "ether host"),
    ] {
        let error = Filter::parse(filter, &NoNames).expect_err(filter);
        assert!(error.what().contains(what), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error}");
    }
    let deep = format!("{}tcp{}", "(".repeat(60), ")".repeat(60));
    assert!(
        Filter::parse(&deep, &Lab)
            .expect_err("deep")
            .what()
            .contains("more than 50")
    );
}

proptest! {
    #[test]
    fn a_cut_frame_counts_by_its_length_on_the_wire(len in 0..4000_usize, cut in 0..64_usize) {
        let frame = vec![0; cut];
        for (text, is_meant) in [("less 100", len <= 100), ("greater 2000", len >= 2000)] {
            prop_assert_eq!(Filter::parse(text, &NoNames).expect("a filter").matches_cut(Layer::L2, &frame, len), is_meant);
        }
    }

    #[test]
    fn no_text_and_no_frame_panics(
        words in prop::collection::vec(prop::sample::select([PRIMITIVES, &["(", ")", "and", "or", "not", "host", "src", "é", "\\", "10", "h1", "-", "0x", "\n", "\t"]].concat()), 0..12),
        frame in prop::collection::vec(any::<u8>(), 0..90),
    ) {
        let text = words.join(" ");
        match Filter::parse(&text, &Lab) {
            Ok(filter) => {
                let matches = [Layer::L2, Layer::L3].map(|layer| filter.matches(layer, &frame));
                let plain = Filter::without_names(&text, &Lab).expect("a filter");
                let plain = Filter::parse(&plain, &NoNames).unwrap_or_else(|error| panic!("`{text}`: {error}"));
                // One that both ends of a packet have is no name's two addresses.
                if !text.contains("src and dst") {
                    prop_assert_eq!([Layer::L2, Layer::L3].map(|layer| plain.matches(layer, &frame)), matches);
                }
            }
            Err(error) => {
                let (place, pointed) = (error.place(), error.pointed());
                prop_assert!(error.to_string().contains(&place) && pointed.lines().count() == 2);
            }
        }
    }
}
