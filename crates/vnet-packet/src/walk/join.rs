//! Which records are of one packet.

use std::collections::HashMap;
use std::vec::Vec;

use super::key::Key;
use super::plan::{Plan, Spot};
use super::{Sighting, comment};
use crate::pcap::Direction;

/// A record of a kernel and one of the engine may be stamped in the wrong order by this much.
const SKEW_NS: u64 = 50_000_000;
/// A node that has a packet longer than this does not send it on any more.
const FORWARDED_WITHIN_NS: u64 = 2_000_000_000;

struct Journey<'r> {
    records: Vec<usize>,
    first_ns: u64,
    last_ns: u64,
    /// A node's kernel was seen sending it without having got it.
    has_origin: bool,
    ended: bool,
    /// The nodes that got it, when, and what it looked like to them without addresses and ports.
    got: Vec<(&'r str, u64, Option<u64>)>,
}

/// Returns the indices of the records of each packet, in the order of their times.
pub(super) fn journeys(records: &[Sighting], plan: &Plan) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|&at| records[at].ts_ns);
    let mut joiner = Joiner {
        records,
        plan,
        journeys: Vec::new(),
        numbers: HashMap::new(),
        exact: HashMap::new(),
        connections: HashMap::new(),
        whole: HashMap::new(),
        got: HashMap::new(),
    };
    for at in order {
        joiner.add(at);
    }
    let mut found: Vec<Vec<usize>> = joiner
        .journeys
        .into_iter()
        .map(|journey| journey.records)
        .collect();
    found.retain(|journey| !journey.is_empty());
    found
}

struct Joiner<'r> {
    records: &'r [Sighting],
    plan: &'r Plan,
    journeys: Vec<Journey<'r>>,
    numbers: HashMap<u64, usize>,
    exact: HashMap<u64, Vec<usize>>,
    connections: HashMap<u64, Vec<(u32, u32, usize)>>,
    whole: HashMap<u64, usize>,
    /// Journeys that a node got, by the node and what is left behind a translation.
    got: HashMap<(&'r str, u64), Vec<usize>>,
}

impl<'r> Joiner<'r> {
    fn add(&mut self, at: usize) {
        let record = &self.records[at];
        let key = Key::of(&record.frame, record.layer);
        let spot = self.plan.spot(&record.interface);
        let kernel = match spot {
            Some(Spot::Place(place)) if !place.is_port => Some(place.node.as_str()),
            _ => None,
        };
        let sends = kernel.filter(|_| record.direction == Some(Direction::Outbound));
        let by_number = self
            .numbers
            .get(&record.packet)
            .copied()
            .filter(|_| record.packet != 0);
        let found = by_number
            .or_else(|| match sends {
                Some(node) => self.sent(at, &key, node),
                None => self.seen(at, &key),
            })
            .unwrap_or_else(|| {
                self.journeys.push(Journey {
                    records: Vec::new(),
                    first_ns: record.ts_ns,
                    last_ns: record.ts_ns,
                    has_origin: false,
                    ended: false,
                    got: Vec::new(),
                });
                self.journeys.len() - 1
            });
        self.note(at, &key, found, kernel, sends);
    }

    fn note(
        &mut self,
        at: usize,
        key: &Key,
        journey: usize,
        kernel: Option<&'r str>,
        sends: Option<&'r str>,
    ) {
        let record = &self.records[at];
        let known = self.exact.entry(key.exact).or_default();
        if !known.contains(&journey) {
            known.push(journey);
        }
        if record.packet != 0 {
            self.numbers.insert(record.packet, journey);
        }
        if let Some((connection, from, to)) = key.tcp {
            let ranges = self.connections.entry(connection).or_default();
            if !ranges.contains(&(from, to, journey)) {
                ranges.push((from, to, journey));
            }
        }
        if let Some(whole) = key.whole {
            self.whole.entry(whole).or_insert(journey);
        }
        let entry = &mut self.journeys[journey];
        entry.records.push(at);
        entry.last_ns = record.ts_ns;
        if let Some(node) = sends {
            entry.has_origin |= !entry.got.iter().any(|(other, ..)| *other == node);
        } else if let Some(node) = kernel {
            entry.got.push((node, record.ts_ns, key.loose));
            if let Some(loose) = key.loose {
                self.got.entry((node, loose)).or_default().push(journey);
            }
        }
        let ends = record.direction.is_none();
        entry.ended |= ends
            || record
                .comment
                .lines()
                .filter_map(comment::Said::read)
                .any(|said| said.ends());
    }

    /// Finds the packet that a node's kernel sends: one that it got, with these very bytes or translated, or one that the
    /// engine saw before the kernel's time stamp; `None` where it begins here.
    fn sent(&self, at: usize, key: &Key, node: &str) -> Option<usize> {
        let record = &self.records[at];
        let known = self.exact.get(&key.exact).map(Vec::as_slice).unwrap_or_default();
        let got = |journey: &Journey<'_>| {
            let mut times = journey
                .got
                .iter()
                .filter(|(other, ..)| *other == node)
                .map(|(_, when, _)| *when);
            times.any(|when| record.ts_ns.saturating_sub(when) < FORWARDED_WITHIN_NS)
        };
        let fresh = |journey: usize| !self.was_at(journey, record);
        let forwarded = known
            .iter()
            .rev()
            .copied()
            .filter(|&one| got(&self.journeys[one]));
        let mut forwarded = forwarded.collect::<Vec<_>>();
        forwarded.sort_by_key(|&one| !fresh(one));
        if let Some(&one) = forwarded.first() {
            return Some(one);
        }
        let early = |&one: &usize| {
            let journey = &self.journeys[one];
            !journey.has_origin && journey.got.is_empty() && record.ts_ns - journey.first_ns < SKEW_NS
        };
        if let Some(one) = known.iter().rev().copied().find(early) {
            return Some(one);
        }
        if let Some(loose) = key.loose {
            let translated = self
                .got
                .get(&(node, loose))
                .map(Vec::as_slice)
                .unwrap_or_default();
            let sends_on =
                |&&one: &&usize| got(&self.journeys[one]) && fresh(one) && !self.sent_on(one, node);
            if let Some(&one) = translated.iter().rev().find(sends_on) {
                return Some(one);
            }
        }
        // A router cuts packets into pieces, and sends on what it got joined as segments.
        self.part(key).filter(|&one| got(&self.journeys[one]))
    }

    /// Finds the packet that a link, a switch or a receiver sees.
    fn seen(&self, at: usize, key: &Key) -> Option<usize> {
        let record = &self.records[at];
        let known = self.exact.get(&key.exact).map(Vec::as_slice).unwrap_or_default();
        let open = |&&one: &&usize| !self.journeys[one].ended && !self.was_at(one, record);
        known
            .iter()
            .rev()
            .find(open)
            .or_else(|| known.last())
            .copied()
            .or_else(|| self.part(key))
    }

    /// Finds the packet that this one is a segment or a piece of, or that is one of this.
    fn part(&self, key: &Key) -> Option<usize> {
        if let Some((connection, from, to)) = key.tcp {
            let holds = |outer: (u32, u32), inner: (u32, u32)| {
                let len = outer.1.wrapping_sub(outer.0);
                inner.0.wrapping_sub(outer.0) < len && inner.1.wrapping_sub(outer.0) <= len
            };
            let ranges = self.connections.get(&connection)?;
            let mut newest = ranges.iter().rev();
            return newest
                .find(|&&(a, b, _)| holds((a, b), (from, to)) || holds((from, to), (a, b)))
                .map(|&(_, _, journey)| journey);
        }
        self.whole.get(&key.whole?).copied()
    }

    fn was_at(&self, journey: usize, record: &Sighting) -> bool {
        let records = self.journeys[journey].records.iter().map(|&at| &self.records[at]);
        records
            .rev()
            .any(|other| other.interface == record.interface && other.direction == record.direction)
    }

    fn sent_on(&self, journey: usize, node: &str) -> bool {
        let mut records = self.journeys[journey].records.iter().map(|&at| &self.records[at]);
        records.any(|other| {
            other.direction == Some(Direction::Outbound)
                && self
                    .plan
                    .place(&other.interface)
                    .is_some_and(|place| place.node == node)
        })
    }
}
