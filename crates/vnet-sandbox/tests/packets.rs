//! Packet sockets on real interfaces.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vnet_sandbox::{EndSpec, Namespace, TapSpec, VethSpec};
use vnet_sys::tun::Mode;
use vnet_sys::{NetNs, PacketOptions, PacketSocket, RecvSlot, VnetHdr, caps, io, vnet_hdr};

/// A super-frame and its Ethernet header.
const LARGE: usize = 65_550;

fn in_namespace(test: impl FnOnce(&Namespace)) {
    if !caps::has_sys_admin() || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: needs CAP_SYS_ADMIN and /dev/net/tun");
        return;
    }
    test(&Namespace::at(NetNs::create().unwrap()).unwrap());
}

/// Receives until a frame satisfies `wanted`.
fn receive<T>(socket: &mut PacketSocket, mut wanted: impl FnMut(&RecvSlot<'_>) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut buffers = vec![vec![0; LARGE]; 8];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(
            vnet_sys::process::readable(socket.as_fd(), Some(left)).unwrap(),
            "the frame did not come"
        );
        let mut slots: Vec<_> = buffers.iter_mut().map(|buffer| RecvSlot::new(buffer)).collect();
        let count = socket.recv_batch(&mut slots).unwrap();
        if let Some(found) = slots[..count].iter().find_map(&mut wanted) {
            return found;
        }
    }
}

/// A broadcast frame of an EtherType for experiments, with 46 bytes of payload.
fn frame(tag: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x77]);
    frame.extend_from_slice(tag);
    frame.extend_from_slice(&[0x88, 0xb5]);
    frame.resize(frame.len() + 46, 0x5a);
    frame
}

#[test]
fn a_tag_the_kernel_took_out_is_answered_beside_the_frame() {
    in_namespace(|here| {
        let tap = here.make_tap(&TapSpec::new("tap0", Mode::Tap)).unwrap();
        let (mut socket, _) = here.packet_port("tap0", PacketOptions::default()).unwrap();
        for (tag, wanted) in [
            (&[][..], None),
            (&[0x81, 0x00, 0x20, 0x64][..], Some((0x8100, 0x2064))),
            (&[0x88, 0xa8, 0x00, 0x07][..], Some((0x88a8, 0x0007))),
        ] {
            io::writev2(&tap.fd, &[0; vnet_hdr::LEN], &frame(tag)).unwrap();
            let (bytes, vlan) = receive(&mut socket, |slot| {
                (slot.buf[6..12] == [2, 0, 0, 0, 0, 0x77]).then(|| {
                    (
                        slot.buf[..slot.len].to_vec(),
                        (slot.vlan, slot.outgoing, slot.truncated),
                    )
                })
            });
            assert_eq!(vlan, (wanted, false, false));
            assert_eq!(bytes, frame(&[]), "the frame itself is without the tag");
        }
    });
}

#[test]
fn a_frame_larger_than_its_buffer_says_so() {
    in_namespace(|here| {
        let tap = here.make_tap(&TapSpec::new("tap0", Mode::Tap)).unwrap();
        let (mut socket, _) = here.packet_port("tap0", PacketOptions::default()).unwrap();
        let sent = frame(&[]);
        io::writev2(&tap.fd, &[0; vnet_hdr::LEN], &sent).unwrap();
        assert!(vnet_sys::process::readable(socket.as_fd(), Some(Duration::from_secs(5))).unwrap());
        let mut small = [0; 20];
        loop {
            let mut slots = [RecvSlot::new(&mut small)];
            assert_eq!(socket.recv_batch(&mut slots).unwrap(), 1);
            let [slot] = slots;
            if slot.buf[6..12] == sent[6..12] {
                assert_eq!((slot.len, slot.wire_len, slot.truncated), (20, sent.len(), true));
                break;
            }
        }
    });
}

#[test]
fn what_is_sent_leaves_the_interface_and_is_seen_as_outgoing_only_when_asked() {
    in_namespace(|here| {
        let tap = here.make_tap(&TapSpec::new("tap0", Mode::Tap)).unwrap();
        let every = PacketOptions {
            ignore_outgoing: false,
            ..PacketOptions::default()
        };
        let (mut watcher, info) = here.packet_port("tap0", every).unwrap();
        let (mut sender, _) = here.packet_port("tap0", PacketOptions::default()).unwrap();
        assert_eq!(sender.ifindex(), info.index);
        sender.send(&VnetHdr::default(), &frame(&[])).unwrap();
        let outgoing = receive(&mut watcher, |s| {
            (s.buf[..s.len] == frame(&[])).then_some(s.outgoing)
        });
        assert!(outgoing);
        let (mut hdr, mut bytes) = ([0; vnet_hdr::LEN], [0; 2048]);
        loop {
            assert!(vnet_sys::process::readable(tap.fd.as_fd(), Some(Duration::from_secs(5))).unwrap());
            let len = io::readv2(&tap.fd, &mut hdr, &mut bytes).unwrap() - hdr.len();
            if bytes[..len] == frame(&[]) {
                break;
            }
        }
        // The sender ignores what goes out, its own frame and others.
        let mut buffer = vec![0; LARGE];
        let mut slots = [RecvSlot::new(&mut buffer)];
        let error = sender.recv_batch(&mut slots).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    });
}

#[test]
fn frames_without_room_are_counted() {
    in_namespace(|here| {
        let tap = here.make_tap(&TapSpec::new("tap0", Mode::Tap)).unwrap();
        let small = PacketOptions {
            rcvbuf: 4096,
            ..PacketOptions::default()
        };
        let (socket, _) = here.packet_port("tap0", small).unwrap();
        assert!(socket.rcvbuf().unwrap() < 65_536);
        for _ in 0..200 {
            io::writev2(&tap.fd, &[0; vnet_hdr::LEN], &frame(&[])).unwrap();
        }
        let (packets, drops) = socket.statistics().unwrap();
        assert!(
            packets >= 200 && drops > 0 && drops < packets,
            "{packets} {drops}"
        );
        assert_eq!(socket.statistics().unwrap(), (0, 0), "reading starts anew");
    });
}

#[test]
fn an_interface_that_goes_down_or_away_is_an_error_and_not_a_hang() {
    in_namespace(|here| {
        let (a, b) = here.make_veth(&VethSpec::new("ep1", "ep2"), here).unwrap();
        let (mut socket, _) = here.packet_port("ep1", PacketOptions::default()).unwrap();
        let mut buffer = vec![0; LARGE];
        here.set_down(a.index).unwrap();
        let mut slots = [RecvSlot::new(&mut buffer)];
        loop {
            match socket.recv_batch(&mut slots) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(100), "ENETDOWN: {error}");
                    break;
                }
            }
        }
        here.set_up(a.index).unwrap();
        here.wait_ready(a.index).unwrap();
        let (other, _) = here.packet_port("ep2", PacketOptions::default()).unwrap();
        other.send(&VnetHdr::default(), &frame(&[])).unwrap();
        receive(&mut socket, |slot| {
            (slot.buf[..slot.len] == frame(&[])).then_some(())
        });
        here.release(&b).unwrap();
        let error = other.send(&VnetHdr::default(), &frame(&[])).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(6 | 19 | 100)), "{error}");
        assert!(here.packet_port("ep1", PacketOptions::default()).is_err());
        let gone = here
            .netns()
            .run(|| PacketSocket::open(9999, PacketOptions::default()))
            .unwrap();
        assert_eq!(gone.unwrap_err().errno(), 19);
    });
}

/// Moves frames from one socket to the other until told to stop.
fn forward(mut from: PacketSocket, to: &PacketSocket, stop: &AtomicBool) -> (usize, usize) {
    let mut buffers = vec![vec![0; LARGE]; 64];
    let (mut frames, mut large) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        if !vnet_sys::process::readable(from.as_fd(), Some(Duration::from_millis(20))).unwrap() {
            continue;
        }
        let mut slots: Vec<_> = buffers.iter_mut().map(|buffer| RecvSlot::new(buffer)).collect();
        let count = from.recv_batch(&mut slots).unwrap();
        for slot in &slots[..count] {
            assert!(!slot.truncated);
            frames += 1;
            large += usize::from(slot.hdr.gso_type != vnet_hdr::GSO_NONE);
            while let Err(error) = to.send(&slot.hdr, &slot.buf[..slot.len]) {
                assert!(matches!(error.raw_os_error(), Some(11 | 105)), "{error}");
                thread::yield_now();
            }
        }
    }
    (frames, large)
}

#[test]
fn tcp_passes_from_socket_to_socket_with_its_checksums_and_super_frames() {
    in_namespace(|middle| {
        let (left, right) = (NetNs::create().unwrap(), NetNs::create().unwrap());
        let pair = |outer: &str, ip: &str, ns: &NetNs| {
            let spec = VethSpec {
                a: EndSpec {
                    name: outer.into(),
                    ..EndSpec::default()
                },
                b: EndSpec {
                    name: "eth0".into(),
                    ip: vec![ip.parse().unwrap()],
                    ..EndSpec::default()
                },
                ..VethSpec::new("", "")
            };
            middle
                .make_veth(&spec, &Namespace::at(ns.clone()).unwrap())
                .unwrap();
            let open = || middle.packet_port(outer, PacketOptions::default()).unwrap().0;
            (open(), open())
        };
        let (left_in, left_out) = pair("l0", "10.0.0.1/24", &left);
        let (right_in, right_out) = pair("r0", "10.0.0.2/24", &right);
        let sent: Vec<u8> = (0..8u32 << 20)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let stop = AtomicBool::new(false);
        let (received, (_, large)) = thread::scope(|scope| {
            let there = scope.spawn(|| forward(left_in, &right_out, &stop));
            scope.spawn(|| forward(right_in, &left_out, &stop));
            let listener = right.run(|| TcpListener::bind("10.0.0.2:7000").unwrap()).unwrap();
            let receiver = scope.spawn(move || {
                let mut received = Vec::new();
                listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
                received
            });
            let mut stream = left.run(|| TcpStream::connect("10.0.0.2:7000").unwrap()).unwrap();
            stream.write_all(&sent).unwrap();
            drop(stream);
            let received = receiver.join().unwrap();
            stop.store(true, Ordering::Relaxed);
            (received, there.join().unwrap())
        });
        assert!(
            received == sent,
            "{} of {} bytes, or other ones",
            received.len(),
            sent.len()
        );
        assert!(large > 0, "super-frames came as such");
    });
}
