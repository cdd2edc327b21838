//! Measurements between nodes, and ways into them.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use support::{DROP, PASS, as_root_and_user, attach, close, soon, spec, up};
use vnet_datapath::Direction;
use vnet_lab::{
    At, Forward, ForwardOptions, IperfOptions, LabError, Network, PingAllOptions, PingOptions, Target, never,
};
use vnet_sandbox::SocketSpec;

fn pair() -> Network {
    up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]))
}

fn brief() -> IperfOptions {
    IperfOptions {
        duration: Duration::from_millis(500),
        interval: Duration::from_millis(100),
        ..IperfOptions::default()
    }
}

#[test]
fn tcp_is_measured() {
    as_root_and_user("tcp_is_measured", || {
        let net = pair();
        for (ipv6, streams) in [(false, 1), (true, 3)] {
            let options = IperfOptions {
                ipv6,
                streams,
                ..brief()
            };
            let report = net.iperf("h1", &Target::parse("h2"), &options, &never).unwrap();
            println!("{} Mbit/s by {streams} streams", report.bits_per_second / 1e6);
            assert!(report.bits_per_second > 50e6, "{report:?}");
            assert_eq!(report.streams.len(), streams);
            assert_eq!(
                report.streams.iter().map(|stream| stream.bytes).sum::<u64>(),
                report.bytes
            );
            assert_eq!(
                report.intervals.iter().map(|part| part.bytes).sum::<u64>(),
                report.bytes
            );
            assert!(report.intervals.len() >= 5, "{report:?}");
            assert!(report.retransmits.is_some() && report.datagrams.is_none());
            assert_eq!(report.address.is_ipv6(), ipv6);
        }
        let options = IperfOptions {
            rate_bps: Some(20_000_000),
            ..brief()
        };
        let report = net.iperf("h2", &Target::parse("h1"), &options, &never).unwrap();
        assert!((15e6..25e6).contains(&report.bits_per_second), "{report:?}");
        close(&net);
    });
}

#[test]
fn udp_is_measured() {
    as_root_and_user("udp_is_measured", || {
        let net = pair();
        let options = IperfOptions {
            udp: true,
            rate_bps: Some(10_000_000),
            ..brief()
        };
        let report = net.iperf("h1", &Target::parse("h2"), &options, &never).unwrap();
        let datagrams = report.datagrams.unwrap();
        assert!((8e6..12e6).contains(&report.bits_per_second), "{report:?}");
        assert_eq!((datagrams.lost, datagrams.duplicates), (0, 0), "{report:?}");
        assert_eq!(datagrams.sent, datagrams.received);
        assert!(datagrams.jitter_ns > 0);
        let (id, island) = attach(
            &net,
            &At::Link("h1-h2".into()),
            DROP.as_bytes(),
            Direction::Ingress,
        );
        let report = net.iperf("h1", &Target::parse("h2"), &options, &never).unwrap();
        let datagrams = report.datagrams.unwrap();
        assert_eq!((report.bytes, datagrams.received), (0, 0), "{report:?}");
        assert_eq!(datagrams.lost, datagrams.sent);
        net.detach(&island, id).unwrap();
        close(&net);
    });
}

#[test]
fn what_waits_can_be_cancelled() {
    as_root_and_user("what_waits_can_be_cancelled", || {
        let net = pair();
        let soon = Instant::now() + Duration::from_millis(200);
        let cancel = || Instant::now() > soon;
        let long = IperfOptions {
            duration: Duration::from_secs(60),
            ..IperfOptions::default()
        };
        let udp = IperfOptions {
            udp: true,
            ..long.clone()
        };
        let many = PingOptions {
            count: 1_000,
            ..PingOptions::default()
        };
        let to = Target::parse("h2");
        let cancelled = |error| matches!(error, LabError::Cancelled { .. });
        assert!(cancelled(net.iperf("h1", &to, &long, &cancel).unwrap_err()));
        assert!(cancelled(net.iperf("h1", &to, &udp, &cancel).unwrap_err()));
        assert!(cancelled(net.ping("h1", &to, &many, &cancel).unwrap_err()));
        assert!(soon.elapsed() < Duration::from_secs(10));
        for wrong in [
            IperfOptions {
                streams: 0,
                ..IperfOptions::default()
            },
            IperfOptions {
                length: Some(0),
                ..IperfOptions::default()
            },
            IperfOptions {
                rate_bps: Some(0),
                ..IperfOptions::default()
            },
        ] {
            let error = net.iperf("h1", &to, &wrong, &never).unwrap_err();
            assert!(matches!(error, LabError::BadArgument { .. }), "{error:?}");
        }
        let error = net
            .ping("h1", &Target::parse("h7"), &PingOptions::default(), &never)
            .unwrap_err();
        assert!(error.to_string().contains("h7"), "{error}");
        close(&net);
    });
}

#[test]
fn what_is_under_way_ends_when_the_network_closes() {
    as_root_and_user("what_is_under_way_ends_when_the_network_closes", || {
        let long = Duration::from_secs(60);
        let tcp = IperfOptions {
            duration: long,
            ..IperfOptions::default()
        };
        let udp = IperfOptions {
            udp: true,
            ..tcp.clone()
        };
        let patient = PingOptions {
            timeout: long,
            ..PingOptions::default()
        };
        let all = PingAllOptions {
            timeout: long,
            ..PingAllOptions::default()
        };
        let to = Target::parse("h2");
        let nobody = Target::parse("10.0.0.99");
        let calls: [&(dyn Fn(&Network) -> LabError + Sync); 4] = [
            &|net| net.iperf("h1", &to, &tcp, &never).unwrap_err(),
            &|net| net.iperf("h1", &to, &udp, &never).unwrap_err(),
            &|net| net.ping("h1", &nobody, &patient, &never).unwrap_err(),
            &|net| net.ping_all(&all, &never).unwrap_err(),
        ];
        let net = pair();
        let link = net.spec().links[0].name.clone().unwrap();
        let (_, island) = attach(&net, &At::Link(link), DROP.as_bytes(), Direction::Both);
        thread::scope(|scope| {
            let net = &net;
            let ping = &calls[2..];
            let running: Vec<_> = ping.iter().map(|call| scope.spawn(move || call(net))).collect();
            soon("lost requests", || {
                island
                    .with_pipeline(|p| p.stats().unwrap().stages[0].dropped)
                    .unwrap()
                    > 2
            });
            ends_at_once(net, running);
        });
        let net = pair();
        let h2 = net.space("h2").unwrap();
        thread::scope(|scope| {
            let net = &net;
            let measure = &calls[..2];
            let running: Vec<_> = measure
                .iter()
                .map(|call| scope.spawn(move || call(net)))
                .collect();
            let lab = net.lab().unwrap();
            soon("data", || {
                let links = lab.links(h2).unwrap();
                links
                    .iter()
                    .any(|link| link.name == "eth0" && link.stats.rx_bytes > 1 << 20)
            });
            drop(lab);
            ends_at_once(net, running);
        });
    });
}

/// Closes a network, after which the calls end.
fn ends_at_once(net: &Network, running: Vec<thread::ScopedJoinHandle<'_, LabError>>) {
    let start = thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| close(net));
        for call in running {
            let error = call.join().unwrap();
            assert!(matches!(error, LabError::Closed { .. }), "{error:?}");
        }
        start
    });
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn pings_of_all_sizes_come_back_whole() {
    as_root_and_user("pings_of_all_sizes_come_back_whole", || {
        let net = pair();
        for plugin in [false, true] {
            let at = At::Link("h1-h2".into());
            let attached = plugin.then(|| attach(&net, &at, PASS.as_bytes(), Direction::Both));
            for ipv6 in [false, true] {
                for size in [0, 8, 16, 1_472, 1_473, 9_000, 65_000] {
                    let options = PingOptions {
                        count: 2,
                        interval: Duration::ZERO,
                        size,
                        ipv6,
                        ..PingOptions::default()
                    };
                    let report = net.ping("h1", &Target::parse("h2"), &options, &never).unwrap();
                    assert_eq!((report.received, report.corrupt), (2, 0), "{report:?}");
                }
            }
            if let Some((id, island)) = attached {
                net.detach(&island, id).unwrap();
            }
        }
        // A host knows its neighbour's link-local address.
        let plan = net.resolved().unwrap();
        let own = net.interfaces("h2").unwrap();
        let own = own.iter().find(|link| link.name == "eth0").unwrap();
        let local = own
            .addresses
            .iter()
            .find(|address| address.to_string().starts_with("fe80"))
            .unwrap_or_else(|| panic!("{own:?}, {plan:?}"));
        let report = net
            .ping("h1", &Target::Address(local.ip), &PingOptions::default(), &never)
            .unwrap();
        assert_eq!(report.lost(), 0, "{report:?}");
        let nobody = net
            .ping(
                "h1",
                &Target::parse("10.0.0.99"),
                &PingOptions {
                    count: 1,
                    timeout: Duration::from_secs(5),
                    ..PingOptions::default()
                },
                &never,
            )
            .unwrap();
        assert!(
            nobody
                .errors
                .iter()
                .any(|error| error.contains("host unreachable")),
            "{nobody:?}"
        );
        let nowhere = net
            .ping(
                "h1",
                &Target::parse("192.0.2.1"),
                &PingOptions {
                    count: 1,
                    timeout: Duration::from_millis(100),
                    ..PingOptions::default()
                },
                &never,
            )
            .unwrap();
        assert!(nowhere.errors[0].contains("cannot send"), "{nowhere:?}");
        close(&net);
    });
}

/// A service in a node: it answers each connection, once the client has ended its side, with the hash of what came.
fn hashing(net: &Network, node: &str, port: u16) -> TcpListener {
    let spec = SocketSpec {
        domain: libc::AF_INET,
        kind: libc::SOCK_STREAM,
        protocol: 0,
        bind: Some(SocketAddr::from(([0, 0, 0, 0], port))),
        device: None,
    };
    let socket = net
        .lab()
        .unwrap()
        .socket(net.space(node).unwrap(), &spec)
        .unwrap();
    rustix::net::listen(&socket, 512).unwrap();
    TcpListener::from(socket)
}

fn serve(listener: &TcpListener, over: &AtomicBool) {
    thread::scope(|scope| {
        while let Ok((mut stream, _)) = listener.accept() {
            if over.load(Ordering::Relaxed) {
                return;
            }
            scope.spawn(move || {
                let mut bytes = Vec::new();
                if stream.read_to_end(&mut bytes).is_ok() {
                    let _ = stream.write_all(&Sha256::digest(&bytes));
                }
            });
        }
    });
}

fn ask(forward: &Forward, data: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(forward.local_addr()).unwrap();
    stream.write_all(data).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn a_forward_leads_into_a_node() {
    as_root_and_user("a_forward_leads_into_a_node", || {
        let net = pair();
        let listener = hashing(&net, "h2", 8_000);
        let over = AtomicBool::new(false);
        let forward = net.forward("h2", 8_000, &ForwardOptions::default()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listener, &over));
            assert!(forward.local_addr().ip().is_loopback());
            let big: Vec<u8> = (0..32 << 20).map(|at: u32| (at / 7) as u8).collect();
            assert_eq!(ask(&forward, &big), Sha256::digest(&big).to_vec());
            let forward = &forward;
            let clients: Vec<_> = (0..200u32)
                .map(|n| {
                    scope.spawn(move || {
                        let data = vec![n as u8; 10_000 + n as usize];
                        assert_eq!(ask(forward, &data), Sha256::digest(&data).to_vec());
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            soon("all connections ended", || forward.stats().open == 0);
            let stats = forward.stats();
            assert_eq!((stats.accepted, stats.failed), (201, 0), "{stats:?}");
            assert_eq!(stats.bytes_out, 201 * 32);
            // By the way a neighbour takes, too.
            let other = net
                .forward(
                    "h1",
                    8_000,
                    &ForwardOptions {
                        to: Some(net.resolved().unwrap().node("h2").unwrap().1.interfaces[0].addresses[0].ip),
                        ..ForwardOptions::default()
                    },
                )
                .unwrap();
            assert_eq!(ask(&other, b"abc"), Sha256::digest(b"abc").to_vec());
            over.store(true, Ordering::Relaxed);
            drop(TcpStream::connect(forward.local_addr()));
        });
        // Nobody listens any more: the client hears of it.
        drop(listener);
        let forward = net.forward("h2", 8_000, &ForwardOptions::default()).unwrap();
        let mut refused = TcpStream::connect(forward.local_addr()).unwrap();
        assert!(!matches!(refused.read(&mut [0; 8]), Ok(1..)));
        soon("a failed connection", || forward.stats().failed == 1);
        let taken = ForwardOptions {
            listen: forward.local_addr(),
            to: None,
        };
        assert!(matches!(net.forward("h2", 1, &taken), Err(LabError::Os { .. })));
        // It stays without a handle, and ends with the network.
        let forgotten = net
            .forward("h2", 8_000, &ForwardOptions::default())
            .unwrap()
            .local_addr();
        assert!(TcpStream::connect(forgotten).is_ok());
        close(&net);
        assert!(forward.is_closed());
        assert!(TcpStream::connect(forgotten).is_err());
        assert!(TcpStream::connect(forward.local_addr()).is_err());
    });
}
