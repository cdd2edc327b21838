//! Walks: one packet's way through a network, put together from a capture of all of it.
//!
//! A capture of a network with `stages` has a record of each frame wherever a kernel, a switch, a plugin or an impairment
//! saw it. [`walks`] joins those of one packet: by the packet's number where the engine gave one, which holds through
//! rewrites, and elsewhere by what no hop changes (addresses, ports, identification, the bytes behind them). A packet that a
//! kernel translated (masquerade) is found again by its payload at the node it came to; segments of a super-frame by their
//! TCP sequence numbers; fragments by their identification. A second packet with the very same bytes (a retransmission) is
//! told apart by the place it starts from again, and by the order in which links and nodes pass packets on; where one of them
//! went missing without a word, its walk says that it may be the other's.
//!
//! A [`Walk`] is a tree, since a switch floods and a line duplicates: each [`Hop`] names the one before it.

mod answer;
mod comment;
mod fields;
mod join;
mod key;
mod outcome;
mod plan;
mod trace;

use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

pub use fields::{Change, changes};
pub use plan::{Link, Place, Plan};

use crate::Layer;
use crate::filter::Filter;
use crate::pcap::Direction;

/// A record of a capture.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Nanoseconds since 1970.
    pub ts_ns: u64,
    /// Name of the capture's interface.
    pub interface: Arc<str>,
    /// Which way, seen from the interface; `None` where the frame ended there.
    pub direction: Option<Direction>,
    /// The number that all records of one packet within one part of the engine have; 0 for none.
    pub packet: u64,
    /// What was said of it, a line for each thing.
    pub comment: String,
    /// What the frame starts with.
    pub layer: Layer,
    /// The frame, or what there is of it.
    pub frame: Vec<u8>,
    /// How many bytes it had.
    pub wire_len: u32,
}

impl Sighting {
    fn is_cut(&self) -> bool {
        self.frame.len() < self.wire_len as usize
    }

    /// Says whether a filter means it.
    #[must_use]
    pub fn is_meant(&self, filter: &Filter) -> bool {
        filter.matches_cut(self.layer, &self.frame, self.wire_len as usize)
    }
}

/// What a hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node's kernel sent it: it began there, or was forwarded.
    Sent,
    /// A node's kernel got it.
    Received,
    /// A port of a switch, inwards or outwards.
    Port,
    /// A plugin.
    Plugin,
    /// The impairments of one direction of a link.
    Impairment,
    /// A switch's decision.
    Switch,
}

/// One step of a packet.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What saw it.
    pub kind: Kind,
    /// Name of the node or switch; empty on a link.
    pub node: String,
    /// Name of the interface or port, as the node knows it; empty where it is none.
    pub interface: String,
    /// Name of the link; empty where it is none.
    pub link: String,
    /// Name of the plugin, or the impaired direction; empty where it is neither.
    pub stage: String,
    /// One word, or a few: `sent`, `received`, `forwarded`, `pass`, `drop`, `lost`, `in`, `out`.
    pub verdict: String,
    /// Why, where it was dropped or lost and a reason was given.
    pub reason: String,
    /// Nanoseconds since 1970.
    pub ts_ns: u64,
    /// Nanoseconds it was in this hop, where it came and left.
    pub waited_ns: Option<u64>,
    /// What the hop changed in it.
    pub changes: Vec<Change>,
    /// What was said of it.
    pub comment: String,
    /// The hop before this one.
    pub parent: Option<usize>,
    /// Frames that were seen here: more than one where it was duplicated, or cut into segments.
    pub frames: u32,
    /// Index of the record that shows it as it came.
    pub before: usize,
    /// Index of the record that shows it as it left; the same where it is seen once.
    pub after: usize,
    ended: bool,
    outbound: bool,
    packet: u64,
}

/// A packet's way.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Its hops, each behind the one it names as before it.
    pub hops: Vec<Hop>,
    /// What became of it, in words.
    pub outcome: String,
    /// The node it was delivered to, where it was.
    pub delivered_to: Option<String>,
    /// The node whose kernel had it last, where no record says what became of it there.
    pub held_by: Option<String>,
    /// No record says what became of it in the end.
    pub is_open: bool,
    /// Another packet with the same bytes was on its way at the same time, and one of them went missing: hops may be told of the
    /// other one.
    pub is_ambiguous: bool,
}

/// Returns the walks of all packets of which a filter takes any record, in the order in which they were first seen.
#[must_use]
pub fn walks(records: &[Sighting], plan: &Plan, filter: &Filter) -> Vec<Walk> {
    let takes = |at: &usize| records[*at].is_meant(filter);
    chosen(records, plan, |journey| journey.iter().any(takes))
}

/// Returns the walk of the packet that a record shows; `None` where there is no such record.
#[must_use]
pub fn walk_of(records: &[Sighting], plan: &Plan, at: usize) -> Option<Walk> {
    chosen(records, plan, |journey| journey.contains(&at)).pop()
}

fn chosen(records: &[Sighting], plan: &Plan, is_wanted: impl Fn(&[usize]) -> bool) -> Vec<Walk> {
    let journeys = join::journeys(records, plan);
    let all = journeys.iter().map(|journey| &journey.records[..]);
    let answers = answer::Answers::of(records, all, plan);
    journeys
        .iter()
        .filter(|journey| is_wanted(&journey.records))
        .map(|journey| {
            let hops = trace::hops(&journey.records, records, plan);
            outcome::walk(hops, journey, records, &answers, plan)
        })
        .collect()
}
