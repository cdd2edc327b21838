//! What each kind of change costs; a report, not a test.

use std::time::{Duration, Instant};

use vnet_netlink::{Change, Into, LinkSet};

use crate::space::{Spaces, address, route, set, up, veth, with_nodes};

/// Nodes of the report, or as many as `VNET_NODES` says.
fn nodes() -> u32 {
    std::env::var("VNET_NODES").map_or(1000, |text| text.parse().unwrap())
}

struct Report {
    nodes: u32,
    total: Duration,
}

impl Report {
    /// Times a step over all nodes.
    fn step(&mut self, what: &str, mut each: impl FnMut(u32)) {
        let start = Instant::now();
        for node in 1..=self.nodes {
            each(node);
        }
        let took = start.elapsed();
        self.total += took;
        self.line(what, took);
    }

    fn line(&self, what: &str, took: Duration) {
        println!(
            "{what:<46} {:>9.4} ms",
            took.as_secs_f64() * 1000.0 / f64::from(self.nodes)
        );
    }
}

/// `cargo test --release -p vnet-netlink --test lab -- --ignored --nocapture`
#[test]
#[ignore = "a report that takes seconds"]
fn milliseconds_per_node_of_each_change() {
    with_nodes(0, |_| {
        let nodes = nodes();
        let start = Instant::now();
        let mut lab = Spaces::new(nodes as usize);
        let mut report = Report {
            nodes,
            total: Duration::ZERO,
        };
        println!("{nodes} nodes, ms per node:");
        report.line("namespace, thread and two sockets", start.elapsed());
        let port = |node| 100_000 + node;
        let ip = |node: u32| format!("10.0.{}.{}/16", node / 250, node % 250 + 2);
        report.step("a request that changes nothing", |_| {
            let same = LinkSet {
                mtu: Some(65535),
                ..LinkSet::default()
            };
            lab.apply(0, &[set(1, same)]);
        });
        report.step("veth pair", |node| lab.apply(0, &[veth(port(node), node)]));
        report.step("ingress qdisc", |node| {
            lab.apply(0, &[Change::IngressQdisc { index: port(node) }]);
        });
        report.step("lab end noarp, up", |node| {
            let end = LinkSet {
                up: Some(true),
                noarp: Some(true),
                ..LinkSet::default()
            };
            lab.apply(0, &[set(port(node), end)]);
        });
        report.step("node end up, no address generation", |node| {
            let end = LinkSet {
                up: Some(true),
                addrgen: Some(false),
                ..LinkSet::default()
            };
            lab.apply(node, &[set(16, end)]);
        });
        report.step("loopback up", |node| lab.apply(node, &[up(1)]));
        report.step("IPv4 address", |node| lab.apply(node, &[address(16, &ip(node))]));
        report.step("IPv6 address", |node| {
            lab.apply(node, &[address(16, &format!("fd00::{node:x}/64"))]);
        });
        report.step("link-local address", |node| {
            lab.apply(node, &[address(16, &format!("fe80::{node:x}/64"))]);
        });
        report.step("IPv4 default route", |node| {
            lab.apply(node, &[Change::AddRoute(route("0.0.0.0/0", "10.0.0.1"))]);
        });
        report.step("IPv6 default route", |node| {
            lab.apply(node, &[Change::AddRoute(route("::/0", "fd00::ffff:1"))]);
        });
        report.line("sum of the above", report.total);
        report.step("redirect to the neighbour's lab end", |node| {
            let to = port(if node == 1 { nodes } else { node - 1 });
            lab.apply(
                0,
                &[Change::Redirect {
                    index: port(node),
                    prio: 2,
                    to,
                    into: Into::Egress,
                }],
            );
        });
        report.step("that redirect deleted", |node| {
            lab.apply(
                0,
                &[Change::DelRedirect {
                    index: port(node),
                    prio: 2,
                }],
            );
        });
        let bridges = nodes.div_ceil(50);
        for bridge in 0..bridges {
            lab.apply(
                0,
                &[
                    Change::Bridge {
                        index: 16 + bridge,
                        name: format!("br{bridge}"),
                        mac: None,
                        mtu: None,
                    },
                    up(16 + bridge),
                ],
            );
        }
        report.step("port of a bridge of 50", |node| {
            let bridge = LinkSet {
                bridge: Some(16 + (node - 1) / 50),
                ..LinkSet::default()
            };
            lab.apply(0, &[set(port(node), bridge)]);
        });
        let start = Instant::now();
        let count = lab.batch(0).links().unwrap().len();
        report.line(&format!("list of {count} interfaces"), start.elapsed());
        let start = Instant::now();
        let count: usize = (0..bridges)
            .map(|b| lab.batch(0).fdb(16 + b).unwrap().len())
            .sum();
        report.line(&format!("list of {count} bridge entries"), start.elapsed());
        report.step("veth pair deleted (first 20 only)", |node| {
            if node <= 20 {
                lab.apply(0, &[Change::Delete { index: port(node) }]);
            }
        });
    });
}
