//! The patch panel: what redirects do to frames.

use std::time::{Duration, Instant};

use vnet_netlink::{Change, Into, LinkSet};
use vnet_sys::{PacketOptions, PacketSocket, RecvSlot, VnetHdr};

use crate::space::{Spaces, address, node_mac, set, up, veth, wait_for, with_nodes};

/// The number of the first shadow device.
const X: u32 = 1_000_000;

fn redirect(index: u32, prio: u16, to: u32, into: Into) -> Change {
    Change::Redirect {
        index,
        prio,
        to,
        into,
    }
}

/// Two nodes whose lab ends 21 and 22 are patched to each other.
fn patched(lab: &mut Spaces) {
    let end = |index| {
        set(
            index,
            LinkSet {
                up: Some(true),
                noarp: Some(true),
                ..LinkSet::default()
            },
        )
    };
    lab.apply(
        0,
        &[
            veth(21, 1),
            veth(22, 2),
            end(21),
            end(22),
            Change::IngressQdisc { index: 21 },
            Change::IngressQdisc { index: 22 },
            redirect(21, 2, 22, Into::Egress),
            redirect(22, 2, 21, Into::Egress),
        ],
    );
    for node in [1, 2] {
        let v6 = format!("fd00::{node}/64");
        lab.apply(
            node,
            &[
                up(16),
                address(16, &format!("10.0.0.{node}/24")),
                address(16, &v6),
            ],
        );
    }
    for node in [1, 2] {
        lab.ready(node, 16);
        lab.ready(0, 20 + node);
    }
}

fn pings(lab: &Spaces, from: u32, to: &str) -> bool {
    lab.program(from, &format!("ping -c 1 -W 1 {to}")).unwrap().0
}

/// A socket that receives what arrives at an interface.
fn listen(lab: &Spaces, space: u32, index: u32) -> PacketSocket {
    let options = PacketOptions {
        vnet_hdr: false,
        ..PacketOptions::default()
    };
    lab.namespace(space)
        .run(|| PacketSocket::open(index, options))
        .unwrap()
        .unwrap()
}

/// Waits for a frame of that length and kind, and returns the time it took; nothing
/// when none comes.
fn arrives(socket: &mut PacketSocket, frame: &[u8], within: Duration) -> bool {
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        let mut buf = [0; 2048];
        let mut slots = [RecvSlot::new(&mut buf)];
        if socket.recv_batch(&mut slots).is_ok_and(|n| n == 1) {
            let len = slots[0].len;
            if buf[..len] == *frame {
                return true;
            }
            continue;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

fn frame(len: usize) -> Vec<u8> {
    let mut frame = node_mac(2).0.to_vec();
    frame.extend(node_mac(1).0);
    frame.extend([0x88, 0xb5]); // local experimental ethertype (IEEE 802)
    frame.extend((0..).take(len - 14));
    frame
}

#[test]
fn a_patched_pair_passes_pings_both_ways() {
    with_nodes(2, |lab| {
        patched(lab);
        for (from, to) in [(1, "10.0.0.2"), (2, "10.0.0.1"), (1, "fd00::2"), (2, "fd00::1")] {
            assert!(pings(lab, from, to), "from {from} to {to}");
        }
        lab.apply(0, &[Change::DelRedirect { index: 21, prio: 2 }]);
        assert!(!pings(lab, 1, "10.0.0.2"), "one way is cut");
        lab.apply(0, &[redirect(21, 2, 22, Into::Egress)]);
        assert!(pings(lab, 1, "10.0.0.2"));
    });
}

#[test]
fn a_redirect_carries_frames_of_every_length() {
    with_nodes(2, |lab| {
        patched(lab);
        let sender = listen(lab, 1, 16);
        let mut receiver = listen(lab, 2, 16);
        for len in (14..=80).chain([1513, 1514]) {
            let frame: Vec<u8> = frame(len.min(256))
                .into_iter()
                .chain(std::iter::repeat(7))
                .take(len)
                .collect();
            sender.send(&VnetHdr::default(), &frame).unwrap();
            assert!(
                arrives(&mut receiver, &frame, Duration::from_secs(5)),
                "a frame of {len} bytes is lost"
            );
        }
    });
}

#[test]
fn the_lower_priority_takes_over_and_its_going_gives_the_path_back() {
    with_nodes(2, |lab| {
        patched(lab);
        lab.apply(
            0,
            &[
                Change::Ifb {
                    index: X,
                    name: "x0".into(),
                },
                set(
                    X,
                    LinkSet {
                        up: Some(true),
                        noarp: Some(true),
                        ..LinkSet::default()
                    },
                ),
            ],
        );
        let sender = listen(lab, 1, 16);
        let mut far = listen(lab, 2, 16);
        let mut shadow = listen(lab, 0, X);
        let soon = Duration::from_secs(5);
        for round in 0..5 {
            let one = frame(60 + round);
            sender.send(&VnetHdr::default(), &one).unwrap();
            assert!(arrives(&mut far, &one, soon), "round {round}: not patched");
            assert!(!arrives(&mut shadow, &one, Duration::from_millis(20)));

            lab.apply(0, &[redirect(21, 1, X, Into::Ingress)]);
            sender.send(&VnetHdr::default(), &one).unwrap();
            assert!(arrives(&mut shadow, &one, soon), "round {round}: not taken over");
            assert!(
                !arrives(&mut far, &one, Duration::from_millis(20)),
                "round {round}: twice"
            );

            lab.apply(0, &[Change::DelRedirect { index: 21, prio: 1 }]);
            wait_for("the path back", || pings(lab, 1, "10.0.0.2"));
        }
        lab.apply(0, &[Change::Delete { index: X }]);
    });
}

#[test]
fn a_frame_injected_at_the_lab_end_reaches_the_node() {
    with_nodes(2, |lab| {
        patched(lab);
        let injector = listen(lab, 0, 22);
        let mut node = listen(lab, 2, 16);
        let one = frame(60);
        injector.send(&VnetHdr::default(), &one).unwrap();
        assert!(arrives(&mut node, &one, Duration::from_secs(5)));
    });
}

#[test]
fn a_second_redirect_at_one_priority_is_refused_and_a_missing_one_too() {
    with_nodes(2, |lab| {
        patched(lab);
        let error = lab.refused(0, redirect(21, 2, 22, Into::Egress));
        assert_eq!(error.errno(), 17, "{error:?}");
        assert!(
            error
                .to_string()
                .contains("redirect v21 to the egress of v22 at priority 2"),
            "{error}"
        );
        let error = lab.refused(0, Change::IngressQdisc { index: 21 });
        assert_eq!(error.errno(), 17, "{error:?}");
        let error = lab.refused(0, Change::DelRedirect { index: 21, prio: 7 });
        assert_eq!(error.errno(), 2, "{error:?}");
        let error = lab.refused(0, redirect(21, 1, 999, Into::Ingress));
        assert!(error.to_string().contains("#999"), "{error}");
        assert!(pings(lab, 1, "10.0.0.2"), "all that changed nothing");
    });
}
