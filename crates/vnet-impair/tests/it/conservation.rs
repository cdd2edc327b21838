//! Whatever happens to a line, every frame is accounted for, none is early, and when it is asked makes no difference.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vnet_impair::{Dropped, Line, Outcome, Ready, Size};

use crate::drive::{US, impairment};

/// What is done to a line, after some time.
#[derive(Clone, Debug)]
enum Act {
    Offer { bytes: u32, ect: bool },
    Poll,
    Set(usize),
    Flush,
}

const TRACE: &str = "0\n1\n1\n3\n7\n";

const SETTINGS: &[&[(&str, &str)]] = &[
    &[],
    &[("delay", "3ms")],
    &[
        ("delay", "3ms"),
        ("jitter", "2ms"),
        ("loss", "20%"),
        ("duplicate", "20%"),
    ],
    &[
        ("delay", "1ms"),
        ("jitter", "900us"),
        ("distribution", "pareto"),
        ("correlation", "50%"),
    ],
    &[
        ("delay", "2ms"),
        ("reorder", "30%"),
        ("gap", "3"),
        ("corrupt", "20%"),
    ],
    &[("rate", "5mbit"), ("queue", "5"), ("loss", "30% 50%")],
    &[
        ("rate", "3mbit"),
        ("burst", "4000b"),
        ("overhead", "20"),
        ("queue", "9000b"),
        ("delay", "1ms"),
    ],
    &[
        ("rate", "2mbit"),
        ("discipline", "codel 1ms 5ms ecn"),
        ("delay", "4ms"),
        ("jitter", "1ms"),
    ],
    &[
        ("trace", "t"),
        ("queue", "6"),
        ("loss", "gemodel 10% 30%"),
        ("delay", "1ms"),
    ],
    &[("trace", "t"), ("discipline", "codel 1ms 4ms")],
];

fn ready(setting: usize) -> Ready {
    impairment(SETTINGS[setting])
        .ready(&mut |_| Ok(TRACE.to_owned()))
        .expect("the setting is right")
}

fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
    let pause = prop_oneof![4 => Just(0), 6 => 0..500 * US, 1 => 0..20_000 * US];
    let act = prop_oneof![
        30 => (1..3_000u32, any::<bool>()).prop_map(|(bytes, ect)| Act::Offer { bytes, ect }),
        10 => Just(Act::Poll),
        1 => (0..SETTINGS.len()).prop_map(Act::Set),
        1 => Just(Act::Flush),
    ];
    prop::collection::vec((pause, act), 1..300)
}

/// What became of each frame: when it should have left, or why it did not.
#[derive(Default)]
struct Ends {
    ends: BTreeMap<u64, Result<u64, Dropped>>,
    latest: u64,
}

impl Ends {
    fn end(&mut self, frame: u64, end: Result<u64, Dropped>) {
        assert!(
            self.ends.insert(frame, end).is_none(),
            "frame {frame} ended twice"
        );
    }

    /// Takes what a poll hands over, which comes in the order of its time.
    fn note(&mut self, outcome: &Outcome<u64>, now: u64) {
        match *outcome {
            Outcome::Out { frame, asked, .. } => {
                assert!(asked <= now, "frame {frame} left early");
                assert!(asked >= self.latest, "frame {frame} left out of its turn");
                self.latest = asked;
                self.end(frame, Ok(asked));
            }
            Outcome::Dropped { frame, why } => self.end(frame, Err(why)),
        }
    }
}

fn accounts(line: &mut Line<u64>, now: u64, ends: &Ends) {
    let stats = line.stats(now);
    let drops = stats.lost + stats.queue_full + stats.codel_drops + stats.flight_full;
    assert_eq!(stats.frames_in, stats.frames_out + drops + line.held() as u64);
    assert_eq!(stats.in_flight + stats.queue.packets, line.held() as u64);
    assert_eq!(stats.frames_out + drops, ends.ends.len() as u64);
    assert!(line.next().is_some() == (line.held() > 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_is_accounted_for_and_none_is_early(setting in 0..SETTINGS.len(), acts in acts()) {
        let mut line = Line::new([7; 32], ready(setting), 0);
        let (mut ends, mut now, mut frames) = (Ends::default(), 0, 0);
        for (pause, act) in acts {
            now += pause;
            match act {
                Act::Offer { bytes, ect } => {
                    if let Err((frame, why)) = line.offer(now, Size { bytes, ect }, frames) {
                        ends.end(frame, Err(why));
                    }
                    frames += 1;
                }
                Act::Poll => line.poll(now, &mut |outcome| ends.note(&outcome, now)),
                Act::Set(setting) => {
                    line.set(ready(setting), now);
                    // A rate that is gone hands its queue over for a time that may be past.
                    ends.latest = 0;
                }
                Act::Flush => {
                    line.flush(&mut |outcome| ends.note(&outcome, u64::MAX));
                    prop_assert_eq!(line.held(), 0);
                    ends.latest = 0;
                }
            }
            accounts(&mut line, now, &ends);
        }
        line.poll(u64::MAX / 2, &mut |outcome| ends.note(&outcome, u64::MAX));
        accounts(&mut line, u64::MAX / 2, &ends);
        prop_assert_eq!(ends.ends.len() as u64, frames);
        prop_assert_eq!(line.next(), None);
    }

    #[test]
    fn when_a_line_is_asked_makes_no_difference(setting in 0..SETTINGS.len(), acts in acts()) {
        let mut ends = [Ends::default(), Ends::default()];
        for (ends, exact) in ends.iter_mut().zip([true, false]) {
            let mut line = Line::new([7; 32], ready(setting), 0);
            let (mut now, mut frames) = (0, 0);
            for (pause, act) in &acts {
                now += pause;
                while let Some(next) = line.next().filter(|next| exact && *next < now) {
                    line.poll(next, &mut |outcome| ends.note(&outcome, next));
                }
                if let Act::Offer { bytes, ect } = *act {
                    if let Err((frame, why)) = line.offer(now, Size { bytes, ect }, frames) {
                        ends.end(frame, Err(why));
                    }
                    frames += 1;
                }
            }
            while let Some(next) = line.next() {
                line.poll(next, &mut |outcome| ends.note(&outcome, next));
            }
        }
        prop_assert_eq!(&ends[0].ends, &ends[1].ends);
    }

    #[test]
    fn a_rate_is_never_exceeded(acts in acts(), bits_per_s in 100_000..20_000_000u64, burst in 0..8_000u64) {
        let rate = vnet_impair::Rate { bits_per_s, burst, overhead: 0 };
        let ready = vnet_impair::Impairment { rate: Some(rate), ..Default::default() }.ready(&mut |_| panic!("no file"));
        let mut line = Line::new([7; 32], ready.expect("it is right"), 0);
        let (mut now, mut sizes, mut left) = (0, Vec::new(), Vec::new());
        for (pause, act) in acts {
            now += pause;
            if let Act::Offer { bytes, .. } = act {
                let _ = line.offer(now, bytes, sizes.len());
                sizes.push(u64::from(bytes));
            }
        }
        while let Some(next) = line.next() {
            line.poll(next, &mut |outcome| if let Outcome::Out { frame, .. } = outcome { left.push((next, sizes[frame])) });
        }
        for from in 0..left.len() {
            let mut bytes = 0;
            for (at, size) in &left[from..] {
                bytes += size;
                // In any time from one frame's end on: the burst, or that frame alone, and the rate. One ns is rounding.
                let allowed = burst.max(left[from].1) as f64 + (at - left[from].0 + 1) as f64 * bits_per_s as f64 / 8e9;
                prop_assert!(bytes as f64 <= allowed + 1e-6, "{} bytes where {} may leave", bytes, allowed);
            }
        }
    }
}
