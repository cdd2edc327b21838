//! The n-th frame of a direction meets the same fate in every run.

use std::fmt::Write as _;

use vnet_impair::{Dropped, Line, key};

use crate::drive::{End, MS, Seen, line, ready, send};

const EVERYTHING: &[(&str, &str)] = &[
    ("delay", "10ms"),
    ("jitter", "2ms"),
    ("distribution", "normal"),
    ("correlation", "25%"),
    ("loss", "gemodel 10% 30% 80% 2%"),
    ("duplicate", "10%"),
    ("reorder", "20% 50%"),
    ("gap", "3"),
    ("corrupt", "10%"),
];

/// Changing these fates breaks everybody's seeds: do it in a major version only, and say so.
#[test]
fn fates_never_change_silently() {
    let mut line = Line::new(key(7, "h1-s1", "a-b"), ready(EVERYTHING), 0);
    let mut seen = send(&mut line, 64, 1_000, 100 * MS);
    seen.sort_by_key(|seen| seen.frame);
    let mut text = String::new();
    for Seen { frame, at, end } in seen {
        let _ = match end {
            End::Dropped(why) => writeln!(text, "{frame} {}", why.name()),
            End::Out { copies, corrupt, .. } => {
                let flip = corrupt.map_or_else(String::new, |bit| format!(", bit {bit} flipped"));
                writeln!(
                    text,
                    "{frame} after {} ns, {copies}x{flip}",
                    at - frame * 100 * MS
                )
            }
        };
    }
    let golden = include_str!("fates.golden");
    assert!(text == golden, "the fates have changed; they are\n{text}");
}

fn lost(seed: u8, entries: &[(&str, &str)], every: u64) -> Vec<u64> {
    let seen = send(&mut line(seed, entries), 2_000, 500, every);
    let mut lost: Vec<u64> = seen
        .iter()
        .filter(|seen| seen.is(Dropped::Loss))
        .map(|seen| seen.frame)
        .collect();
    lost.sort_unstable();
    lost
}

#[test]
fn loss_is_the_same_under_every_other_setting_and_at_every_pace() {
    for loss in ["5%", "5% 50%", "gemodel 1% 10%"] {
        let alone = lost(1, &[("loss", loss)], MS);
        assert!(!alone.is_empty());
        assert_eq!(lost(1, &[("loss", loss)], 17), alone, "at another pace");
        for others in [
            &[("delay", "10ms")][..],
            &[
                ("delay", "10ms"),
                ("jitter", "5ms"),
                ("distribution", "pareto"),
                ("correlation", "50%"),
            ],
            &[("rate", "100mbit")],
            &[("duplicate", "50%"), ("corrupt", "50% 20%")],
            &[("delay", "1ms"), ("reorder", "50% 90%"), ("gap", "4")],
        ] {
            let with: Vec<_> = [("loss", loss)]
                .into_iter()
                .chain(others.iter().copied())
                .collect();
            assert_eq!(lost(1, &with, MS), alone, "{with:?}");
        }
    }
}

#[test]
fn more_loss_loses_the_same_frames_and_more() {
    let few = lost(1, &[("loss", "2%")], MS);
    let many = lost(1, &[("loss", "20%")], MS);
    assert!(few.iter().all(|frame| many.contains(frame)));
}

#[test]
fn one_key_gives_one_fate_and_another_key_another() {
    for entries in [
        EVERYTHING,
        &[("loss", "5%")],
        &[("delay", "10ms"), ("jitter", "5ms")],
    ] {
        let run = |seed| send(&mut line(seed, entries), 500, 500, MS);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}

#[test]
fn fates_are_independent_of_each_other() {
    // Half of the lost frames would have been flipped, and half of those kept are.
    let mut both = line(1, &[("duplicate", "50%"), ("corrupt", "50%")]);
    let seen = send(&mut both, 10_000, 500, MS);
    let count = |copies, flipped| {
        seen.iter().filter(|s| matches!(s.end, End::Out { copies: c, corrupt, .. } if c == copies && corrupt.is_some() == flipped)).count()
    };
    for (copies, flipped) in [(1, false), (1, true), (2, false), (2, true)] {
        let count = count(copies, flipped);
        assert!(
            count.abs_diff(2_500) < 220,
            "{count} frames are {copies}x and flipped: {flipped}"
        );
    }
}
