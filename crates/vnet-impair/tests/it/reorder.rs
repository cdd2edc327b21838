//! Frames that overtake, frames that come twice, bits that flip: what is counted is what is seen.

use crate::drive::{End, MS, Seen, US, line, send};

fn order(entries: &[(&str, &str)], count: u64, every: u64) -> (Vec<u64>, vnet_impair::LineStats) {
    let mut line = line(1, entries);
    let seen = send(&mut line, count, 500, every);
    (
        seen.iter()
            .filter(|seen| seen.is_out())
            .map(|seen| seen.frame)
            .collect(),
        line.stats(0),
    )
}

#[test]
fn keeps_order_without_jitter_and_reorder() {
    for entries in [
        &[("delay", "10ms")][..],
        &[
            ("delay", "10ms"),
            ("rate", "10mbit"),
            ("loss", "10%"),
            ("duplicate", "10%"),
            ("corrupt", "10%"),
        ],
        &[("rate", "100mbit"), ("burst", "10kb"), ("discipline", "codel")],
    ] {
        let (order, stats) = order(entries, 1_000, 300 * US);
        assert!(order.is_sorted(), "{entries:?}");
        assert_eq!((stats.reordered, stats.overtaken), (0, 0));
    }
}

#[test]
fn every_gapth_frame_overtakes_as_in_netem() {
    // netem(8): "gap 5" sends every 5th packet immediately, the others are delayed.
    let (order, stats) = order(
        &[("delay", "10ms"), ("reorder", "100%"), ("gap", "5")],
        20,
        100 * US,
    );
    assert_eq!(
        order,
        [
            4, 9, 14, 19, 0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18
        ]
    );
    assert_eq!((stats.reordered, stats.overtaken), (4, 16));
}

#[test]
fn a_gap_only_lets_frames_overtake_that_far_apart() {
    let mut line = line(1, &[("delay", "10ms"), ("reorder", "30%"), ("gap", "4")]);
    let seen = send(&mut line, 10_000, 500, MS);
    let early: Vec<u64> = seen
        .iter()
        .filter(|seen| seen.at == seen.frame * MS)
        .map(|seen| seen.frame)
        .collect();
    assert!(early.windows(2).all(|pair| pair[1] - pair[0] >= 4));
    // The gap's 3 frames, then on average 1 / 30 % more.
    let mean = 10_000.0 / early.len() as f64;
    assert!((mean - (3.0 + 1.0 / 0.3)).abs() < 0.2, "one in {mean}");
    assert_eq!(line.stats(0).reordered, early.len() as u64);
}

#[test]
fn jitter_may_reorder_as_in_netem_and_the_count_is_that_of_rfc_4737() {
    let (order, stats) = order(&[("delay", "10ms"), ("jitter", "5ms")], 5_000, 100 * US);
    let late = order.iter().scan(0, |next, frame| {
        let is_late = frame < next;
        *next = (*next).max(frame + 1);
        Some(is_late)
    });
    let late = late.filter(|late| *late).count() as u64;
    assert!(late > 1_000);
    assert_eq!((stats.overtaken, stats.reordered), (late, 0));
}

#[test]
fn frames_due_at_one_time_leave_in_order_of_arrival() {
    let mut line = line(1, &[("delay", "1ms"), ("reorder", "50%")]);
    let mut out = Vec::new();
    // Frames that overtake at 1 ms meet those delayed from 0 ms.
    (0..10).for_each(|n| line.offer(0, 500u32, n).expect("it is taken"));
    (10..20).for_each(|n| line.offer(1_000_000, 500u32, n).expect("it is taken"));
    line.poll(1_000_000, &mut |outcome| {
        out.push(crate::drive::note(&outcome, 1_000_000).frame);
    });
    let (zero, one): (Vec<u64>, Vec<u64>) = out.iter().partition(|frame| **frame < 10);
    assert!(one.is_sorted() && !one.is_empty());
    assert_eq!(zero.len(), 10);
}

#[test]
fn counts_are_what_was_seen() {
    let mut line = line(
        1,
        &[
            ("delay", "5ms"),
            ("duplicate", "3%"),
            ("corrupt", "4% 50%"),
            ("reorder", "5%"),
            ("loss", "6%"),
        ],
    );
    let seen = send(&mut line, 50_000, 100, MS);
    let stats = line.stats(0);
    let count = |test: fn(&Seen) -> bool| seen.iter().filter(|seen| test(seen)).count() as u64;
    assert_eq!(stats.frames_in, 50_000);
    assert_eq!(stats.frames_out, count(Seen::is_out));
    assert_eq!(stats.lost, 50_000 - stats.frames_out);
    assert_eq!(stats.bytes_out, 100 * stats.frames_out);
    assert_eq!(
        stats.duplicated,
        count(|seen| matches!(seen.end, End::Out { copies: 2, .. }))
    );
    assert_eq!(
        stats.corrupted,
        count(|seen| matches!(seen.end, End::Out { corrupt: Some(_), .. }))
    );
    assert_eq!(
        stats.reordered,
        count(|seen| seen.is_out() && seen.at == seen.frame * MS)
    );
    for (asked, counted) in [
        (0.03, stats.duplicated),
        (0.04, stats.corrupted),
        (0.05, stats.reordered),
    ] {
        let share = counted as f64 / stats.frames_out as f64;
        assert!((share - asked).abs() < 0.006, "{share} of {asked}");
    }
}

#[test]
fn every_bit_of_a_frame_may_flip_and_no_other() {
    let mut line = line(1, &[("corrupt", "100%")]);
    let mut hits = [0u32; 80];
    for seen in send(&mut line, 80_000, 10, MS) {
        let End::Out {
            corrupt: Some(bit), ..
        } = seen.end
        else {
            panic!("{seen:?} is whole")
        };
        hits[bit as usize] += 1;
    }
    // 1,000 each; a chi-square of 79 degrees is below 111.1 in 99 of 100 cases.
    let chi: f64 = hits
        .iter()
        .map(|hits| (f64::from(*hits) - 1_000.0).powi(2) / 1_000.0)
        .sum();
    assert!(chi < 111.1, "chi-square {chi}");
    // A frame without bytes has no bit to flip.
    assert!(matches!(
        send(&mut line, 1, 0, MS)[0].end,
        End::Out { corrupt: None, .. }
    ));
}
