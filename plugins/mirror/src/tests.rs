use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use vnet_plugin::neighbor::question;
use vnet_plugin::testing::frames::{ethernet, icmp, ip, tagged, tcp, udp};
use vnet_plugin::testing::{Host, Input};
use vnet_plugin::wire::MacAddr;

use super::*;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2));
const A6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));

fn host(config: &str) -> Host {
    let mut host = Host::new(mirror);
    host.configure(configure, config).expect("accepted");
    host
}

fn input(bytes: &[u8], port: u16) -> Input {
    Input {
        bytes: bytes.to_vec(),
        port,
        ..Input::default()
    }
}

fn frames() -> [Vec<u8>; 6] {
    [
        ethernet(2, 1, &ip(A, B, 6, &tcp(A, B, (1000, 80), 2, &[], b""))),
        ethernet(2, 1, &ip(A, B, 17, &udp(A, B, 53, 1000, b"x"))),
        ethernet(2, 1, &ip(A, B, 1, &icmp(A, B, 8, 0, [0; 4], b"x"))),
        ethernet(2, 1, &ip(A6, A6, 58, &icmp(A6, A6, 128, 0, [0; 4], b"x"))),
        question(B, MacAddr([2, 0, 0, 0, 0, 1]), Some(A)).frame().to_vec(),
        tagged(5, &ethernet(2, 1, &ip(A6, A6, 17, &udp(A6, A6, 80, 9, b"x")))),
    ]
}

/// Returns which of the frames are copied.
fn copied(filter: &str) -> Vec<usize> {
    let mut host = host(&format!(r#"{{"to": 3{filter}}}"#));
    let given = frames();
    let judge = |(n, frame): (usize, &Vec<u8>)| {
        let batch = host.run(&[input(frame, 1)]);
        assert_eq!((batch.frames[0].verdict, &batch.frames[0].bytes), (Verdict::Pass, frame));
        let copy = batch.appended.first()?;
        assert_eq!((copy.verdict, &copy.bytes), (Verdict::Redirect(3), frame));
        Some(n)
    };
    given.iter().enumerate().filter_map(judge).collect()
}

#[test]
fn copies_what_the_filter_names_and_lets_all_pass() {
    for (filter, expected) in [
        ("", &[0, 1, 2, 3, 4, 5][..]),
        (r#", "protocol": "tcp""#, &[0]),
        (r#", "protocol": "udp""#, &[1, 5]),
        (r#", "protocol": "icmp""#, &[2, 3]),
        (r#", "protocol": "arp""#, &[4]),
        (r#", "protocol": "ipv6""#, &[3, 5]),
        (r#", "address": "10.0.1.0/24""#, &[0, 1, 2, 4]),
        (r#", "address": "fd00::1", "protocol": "icmp""#, &[3]),
        (r#", "port": 80"#, &[0, 5]),
        (r#", "port": 80, "protocol": "ipv4""#, &[0]),
        (r#", "vlan": 5"#, &[5]),
        (r#", "vlan": 6"#, &[]),
        (r#", "from": [0, 2]"#, &[]),
        (r#", "from": 1"#, &[0, 1, 2, 3, 4, 5]),
    ] {
        assert_eq!(copied(filter), expected, "{filter}");
    }
}

#[test]
fn a_copy_leaves_by_the_mirror_port_also_where_its_own_frames_came_first() {
    let mut host = host(r#"{"to": 3}"#);
    let [a, b, ..] = frames();
    let batch = host.run(&[input(&a, 3), input(&b, 1)]);
    assert_eq!(batch.appended.len(), 1, "what the listener sends is not copied");
    assert_eq!((batch.appended[0].verdict, &batch.appended[0].bytes), (Verdict::Tx, &b));
    let batch = host.run(&vec![input(&b, 1); 64]);
    assert_eq!(batch.appended.len(), 64);
    assert_eq!(host.counters()["copied"], 65);
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for (config, word) in [
        ("{}", "to must"),
        (r#"{"to": 1024}"#, "to must"),
        (r#"{"to": 1, "from": 1}"#, "from is"),
        (r#"{"to": 1, "from": []}"#, "from is"),
        (r#"{"to": 1, "protocol": "igmp"}"#, "protocol is"),
        (r#"{"to": 1, "address": "10.0.0.0/33"}"#, "address is"),
        (r#"{"to": 1, "port": 0}"#, "port is"),
        (r#"{"to": 1, "vlan": 4095}"#, "vlan is"),
    ] {
        let refused = Host::new(mirror).configure(configure, config).expect_err(config);
        assert!(refused.contains(word), "{config}: {refused}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_copies_are_the_same_bytes(
        given in vec((0..6_usize, vec((0..80_usize, any::<u8>()), 0..4), 0..100_usize, 0..5_u16), 1..64),
        filter in 0..4_usize,
    ) {
        let filters = ["", r#", "protocol": "icmp""#, r#", "address": "10.0.0.0/8""#, r#", "port": 80"#];
        let mut host = host(&format!(r#"{{"to": 3{}}}"#, filters[filter]));
        let bases = frames();
        let inputs: Vec<Input> = given.into_iter().map(|(base, changes, keep, port)| {
            let mut bytes = bases[base].clone();
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(keep);
            input(&bytes, port)
        }).collect();
        let batch = host.run(&inputs);
        for copy in batch.appended {
            prop_assert!(inputs.iter().any(|input| input.bytes == copy.bytes && input.port != 3));
        }
    }
}
