//! Changes under way, and the end.

use vnet_impair::{Dropped, Outcome};

use crate::drive::{MS, S, Seen, line, offer, ready, run_until, send};

/// Sends 1,000 frames and changes the line before frame 500, and again and again to the same.
fn changed(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<Seen> {
    let (mut line, mut seen) = (line(1, before), Vec::new());
    for n in 0..1_000 {
        if n >= 500 && n % 10 == 0 {
            line.set(ready(after), n * MS);
        }
        run_until(&mut line, n * MS, &mut seen);
        offer(&mut line, n * MS, 500, n, &mut seen);
    }
    run_until(&mut line, u64::MAX, &mut seen);
    seen.sort_by_key(|seen| seen.frame);
    seen
}

fn lost(seen: &[Seen]) -> Vec<u64> {
    seen.iter()
        .filter(|seen| seen.is(Dropped::Loss))
        .map(|seen| seen.frame)
        .collect()
}

#[test]
fn a_change_shifts_no_later_fate() {
    for loss in ["10%", "10% 80%", "gemodel 5% 20%"] {
        let plain = changed(&[("loss", loss)], &[("loss", loss)]);
        let delayed = changed(
            &[("loss", loss)],
            &[
                ("loss", loss),
                ("delay", "3ms"),
                ("jitter", "1ms"),
                ("duplicate", "5%"),
            ],
        );
        assert_eq!(lost(&delayed), lost(&plain), "{loss}");
    }
    let jitter = [("delay", "10ms"), ("jitter", "1ms"), ("correlation", "50%")];
    let plain = changed(&jitter, &jitter);
    let duplicated = changed(&jitter, &[jitter[0], jitter[1], jitter[2], ("duplicate", "5%")]);
    let times = |seen: &[Seen]| seen.iter().map(|seen| seen.at).collect::<Vec<_>>();
    assert_eq!(times(&duplicated), times(&plain));
}

#[test]
fn a_change_to_the_same_is_none() {
    for entries in [
        &[("loss", "10% 80%")][..],
        &[
            ("loss", "gemodel 5% 20%"),
            ("duplicate", "5% 90%"),
            ("corrupt", "5% 90%"),
        ],
        &[
            ("delay", "10ms"),
            ("jitter", "2ms"),
            ("distribution", "pareto"),
            ("correlation", "50%"),
        ],
        &[("delay", "2ms"), ("reorder", "40% 80%"), ("gap", "7")],
        &[
            ("rate", "3.9mbit"),
            ("burst", "2000b"),
            ("queue", "10"),
            ("discipline", "codel 2ms 20ms"),
        ],
    ] {
        let mut whole = send(&mut line(1, entries), 1_000, 500, MS);
        whole.sort_by_key(|seen| seen.frame);
        assert_eq!(changed(entries, entries), whole, "{entries:?}");
    }
}

#[test]
fn a_frame_after_a_change_meets_what_it_would_have_met_from_the_start() {
    let late = lost(&changed(&[], &[("loss", "10%")]));
    let all = lost(&changed(&[("loss", "10%")], &[("loss", "10%")]));
    assert_eq!(
        late,
        all.into_iter().filter(|frame| *frame >= 500).collect::<Vec<_>>()
    );
}

#[test]
fn frames_on_the_wire_keep_their_time_and_those_that_wait_take_the_changed_rate() {
    // A frame of 1,000 bytes takes 8 ms at 1 Mbit/s, and 0.8 ms at 10.
    let (mut line, mut seen) = (line(1, &[("rate", "1mbit"), ("delay", "5ms")]), Vec::new());
    (0..3).for_each(|n| offer(&mut line, 0, 1_000, n, &mut seen));
    line.set(ready(&[("rate", "10mbit"), ("delay", "50ms")]), MS);
    offer(&mut line, MS, 1_000, 3, &mut seen);
    run_until(&mut line, u64::MAX, &mut seen);
    let times: Vec<u64> = seen.iter().map(|seen| seen.at / 100_000).collect();
    // The first was on the line; two wait, with the delay of their arrival; the last has both changes.
    assert_eq!(times, [130, 138, 146, 604]);
}

#[test]
fn a_shorter_delay_lets_frames_overtake_on_the_wire_and_none_leaves_late() {
    let (mut line, mut seen) = (line(1, &[("rate", "10mbit"), ("delay", "50ms")]), Vec::new());
    (0..2).for_each(|n| offer(&mut line, 0, 1_250, n, &mut seen));
    line.set(ready(&[("rate", "10mbit"), ("delay", "1ms")]), 0);
    offer(&mut line, 0, 1_250, 2, &mut seen);
    run_until(&mut line, u64::MAX, &mut seen);
    let order: Vec<(u64, u64)> = seen.iter().map(|seen| (seen.frame, seen.at / MS)).collect();
    assert_eq!(order, [(2, 4), (0, 51), (1, 52)]);
}

#[test]
fn a_rate_taken_away_lets_go_of_what_waits() {
    let (mut line, mut seen) = (line(1, &[("rate", "1mbit")]), Vec::new());
    (0..5).for_each(|n| offer(&mut line, 0, 1_000, n, &mut seen));
    line.set(ready(&[]), MS);
    offer(&mut line, 2 * MS, 1_000, 5, &mut seen);
    run_until(&mut line, u64::MAX, &mut seen);
    let order: Vec<(u64, u64)> = seen.iter().map(|seen| (seen.frame, seen.at / MS)).collect();
    // The first still needs its 8 ms on the line, and none overtakes it.
    assert_eq!(order, [(0, 8), (1, 8), (2, 8), (3, 8), (4, 8), (5, 8)]);
}

#[test]
fn a_rate_set_under_way_starts_without_a_burst_in_hand() {
    let (mut line, mut seen) = (line(1, &[]), Vec::new());
    line.set(ready(&[("rate", "1mbit")]), S);
    offer(&mut line, S, 1_000, 0, &mut seen);
    offer(&mut line, S, 1_000, 1, &mut seen);
    run_until(&mut line, u64::MAX, &mut seen);
    assert_eq!(
        seen.iter().map(|seen| seen.at - S).collect::<Vec<_>>(),
        [8 * MS, 16 * MS]
    );
}

#[test]
fn a_flush_hands_over_everything_in_order_and_leaves_the_line_usable() {
    let entries = [("rate", "1mbit"), ("delay", "100ms"), ("loss", "30%")];
    let mut line = line(1, &entries);
    (0..20).for_each(|n| line.offer(0, 1_000u32, n).expect("it waits"));
    assert_eq!(line.held(), 20);
    let (mut out, mut lost) = (Vec::new(), 0);
    line.flush(&mut |outcome| match outcome {
        Outcome::Out { frame, .. } => out.push(frame),
        Outcome::Dropped { why, .. } => {
            assert_eq!(why, Dropped::Loss);
            lost += 1;
        }
    });
    assert!(out.is_sorted() && lost > 0);
    assert_eq!((out.len() + lost, line.held(), line.next()), (20, 0, None));
    // What never happened is not measured, and the line's time is not spent.
    assert_eq!(line.stats(0).delay.realised, None);
    assert_eq!(line.stats(0).frames_out, out.len() as u64);
    let after = send(&mut line, 5, 1_000, S).split_off(1);
    assert!(
        after
            .iter()
            .all(|seen| seen.at % S == 8 * MS + 100 * MS || seen.is(Dropped::Loss)),
        "{after:?}"
    );
}
