//! Sockets and packet sockets of a lab, and taking a cable over.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use support::{ETH0, LONG, each_user, net, node, open, pair, plain, plug, shell};
use vnet_netlink::{Change, Into};
use vnet_sandbox::{Lab, SandboxError, SocketSpec, Space, Step};
use vnet_sys::{PacketOptions, PacketSocket, RecvSlot, VnetHdr, process};

const X: u32 = 1_000_000;

fn stream(bind: Option<&str>) -> SocketSpec {
    SocketSpec {
        domain: 2,
        kind: 1,
        protocol: 0,
        bind: bind.map(|address| address.parse().unwrap()),
        device: None,
    }
}

#[test]
fn a_socket_lives_in_its_node() {
    each_user("a_socket_lives_in_its_node", || {
        let lab = pair(plain);
        // Port 80 needs a privilege the caller has in no namespace of the machine.
        let server = lab.socket(Space(2), &stream(Some("10.0.0.2:80"))).unwrap();
        rustix::net::listen(&server, 4).unwrap();
        let server = TcpListener::from(server);
        let sent: Vec<u8> = (0..4_000_000u32).map(|i| (i % 251) as u8).collect();
        let expected = sent.clone();
        let receiver = thread::spawn(move || {
            let (mut peer, address) = server.accept().unwrap();
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            (received, address)
        });
        let client = lab.socket(Space(1), &stream(None)).unwrap();
        let to: std::net::SocketAddr = "10.0.0.2:80".parse().unwrap();
        rustix::net::connect(&client, &to).unwrap();
        let mut client = TcpStream::from(client);
        client.write_all(&sent).unwrap();
        drop(client);
        let (received, address) = receiver.join().unwrap();
        assert!(received == expected);
        assert_eq!(address.ip().to_string(), "10.0.0.1");

        let device = SocketSpec {
            kind: 2,
            device: Some("eth0".into()),
            ..stream(Some("10.0.0.1:53"))
        };
        let udp = UdpSocket::from(lab.socket(Space(1), &device).unwrap());
        udp.send_to(b"x", "10.0.0.2:9").unwrap();
        let error = lab.socket(Space(1), &stream(Some("10.9.9.9:80"))).unwrap_err();
        assert_eq!(error.errno(), 99, "{error}");
        assert!(error.to_string().contains("10.9.9.9:80"), "{error}");
        for spec in [
            SocketSpec {
                domain: 9999,
                ..stream(None)
            },
            SocketSpec {
                domain: -1,
                ..stream(None)
            },
            SocketSpec {
                kind: 77,
                ..stream(None)
            },
            SocketSpec {
                device: Some("no-such".into()),
                ..stream(None)
            },
            SocketSpec {
                device: Some("../etc".into()),
                ..stream(None)
            },
        ] {
            assert!(lab.socket(Space(1), &spec).is_err(), "{spec:?}");
        }
        assert!(lab.socket(Space(9), &stream(None)).is_err());
    });
}

#[test]
fn a_packet_socket_of_a_device_is_bound_to_it() {
    each_user("a_packet_socket_of_a_device_is_bound_to_it", || {
        let lab = pair(plain);
        let all = i32::from(u16::to_be(3));
        let spec = |device: &str, protocol| SocketSpec {
            domain: 17,
            kind: 3,
            protocol,
            bind: None,
            device: Some(device.into()),
        };
        let ours = lab.socket(Space(1), &spec("eth0", all)).unwrap();
        let theirs = lab.socket(Space(2), &spec("eth0", all)).unwrap();
        // An unbound one has nowhere to send to.
        let mut sent = [0x5a; 60];
        sent[..14].copy_from_slice(&[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
        rustix::net::send(&ours, &sent, rustix::net::SendFlags::empty()).unwrap();
        until_frame(theirs.as_fd(), |frame| frame == sent);
        // What the loopback interface carried would come first.
        shell(&lab, 1, "ping -c1 -W5 127.0.0.1 && ping -c1 -W5 10.0.0.2");
        let echo = |frame: &[u8]| frame[12..14] == [8, 0] && frame[26..34] == [10, 0, 0, 1, 10, 0, 0, 2];
        for frame in until_frame(ours.as_fd(), echo) {
            assert_ne!(frame[..12], [0; 12], "a frame of lo");
        }
        let mute = lab.socket(Space(1), &spec("eth0", 0)).unwrap();
        rustix::net::send(&mute, &sent, rustix::net::SendFlags::empty()).unwrap();
        for (spec, errno) in [(spec("no-such", all), 19), (spec("eth0", 1 << 16), 22)] {
            let error = lab.socket(Space(1), &spec).unwrap_err();
            assert_eq!(error.errno(), errno, "{error}");
        }
    });
}

/// Receives frames until one is the wanted one, and returns all.
fn until_frame(socket: BorrowedFd<'_>, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    while !found.last().is_some_and(|frame| wanted(frame)) {
        assert!(
            process::readable(socket, Some(LONG)).unwrap(),
            "the frame comes in time"
        );
        let mut buffer = vec![0; 70_000];
        let (_, len) = rustix::net::recv(socket, &mut buffer[..], rustix::net::RecvFlags::empty()).unwrap();
        buffer.truncate(len);
        found.push(buffer);
    }
    found
}

#[test]
fn a_packet_socket_sees_and_sends_the_frames_of_a_node() {
    each_user("a_packet_socket_sees_and_sends_the_frames_of_a_node", || {
        let lab = pair(plain);
        let mut ours = lab.packet(Space(2), ETH0, PacketOptions::default()).unwrap();
        shell(&lab, 1, "ping -c1 -W5 10.0.0.2");
        let seen = frames(&mut ours, 1);
        assert!(!seen.is_empty());
        let error = lab.packet(Space(2), 99, PacketOptions::default()).unwrap_err();
        assert_eq!(error.errno(), 19, "{error}");
    });
}

/// Receives at least `count` frames.
fn frames(socket: &mut PacketSocket, count: usize) -> Vec<(VnetHdr, Vec<u8>)> {
    let mut found = Vec::new();
    while found.len() < count {
        assert!(
            process::readable(socket.as_fd(), Some(LONG)).unwrap(),
            "a frame comes in time"
        );
        let mut buffers = vec![vec![0; 70_000]; 16];
        let mut slots: Vec<_> = buffers.iter_mut().map(|b| RecvSlot::new(b)).collect();
        match socket.recv_batch(&mut slots) {
            Ok(received) => found.extend(slots[..received].iter().map(|s| (s.hdr, s.buf[..s.len].to_vec()))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    found
}

fn redirect(lab_end: u32, x: u32) -> Step {
    net(
        0,
        Change::Redirect {
            index: lab_end,
            prio: 1,
            to: x,
            into: Into::Ingress,
        },
    )
}

#[test]
fn a_cable_is_taken_over_and_given_back() {
    each_user("a_cable_is_taken_over_and_given_back", || {
        let lab = pair(plain);
        let (a, b) = (4097, 4098);
        let mut one = lab.take_port(a, X, 4 << 20).unwrap();
        let mut two = lab.take_port(b, X + 1, 4 << 20).unwrap();
        shell(&lab, 1, "ping -c1 -W5 10.0.0.2");
        lab.apply(&[redirect(a, X), redirect(b, X + 1)]).unwrap();

        // Nothing passes but what is passed on by hand.
        let ping = lab
            .spawn(
                Space(1),
                vnet_sandbox::Command::shell("ping -c2 -i0.2 -W10 10.0.0.2 > /dev/null"),
            )
            .unwrap();
        let mut passed = 0;
        while ping.wait(Some(Duration::from_millis(1))).unwrap().is_none() {
            for (from, to) in [(&mut one.rx, &two.tx), (&mut two.rx, &one.tx)] {
                if process::readable(from.as_fd(), Some(Duration::from_millis(1))).unwrap() {
                    for (hdr, frame) in frames(from, 1) {
                        to.send(&hdr, &frame).unwrap();
                        passed += 1;
                    }
                }
            }
        }
        assert!(ping.wait(None).unwrap().unwrap().success());
        assert!(passed >= 4, "{passed}");
        assert_eq!(one.tx.statistics().unwrap().0, 0, "the sender receives nothing");

        let back = |index| net(0, Change::DelRedirect { index, prio: 1 });
        lab.apply(&[back(a), back(b)]).unwrap();
        drop((one, two));
        for x in [X, X + 1] {
            lab.drop_port(x).unwrap();
            lab.drop_port(x).unwrap();
        }
        shell(&lab, 1, "ping -c1 -W5 10.0.0.2");
        assert_eq!(
            lab.links(Space::LAB).unwrap().len(),
            3,
            "both lab ends and the loopback"
        );
    });
}

#[test]
fn a_port_that_cannot_be_taken_leaves_nothing() {
    each_user("a_port_that_cannot_be_taken_leaves_nothing", || {
        let lab = open();
        let before = lab.links(Space::LAB).unwrap();
        let error = lab.take_port(4711, X, 1 << 20).unwrap_err();
        assert_eq!(error.errno(), 19, "{error}");
        let indexes = |links: Vec<vnet_netlink::Interface>| links.iter().map(|l| l.index).collect::<Vec<_>>();
        assert_eq!(indexes(lab.links(Space::LAB).unwrap()), indexes(before));
    });
}

#[test]
fn what_a_space_has_is_told() {
    each_user("what_a_space_has_is_told", || {
        let lab = pair(plain);
        shell(&lab, 1, "ping -c1 -W5 10.0.0.2");
        let links = lab.links(Space(1)).unwrap();
        let names: Vec<_> = links
            .iter()
            .map(|l| (l.index, l.name.as_str(), l.admin_up))
            .collect();
        assert_eq!(names, [(1, "lo", true), (ETH0, "eth0", true)]);
        assert!(links[1].addresses.contains(&"10.0.0.1/16".parse().unwrap()));
        assert!(links[1].stats.rx_packets > 0);
        let routes = lab.routes(Space(1)).unwrap();
        assert!(
            routes
                .iter()
                .any(|r| r.to == "10.0.0.0/16".parse().unwrap() && r.index == Some(ETH0)),
            "{routes:?}"
        );
        let neighbours = lab.neighbours(Space(1)).unwrap();
        assert!(
            neighbours
                .iter()
                .any(|n| n.ip.to_string() == "10.0.0.2" && n.mac.is_some()),
            "{neighbours:?}"
        );
        assert_eq!(lab.sysctl(Space(1), "net.ipv4.ip_forward").unwrap(), "0");
        let set = |space, key: &str, value: &str| Step::Sysctl {
            space,
            key: key.into(),
            value: value.into(),
        };
        lab.apply(&[set(1, "net.ipv4.ip_forward", "1")]).unwrap();
        assert_eq!(lab.sysctl(Space(1), "net.ipv4.ip_forward").unwrap(), "1");
        assert_eq!(lab.sysctl(Space(2), "net.ipv4.ip_forward").unwrap(), "0");
        let error = lab.sysctl(Space(1), "net.ipv4.no_such").unwrap_err();
        assert_eq!(error.errno(), 2, "{error}");
        let error = lab
            .apply(&[set(1, "net.ipv4.ip_forward", "2"), set(1, "kernel.hostname", "x")])
            .unwrap_err();
        assert_eq!(error.at, 1);
        assert!(lab.netns(Space(1)).unwrap() != lab.netns(Space(2)).unwrap());
    });
}

#[test]
fn the_failing_step_is_named_and_those_before_it_are_done() {
    each_user("the_failing_step_is_named_and_those_before_it_are_done", || {
        let lab = open();
        let mut steps = vec![node(1, plain("a"))];
        steps.extend(plug(1));
        let whole = steps.len();
        steps.push(net(1, Change::Delete { index: 999 }));
        steps.push(node(2, plain("b")));
        let error = lab.apply(&steps).unwrap_err();
        assert_eq!(error.at, whole, "{error}");
        assert!(matches!(error.error, SandboxError::Netlink(_)), "{error:?}");
        assert!(lab.links(Space(2)).is_err(), "no step behind it was made");
        assert_eq!(lab.links(Space(1)).unwrap().len(), 2);
        // Thousands of steps go in several requests; the place is that among them all.
        let mut steps: Vec<Step> = (0..5000)
            .map(|i| Step::Sysctl {
                space: 1,
                key: "net.ipv4.ip_default_ttl".into(),
                value: format!("{}", 1 + i % 250),
            })
            .collect();
        steps[4321] = net(1, Change::Delete { index: 999 });
        assert_eq!(lab.apply(&steps).unwrap_err().at, 4321);
        assert_eq!(
            lab.sysctl(Space(1), "net.ipv4.ip_default_ttl").unwrap(),
            format!("{}", 1 + 4320 % 250)
        );
    });
}

/// A lab can be used by several threads.
#[test]
fn several_threads_share_a_lab() {
    each_user("several_threads_share_a_lab", || {
        let lab: Lab = pair(plain);
        thread::scope(|scope| {
            for space in [1, 2, 1, 2] {
                let lab = &lab;
                scope.spawn(move || {
                    for _ in 0..20 {
                        shell(lab, space, "true");
                        assert_eq!(lab.links(Space(space)).unwrap().len(), 2);
                    }
                });
            }
        });
    });
}

#[test]
fn a_device_of_somebody_else_is_no_shadow_device() {
    each_user("a_device_of_somebody_else_is_no_shadow_device", || {
        let lab = pair(plain);
        let a = 4096 + 1;
        let foreign = Change::Bridge {
            index: X,
            name: "mine0".into(),
            mac: None,
            mtu: None,
        };
        lab.apply(&[net(0, foreign)]).unwrap();
        let name = || {
            let links = lab.links(Space::LAB).unwrap();
            links
                .into_iter()
                .find(|link| link.index >= X)
                .map(|link| link.name)
        };
        let error = lab.take_port(a, X, 1 << 20).unwrap_err();
        assert!(matches!(error, SandboxError::Netlink(_)), "{error}");
        assert_eq!(name().as_deref(), Some("mine0"));
        lab.drop_port(X).unwrap();

        // One that was there before is there after a failure; one that was not, is not.
        drop(lab.take_port(a, X, 1 << 20).unwrap());
        lab.take_port(4711, X, 1 << 20).unwrap_err();
        assert_eq!(name(), Some(format!("x{X}")));
        lab.drop_port(X).unwrap();
        lab.take_port(4711, X, 1 << 20).unwrap_err();
        assert_eq!(name(), None);
    });
}
