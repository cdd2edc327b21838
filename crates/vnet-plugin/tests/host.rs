//! What the host says of a frame, and what a plugin says to the host.

use std::time::Duration;

use vnet_plugin::abi::flags;
use vnet_plugin::testing::{Host, Input};
use vnet_plugin::{Config, Counter, State, Verdict, config_int, config_str, debug, error, info, log, warn};

static FRAMES: Counter = Counter::new("frames");
static BYTES: Counter = Counter::new("bytes");
static SEEN: State<u32> = State::new(40);

#[test]
fn tells_what_the_host_says() {
    let mut host = Host::new(|pkt| {
        assert_eq!(
            (pkt.port(), pkt.mark(), pkt.ts_ns(), pkt.gso_size()),
            (4, 5, 6, Some(1448))
        );
        assert!(
            pkt.is_egress() && pkt.is_injected() && pkt.csum_partial() && !pkt.is_l3() && !pkt.is_empty()
        );
        pkt.set_mark(8);
        pkt.csum_finished();
        pkt.delay(Duration::from_millis(3));
        Verdict::Flood
    });
    let flags = flags::EGRESS | flags::INJECTED | flags::CSUM_PARTIAL | flags::GSO;
    let input = Input {
        bytes: vec![1; 60],
        flags,
        port: 4,
        gso_size: 1448,
        mark: 5,
        ts_ns: 6,
    };
    let out = host.run(&[input]).frames.remove(0);
    assert_eq!(
        (out.verdict, out.mark, out.csum_partial, out.delay_us),
        (Verdict::Flood, 8, false, Some(3_000))
    );
}

#[test]
fn counts_and_logs() {
    let mut host = Host::new(|pkt| {
        FRAMES.increment();
        BYTES.add(pkt.len() as u64);
        error!("odd length {}", pkt.len());
        warn!("w");
        info!("{:?}", "i");
        debug!("d");
        log!(vnet_plugin::Level::Info, "{}", "ä".repeat(1000));
        Verdict::Pass
    });
    host.judge(&[0; 61]);
    host.judge(&[0; 9]);
    assert_eq!(
        host.counters().into_iter().collect::<Vec<_>>(),
        [("bytes".into(), 70), ("frames".into(), 2)]
    );
    let logs = host.logs();
    assert_eq!(logs[0], (0, "odd length 61".to_string()));
    assert_eq!(
        logs[1..4],
        [
            (1, "w".to_string()),
            (2, "\"i\"".to_string()),
            (3, "d".to_string())
        ]
    );
    assert_eq!(logs[4], (2, "ä".repeat(512)), "cut off at 1,024 bytes");
    assert_eq!(logs.len(), 10);
}

#[test]
fn a_fresh_instance_forgets() {
    let mut host = Host::new(|_| {
        SEEN.with(|seen| *seen += 1);
        if SEEN.get() == 42 {
            Verdict::Tx
        } else {
            Verdict::Pass
        }
    });
    assert_eq!(
        (host.judge(&[0]).verdict, host.judge(&[0]).verdict),
        (Verdict::Pass, Verdict::Tx)
    );
    assert_eq!(SEEN.get(), 42);
    let _fresh = Host::new(|_| Verdict::Pass);
    assert_eq!(SEEN.get(), 40);
    assert!(
        std::thread::spawn(|| SEEN.get())
            .join()
            .is_ok_and(|seen| seen == 40),
        "each thread has its own"
    );
}

#[test]
fn hands_over_the_configuration() {
    fn configure(config: &Config<'_>) -> Result<(), &'static str> {
        if config.bool("refuse") == Some(true) {
            return Err("told to refuse");
        }
        assert_eq!(
            (config.int("n"), config.str("name"), config.int("name")),
            (Some(-7), Some("vnet"), None)
        );
        Ok(())
    }
    let mut host = Host::new(|_| {
        let mut buf = [0; 8];
        assert_eq!(
            (config_int("n", 1), config_int("on", 5), config_int("absent", 2)),
            (-7, 1, 2)
        );
        assert_eq!(config_str("name", &mut buf), Some("vnet"));
        assert_eq!(config_str("absent", &mut buf), None);
        assert_eq!(config_str("name", &mut [0; 3]), None, "cut off");
        assert_eq!(config_str("list", &mut buf), Some("[1,2]"));
        Verdict::Pass
    });
    host.configure(
        configure,
        r#"{"n": -7, "name": "vnet", "on": true, "list": [1,2]}"#,
    )
    .expect("accepted");
    host.judge(&[0; 60]);
    assert_eq!(
        host.configure(configure, r#"{"refuse": true}"#),
        Err("told to refuse".to_string())
    );
}
