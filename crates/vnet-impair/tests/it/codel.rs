//! CoDel: a queue that stands goes, a burst stays.

use std::collections::{BTreeMap, VecDeque};

use vnet_impair::{Dropped, Size};

use crate::drive::{End, MS, S, Seen, line, note, offer, run_until};

const FRAME: u32 = 1_250;
const BUSY: &[(&str, &str)] = &[("rate", "10mbit"), ("discipline", "codel"), ("queue", "100000")];

/// Drops follow RFC 8289's control law while the queue stands, to the nanosecond of the frame's turn.
#[test]
fn drops_follow_the_control_law() {
    let (mut line, mut seen) = (line(1, BUSY), Vec::new());
    (0..20_000).for_each(|n| offer(&mut line, 0, FRAME, n, &mut seen));
    run_until(&mut line, 10 * S, &mut seen);
    let drops: Vec<u64> = seen
        .iter()
        .filter(|seen| seen.is(Dropped::CoDel))
        .map(|seen| seen.at)
        .collect();
    // A frame goes on the line each ms. The sixth finds that it waited 5 ms; after an interval the first is dropped.
    let mut expected = Vec::new();
    let mut next = 105 * MS;
    for count in 1.. {
        if next > 10 * S {
            break;
        }
        expected.push(next.div_ceil(MS));
        next += (100e6 / f64::from(count).sqrt()) as u64;
    }
    assert_eq!(drops.iter().map(|at| at / MS).collect::<Vec<_>>(), expected);
    assert_eq!(line.stats(10 * S).codel_drops, drops.len() as u64);
}

#[test]
fn a_burst_shorter_than_the_interval_is_left_alone() {
    let (mut line, mut seen) = (line(1, BUSY), Vec::new());
    for start in (0..10).map(|n| n * S) {
        // 90 ms of queue, far above target, and gone before an interval is over.
        (0..90).for_each(|n| offer(&mut line, start, FRAME, n, &mut seen));
        run_until(&mut line, start + S - 1, &mut seen);
    }
    assert!(seen.iter().all(Seen::is_out));
    assert_eq!(seen.len(), 900);
}

/// Fills the queue for a while, lets it drain, fills it again after a pause, and returns the drops of each time.
fn two_crowds(pause: u64) -> [Vec<u64>; 2] {
    let mut line = line(1, BUSY);
    let mut drops = [Vec::new(), Vec::new()];
    let mut start = 0;
    for drops in &mut drops {
        let mut seen = Vec::new();
        (0..2_000).for_each(|n| offer(&mut line, start, FRAME, n, &mut seen));
        run_until(&mut line, u64::MAX, &mut seen);
        drops.extend(
            seen.iter()
                .filter(|seen| seen.is(Dropped::CoDel))
                .map(|seen| seen.at),
        );
        start = seen.iter().map(|seen| seen.at).max().expect("frames came") + pause;
    }
    drops
}

#[test]
fn goes_on_with_the_last_drop_rate_if_that_was_not_long_ago() {
    let gap = |drops: &[u64]| drops[1] - drops[0];
    // Long ago is 16 intervals.
    for pause in [100 * MS, 1_200 * MS] {
        let [first, soon] = two_crowds(pause);
        // Drops wait for a frame's turn, which comes each ms. After n drops the next state begins at count n - 1.
        let expected = (100e6 / ((first.len() - 1) as f64).sqrt()) as u64;
        assert!(gap(&first).abs_diff(100 * MS) <= MS);
        assert!(
            gap(&soon).abs_diff(expected) <= MS,
            "{} after {} drops",
            gap(&soon),
            first.len()
        );
    }
    let [first, late] = two_crowds(1_700 * MS);
    assert_eq!(gap(&late), gap(&first));
}

#[test]
fn leaves_a_queue_of_one_frame_alone_however_slow_the_line() {
    // A frame takes 100 ms, so each waits above target; RFC 8289 drops only where more than one stays behind it.
    let mut line = line(1, &[("rate", "100kbit"), ("discipline", "codel")]);
    let mut seen = Vec::new();
    (0..2).for_each(|n| offer(&mut line, 0, FRAME, n, &mut seen));
    for n in 2..100 {
        run_until(&mut line, (n - 2) * 100 * MS, &mut seen);
        offer(&mut line, (n - 2) * 100 * MS, FRAME, n, &mut seen);
    }
    run_until(&mut line, u64::MAX, &mut seen);
    assert!(seen.iter().all(Seen::is_out));
}

#[test]
fn a_full_queue_still_drops_its_tail() {
    let (mut line, mut seen) = (
        line(1, &[("rate", "10mbit"), ("discipline", "codel"), ("queue", "50")]),
        Vec::new(),
    );
    (0..100).for_each(|n| offer(&mut line, 0, FRAME, n, &mut seen));
    assert_eq!(seen.iter().filter(|seen| seen.is(Dropped::QueueFull)).count(), 49);
}

#[test]
fn marks_frames_that_know_ecn_and_drops_the_others() {
    let entries = [
        ("rate", "10mbit"),
        ("discipline", "codel ecn"),
        ("queue", "100000"),
    ];
    for ect in [true, false] {
        let (mut line, mut seen) = (line(1, &entries), Vec::new());
        (0..5_000).for_each(|n| offer(&mut line, 0, Size { bytes: FRAME, ect }, n, &mut seen));
        run_until(&mut line, 3 * S, &mut seen);
        let marked = seen
            .iter()
            .filter(|seen| matches!(seen.end, End::Out { mark_ce: true, .. }))
            .count();
        let dropped = seen.iter().filter(|seen| seen.is(Dropped::CoDel)).count();
        let stats = line.stats(3 * S);
        assert_eq!(
            (stats.ecn_marked, stats.codel_drops),
            (marked as u64, dropped as u64)
        );
        assert!(
            if ect {
                marked > 50 && dropped == 0
            } else {
                marked == 0 && dropped > 50
            },
            "{marked} {dropped}"
        );
    }
}

/// A sender in the manner of TCP Reno over a 20 ms round trip: returns the queue's delays in ns and the frames a second.
fn reno(entries: &[(&str, &str)]) -> (Vec<u64>, u64) {
    const END: u64 = 60 * S;
    let mut line = line(1, entries);
    let mut acks: VecDeque<(u64, bool)> = VecDeque::new();
    let mut sent_at: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut window, mut slow_start, mut sent, mut flying, mut now, mut recovered) =
        (10.0, true, 0, 0u64, 0, 0);
    let (mut waits, mut delivered) = (Vec::new(), 0);
    while now < END {
        let mut seen = Vec::new();
        while flying < window as u64 {
            offer(&mut line, now, FRAME, sent, &mut seen);
            sent_at.insert(sent, now);
            sent += 1;
            flying += 1;
        }
        now = line
            .next()
            .into_iter()
            .chain(acks.front().map(|ack| ack.0))
            .min()
            .expect("something is under way");
        line.poll(now, &mut |outcome| seen.push(note(&outcome, now)));
        for Seen { frame, at, .. } in seen.iter().filter(|seen| seen.is_out()) {
            // Delay, the wait and the time on the line: 10 ms and 1 ms of it are no queue.
            waits.push((*at, (at - sent_at[frame]).saturating_sub(11 * MS)));
            delivered += u64::from(*at > END / 2);
        }
        acks.extend(seen.iter().map(|seen| (now + 10 * MS, seen.is_out())));
        while let Some((at, arrived)) = acks.pop_front_if(|ack| ack.0 <= now) {
            flying -= 1;
            if arrived {
                window += if slow_start { 1.0 } else { 1.0 / window };
            } else if at > recovered {
                window = (window / 2.0f64).max(2.0);
                slow_start = false;
                recovered = at + 20 * MS;
            }
        }
    }
    let late = waits
        .iter()
        .filter(|(at, _)| *at > END / 2)
        .map(|(_, wait)| *wait)
        .collect();
    (late, delivered / (END / 2 / S))
}

#[test]
fn brings_a_standing_queue_to_its_target_and_keeps_the_line_busy() {
    let median = |mut waits: Vec<u64>| {
        waits.sort_unstable();
        waits[waits.len() / 2]
    };
    let link =
        |more: [(&'static str, &'static str); 2]| [("rate", "10mbit"), ("delay", "10ms"), more[0], more[1]];
    let (waits, rate) = reno(&link([("queue", "1000"), ("discipline", "codel")]));
    let codel = median(waits);
    assert!(codel < 10 * MS, "CoDel leaves {codel} ns");
    assert!(rate > 900, "CoDel leaves {rate} of 1000 frames a second");
    let (waits, rate) = reno(&link([("queue", "200"), ("discipline", "droptail")]));
    let bloated = median(waits);
    assert!(bloated > 100 * MS, "a queue of 200 ms holds {bloated} ns");
    assert!(rate > 990, "drop-tail leaves {rate} of 1000 frames a second");
}
