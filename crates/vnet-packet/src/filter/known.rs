//! The protocols and services that have a name in filters.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::{ether_type, ip_protocol};

/// IP protocols, by the words of pcap-filter(7) and of /etc/protocols.
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", ip_protocol::ICMP),
    ("igmp", ip_protocol::IGMP),
    ("ipip", 4),
    ("tcp", ip_protocol::TCP),
    ("udp", ip_protocol::UDP),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", ip_protocol::AUTHENTICATION),
    ("icmp6", ip_protocol::ICMPV6),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", SCTP),
];

pub(super) const SCTP: u8 = 132;

const REVERSE_ARP: u16 = 0x8035;

const ETHER_TYPES: &[(&str, u16)] = &[
    ("ip", ether_type::IPV4),
    ("arp", ether_type::ARP),
    ("rarp", REVERSE_ARP),
    ("ip6", ether_type::IPV6),
    ("lldp", ether_type::LLDP),
];

/// The services of a student's lab (/etc/services has the rest, and differs between systems).
const SERVICES: &[(&str, u16)] = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("pop3", 110),
    ("ntp", 123),
    ("imap", 143),
    ("snmp", 161),
    ("bgp", 179),
    ("https", 443),
    ("syslog", 514),
    ("rip", 520),
    ("iperf3", 5201),
    ("mdns", 5353),
];

pub(super) fn protocol(word: &str) -> Option<u8> {
    named(PROTOCOLS, word)
}

pub(super) fn ether_type(word: &str) -> Option<u16> {
    named(ETHER_TYPES, word)
}

pub(super) fn service(word: &str) -> Option<u16> {
    named(SERVICES, word)
}

fn named<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table
        .iter()
        .find_map(|&(name, value)| (name == word).then_some(value))
}

/// Words that stand for themselves wherever a primitive may start.
const WORDS: &[&str] = &[
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "src",
    "dst",
    "ether",
    "vlan",
    "less",
    "greater",
    "broadcast",
    "multicast",
    "and",
    "or",
    "not",
];

pub(super) fn is_keyword(word: &str) -> bool {
    WORDS.contains(&word) || protocol(word).is_some() || ether_type(word).is_some_and(|_| word != "lldp")
}

/// Returns the words that a wrong one was probably meant to be, nearest first.
pub(super) fn near(word: &str, others: &[String]) -> Vec<String> {
    let words = WORDS
        .iter()
        .copied()
        .chain(PROTOCOLS.iter().map(|&(name, _)| name))
        .chain(ETHER_TYPES.iter().map(|&(name, _)| name))
        .chain(others.iter().map(String::as_str));
    let mut best: [Option<(usize, &str)>; 2] = [None; 2];
    for other in words {
        let steps = distance(word, other);
        let is_near = steps == 1 || (steps == 2 && (other.len() > 4 || anagram(word, other)));
        let is_known = best.iter().flatten().any(|&(_, known)| known == other);
        let at = best
            .iter()
            .position(|known| known.is_none_or(|(least, _)| steps < least));
        if let (true, false, Some(at)) = (is_near, is_known, at) {
            best[at..].rotate_right(1);
            best[at] = Some((steps, other));
        }
    }
    best.into_iter()
        .flatten()
        .map(|(_, other)| other.into())
        .collect()
}

/// Says whether two words are made of the same letters: two of them were typed in the wrong order.
fn anagram(a: &str, b: &str) -> bool {
    let times = |word: &str, letter| word.chars().filter(|&other| other == letter).count();
    a.len() == b.len() && a.chars().all(|letter| times(a, letter) == times(b, letter))
}

/// Returns how many letters must be put, taken or changed to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
