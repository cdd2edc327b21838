//! Networks leave nothing in the process that made them.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::{PASS, as_root_and_user, attach, close, soon, spec, up};
use vnet_datapath::Direction;
use vnet_lab::{At, ForwardOptions, PingOptions, Target, never};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

#[test]
fn descriptors_and_threads_return_to_their_base() {
    as_root_and_user("descriptors_and_threads_return_to_their_base", || {
        let cycle = |n: u32| {
            let net = up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("h2", "s1")]));
            if n.is_multiple_of(10) {
                let (id, island) = attach(
                    &net,
                    &At::Switch("s1".into()),
                    PASS.as_bytes(),
                    Direction::Ingress,
                );
                let forward = net.forward("h1", 80, &ForwardOptions::default()).unwrap();
                let report = net
                    .ping("h1", &Target::parse("h2"), &PingOptions::default(), &never)
                    .unwrap();
                assert_eq!(report.lost(), 0);
                if n.is_multiple_of(20) {
                    net.detach(&island, id).unwrap();
                    forward.close();
                }
            }
            // Closed, or dropped with whatever is at work.
            if n.is_multiple_of(2) {
                close(&net);
            }
        };
        cycle(0);
        let base = (count("fd"), count("task"));
        for n in 0..200 {
            cycle(n);
        }
        soon("the base", || (count("fd"), count("task")) <= base);
    });
}
