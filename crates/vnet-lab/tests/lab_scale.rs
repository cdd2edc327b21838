//! Large networks come up and go down fast, and quietly.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::{PASS, as_root_and_user, attach, close, network, spec};
use vnet_datapath::Direction;
use vnet_lab::{At, Network, PingAllOptions, PingOptions, Target, never};
use vnet_sandbox::Space;

/// Several times what is promised: tests share the machine, and the bench holds the promise.
const UP: Duration = Duration::from_secs(15);
const DOWN: Duration = Duration::from_secs(5);

/// Hosts in equal parts on switches, which hang on the first one.
fn stars(hosts: usize, switches: usize) -> Network {
    let hosts: Vec<String> = (1..=hosts).map(|n| format!("h{n}")).collect();
    let switches: Vec<String> = (1..=switches).map(|n| format!("s{n}")).collect();
    let share = hosts.len() / switches.len();
    let ends = hosts.iter().enumerate();
    let mut links: Vec<(&str, &str)> = ends
        .map(|(at, host)| (host.as_str(), switches[at / share].as_str()))
        .collect();
    links.extend(
        switches[1..]
            .iter()
            .map(|switch| (switches[0].as_str(), switch.as_str())),
    );
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let switches: Vec<&str> = switches.iter().map(String::as_str).collect();
    network(spec(&hosts, &switches, &[], &links))
}

/// Frames that have reached any node.
fn frames(net: &Network) -> u64 {
    let links = net.lab().unwrap().links(Space::LAB).unwrap();
    links.iter().map(|link| link.stats.tx_packets).sum()
}

fn comes_and_goes(what: &str, net: &Network) {
    let start = Instant::now();
    net.start(&never).unwrap();
    let up = start.elapsed();
    let report = net
        .ping("h1", &Target::parse("h50"), &PingOptions::default(), &never)
        .unwrap();
    assert_eq!(report.lost(), 0, "{report:?}");
    let first = frames(net);
    thread::sleep(Duration::from_secs(2));
    let said = frames(net) - first;
    let start = Instant::now();
    close(net);
    let down = start.elapsed();
    println!("{what}: up {up:?}, down {down:?}, {first} frames to nodes at first, {said} in the 2 s after");
    assert!(up < UP && down < DOWN, "{what}: up {up:?}, down {down:?}");
    // One host's word to all others is as many frames as there are hosts.
    assert!(said < 3_000, "{what}: {said} frames in 2 s");
}

#[test]
fn a_thousand_hosts_come_and_go() {
    as_root_and_user("a_thousand_hosts_come_and_go", || {
        comes_and_goes("50 hosts on one switch", &stars(50, 1));
        comes_and_goes("20 switches with 50 hosts each", &stars(1000, 20));
        comes_and_goes("1,000 hosts on one switch", &stars(1000, 1));
    });
}

#[test]
fn the_engine_takes_a_thousand_ports_and_gives_them_back() {
    as_root_and_user("the_engine_takes_a_thousand_ports_and_gives_them_back", || {
        let net = stars(1000, 1);
        net.start(&never).unwrap();
        let start = Instant::now();
        let at = At::Switch("s1".into());
        let (id, island) = attach(&net, &at, PASS.as_bytes(), Direction::Ingress);
        let taken = start.elapsed();
        let reached = net
            .ping("h1", &Target::parse("h1000"), &PingOptions::default(), &never)
            .unwrap();
        assert_eq!(reached.lost(), 0, "{reached:?}");
        let start = Instant::now();
        let (stats, swap) = net.detach(&island, id).unwrap();
        let given_back = start.elapsed();
        println!("1,000 ports taken in {taken:?}, given back in {given_back:?}");
        assert!(stats.packets_in >= 6 && swap.given_back);
        assert!(taken + given_back < UP, "{taken:?}, {given_back:?}");
        close(&net);
    });
}

#[test]
fn fifty_hosts_reach_each_other() {
    as_root_and_user("fifty_hosts_reach_each_other", || {
        let net = stars(50, 1);
        net.start(&never).unwrap();
        for ipv6 in [false, true] {
            let options = PingAllOptions {
                ipv4: !ipv6,
                ipv6,
                ..PingAllOptions::default()
            };
            let matrix = net.ping_all(&options, &never).unwrap();
            println!("ping_all, IPv6 {ipv6}: {} ms", matrix.elapsed_ns / 1_000_000);
            let bad: Vec<_> = matrix
                .pairs
                .iter()
                .filter(|p| p.rtt_ns.is_none())
                .take(3)
                .collect();
            assert_eq!((matrix.sent(), matrix.lost()), (2450, 0), "{bad:?}");
        }
        close(&net);
    });
}
