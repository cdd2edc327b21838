//! What a kernel answers is told of the packet that it is about, and what a kernel discards is not told as delivered.

use super::*;
use vnet_packet::wire::MacAddr;

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

fn segment(ports: (u16, u16), seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(ports.0.to_be_bytes());
    out.extend(ports.1.to_be_bytes());
    out.extend(seq.to_be_bytes());
    out.extend(ack.to_be_bytes());
    out.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    out.extend(data);
    out
}

fn error(kind: u8, code: u8, about: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, code, 0, 0, 0, 0, 0, 0];
    out.extend(&about[14..]);
    out
}

#[test]
fn a_reset_refuses_the_syn_that_it_acknowledges_and_no_other() {
    for (data, seq, ack, flags, is_refused) in [
        (&b""[..], 0, 101, RST | ACK, true),
        // With Fast Open the data are acknowledged, too.
        (b"early", 0, 106, RST | ACK, true),
        // A server that closes with unread data.
        (b"", 5001, 131, RST | ACK, false),
        (b"", 5001, 0, RST, false),
        (b"", 0, 131, RST | ACK, false),
    ] {
        let mut file = File::default();
        let syn = ip(H1, H2, 6, 64, 7, &segment((4000, 80), 100, 0, SYN, data));
        file.see("h1-eth0", OUT, 0, "", &syn);
        file.see("h2-eth0", IN, 0, "", &syn);
        let reset = ip(H2, H1, 6, 64, 0, &segment((80, 4000), seq, ack, flags, b""));
        file.see("h2-eth0", OUT, 0, "", &reset);
        let outcome = file.walks("tcp and dst port 80")[0].outcome.clone();
        assert_eq!(outcome.contains("refused"), is_refused, "{outcome}");
        assert!(outcome.starts_with("delivered to h2"));
    }
}

#[test]
fn an_error_is_told_of_one_packet_the_last_before_it_that_it_fits() {
    let datagram = |data: &[u8]| ip(H1, H2, 17, 64, 0, &udp(1000, 53, data));
    for (first, second) in [(&b"same"[..], &b"same"[..]), (b"same", b"size")] {
        let mut file = File::default();
        for frame in [datagram(first), datagram(second)] {
            file.see("h1-eth0", OUT, 0, "", &frame);
            file.see("r1-eth0", IN, 0, "", &frame);
        }
        let answer = ip([10, 0, 0, 254], H1, 1, 64, 9, &error(11, 0, &datagram(second)));
        file.see("r1-eth0", OUT, 0, "", &answer);
        let outcomes: Vec<_> = file
            .walks("udp and dst port 53")
            .into_iter()
            .map(|walk| walk.outcome)
            .collect();
        assert_eq!(outcomes[0], "r1's kernel dropped it or keeps it");
        assert_eq!(
            outcomes[1],
            "dropped by r1's kernel, which answered ICMP time exceeded: its TTL ran out"
        );
    }
    // What the quoted octets tell counts more than what is near.
    let mut file = File::default();
    for data in [b"one", b"two"] {
        file.see("r1-eth0", IN, 0, "", &datagram(data));
    }
    let answer = ip([10, 0, 0, 254], H1, 1, 64, 9, &error(3, 1, &datagram(b"one")));
    file.see("r1-eth0", OUT, 0, "", &answer);
    let found = file.walks("udp and dst port 53");
    assert!(
        found[0].outcome.contains("which answered"),
        "{}",
        found[0].outcome
    );
    assert_eq!(found[1].outcome, "r1's kernel dropped it or keeps it");
}

#[test]
fn a_redirect_drops_nothing() {
    for kind in [4, 5] {
        let mut file = File::default();
        let frame = ip(H1, H2, 17, 64, 7, &udp(1000, 53, b"question"));
        file.see("r1-eth0", IN, 0, "", &frame);
        let redirect = ip([10, 0, 0, 254], H1, 1, 64, 9, &error(kind, 1, &frame));
        file.see("r1-eth0", OUT, 0, "", &redirect);
        assert_eq!(
            file.walks("udp and dst port 53")[0].outcome,
            "r1's kernel dropped it or keeps it"
        );
    }
}

#[test]
fn what_is_for_another_ethernet_address_is_ignored() {
    let frame = ip(H1, H2, 17, 64, 7, &udp(1000, 53, b"question"));
    let own = MacAddr([2, 0, 0, 0, 0, 64]);
    let mut file = File::default();
    cross(&mut file, &frame, &frame);
    let outcome = |lladdr, made: Option<MacAddr>| {
        let mut plan = plan();
        plan.places.last_mut().expect("h2").lladdr = Some(lladdr);
        let bridge = made.map(|lladdr| Place {
            name: "h2-br0".into(),
            node: "h2".into(),
            interface: "br0".into(),
            is_port: false,
            lladdr: Some(lladdr),
        });
        plan.places.extend(bridge);
        let found = walks(&file.0, &plan, &Filter::parse("udp", &NoNames).expect("a filter"));
        (found[0].outcome.clone(), found[0].delivered_to.clone())
    };
    let other = MacAddr([2, 0, 0, 0, 0, 9]);
    assert_eq!(outcome(own, None), ("delivered to h2".into(), Some("h2".into())));
    assert_eq!(
        outcome(other, None),
        ("ignored by h2: it is for another Ethernet address".into(), None)
    );
    // A bridge that the node made takes what is for it.
    assert_eq!(outcome(other, Some(own)).0, "delivered to h2");
}

#[test]
fn what_became_of_a_corrupted_packet_that_is_cut_is_unknown() {
    let mut file = File::default();
    let frame = ip(H1, [10, 0, 0, 254], 17, 64, 7, &udp(1000, 53, &[1; 900]));
    file.see("h1-eth0", OUT, 0, "", &frame);
    file.see("r1-s1/a>b", IN, 5, "", &frame);
    file.see(
        "r1-s1/a>b",
        OUT,
        5,
        "link r1-s1 a>b: passed, waited 0.000 ms, corrupted bit 7000",
        &frame,
    );
    file.see("r1-eth0", IN, 0, "", &frame);
    for record in &mut file.0 {
        record.frame.truncate(400);
    }
    let found = file.walks("udp");
    assert_eq!(found[0].delivered_to, None);
    assert!(
        found[0]
            .outcome
            .starts_with("unknown: r1 got it, but link r1-s1 a>b corrupted it"),
        "{}",
        found[0].outcome
    );
}
