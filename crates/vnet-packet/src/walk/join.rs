//! Which records are of one packet.

use std::collections::HashMap;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::key::Key;
use super::plan::{Plan, Spot};
use super::{Sighting, comment, trace};
use crate::pcap::Direction;

/// A record of a kernel and one of the engine may be stamped in the wrong order by this much; no packet takes longer from one
/// place to the next where nothing holds it that has records of its own.
const SKEW_NS: u64 = 50_000_000;
/// A node that has a packet longer than this does not send it on any more.
const FORWARDED_WITHIN_NS: u64 = 2_000_000_000;
/// How many packets with the same bytes are looked at, the last ones.
const ALIKE: usize = 64;
/// How many segments of a connection are looked at, the last ones.
const SEGMENTS: usize = 4096;
/// Most bytes of headers in front of what a packet is known by.
const HEADERS: usize = 128;

/// The records of one packet.
#[derive(Debug)]
pub(super) struct Journey {
    /// Their indices, in the order of their times.
    pub records: Vec<usize>,
    /// Some may be another packet's that has the same bytes.
    pub is_ambiguous: bool,
}

/// What is known of a packet so far.
struct Travel<'r> {
    records: Vec<usize>,
    first_ns: u64,
    last_ns: u64,
    /// A node's kernel was seen sending it without having got it.
    has_origin: bool,
    ended: bool,
    /// The nodes that got it, and when.
    got: Vec<(&'r str, u64)>,
}

/// A record for which several packets with the same bytes could be meant.
struct Choice {
    interface: Arc<str>,
    direction: Option<Direction>,
    among: Vec<usize>,
}

/// Returns the records of each packet, in the order in which they were first seen.
pub(super) fn journeys(records: &[Sighting], plan: &Plan) -> Vec<Journey> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|&at| records[at].ts_ns);
    let cut = records.iter().filter(|record| record.is_cut());
    let most = cut.map(|record| record.frame.len().saturating_sub(HEADERS)).min();
    let mut joiner = Joiner {
        records,
        plan,
        most: most.unwrap_or(usize::MAX),
        travels: Vec::new(),
        choices: Vec::new(),
        numbers: HashMap::new(),
        exact: HashMap::new(),
        connections: HashMap::new(),
        whole: HashMap::new(),
        got: HashMap::new(),
    };
    for at in order {
        joiner.add(at);
    }
    joiner.finish()
}

struct Joiner<'r> {
    records: &'r [Sighting],
    plan: &'r Plan,
    /// How many bytes of a packet it is known by.
    most: usize,
    travels: Vec<Travel<'r>>,
    choices: Vec<Choice>,
    numbers: HashMap<u64, usize>,
    exact: HashMap<u64, Vec<usize>>,
    connections: HashMap<u64, Vec<(u32, u32, usize)>>,
    whole: HashMap<u64, usize>,
    /// Packets that a node got, by the node and what is left behind a translation.
    got: HashMap<(&'r str, u64), Vec<usize>>,
}

/// Returns the last of what is known, in its order.
fn last<T>(of: Option<&Vec<T>>, most: usize) -> &[T] {
    of.map_or(&[], |all| &all[all.len().saturating_sub(most)..])
}

impl<'r> Joiner<'r> {
    fn add(&mut self, at: usize) {
        let record = &self.records[at];
        let key = Key::of(record, self.most);
        let kernel = match self.plan.spot(&record.interface) {
            Some(Spot::Place(place)) if !place.is_port => Some(place.node.as_str()),
            _ => None,
        };
        let sends = kernel.filter(|_| record.direction == Some(Direction::Outbound));
        let by_number = self
            .numbers
            .get(&record.packet)
            .copied()
            .filter(|_| record.packet != 0);
        let found = by_number.or_else(|| match sends {
            Some(node) => self.sent(at, &key, node),
            None => self.seen(at, &key),
        });
        let found = found.unwrap_or_else(|| {
            self.travels.push(Travel {
                records: Vec::new(),
                first_ns: record.ts_ns,
                last_ns: record.ts_ns,
                has_origin: false,
                ended: false,
                got: Vec::new(),
            });
            self.travels.len() - 1
        });
        self.note(at, &key, found, kernel, sends);
    }

    fn note(&mut self, at: usize, key: &Key, travel: usize, kernel: Option<&'r str>, sends: Option<&'r str>) {
        let record = &self.records[at];
        let known = self.exact.entry(key.exact).or_default();
        if !last(Some(known), ALIKE).contains(&travel) {
            known.push(travel);
        }
        if record.packet != 0 {
            self.numbers.insert(record.packet, travel);
        }
        if let Some((connection, from, to)) = key.tcp {
            let ranges = self.connections.entry(connection).or_default();
            if !last(Some(ranges), ALIKE).contains(&(from, to, travel)) {
                ranges.push((from, to, travel));
            }
        }
        if let Some(whole) = key.whole {
            self.whole.entry(whole).or_insert(travel);
        }
        let entry = &mut self.travels[travel];
        entry.records.push(at);
        entry.last_ns = record.ts_ns;
        if let Some(node) = sends {
            entry.has_origin |= !entry.got.iter().any(|(other, _)| *other == node);
        } else if let Some(node) = kernel {
            entry.got.push((node, record.ts_ns));
            if let Some(loose) = key.loose {
                self.got.entry((node, loose)).or_default().push(travel);
            }
        }
        let mut said = record.comment.lines().filter_map(comment::Said::read);
        entry.ended |= record.direction.is_none() || said.any(|said| said.ends());
    }

    /// Finds the packet that a node's kernel sends: one that it got, with these very bytes or translated, or one that the
    /// engine saw before the kernel's time stamp; `None` where it begins here.
    fn sent(&mut self, at: usize, key: &Key, node: &str) -> Option<usize> {
        let now = self.records[at].ts_ns;
        let known = last(self.exact.get(&key.exact), ALIKE);
        let had = |one: usize| {
            let mut got = self.travels[one].got.iter().rev();
            let (_, when) = got.find(|(other, _)| *other == node)?;
            (now.saturating_sub(*when) < FORWARDED_WITHIN_NS).then_some((one, *when))
        };
        let held: Vec<_> = known.iter().filter_map(|&one| had(one)).collect();
        let fresh: Vec<_> = held
            .iter()
            .copied()
            .filter(|(one, _)| !self.was_at(*one, at))
            .collect();
        if !held.is_empty() {
            // A copy goes the way of the first.
            let again = held.iter().max_by_key(|(_, when)| *when).map(|(one, _)| *one);
            return self.choose(at, fresh).or(again);
        }
        let early = |&&one: &&usize| {
            let travel = &self.travels[one];
            !travel.has_origin && travel.got.is_empty() && now - travel.first_ns < SKEW_NS
        };
        if let Some(&one) = known.iter().find(early) {
            return Some(one);
        }
        if let Some(loose) = key.loose {
            let translated = last(self.got.get(&(node, loose)), ALIKE);
            let translated = translated.iter().filter_map(|&one| had(one));
            let waiting = translated.filter(|(one, _)| !self.sent_on(*one, node)).collect();
            if let Some(one) = self.choose(at, waiting) {
                return Some(one);
            }
        }
        // A router cuts packets into pieces, and sends on what it got joined as segments.
        let had = |one: &usize| self.travels[*one].got.iter().any(|(other, _)| *other == node);
        self.part(key).filter(had)
    }

    /// Finds the packet that a link, a switch or a receiver sees.
    fn seen(&mut self, at: usize, key: &Key) -> Option<usize> {
        let known = last(self.exact.get(&key.exact), ALIKE);
        let open: Vec<usize> = known
            .iter()
            .copied()
            .filter(|&one| !self.travels[one].ended && !self.was_at(one, at))
            .collect();
        match open[..] {
            [] => {}
            [one] => return Some(one),
            _ => {
                // Those that stand at the place before this one; a stamp may be late.
                let mut near: Vec<_> = open.iter().filter_map(|&one| self.before(one, at)).collect();
                if near.is_empty() {
                    near = open.iter().map(|&one| (one, self.travels[one].last_ns)).collect();
                }
                return self.choose(at, near);
            }
        }
        // It goes on elsewhere: a flooded packet ends in one place and not in another.
        let mut newest = known.iter().rev().copied();
        let branch = newest.find(|&one| !self.was_at(one, at) && self.before(one, at).is_some());
        let copy = || known.iter().rev().copied().find(|&one| self.was_at(one, at));
        branch
            .or_else(copy)
            .or_else(|| known.last().copied())
            .or_else(|| self.part(key))
    }

    /// Returns the first of those that came to the place before at about this time, as links and nodes keep the order of
    /// packets; else the last that came there, for what is older went missing.
    fn choose(&mut self, at: usize, mut among: Vec<(usize, u64)>) -> Option<usize> {
        let record = &self.records[at];
        let newest = among.iter().max_by_key(|(_, since)| *since)?.0;
        among.retain(|(_, since)| record.ts_ns.saturating_sub(*since) <= SKEW_NS);
        let oldest = among.iter().min_by_key(|(_, since)| *since);
        let found = oldest.map_or(newest, |(one, _)| *one);
        if among.len() > 1 {
            self.choices.push(Choice {
                interface: Arc::clone(&record.interface),
                direction: record.direction,
                among: among.into_iter().map(|(one, _)| one).collect(),
            });
        }
        Some(found)
    }

    /// Returns when a packet was at the place that comes before a record's.
    fn before(&self, travel: usize, at: usize) -> Option<(usize, u64)> {
        let records = self.travels[travel].records.iter().rev();
        let mut records = records.map(|&other| &self.records[other]);
        let there = records.find(|other| trace::leads(other, &self.records[at], self.plan))?;
        Some((travel, there.ts_ns))
    }

    /// Finds the packet that this one is a segment or a piece of, or that is one of this.
    fn part(&self, key: &Key) -> Option<usize> {
        if let Some((connection, from, to)) = key.tcp {
            let holds = |outer: (u32, u32), inner: (u32, u32)| {
                let len = outer.1.wrapping_sub(outer.0);
                inner.0.wrapping_sub(outer.0) < len && inner.1.wrapping_sub(outer.0) <= len
            };
            let mut newest = last(self.connections.get(&connection), SEGMENTS).iter().rev();
            return newest
                .find(|&&(a, b, _)| holds((a, b), (from, to)) || holds((from, to), (a, b)))
                .map(|&(_, _, travel)| travel);
        }
        self.whole.get(&key.whole?).copied()
    }

    /// Says whether a packet was at the place of a record before.
    fn was_at(&self, travel: usize, at: usize) -> bool {
        let record = &self.records[at];
        self.was(travel, &record.interface, record.direction)
    }

    fn was(&self, travel: usize, interface: &str, direction: Option<Direction>) -> bool {
        let records = self.travels[travel].records.iter().rev();
        records
            .map(|&at| &self.records[at])
            .any(|other| &*other.interface == interface && other.direction == direction)
    }

    fn sent_on(&self, travel: usize, node: &str) -> bool {
        let mut records = self.travels[travel].records.iter().map(|&at| &self.records[at]);
        records.any(|other| {
            let place = self.plan.place(&other.interface);
            other.direction == Some(Direction::Outbound) && place.is_some_and(|place| place.node == node)
        })
    }

    fn finish(self) -> Vec<Journey> {
        let mut ambiguous = vec![false; self.travels.len()];
        for choice in &self.choices {
            // Where all of them came through, or are known to have ended, the order tells which was which.
            let is_missing = |&one: &usize| {
                !self.travels[one].ended && !self.was(one, &choice.interface, choice.direction)
            };
            if choice.among.iter().any(is_missing) {
                choice.among.iter().for_each(|&one| ambiguous[one] = true);
            }
        }
        let travels = self.travels.into_iter().zip(ambiguous);
        let journeys = travels.map(|(travel, is_ambiguous)| Journey {
            records: travel.records,
            is_ambiguous,
        });
        journeys.collect()
    }
}
