//! Forwarding in a switch allocates nothing on the worker's thread.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/counting.rs"]
mod counting;
mod support;

use std::time::Duration;

use counting::{allocations, leave_out_this_thread};
use support::switch::{Bench, eth};
use support::{PASS, batch, stage};
use vnet_datapath::{Direction, LinkSide, Place, SWITCH_STAGE_PORTS};

/// Sends frames to known stations, to all, and to stations nobody knows, and waits until all are carried.
fn forward(bench: &mut Bench, round: u8) {
    for n in 10..110 {
        for (from, to) in [(1, 2), (2, 1), (3, 0xff), (4, n), (n, round)] {
            bench.push(usize::from(from) % 4, &eth(from, to, n));
        }
    }
    for port in 0..4 {
        let idle = Duration::from_millis(1);
        assert!(bench.switch.settle(port, idle, Duration::from_secs(10)).unwrap());
    }
}

#[test]
fn the_worker_allocates_nothing_while_a_switch_forwards() {
    leave_out_this_thread();
    let mut bench = Bench::new(4);
    let back = "(i32.store8 offset=12 (local.get $d) (i32.const 3))";
    for (place, wat, ports) in [
        (Place::Switch(Direction::Ingress), PASS, SWITCH_STAGE_PORTS),
        (Place::Link(0, Direction::Both, LinkSide::A), PASS, 2),
        (
            Place::Link(1, Direction::Ingress, LinkSide::B),
            &batch(3, back),
            2,
        ),
        (Place::Port(2, Direction::Both), PASS, 1),
    ] {
        bench.attach(place, stage(wat, ports));
    }
    forward(&mut bench, 200);
    let mut number = 200;
    let made = allocations(|| {
        number += 1;
        forward(&mut bench, number);
    });
    assert_eq!(made, 0);
    let stats = bench.settled();
    assert!(
        stats.flooded > 300 && stats.ports[0].tx_packets > 500,
        "{stats:?}"
    );
    assert!(
        stats.stages.iter().any(|stage| stage.tx > 300),
        "what one stage sent back was carried on"
    );
}
