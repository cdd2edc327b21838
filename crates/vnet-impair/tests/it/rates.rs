//! Rates: exact over any second, never early, never more ahead than the burst.

use vnet_impair::{Dropped, Line};

use crate::drive::{MS, S, Seen, US, line, note, offer, ready, run_until, send};

/// Keeps the line busy for `seconds` with frames of these sizes, and returns when which bytes left.
fn saturate(entries: &[(&str, &str)], sizes: &[u32], seconds: u64) -> (Vec<(u64, u64)>, Line<u64>) {
    let (mut line, mut seen, mut sent) = (line(1, entries), Vec::new(), Vec::new());
    let mut now = 0;
    while now <= seconds * S {
        while line.held() < 900 {
            let size = sizes[sent.len() % sizes.len()];
            offer(&mut line, now, size, sent.len() as u64, &mut seen);
            sent.push(size);
        }
        now = line.next().expect("the line is busy");
        run_until(&mut line, now, &mut seen);
    }
    let left = seen.iter().filter(|seen| seen.is_out());
    (
        left.map(|seen| (seen.at, u64::from(sent[seen.frame as usize])))
            .collect(),
        line,
    )
}

#[test]
fn any_second_carries_the_rate_within_two_percent() {
    for (text, bits) in [
        ("1mbit", 1e6),
        ("10mbit", 1e7),
        ("100mbit", 1e8),
        ("1gbit", 1e9),
        ("7777777bit", 7_777_777.0),
        ("123.457mbit", 123_457_000.0),
    ] {
        let (left, mut line) = saturate(&[("rate", text), ("delay", "3ms")], &[1_514, 64, 700], 3);
        let mut end = 0;
        let mut bytes = 0;
        for (start, (from, _)) in left.iter().enumerate() {
            while end < left.len() && left[end].0 < from + S {
                bytes += left[end].1;
                end += 1;
            }
            if end == left.len() {
                break;
            }
            let rate = bytes as f64 * 8.0;
            assert!(
                (rate / bits - 1.0).abs() < 0.02,
                "{rate} bit/s from {from} at {text}"
            );
            bytes -= left[start].1;
        }
        let last = left.last().expect("something left");
        let total: u64 = left.iter().map(|(_, bytes)| bytes).sum();
        // No drift: all bytes left by the very nanosecond.
        let exact = (total as f64 * 8e9 / bits).ceil() + 3e6;
        assert!(
            (last.0 as f64 - exact).abs() <= 1.0,
            "the last left at {} and not {exact} at {text}",
            last.0
        );
        let realised = line.stats(last.0).rate_realised.expect("it was busy");
        assert!(
            (realised / bits - 1.0).abs() < 1e-3,
            "measured {realised} at {text}"
        );
    }
}

#[test]
fn an_idle_line_takes_the_time_of_each_frames_bits() {
    let seen = send(
        &mut line(1, &[("rate", "10mbit"), ("overhead", "24")]),
        10,
        1_226,
        5 * MS,
    );
    assert!(
        seen.iter().all(|seen| seen.at == seen.frame * 5 * MS + MS),
        "{seen:?}"
    );
}

#[test]
fn a_line_is_never_more_than_its_burst_ahead() {
    for (burst, at_once) in [("1500b", 1), ("3000b", 2), ("15000b", 10)] {
        let mut line = line(1, &[("rate", "12mbit"), ("burst", burst)]);
        // Twice a crowd after a long rest: 1,500 bytes take 1 ms.
        for start in [10 * S, 20 * S] {
            let mut seen = Vec::new();
            (0..20).for_each(|n| offer(&mut line, start, 1_500, n, &mut seen));
            run_until(&mut line, u64::MAX, &mut seen);
            let times: Vec<u64> = seen.iter().map(|seen| (seen.at - start) / MS).collect();
            let expected: Vec<u64> = (1..=20u64).map(|n| n.saturating_sub(at_once)).collect();
            assert_eq!(times, expected, "burst {burst}");
        }
        let realised = line.stats(0).rate_realised.expect("it was busy");
        assert!(
            (realised / 12e6 - 1.0).abs() < 1e-6,
            "{realised} measured with burst {burst}"
        );
    }
}

#[test]
fn a_lost_frame_has_used_the_lines_time() {
    let lossy = send(
        &mut line(1, &[("rate", "10mbit"), ("loss", "30%")]),
        500,
        1_250,
        US,
    );
    let whole = send(&mut line(1, &[("rate", "10mbit")]), 500, 1_250, US);
    let times = |seen: &[Seen]| {
        let mut times: Vec<(u64, u64)> = seen.iter().map(|seen| (seen.frame, seen.at)).collect();
        times.sort_unstable();
        times
    };
    assert_eq!(times(&lossy), times(&whole));
    assert!(lossy.iter().any(|seen| seen.is(Dropped::Loss)));
}

#[test]
fn jitter_and_overtaking_do_not_blur_the_rate_measured() {
    let mut line = line(
        1,
        &[
            ("rate", "10mbit"),
            ("delay", "20ms"),
            ("jitter", "19ms"),
            ("reorder", "20%"),
        ],
    );
    let mut seen = Vec::new();
    (0..20).for_each(|n| offer(&mut line, S, 1_250, n, &mut seen));
    run_until(&mut line, 2 * S, &mut seen);
    assert!(line.stats(2 * S).overtaken > 0);
    let realised = line.stats(2 * S).rate_realised.expect("it was busy");
    assert!((realised / 1e7 - 1.0).abs() < 1e-6, "{realised}");
}

#[test]
fn the_rate_measured_counts_lost_frames_and_no_idle_time() {
    let mut line = line(1, &[("rate", "10mbit"), ("loss", "40%"), ("delay", "20ms")]);
    let mut seen = Vec::new();
    for crowd in 0..200 {
        let start = crowd * S;
        (0..50).for_each(|n| offer(&mut line, start, 1_250, crowd * 50 + n, &mut seen));
        run_until(&mut line, start + S - 1, &mut seen);
    }
    let stats = line.stats(200 * S);
    let realised = stats.rate_realised.expect("it was busy");
    assert!((realised / 1e7 - 1.0).abs() < 1e-6, "{realised}");
    assert!((stats.loss_realised.expect("frames came") - 0.4).abs() < 0.02);
}

#[test]
fn a_tail_is_dropped_at_the_limit_and_not_before() {
    for (queue, fit) in [("20p", 20), ("30000b", 20), ("31499b", 20)] {
        let (mut line, mut seen) = (line(1, &[("rate", "1mbit"), ("queue", queue)]), Vec::new());
        (0..100).for_each(|n| offer(&mut line, 0, 1_500, n, &mut seen));
        // One is on the line, the rest waits.
        assert!(seen.iter().all(|seen| seen.is(Dropped::QueueFull)) && seen.len() == 99 - fit);
        let stats = line.stats(0);
        assert_eq!(
            (stats.queue.packets, stats.queue.bytes),
            (fit as u64, fit as u64 * 1_500)
        );
        assert_eq!(
            (stats.queue.most_packets, stats.queue_full),
            (fit as u64, 99 - fit as u64)
        );
        run_until(&mut line, u64::MAX, &mut seen);
        assert_eq!(line.stats(S).queue.packets, 0);
    }
}

#[test]
fn an_idle_line_takes_a_frame_that_is_larger_than_its_queue() {
    let seen = send(&mut line(1, &[("rate", "1mbit"), ("queue", "100b")]), 3, 1_500, S);
    assert!(seen.iter().all(Seen::is_out));
}

#[test]
fn a_thousand_packets_wait_unless_a_queue_is_asked_for() {
    let (mut line, mut seen) = (line(1, &[("rate", "1mbit")]), Vec::new());
    (0..2_000).for_each(|n| offer(&mut line, 0, 100, n, &mut seen));
    assert_eq!(line.stats(0).queue.packets, 1_000);
}

#[test]
fn the_queue_series_shows_the_queue() {
    let (mut line, mut seen) = (line(1, &[("rate", "12mbit")]), Vec::new());
    // 100 frames of 1 ms each at 1 s, and again at 5 s.
    for start in [S, 5 * S] {
        (0..100).for_each(|n| offer(&mut line, start, 1_500, n, &mut seen));
        run_until(&mut line, start + S, &mut seen);
    }
    let series = line.stats(10 * S).queue_series;
    assert!(series.len() <= 1_024);
    let span = series[1].t_ns;
    for sample in &series {
        let into = |start: u64| {
            (sample.t_ns + span)
                .checked_sub(start)
                .filter(|_| sample.t_ns < start + S)
        };
        let Some(since) = into(S).or(into(5 * S)) else {
            continue;
        };
        let longest = 100 - (since.saturating_sub(span) / MS).min(100);
        let shortest = 99 - (since / MS + 1).min(99);
        assert!((shortest..=longest).contains(&sample.packets), "{sample:?}");
        assert_eq!(sample.bytes, sample.packets * 1_500);
    }
    assert_eq!(series.last().map(|sample| sample.packets), Some(0));
}

#[test]
fn frames_on_the_wire_are_bounded_by_bytes() {
    let (mut open, mut seen) = (line(1, &[("delay", "1s")]), Vec::new());
    (0..70).for_each(|n| offer(&mut open, 0, 1 << 20, n, &mut seen));
    assert_eq!((seen.len(), open.stats(0).flight_full, open.held()), (6, 6, 64));
    let mut paced = Line::new(
        [1; 32],
        ready(&[("delay", "3600s"), ("rate", "1tbit"), ("queue", "1gib")]),
        0,
    );
    let mut seen = Vec::new();
    (0..70).for_each(|n| offer(&mut paced, 0, 1 << 20, n, &mut seen));
    paced.poll(S, &mut |outcome| seen.push(note(&outcome, S)));
    assert_eq!(seen.iter().filter(|seen| seen.is(Dropped::FlightFull)).count(), 6);
    assert_eq!(paced.held(), 64);
}
