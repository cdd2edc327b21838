//! Impaired links between real interfaces: ping, UDP and TCP through lines of a switch over packet sockets.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::impair::{MS, delay, ready};
use support::lan::{Lan, address, can_run};
use support::wait_for;
use vnet_datapath::LineAt;
use vnet_impair::{Chance, Impairment, Loss, Rate, key};

/// Sends numbered datagrams from node 0 to node 1, one by one, and returns the numbers of those that came.
fn datagrams(lan: &Lan, numbers: std::ops::Range<u32>, idle: Duration) -> Vec<u32> {
    let receiver = lan.nodes[1]
        .run(|| UdpSocket::bind((address(1), 0)).unwrap())
        .unwrap();
    let sender = lan.nodes[0]
        .run(|| UdpSocket::bind((address(0), 0)).unwrap())
        .unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    receiver.set_read_timeout(Some(idle)).unwrap();
    // The default holds some 250 datagrams, and the reader may come late.
    rustix::net::sockopt::set_socket_recv_buffer_size(&receiver, 1 << 20).unwrap();
    std::thread::scope(|scope| {
        let came = scope.spawn(|| {
            let (mut came, mut bytes) = (Vec::new(), [0; 4]);
            while receiver.recv(&mut bytes).is_ok() {
                came.push(u32::from_be_bytes(bytes));
            }
            came
        });
        for number in numbers {
            sender.send(&number.to_be_bytes()).unwrap();
        }
        came.join().unwrap()
    })
}

#[test]
fn ping_takes_the_delay_of_both_directions() {
    if !can_run() {
        return;
    }
    let lan = Lan::started(2);
    lan.switch
        .set_line(LineAt::From(0), key(1, "l", "a-b"), delay(30))
        .unwrap();
    lan.switch
        .set_line(LineAt::To(0), key(1, "l", "b-a"), delay(50))
        .unwrap();
    let ping = |count: &str| {
        let target = address(1).to_string();
        let mut command = Command::new("ping");
        command
            .args(["-n", "-c", count, "-i", "0.2", "-W", "10", &target])
            .stdin(Stdio::null());
        match lan.nodes[0].run(|| command.output()).unwrap() {
            Ok(output) => Some(output),
            Err(error) => {
                assert_ne!(
                    std::env::var("CI").as_deref(),
                    Ok("true"),
                    "cannot run ping: {error}"
                );
                eprintln!("skipped: cannot run ping: {error}");
                None
            }
        }
    };
    let Some(output) = ping("4") else { return };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let times: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    // The first may have waited for address resolution; a machine under load adds, none takes away.
    assert_eq!(times.len(), 4, "{text}");
    assert!(times.iter().all(|ms| *ms >= 80.0), "{times:?}");
    assert!(times.iter().any(|ms| *ms < 110.0), "{times:?}");
    let line = lan.switch.line_stats(LineAt::From(0)).unwrap();
    let asked = line.delay.asked.unwrap();
    assert_eq!((asked.min_ns, asked.max_ns), (30 * MS, 30 * MS));
    assert!(line.delay.realised.unwrap().min_ns >= 30 * MS);
}

#[test]
fn files_arrive_whole_over_delay_loss_and_a_rate_and_when_these_change_under_way() {
    if !can_run() {
        return;
    }
    let lan = Lan::started(2);
    let link = |delay_ns, p, bits_per_s| {
        ready(&Impairment {
            delay_ns,
            loss: Loss::Random(Chance { p, correlation: 0.0 }),
            rate: Some(Rate {
                bits_per_s,
                burst: 0,
                overhead: 0,
            }),
            ..Impairment::default()
        })
    };
    for (at, direction) in [(LineAt::From(0), "a-b"), (LineAt::To(0), "b-a")] {
        let key = key(1, "l", direction);
        lan.switch
            .set_line(at, key, link(MS, 0.002, 200_000_000))
            .unwrap();
    }
    std::thread::scope(|scope| {
        let file = scope.spawn(|| lan.transfer(0, 1, 8 << 20));
        for (n, rate) in [(0, 100_000_000), (1, 400_000_000), (2, 200_000_000)] {
            let moved = |at: usize| lan.switch.line_stats(LineAt::From(0)).unwrap().bytes_out >= at as u64;
            wait_for("a part of the file", || {
                (moved((n + 1) << 20) || file.is_finished()).then_some(())
            });
            let to = link((n as u64 + 1) * MS, 0.002, rate);
            lan.switch
                .set_line(LineAt::From(0), key(1, "l", "a-b"), to)
                .unwrap();
        }
    });
    lan.transfer(1, 0, 4 << 20);
    let line = lan.switch.line_stats(LineAt::From(0)).unwrap();
    assert!(line.lost > 0 && line.frames_in > 5000, "{line:?}");
    let stats = wait_for("nothing held", || {
        Some(lan.switch.stats().unwrap()).filter(|stats| stats.held == 0)
    });
    assert_eq!(stats.balance(), 0, "{stats:?}");
    let down = lan.switch.line_stats(LineAt::To(0)).unwrap().lost;
    assert_eq!(stats.drops["loss"], line.lost + down);
    for at in [LineAt::From(0), LineAt::To(0)] {
        lan.switch.set_line(at, [0; 32], None).unwrap();
    }
    lan.transfer(0, 1, 8 << 20);
    assert_eq!(lan.switch.stats().unwrap().balance(), 0);
}

#[test]
fn one_seed_loses_the_same_datagrams_and_another_loses_others() {
    if !can_run() {
        return;
    }
    const MANY: u32 = 300;
    let run = |seed| {
        let lan = Lan::started(2);
        for node in &lan.nodes {
            // Where this is refused, another run is needed now and then.
            let _ = node.run(|| std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
        }
        // Both ends know each other before the line counts frames.
        assert_eq!(datagrams(&lan, 0..1, Duration::from_millis(300)), [0]);
        let half = ready(&Impairment {
            loss: Loss::Random(Chance {
                p: 0.5,
                correlation: 0.0,
            }),
            ..Impairment::default()
        });
        lan.switch
            .set_line(LineAt::To(1), key(seed, "l", "b-a"), half)
            .unwrap();
        let came = datagrams(&lan, 0..MANY, Duration::from_millis(500));
        let line = lan.switch.line_stats(LineAt::To(1)).unwrap();
        // Neighbour discovery may put in a frame of its own, which moves the numbers of those behind it.
        (came, line.frames_in == u64::from(MANY))
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let alone = |seed| loop {
        let (came, is_alone) = run(seed);
        if is_alone {
            return came;
        }
        assert!(Instant::now() < deadline, "other frames came every time");
    };
    let first = alone(1);
    assert!((90..210).contains(&first.len()), "{}", first.len());
    assert_eq!(alone(1), first);
    assert_ne!(alone(2), first);
}

#[test]
fn corruption_reaches_the_receiver_who_throws_it_away() {
    if !can_run() {
        return;
    }
    let lan = Lan::started(2);
    assert_eq!(datagrams(&lan, 0..1, Duration::from_secs(1)), [0]);
    let flip = ready(&Impairment {
        corrupt: Chance {
            p: 0.3,
            correlation: 0.0,
        },
        ..Impairment::default()
    });
    lan.switch.set_line(LineAt::To(1), [3; 32], flip).unwrap();
    let came = datagrams(&lan, 0..400, Duration::from_millis(500));
    let line = lan.switch.line_stats(LineAt::To(1)).unwrap();
    assert!(line.corrupted > 60, "{line:?}");
    // Not every bit is under a sum: the header's padding and its lifetime are not missed by UDP.
    let lost = 400 - came.len() as u64;
    assert!(
        lost > line.corrupted / 2 && lost <= line.corrupted,
        "{lost} of {}",
        line.corrupted
    );
    assert!(came.iter().all(|n| *n < 400), "none came with other contents");
    let before = lan.switch.line_stats(LineAt::To(1)).unwrap().corrupted;
    lan.transfer(0, 1, 1 << 18);
    assert!(lan.switch.line_stats(LineAt::To(1)).unwrap().corrupted > before);
}
