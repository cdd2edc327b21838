//! Lines driven in virtual time.

use vnet_impair::{Dropped, Given, Impairment, Line, Outcome, Ready, Size};

pub const US: u64 = 1_000;
pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000_000_000;

/// Returns an impairment from keys and texts.
pub fn impairment(entries: &[(&str, &str)]) -> Impairment {
    let mut impairment = Impairment::default();
    for (key, text) in entries {
        impairment
            .set(key, Some(Given::Text(text)))
            .expect("the value is right");
    }
    impairment
}

/// Returns an impairment made ready that needs no files.
pub fn ready(entries: &[(&str, &str)]) -> Ready {
    impairment(entries)
        .ready(&mut |path| panic!("no file is needed, not even {path:?}"))
        .expect("it is right")
}

/// Returns a line at time 0 whose key is made of `seed`.
pub fn line<T>(seed: u8, entries: &[(&str, &str)]) -> Line<T> {
    Line::new([seed; 32], ready(entries), 0)
}

/// What became of a frame and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub frame: u64,
    pub at: u64,
    pub end: End,
}

/// The ways a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Out {
        copies: u8,
        corrupt: Option<u64>,
        mark_ce: bool,
    },
    Dropped(Dropped),
}

impl Seen {
    pub fn is_out(&self) -> bool {
        matches!(self.end, End::Out { .. })
    }

    pub fn is(&self, why: Dropped) -> bool {
        self.end == End::Dropped(why)
    }
}

/// Offers a frame and notes a drop on arrival.
pub fn offer(line: &mut Line<u64>, now: u64, size: impl Into<Size>, frame: u64, seen: &mut Vec<Seen>) {
    if let Err((frame, why)) = line.offer(now, size, frame) {
        seen.push(Seen {
            frame,
            at: now,
            end: End::Dropped(why),
        });
    }
}

/// Polls at each time the line asks for, up to `until`.
pub fn run_until(line: &mut Line<u64>, until: u64, seen: &mut Vec<Seen>) {
    while let Some(now) = line.next().filter(|next| *next <= until) {
        line.poll(now, &mut |outcome| seen.push(note(&outcome, now)));
    }
}

/// Sends `count` frames of `bytes`, one every `every` ns, and runs the line until it is empty.
pub fn send(line: &mut Line<u64>, count: u64, bytes: u32, every: u64) -> Vec<Seen> {
    let mut seen = Vec::new();
    for n in 0..count {
        run_until(line, n * every, &mut seen);
        offer(line, n * every, bytes, n, &mut seen);
    }
    run_until(line, u64::MAX, &mut seen);
    seen
}

pub fn note(outcome: &Outcome<u64>, now: u64) -> Seen {
    match *outcome {
        Outcome::Out {
            frame,
            copies,
            corrupt,
            mark_ce,
            asked,
        } => {
            assert!(
                asked <= now,
                "frame {frame} left at {now}, and should not have left before {asked}"
            );
            Seen {
                frame,
                at: now,
                end: End::Out {
                    copies,
                    corrupt,
                    mark_ce,
                },
            }
        }
        Outcome::Dropped { frame, why } => Seen {
            frame,
            at: now,
            end: End::Dropped(why),
        },
    }
}
