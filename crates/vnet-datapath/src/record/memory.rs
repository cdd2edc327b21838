//! A recording in memory: the last records, for whoever looks while it goes on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vnet_packet::Layer;
use vnet_packet::pcap::Crossing;

/// Bytes that a record takes besides its frame and comment, about.
const RECORD: usize = 128;

/// The last records of a recording; its copies are the same memory.
#[derive(Clone, Debug)]
pub struct Memory {
    most_records: usize,
    most_bytes: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Arc<Remembered>>,
    bytes: usize,
    /// The number of the next record.
    next: u64,
}

/// A record that is kept.
#[derive(Debug)]
pub struct Remembered {
    /// Its number, counted from 0.
    pub number: u64,
    /// The interface's name.
    pub interface: Arc<str>,
    /// What its frames begin with.
    pub layer: Layer,
    /// Where it crossed the interface.
    pub at: Crossing,
    /// Nanoseconds since 1970.
    pub ts_ns: u64,
    /// The frame's length before it was cut.
    pub wire_len: u32,
    /// Its first bytes.
    pub frame: Vec<u8>,
    /// What was said of it.
    pub comment: String,
}

impl Memory {
    /// Returns memory for so many records and bytes, whichever is less.
    #[must_use]
    pub fn new(most_records: usize, most_bytes: usize) -> Self {
        Self {
            most_records,
            most_bytes,
            kept: Arc::default(),
        }
    }

    /// Returns all that is kept, the oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<Remembered>> {
        self.kept().records.iter().cloned().collect()
    }

    /// Returns the last `most` records from a number on that are `wanted`, the oldest first, and the number of the next one.
    #[must_use]
    pub fn last(
        &self,
        from: u64,
        most: usize,
        wanted: impl Fn(&Remembered) -> bool,
    ) -> (Vec<Arc<Remembered>>, u64) {
        let kept = self.kept();
        let fresh = kept
            .records
            .iter()
            .rev()
            .take_while(|record| record.number >= from);
        let mut found: Vec<_> = fresh
            .filter(|record| wanted(record))
            .take(most)
            .cloned()
            .collect();
        found.reverse();
        (found, kept.next)
    }

    pub(super) fn keep(&self, record: Remembered) {
        let mut kept = self.kept();
        kept.bytes += cost(&record);
        let number = kept.next;
        kept.next += 1;
        kept.records.push_back(Arc::new(Remembered { number, ..record }));
        while kept.records.len() > self.most_records || kept.bytes > self.most_bytes {
            let Some(oldest) = kept.records.pop_front() else {
                break;
            };
            kept.bytes -= cost(&oldest);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(record: &Remembered) -> usize {
    RECORD + record.frame.len() + record.comment.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vnet_packet::pcap::Direction;

    fn record(frame: usize) -> Remembered {
        Remembered {
            number: 0,
            interface: "h1-eth0".into(),
            layer: Layer::L2,
            at: Crossing {
                interface: 0,
                direction: Some(Direction::Outbound),
                packet: 0,
            },
            ts_ns: 0,
            wire_len: frame as u32,
            frame: vec![0; frame],
            comment: String::new(),
        }
    }

    #[test]
    fn keeps_the_last_records_within_both_bounds() {
        let memory = Memory::new(3, 2000);
        (0..5).for_each(|_| memory.keep(record(10)));
        let numbers = |memory: &Memory| memory.records().iter().map(|r| r.number).collect::<Vec<_>>();
        assert_eq!(numbers(&memory), [2, 3, 4]);
        let (found, next) = memory.last(3, 10, |_| true);
        assert_eq!((found.len(), next), (2, 5));
        assert_eq!(memory.last(0, 1, |_| true).0[0].number, 4);
        assert!(memory.last(5, 10, |_| true).0.is_empty());
        memory.keep(record(1700));
        assert_eq!(numbers(&memory), [4, 5]);
        memory.keep(record(5000));
        assert!(memory.records().is_empty());
    }
}
