//! Plain numbers that a stage counts with.

use std::collections::BTreeMap;

use crate::failure::Kind;
use crate::frames::{Fate, Reason};

/// Rules a guest can break without losing its instance: those whose names start with `bad_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    Desc,
    Verdict,
    Port,
    Append,
    Delay,
}

/// Most reasons of a manifest that are shown before they happen: nobody reads a list of two hundred zeros.
const SHOWN_MAX: usize = 32;

/// Counts of one stage; only the thread that runs the stage touches them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) packets_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) passed: u64,
    pub(crate) dropped: u64,
    pub(crate) redirected: u64,
    pub(crate) tx: u64,
    pub(crate) appended: u64,
    pub(crate) restarts: u64,
    pub(crate) timer_calls: u64,
    pub(crate) runs: u64,
    pub(crate) timed_ns: u64,
    pub(crate) timed_packets: u64,
    /// Drops with the codes of `codes`, in that order.
    by_code: Vec<(u16, u64)>,
    /// Drops with a code that the manifest does not declare.
    other: u64,
    /// Drops without a code.
    pub(crate) plain: u64,
    /// Drops of the plugins whose place this one took, by what they called them.
    earlier: BTreeMap<String, u64>,
    pub(crate) swaps: u64,
    by_host: [u64; Reason::HOST.len()],
    failures: [u64; 4],
    offences: [u64; 5],
}

impl Tally {
    /// Starts to count; `codes` are the manifest's, in ascending order.
    pub(crate) fn new(codes: impl Iterator<Item = u16>) -> Tally {
        Tally {
            by_code: codes.map(|code| (code, 0)).collect(),
            ..Tally::default()
        }
    }

    /// Goes on from the numbers of the plugin whose place this one takes, but for the times, which are each plugin's own.
    pub(crate) fn inherit(&mut self, old: &Tally, reasons: &BTreeMap<u16, String>) {
        self.packets_in += old.packets_in;
        self.bytes_in += old.bytes_in;
        self.passed += old.passed;
        self.dropped += old.dropped;
        self.redirected += old.redirected;
        self.tx += old.tx;
        self.appended += old.appended;
        self.restarts += old.restarts;
        self.timer_calls += old.timer_calls;
        self.swaps += old.swaps + 1;
        self.plain += old.plain;
        self.other += old.other;
        self.earlier.clone_from(&old.earlier);
        for (code, n) in old.by_code.iter().filter(|(_, n)| *n > 0) {
            let text = reasons.get(code).map_or("other", String::as_str);
            *self.earlier.entry(text.to_owned()).or_insert(0) += n;
        }
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        add(&mut self.by_host, &old.by_host);
        add(&mut self.failures, &old.failures);
        add(&mut self.offences, &old.offences);
    }

    /// Counts what became of one frame.
    pub(crate) fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Unset | Fate::Pass => self.passed += 1,
            Fate::Redirect(_) => self.redirected += 1,
            Fate::Tx => self.tx += 1,
            Fate::Drop(reason) => {
                self.dropped += 1;
                *self.place(reason) += 1;
            }
        }
    }

    fn place(&mut self, reason: Reason) -> &mut u64 {
        match reason {
            Reason::Plugin(0) => &mut self.plain,
            Reason::Plugin(code) => match self.by_code.binary_search_by_key(&code, |(code, _)| *code) {
                Ok(at) => &mut self.by_code[at].1,
                Err(_) => &mut self.other,
            },
            host => {
                let at = Reason::HOST
                    .iter()
                    .position(|reason| *reason == host)
                    .unwrap_or(0);
                &mut self.by_host[at]
            }
        }
    }

    pub(crate) fn failure(&mut self, kind: Kind) {
        self.failures[kind as usize] += 1;
    }

    pub(crate) fn offence(&mut self, offence: Offence) {
        self.offences[offence as usize] += 1;
    }

    /// Returns the drops by name; those that never happened are left out, but for the manifest's where those are few.
    pub(crate) fn drops(&self, reasons: &BTreeMap<u16, String>) -> BTreeMap<String, u64> {
        let mut drops = BTreeMap::new();
        let mut add = |name: &str, n: u64| *drops.entry(name.to_owned()).or_insert(0) += n;
        let few = self.by_code.len() <= SHOWN_MAX;
        for (code, n) in self.by_code.iter().filter(|(_, n)| few || *n > 0) {
            add(reasons.get(code).map_or("other", String::as_str), *n);
        }
        for (text, n) in &self.earlier {
            add(text, *n);
        }
        let host = Reason::HOST
            .iter()
            .zip(self.by_host)
            .map(|(reason, n)| (reason.name(), n));
        for (name, n) in host.chain([("drop", self.plain), ("other", self.other)]) {
            if n > 0 {
                add(name, n);
            }
        }
        drops
    }

    /// Returns the faults by name; those that never happened are left out.
    pub(crate) fn faults(&self, bad_pointers: u64, inject_full: u64) -> BTreeMap<String, u64> {
        let names = [
            "trap",
            "timeout",
            "error",
            "exception",
            "bad_desc",
            "bad_verdict",
            "bad_port",
            "bad_append",
            "bad_delay",
            "bad_pointer",
            "inject_full",
        ];
        let counts = self
            .failures
            .iter()
            .chain(&self.offences)
            .copied()
            .chain([bad_pointers, inject_full]);
        names
            .iter()
            .zip(counts)
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| ((*name).to_owned(), n))
            .collect()
    }
}
