//! Walks put together from records made by hand, as a capture of a network with stages has them.

mod alike;
mod answers;

use std::net::IpAddr;
use vnet_packet::Layer;
use vnet_packet::filter::{Filter, NoNames};
use vnet_packet::pcap::Direction;
use vnet_packet::walk::{Kind, Link, Place, Plan, Sighting, Walk, walks};

/// h1 - s1 - r1 - h2, and h3 at s1 too.
fn plan() -> Plan {
    let place = |node: &str, interface: &str| Place {
        name: format!("{node}-{interface}"),
        node: node.into(),
        interface: interface.into(),
        is_port: interface.starts_with("port"),
        lladdr: None,
    };
    let link = |name: &str, a: &str, b: &str| Link {
        name: name.into(),
        ends: [a.into(), b.into()],
    };
    let address = |text: &str, node: &str| (text.parse::<IpAddr>().expect("an address"), node.to_string());
    Plan {
        places: vec![
            place("h1", "eth0"),
            place("h3", "eth0"),
            place("s1", "port1"),
            place("s1", "port2"),
            place("s1", "port3"),
            place("r1", "eth0"),
            place("r1", "eth1"),
            place("h2", "eth0"),
        ],
        links: vec![
            link("h1-s1", "h1-eth0", "s1-port1"),
            link("h3-s1", "h3-eth0", "s1-port3"),
            link("r1-s1", "r1-eth0", "s1-port2"),
            link("h2-r1", "h2-eth0", "r1-eth1"),
        ],
        addresses: vec![
            address("10.0.0.1", "h1"),
            address("10.0.0.3", "h3"),
            address("10.0.0.254", "r1"),
            address("10.1.0.254", "r1"),
            address("10.1.0.2", "h2"),
        ],
    }
}

#[derive(Default)]
struct File(Vec<Sighting>);

const IN: Option<Direction> = Some(Direction::Inbound);
const OUT: Option<Direction> = Some(Direction::Outbound);

impl File {
    fn see(
        &mut self,
        interface: &str,
        direction: Option<Direction>,
        packet: u64,
        comment: &str,
        frame: &[u8],
    ) {
        self.0.push(Sighting {
            ts_ns: 1_000_000 * self.0.len() as u64,
            interface: interface.into(),
            direction,
            packet,
            comment: comment.into(),
            layer: Layer::L2,
            frame: frame.into(),
            wire_len: frame.len() as u32,
        });
    }

    fn walks(&self, filter: &str) -> Vec<Walk> {
        walks(
            &self.0,
            &plan(),
            &Filter::parse(filter, &NoNames).expect("a filter"),
        )
    }
}

fn ip(src: [u8; 4], dst: [u8; 4], protocol: u8, ttl: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, ttl, 2, 0, 0, 0, 1, ttl, 8, 0, 0x45, 0];
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend([0x40, 0, ttl, protocol, 0, 0]);
    frame.extend(src);
    frame.extend(dst);
    frame.extend(payload);
    frame
}

fn udp(src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in [src, dst, 8 + data.len() as u16, 0] {
        out.extend(value.to_be_bytes());
    }
    out.extend(data);
    out
}

fn tcp(seq: u32, data: usize) -> Vec<u8> {
    let mut out = vec![0x30, 0x39, 0, 80];
    out.extend(seq.to_be_bytes());
    out.extend([0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    out.extend((0..data).map(|at| (seq as usize + at) as u8));
    out
}

const H1: [u8; 4] = [10, 0, 0, 1];
const H2: [u8; 4] = [10, 1, 0, 2];

fn places(walk: &Walk) -> Vec<String> {
    walk.hops
        .iter()
        .map(|hop| format!("{} {}", hop.place(), hop.verdict))
        .collect()
}

/// The way from h1 to r1, and on to h2 as the router forwards it.
fn cross(file: &mut File, before: &[u8], after: &[u8]) {
    file.see("h1-eth0", OUT, 0, "", before);
    file.see("s1-port1", IN, 0, "", before);
    file.see("s1-port2", OUT, 0, "", before);
    file.see("r1-eth0", IN, 0, "", before);
    file.see("r1-eth1", OUT, 0, "", after);
    file.see("h2-eth0", IN, 0, "", after);
}

#[test]
fn a_packet_is_followed_through_switch_and_router() {
    let mut file = File::default();
    let packet = udp(1000, 53, b"question");
    cross(
        &mut file,
        &ip(H1, H2, 17, 64, 7, &packet),
        &ip(H1, H2, 17, 63, 7, &packet),
    );
    let found = file.walks("udp");
    assert_eq!(found.len(), 1);
    let walk = &found[0];
    assert_eq!(
        places(walk),
        [
            "h1 eth0 sent",
            "s1 port1 in",
            "s1 port2 out",
            "r1 eth0 received",
            "r1 eth1 forwarded",
            "h2 eth0 received"
        ]
    );
    assert_eq!(
        (walk.outcome.as_str(), walk.delivered_to.as_deref()),
        ("delivered to h2", Some("h2"))
    );
    let changed: Vec<_> = walk.hops[4]
        .changes
        .iter()
        .map(|change| (change.field, change.before.as_str(), change.after.as_str()))
        .collect();
    assert!(
        changed.contains(&("ip.ttl", "64", "63")) && changed.iter().any(|(field, ..)| *field == "eth.dst")
    );
    assert_eq!(walk.hops[4].waited_ns, Some(1_000_000));
    assert!(
        walk.hops
            .iter()
            .enumerate()
            .all(|(at, hop)| hop.parent == at.checked_sub(1))
    );
    assert!(file.walks("port 54").is_empty());
}

#[test]
fn a_drop_names_hop_plugin_and_reason() {
    let mut file = File::default();
    let frame = ip(H1, H2, 17, 64, 7, &udp(1000, 53, b"question"));
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("h1-s1/acl", IN, 77, "", &frame);
    file.see("h1-s1/acl", None, 77, "acl: drop, reason 3 \"rule_3\"", &frame);
    let walk = &file.walks("udp")[0];
    assert_eq!(places(walk), ["h1 eth0 sent", "link h1-s1, acl drop"]);
    assert_eq!(walk.outcome, "dropped on link h1-s1 by acl: rule_3 (reason 3)");
    assert_eq!(
        (walk.hops[1].kind, walk.hops[1].parent, walk.hops[1].waited_ns),
        (Kind::Plugin, Some(0), Some(1_000_000))
    );
    let mut file = File::default();
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("h1-s1/a>b", IN, 78, "", &frame);
    file.see("h1-s1/a>b", None, 78, "link h1-s1 a>b: lost (loss 10 %)", &frame);
    assert_eq!(file.walks("")[0].outcome, "lost on link h1-s1 a>b (loss 10 %)");
    let mut file = File::default();
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("h1-s1/acl", IN, 77, "", &frame);
    let said = "acl: drop, reason 19 \"rule_3\" \"deny udp dport 53\"";
    file.see("h1-s1/acl", None, 77, said, &frame);
    assert_eq!(
        file.walks("")[0].outcome,
        "dropped on link h1-s1 by acl: rule_3 \"deny udp dport 53\" (reason 19)"
    );
}

#[test]
fn a_translation_by_a_plugin_is_followed_by_the_packets_number() {
    let mut file = File::default();
    let inside = ip(H1, H2, 17, 64, 7, &udp(1000, 53, b"question"));
    let outside = ip([192, 0, 2, 1], H2, 17, 63, 7, &udp(40_000, 53, b"question"));
    file.see("h1-eth0", OUT, 0, "", &inside);
    file.see("h1-s1/nat", IN, 5, "", &inside);
    file.see("h1-s1/nat", OUT, 5, "nat: pass, rewritten", &outside);
    file.see("s1-port1", IN, 5, "", &outside);
    file.see("r1-eth0", IN, 0, "", &outside);
    for filter in ["host 10.0.0.1", "src port 40000"] {
        let found = file.walks(filter);
        assert_eq!(found.len(), 1);
        let nat = &found[0].hops[1];
        let changed: Vec<_> = nat
            .changes
            .iter()
            .map(|change| (change.field, change.after.as_str()))
            .collect();
        assert!(changed.contains(&("ip.src", "192.0.2.1")) && changed.contains(&("udp.srcport", "40000")));
        assert_eq!((found[0].hops.len(), nat.verdict.as_str()), (4, "pass"));
        assert_eq!(found[0].held_by.as_deref(), Some("r1"));
    }
}

#[test]
fn a_translation_by_a_kernel_is_found_by_payload_and_identification() {
    let mut file = File::default();
    let outside = |port, id, data: &[u8]| ip([10, 1, 0, 254], H2, 17, 63, id, &udp(port, 53, data));
    for (id, data) in [(7, b"one"), (8, b"two")] {
        let frame = ip(H1, H2, 17, 64, id, &udp(1000, 53, data));
        file.see("h1-eth0", OUT, 0, "", &frame);
        file.see("r1-eth0", IN, 0, "", &frame);
    }
    for (id, data) in [(7, b"one"), (8, b"two")] {
        file.see("r1-eth1", OUT, 0, "", &outside(61_000, id, data));
        file.see("h2-eth0", IN, 0, "", &outside(61_000, id, data));
    }
    let found = file.walks("udp");
    assert_eq!(found.len(), 2);
    for walk in &found {
        assert_eq!(walk.outcome, "delivered to h2");
        assert!(
            walk.hops[2]
                .changes
                .iter()
                .any(|change| change.field == "ip.src" && change.after == "10.1.0.254")
        );
    }
}

#[test]
fn retransmissions_are_walks_of_their_own_and_copies_are_not() {
    let mut file = File::default();
    // No identification tells them apart.
    let packet = udp(1000, 53, b"again");
    let (before, after) = (ip(H1, H2, 17, 64, 0, &packet), ip(H1, H2, 17, 63, 0, &packet));
    file.see("h1-eth0", OUT, 0, "", &before);
    file.see("h1-s1/a>b", IN, 9, "", &before);
    file.see("h1-s1/a>b", None, 9, "link h1-s1 a>b: lost (loss)", &before);
    cross(&mut file, &before, &after);
    file.see("h2-eth0", IN, 0, "", &after);
    let found = file.walks("udp");
    let outcomes: Vec<_> = found.iter().map(|walk| walk.outcome.as_str()).collect();
    assert_eq!(outcomes, ["lost on link h1-s1 a>b (loss)", "delivered to h2"]);
    assert_eq!(found[1].hops.last().map(|hop| hop.frames), Some(2));
}

#[test]
fn a_flood_branches_and_only_the_asked_one_counts() {
    let mut file = File::default();
    let mut arp = vec![0xff; 6];
    arp.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
    arp.extend(H1);
    arp.extend([0; 6]);
    arp.extend([10, 0, 0, 254]);
    file.see("h1-eth0", OUT, 0, "", &arp);
    file.see("s1-port1", IN, 3, "", &arp);
    file.see(
        "s1/switch",
        IN,
        3,
        "switch s1: flooded to s1-port2 s1-port3",
        &arp,
    );
    file.see("s1-port2", OUT, 3, "", &arp);
    file.see("s1-port3", OUT, 3, "", &arp);
    file.see("r1-eth0", IN, 0, "", &arp);
    file.see("h3-eth0", IN, 0, "", &arp);
    let found = file.walks("arp");
    assert_eq!(found.len(), 1);
    let parents: Vec<_> = found[0].hops.iter().map(|hop| hop.parent).collect();
    assert_eq!(
        parents,
        [None, Some(0), Some(1), Some(2), Some(2), Some(3), Some(4)]
    );
    assert_eq!(found[0].outcome, "delivered to r1");
}

#[test]
fn a_port_that_is_stamped_late_stands_before_what_it_sent() {
    let mut file = File::default();
    let frame = ip(H1, [10, 0, 0, 254], 17, 64, 7, &udp(1000, 53, b"question"));
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("s1-port1", IN, 3, "", &frame);
    file.see("s1/switch", IN, 3, "switch s1: to s1-port2", &frame);
    file.see("r1-s1/b>a", IN, 3, "", &frame);
    file.see(
        "r1-s1/b>a",
        OUT,
        3,
        "link r1-s1 b>a: passed, waited 1.000 ms",
        &frame,
    );
    file.see("r1-eth0", IN, 0, "", &frame);
    file.see("s1-port2", OUT, 3, "", &frame);
    let found = file.walks("udp");
    assert_eq!(
        places(&found[0]),
        [
            "h1 eth0 sent",
            "s1 port1 in",
            "s1 to s1-port2",
            "link r1-s1, b>a passed",
            "s1 port2 out",
            "r1 eth0 received"
        ]
    );
    let parents: Vec<_> = found[0].hops.iter().map(|hop| hop.parent).collect();
    assert_eq!(parents, [None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
}

#[test]
fn segments_belong_to_their_super_frame() {
    let mut file = File::default();
    let frame = |seq, len, ttl| ip(H1, H2, 6, ttl, 7, &tcp(seq, len));
    file.see("h1-eth0", OUT, 0, "", &frame(100, 3000, 64));
    for seq in [100, 1600] {
        file.see("s1-port1", IN, 0, "", &frame(seq, 1500, 64));
    }
    file.see("r1-eth0", IN, 0, "", &frame(100, 3000, 64));
    file.see("r1-eth1", OUT, 0, "", &frame(100, 3000, 63));
    file.see("h2-eth0", IN, 0, "", &frame(100, 3000, 63));
    file.see("h1-eth0", OUT, 0, "", &frame(3100, 1000, 64));
    let found = file.walks("tcp");
    assert_eq!(found.len(), 2);
    assert_eq!(
        (
            found[0].outcome.as_str(),
            found[0].hops.len(),
            found[0].hops[1].frames
        ),
        ("delivered to h2", 5, 2)
    );
}

#[test]
fn what_a_kernel_answers_says_why_it_dropped() {
    let frame = ip(H1, H2, 17, 64, 7, &udp(1000, 53, b"question"));
    let mut error = vec![3, 0, 0, 0, 0, 0, 0, 0];
    error.extend(&frame[14..42]);
    let mut file = File::default();
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("r1-eth0", IN, 0, "", &frame);
    let kept = file.walks("udp");
    assert_eq!(kept[0].outcome, "r1's kernel dropped it or keeps it");
    file.see("r1-eth0", OUT, 0, "", &ip([10, 0, 0, 254], H1, 1, 64, 9, &error));
    let found = file.walks("udp and host 10.1.0.2");
    assert_eq!(
        found[0].outcome,
        "dropped by r1's kernel, which answered ICMP network unreachable: no route"
    );
    assert_eq!(found[0].held_by, None);
}

#[test]
fn a_router_cuts_a_packet_into_pieces() {
    let mut file = File::default();
    let mut whole = ip(H1, H2, 17, 64, 7, &udp(1000, 53, &[1; 2000]));
    whole[20] = 0;
    let piece = |from: usize, to: usize, flags: u16| {
        let mut out = ip(H1, H2, 17, 63, 7, &whole[34 + from..34 + to]);
        out[20..22].copy_from_slice(&(flags | (from / 8) as u16).to_be_bytes());
        out
    };
    file.see("h1-eth0", OUT, 0, "", &whole);
    file.see("r1-eth0", IN, 0, "", &whole);
    for (from, to, flags) in [(0, 1480, 0x2000), (1480, 2008, 0)] {
        file.see("r1-eth1", OUT, 0, "", &piece(from, to, flags));
        file.see("h2-eth0", IN, 0, "", &piece(from, to, flags));
    }
    let found = file.walks("udp");
    assert_eq!(
        (found.len(), found[0].hops.len(), found[0].hops[3].frames),
        (1, 4, 2)
    );
    assert_eq!(found[0].outcome, "delivered to h2");
}

#[test]
fn what_a_plugin_turns_round_passes_the_switch_once_more() {
    let mut file = File::default();
    let packet = udp(1000, 53, b"question");
    let (asked, answered) = (ip(H1, H2, 17, 64, 7, &packet), ip(H2, H1, 17, 64, 7, &packet));
    file.see("h1-eth0", OUT, 0, "", &asked);
    file.see("s1-port1", IN, 3, "", &asked);
    file.see("s1/switch", IN, 3, "switch s1: to s1-port2", &asked);
    file.see("r1-s1/echo", IN, 3, "", &asked);
    file.see("r1-s1/echo", OUT, 3, "echo: tx, rewritten", &answered);
    file.see("s1/switch", IN, 3, "switch s1: to s1-port1", &answered);
    file.see("s1-port1", OUT, 3, "", &answered);
    file.see("h1-eth0", IN, 0, "", &answered);
    let found = file.walks("udp");
    let hops: Vec<_> = found[0]
        .hops
        .iter()
        .map(|hop| (hop.parent, hop.changes.is_empty()))
        .collect();
    assert_eq!(
        hops,
        [
            (None, true),
            (Some(0), true),
            (Some(1), true),
            (Some(2), false),
            (Some(3), true),
            (Some(4), true),
            (Some(5), true)
        ]
    );
    assert_eq!(found[0].outcome, "delivered to h1");
}
