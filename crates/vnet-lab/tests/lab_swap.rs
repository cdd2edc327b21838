//! Frames change their way between kernel and engine, and none is lost or doubled.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{DROP_BCAST, as_root_and_user, attach, close, run, spec, up};
use vnet_datapath::Direction;
use vnet_lab::{At, Network};
use vnet_sandbox::SocketSpec;

const SWAPS: u32 = 100;

/// Datagrams a second of each sender.
const PACE: u64 = 2_000;

fn socket(net: &Network, node: &str, kind: i32, bind: Option<SocketAddr>) -> OwnedFd {
    let spec = SocketSpec {
        domain: libc::AF_INET,
        kind,
        protocol: 0,
        bind,
        device: None,
    };
    net.lab()
        .unwrap()
        .socket(net.space(node).unwrap(), &spec)
        .unwrap()
}

fn address(net: &Network, node: &str) -> IpAddr {
    let plan = net.resolved().unwrap();
    plan.node(node).unwrap().1.interfaces[0].addresses[0].ip
}

/// A stream of numbered datagrams from one node to another.
struct Numbered {
    from: &'static str,
    to: &'static str,
    sender: UdpSocket,
    receiver: UdpSocket,
    sent: AtomicU64,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    lost: u64,
    doubled: u64,
    late: u64,
}

impl Numbered {
    fn new(net: &Network, from: &'static str, to: &'static str, port: u16) -> Self {
        let at = SocketAddr::new(address(net, to), port);
        let receiver = socket(net, to, libc::SOCK_DGRAM, Some(at));
        // What the test's own sockets cannot hold is not lost on the way.
        rustix::net::sockopt::set_socket_recv_buffer_size(&receiver, 4 << 20).unwrap();
        let sender = UdpSocket::from(socket(net, from, libc::SOCK_DGRAM, None));
        sender.connect(at).unwrap();
        let receiver = UdpSocket::from(receiver);
        receiver
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        Self {
            from,
            to,
            sender,
            receiver,
            sent: AtomicU64::new(0),
        }
    }

    fn send(&self, over: &AtomicBool) {
        let start = Instant::now();
        let mut number = 0u64;
        while !over.load(Ordering::Relaxed) {
            let due = start.elapsed().as_micros() as u64 * PACE / 1_000_000;
            // One that was kept from the processor does not make up for it in one burst.
            let until = due.min(number + 32);
            while number < until {
                self.sender.send(&number.to_be_bytes()).unwrap();
                number += 1;
            }
            thread::sleep(Duration::from_micros(200));
        }
        self.sent.store(number, Ordering::Release);
    }

    /// Receives until nothing has come for a second after the sender has ended.
    fn receive(&self, over: &AtomicBool) -> Came {
        let mut seen: Vec<u8> = Vec::new();
        let mut came = Came::default();
        let mut highest = None;
        let mut buffer = [0; 64];
        let mut last = Instant::now();
        loop {
            if let Ok(len) = self.receiver.recv(&mut buffer) {
                let number = u64::from_be_bytes(buffer[..len].try_into().unwrap());
                let at = number as usize;
                if at >= seen.len() {
                    seen.resize(at + 1, 0);
                }
                seen[at] += 1;
                came.doubled += u64::from(seen[at] > 1);
                came.late += u64::from(highest.is_some_and(|highest| number < highest));
                highest = highest.max(Some(number));
                last = Instant::now();
            } else if over.load(Ordering::Relaxed) {
                let sent = self.sent.load(Ordering::Acquire) as usize;
                let got = seen.iter().filter(|times| **times > 0).count();
                if sent > 0 && (got == sent || last.elapsed() > Duration::from_secs(1)) {
                    came.lost = (sent - got) as u64;
                    return came;
                }
            }
        }
    }
}

/// A TCP connection in bursts; returns the bytes that came, all of them checked.
fn bulk(net: &Network, from: &str, to: &str, over: &AtomicBool) -> u64 {
    let at = SocketAddr::new(address(net, to), 7000);
    let listener = socket(net, to, libc::SOCK_STREAM, Some(at));
    rustix::net::listen(&listener, 1).unwrap();
    let listener = TcpListener::from(listener);
    let client = socket(net, from, libc::SOCK_STREAM, None);
    rustix::net::connect(&client, &at).unwrap();
    let mut sender = TcpStream::from(client);
    let (mut receiver, _) = listener.accept().unwrap();
    let pattern: Vec<u8> = (0..251u8).cycle().take(251 * 256).collect();
    thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let mut sent = 0;
            while !over.load(Ordering::Relaxed) {
                sender.write_all(&pattern).unwrap();
                sent += pattern.len() as u64;
                // Enough for super-frames in every queue; the rest of the machine is others'.
                thread::sleep(Duration::from_millis(1));
            }
            sender.shutdown(std::net::Shutdown::Write).unwrap();
            sent
        });
        let mut came = 0u64;
        let mut block = vec![0; 1 << 18];
        loop {
            let read = receiver.read(&mut block).unwrap();
            if read == 0 {
                break;
            }
            for (at, byte) in block[..read].iter().enumerate() {
                let expected = ((came + at as u64) % 251) as u8;
                assert_eq!(*byte, expected, "byte {}", came + at as u64);
            }
            came += read as u64;
        }
        assert_eq!(came, sent.join().unwrap());
        came
    })
}

/// Attaches and detaches under traffic.
fn swap(net: &Network, at: &At, direction: Direction, flows: &[Numbered]) {
    let over = AtomicBool::new(false);
    let (came, bytes, reordered) = thread::scope(|scope| {
        let senders: Vec<_> = flows
            .iter()
            .map(|flow| scope.spawn(|| flow.send(&over)))
            .collect();
        let receivers: Vec<_> = flows
            .iter()
            .map(|flow| scope.spawn(|| flow.receive(&over)))
            .collect();
        let tcp = scope.spawn(|| bulk(net, flows[0].from, flows[0].to, &over));
        let mut reordered = 0;
        let mut judged = 0;
        for _ in 0..SWAPS {
            let (id, island) = attach(net, at, DROP_BCAST, direction);
            let enough = Instant::now();
            support::soon("frames in the engine", || {
                island.stage_stats(id).unwrap().packets_in > 20 || enough.elapsed() > Duration::from_secs(2)
            });
            let (stats, swap) = net.detach(&island, id).unwrap();
            judged += stats.packets_in;
            assert_eq!(stats.dropped, 0, "{stats:?}");
            assert!(swap.given_back);
            reordered += u32::from(swap.reordering_possible);
        }
        over.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let came: Vec<Came> = receivers
            .into_iter()
            .map(|receiver| receiver.join().unwrap())
            .collect();
        assert!(judged > u64::from(SWAPS) * 20, "the engine saw {judged} frames");
        (came, tcp.join().unwrap(), reordered)
    });
    println!(
        "{at:?}: {SWAPS} swaps, {:?} sent, {came:?}, TCP {} MB, reordering reported {reordered} times",
        flows
            .iter()
            .map(|flow| flow.sent.load(Ordering::Relaxed))
            .collect::<Vec<_>>(),
        bytes >> 20,
    );
    for (flow, came) in flows.iter().zip(&came) {
        let sockets = run(net, flow.to, "grep ^Udp: /proc/net/snmp");
        assert_eq!(
            (came.lost, came.doubled),
            (0, 0),
            "{} to {}: {sockets}",
            flow.from,
            flow.to
        );
        if reordered == 0 {
            assert_eq!(came.late, 0, "reordering was not reported");
        }
    }
}

#[test]
fn a_link_swaps_a_hundred_times_without_loss() {
    as_root_and_user("a_link_swaps_a_hundred_times_without_loss", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let flows = [
            Numbered::new(&net, "h1", "h2", 9000),
            Numbered::new(&net, "h2", "h1", 9000),
        ];
        swap(&net, &At::Link("h1-h2".into()), Direction::Both, &flows);
        close(&net);
    });
}

#[test]
fn a_switch_swaps_a_hundred_times_without_loss() {
    as_root_and_user("a_switch_swaps_a_hundred_times_without_loss", || {
        let links = [("h1", "s1"), ("h2", "s1"), ("h3", "s1")];
        let net = up(spec(&["h1", "h2", "h3"], &["s1"], &[], &links));
        let flows = [
            Numbered::new(&net, "h1", "h2", 9000),
            Numbered::new(&net, "h2", "h1", 9000),
            Numbered::new(&net, "h3", "h1", 9001),
            Numbered::new(&net, "h1", "h3", 9001),
        ];
        swap(&net, &At::Switch("s1".into()), Direction::Ingress, &flows);
        close(&net);
    });
}
