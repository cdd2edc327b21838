//! Nodes reach each other, with the kernel and with the engine between them.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Instant;

use support::{as_root_and_user, close, spec, up};
use vnet_lab::{PingAllOptions, PingOptions, Target, never};

#[test]
fn two_hosts_on_a_switch_ping_each_other() {
    as_root_and_user("two_hosts_on_a_switch_ping_each_other", || {
        let start = Instant::now();
        let net = up(spec(&["h1", "h2"], &["s1"], &[], &[("h1", "s1"), ("h2", "s1")]));
        println!("up in {:?}", start.elapsed());
        for ipv6 in [false, true] {
            let options = PingOptions {
                ipv6,
                count: 5,
                interval: std::time::Duration::from_millis(2),
                ..PingOptions::default()
            };
            let report = net.ping("h1", &Target::parse("h2"), &options, &never).unwrap();
            println!("{report:?}");
            assert_eq!(
                (report.sent, report.received, report.duplicates),
                (5, 5, 0),
                "{report:?}"
            );
            assert!(report.replies.iter().all(|reply| reply.unwrap().hop_limit == 64));
        }
        let matrix = net
            .ping_all(
                &PingAllOptions {
                    ipv6: true,
                    ..PingAllOptions::default()
                },
                &never,
            )
            .unwrap();
        assert_eq!((matrix.sent(), matrix.lost()), (4, 0), "{matrix:?}");
        let start = Instant::now();
        close(&net);
        println!("down in {:?}", start.elapsed());
    });
}
