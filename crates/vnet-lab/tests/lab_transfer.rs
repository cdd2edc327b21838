//! Bulk data passes unharmed, with the kernel and with the engine between the hosts.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};
use support::{DROP_BCAST, as_root_and_user, attach, close, spec, up};
use vnet_datapath::Direction;
use vnet_lab::{At, Network};
use vnet_sandbox::SocketSpec;

const SIZE: usize = 128 << 20;

fn socket(net: &Network, node: &str, bind: Option<SocketAddr>) -> std::os::fd::OwnedFd {
    let spec = SocketSpec {
        domain: libc::AF_INET,
        kind: libc::SOCK_STREAM,
        protocol: 0,
        bind,
        device: None,
    };
    net.lab()
        .unwrap()
        .socket(net.space(node).unwrap(), &spec)
        .unwrap()
}

/// Moves data from one node to another through TCP and compares what came with what was sent.
fn transfer(net: &Network, from: &str, to: &str, address: IpAddr) {
    let listener = socket(net, to, Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 7000)));
    rustix::net::listen(&listener, 1).unwrap();
    let listener = TcpListener::from(listener);
    let client = socket(net, from, None);
    rustix::net::connect(&client, &SocketAddr::new(address, 7000)).unwrap();
    let mut sender = TcpStream::from(client);
    let (mut receiver, _) = listener.accept().unwrap();
    let start = Instant::now();
    let sent = thread::spawn(move || {
        let mut hash = Sha256::new();
        let mut state = 1u64;
        let mut left = SIZE;
        let mut block = vec![0; 1 << 16];
        while left > 0 {
            for word in block.chunks_exact_mut(8) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                word.copy_from_slice(&state.to_le_bytes());
            }
            let part = left.min(block.len());
            hash.update(&block[..part]);
            sender.write_all(&block[..part]).unwrap();
            left -= part;
        }
        hash.finalize()
    });
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let read = receiver.read(&mut block).unwrap();
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
        bytes += read;
    }
    assert_eq!((bytes, hash.finalize()), (SIZE, sent.join().unwrap()));
    println!(
        "{from} to {to}: {} MB/s",
        bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
    );
}

fn address(net: &Network, node: &str) -> IpAddr {
    let plan = net.resolved().unwrap();
    plan.node(node).unwrap().1.interfaces[0].addresses[0].ip
}

#[test]
fn data_crosses_a_link_with_and_without_a_plugin() {
    as_root_and_user("data_crosses_a_link_with_and_without_a_plugin", || {
        let net = up(spec(&["h1", "h2"], &[], &[], &[("h1", "h2")]));
        let to = address(&net, "h2");
        transfer(&net, "h1", "h2", to);
        let at = At::Link("h1-h2".into());
        let (id, island) = attach(&net, &at, DROP_BCAST, Direction::Both);
        transfer(&net, "h1", "h2", to);
        transfer(&net, "h2", "h1", address(&net, "h1"));
        let (stats, swap) = net.detach(&island, id).unwrap();
        assert!(stats.packets_in > 1_000, "{stats:?}");
        assert!(swap.given_back && island.is_given_back());
        transfer(&net, "h1", "h2", to);
        close(&net);
    });
}

#[test]
fn data_crosses_a_switch_with_and_without_a_plugin() {
    as_root_and_user("data_crosses_a_switch_with_and_without_a_plugin", || {
        let links = [("h1", "s1"), ("h2", "s1"), ("h3", "s1")];
        let net = up(spec(&["h1", "h2", "h3"], &["s1"], &[], &links));
        let to = address(&net, "h2");
        transfer(&net, "h1", "h2", to);
        for at in [
            At::Switch("s1".into()),
            At::Link("h1-s1".into()),
            At::Interface {
                node: "h2".into(),
                interface: "eth0".into(),
            },
        ] {
            let direction = if matches!(at, At::Switch(_)) {
                Direction::Ingress
            } else {
                Direction::Both
            };
            let (id, island) = attach(&net, &at, DROP_BCAST, direction);
            assert_eq!(island.name(), "switch s1");
            transfer(&net, "h1", "h2", to);
            let (stats, _) = net.detach(&island, id).unwrap();
            assert!(stats.packets_in > 1_000, "{at:?}: {stats:?}");
        }
        transfer(&net, "h1", "h2", to);
        close(&net);
    });
}

#[test]
fn data_crosses_links_that_carry_big_tcp() {
    as_root_and_user("data_crosses_links_that_carry_big_tcp", || {
        let mut spec = spec(
            &["h1", "h2", "h3"],
            &["s1"],
            &[],
            &[("h1", "h2"), ("h1", "s1"), ("h3", "s1")],
        );
        // The link of h3 is an ordinary one.
        spec.links[0].big_tcp = true;
        spec.links[1].big_tcp = true;
        let net = up(spec);
        let plan = net.resolved().unwrap();
        let on_switch = plan.node("h3").unwrap().1.interfaces[0].addresses[0].ip;
        transfer(&net, "h1", "h2", address(&net, "h2"));
        transfer(&net, "h1", "h3", on_switch);
        for (at, direction) in [
            (At::Link("h1-h2".into()), Direction::Both),
            (At::Switch("s1".into()), Direction::Ingress),
        ] {
            let (id, island) = attach(&net, &at, DROP_BCAST, direction);
            let (to, address) = match at {
                At::Link(_) => ("h2", address(&net, "h2")),
                _ => ("h3", on_switch),
            };
            transfer(&net, "h1", to, address);
            let (stats, _) = net.detach(&island, id).unwrap();
            assert!(stats.packets_in > 300 && stats.dropped == 0, "{at:?}: {stats:?}");
            println!("{at:?}: {} bytes a frame", SIZE as u64 / stats.packets_in);
        }
        transfer(&net, "h1", "h2", address(&net, "h2"));
        close(&net);
    });
}
