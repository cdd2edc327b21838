//! Packets that look like others, or not like themselves: the same bytes, flipped bits, records that are cut.

use super::*;

/// Frames with the very same bytes, that no identification tells apart, as they come to a router and leave it.
fn alike() -> (Vec<u8>, Vec<u8>) {
    let packet = udp(1000, 53, b"again");
    (ip(H1, H2, 17, 64, 0, &packet), ip(H1, H2, 17, 63, 0, &packet))
}

#[test]
fn packets_with_the_same_bytes_keep_their_order() {
    let mut file = File::default();
    let (before, after) = alike();
    for interface in ["h1-eth0", "s1-port1", "s1-port2", "r1-eth0", "r1-eth1", "h2-eth0"] {
        let (direction, frame) = match interface {
            "h1-eth0" | "s1-port2" => (OUT, &before),
            "r1-eth1" => (OUT, &after),
            "h2-eth0" => (IN, &after),
            _ => (IN, &before),
        };
        file.see(interface, direction, 0, "", frame);
        file.see(interface, direction, 0, "", frame);
    }
    let found = file.walks("udp");
    assert_eq!(found.len(), 2);
    for (number, walk) in found.iter().enumerate() {
        assert_eq!(walk.outcome, "delivered to h2");
        let records: Vec<usize> = walk.hops.iter().map(|hop| hop.before).collect();
        assert_eq!(records, (0..6).map(|hop| 2 * hop + number).collect::<Vec<_>>());
    }
}

#[test]
fn where_one_of_two_alike_goes_missing_nobody_knows_which() {
    let mut file = File::default();
    let (before, _) = alike();
    file.see("h1-eth0", OUT, 0, "", &before);
    file.see("h1-eth0", OUT, 0, "", &before);
    file.see("s1-port1", IN, 0, "", &before);
    let found = file.walks("udp");
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|walk| walk.is_ambiguous && walk.outcome.contains("same bytes"))
    );
    // The engine tells which one it lost.
    let mut file = File::default();
    for number in [5, 6] {
        file.see("h1-eth0", OUT, 0, "", &before);
        file.see("h1-s1/a>b", IN, number, "", &before);
    }
    file.see("h1-s1/a>b", None, 5, "link h1-s1 a>b: lost (loss)", &before);
    file.see(
        "h1-s1/a>b",
        OUT,
        6,
        "link h1-s1 a>b: passed, waited 1.000 ms",
        &before,
    );
    file.see("s1-port1", IN, 6, "", &before);
    let found = file.walks("udp");
    assert_eq!(
        found.iter().map(|walk| walk.is_ambiguous).collect::<Vec<_>>(),
        [false, false]
    );
    assert_eq!(found[0].outcome, "lost on link h1-s1 a>b (loss)");
    assert_eq!(found[1].hops.len(), 3);
    // One that went missing long before the other was sent is not it.
    let mut file = File::default();
    file.see("h1-eth0", OUT, 0, "", &before);
    for _ in 0..60 {
        file.see("h3-eth0", OUT, 0, "", &ip([10, 0, 0, 3], H2, 1, 64, 9, &[8; 16]));
    }
    cross(&mut file, &before, &before);
    let found = file.walks("udp");
    let outcomes: Vec<_> = found.iter().map(|walk| walk.outcome.as_str()).collect();
    assert_eq!(
        outcomes,
        ["last seen when h1 sent it on link h1-s1", "delivered to h2"]
    );
}

#[test]
fn a_packet_whose_bits_were_flipped_is_followed_and_not_delivered() {
    let mut file = File::default();
    let mut frame = ip(H1, [10, 0, 0, 254], 17, 64, 7, &udp(1000, 53, b"question"));
    // A checksum that is there.
    frame[40] = 1;
    vnet_packet::checksum::fix(&mut frame, Layer::L2);
    let mut flipped = frame.clone();
    flipped[45] ^= 4;
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("h1-s1/a>b", IN, 5, "", &frame);
    let said = "link h1-s1 a>b: passed, waited 0.000 ms in a queue of 0, corrupted bit 362";
    file.see("h1-s1/a>b", OUT, 5, said, &flipped);
    file.see("s1-port1", IN, 5, "", &flipped);
    file.see("s1-port2", OUT, 5, "", &flipped);
    file.see("r1-eth0", IN, 0, "", &flipped);
    let found = file.walks("udp");
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].outcome,
        "dropped by r1's kernel: its checksum is wrong (link h1-s1 a>b corrupted it)"
    );
}

#[test]
fn cut_records_are_joined_by_what_all_of_them_show() {
    let mut file = File::default();
    let frame = |seq, len, ttl| ip(H1, H2, 6, ttl, 7, &tcp(seq, len));
    let (before, after) = (frame(100, 900, 64), frame(100, 900, 63));
    let mut tagged = before.clone();
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    file.see("h1-eth0", OUT, 0, "", &before);
    file.see("s1-port1", IN, 0, "", &tagged);
    file.see("s1-port2", OUT, 0, "", &tagged);
    file.see("r1-eth0", IN, 0, "", &before);
    file.see("r1-eth1", OUT, 0, "", &after);
    file.see("h2-eth0", IN, 0, "", &after);
    file.see("h1-eth0", OUT, 0, "", &frame(1000, 900, 64));
    for record in &mut file.0 {
        record.frame.truncate(400);
    }
    let found = file.walks("tcp");
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].outcome.as_str(), found[0].hops.len()),
        ("delivered to h2", 6)
    );
}

#[test]
fn the_walk_of_one_record_is_found() {
    let mut file = File::default();
    let (before, after) = alike();
    cross(&mut file, &before, &after);
    let walk = vnet_packet::walk::walk_of(&file.0, &plan(), 4).expect("it is there");
    assert_eq!((walk.hops.len(), walk.outcome.as_str()), (6, "delivered to h2"));
    assert!(vnet_packet::walk::walk_of(&file.0, &plan(), 6).is_none());
}

#[test]
fn a_neighbour_solicitation_is_for_the_node_that_it_asks_for() {
    let mut file = File::default();
    let mut frame = vec![
        0x33, 0x33, 0xff, 0, 0, 3, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255,
    ];
    let target: std::net::Ipv6Addr = "fd00::3".parse().expect("an address");
    frame.extend([0xfd; 16]);
    frame.extend(
        "ff02::1:ff00:3"
            .parse::<std::net::Ipv6Addr>()
            .expect("an address")
            .octets(),
    );
    frame.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(target.octets());
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("s1-port1", IN, 0, "", &frame);
    for port in ["s1-port2", "s1-port3"] {
        file.see(port, OUT, 0, "", &frame);
    }
    for node in ["r1-eth0", "h3-eth0"] {
        file.see(node, IN, 0, "", &frame);
    }
    let mut plan = plan();
    plan.addresses.push((target.into(), "h3".into()));
    let found = walks(
        &file.0,
        &plan,
        &Filter::parse("icmp6", &NoNames).expect("a filter"),
    );
    assert_eq!((found.len(), found[0].outcome.as_str()), (1, "delivered to h3"));
}

#[test]
fn a_switch_comes_behind_the_plugins_of_the_link_and_a_refusal_behind_what_led_to_it() {
    let mut file = File::default();
    let frame = ip(H1, [10, 0, 0, 254], 17, 64, 7, &udp(1000, 53, b"question"));
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("s1-port1", IN, 3, "", &frame);
    file.see("h1-s1/count", IN, 3, "", &frame);
    file.see("h1-s1/count", OUT, 3, "count: pass", &frame);
    file.see("s1/switch", IN, 3, "switch s1: to s1-port2", &frame);
    file.see("r1-s1/count", IN, 3, "", &frame);
    file.see("r1-s1/count", OUT, 3, "count: pass", &frame);
    file.see(
        "s1-port1",
        None,
        3,
        "count: pass\nport s1-port2: dropped (down)",
        &frame,
    );
    let found = file.walks("udp");
    let parents: Vec<_> = found[0].hops.iter().map(|hop| hop.parent).collect();
    assert_eq!(parents, [None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(found[0].outcome, "dropped at s1 (port1) by port s1-port2: down");
}
