//! The counters a plugin names and adds to.

use std::collections::BTreeMap;

use vnet_abi::{COUNTER_NAME_MAX, COUNTERS_MAX};

struct Counter {
    name: [u8; COUNTER_NAME_MAX],
    len: u8,
    value: u64,
}

impl Counter {
    fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.len)]
    }
}

/// Counters by id; they outlive the instance that made them. Nothing here allocates after `new`.
pub(crate) struct Counters(Vec<Counter>);

impl Counters {
    /// Makes the counters a manifest declares, with the ids 0, 1, ...
    pub(crate) fn new(declared: &[String]) -> Counters {
        let mut counters = Counters(Vec::with_capacity(COUNTERS_MAX));
        for name in declared {
            counters.id(name.as_bytes());
        }
        counters
    }

    /// Returns the id of a name; `None` for a name that is empty, too long or not UTF-8, and when all ids are taken.
    pub(crate) fn id(&mut self, name: &[u8]) -> Option<usize> {
        if let Some(id) = self.0.iter().position(|counter| counter.name() == name) {
            return Some(id);
        }
        if name.is_empty()
            || name.len() > COUNTER_NAME_MAX
            || self.0.len() >= COUNTERS_MAX
            || std::str::from_utf8(name).is_err()
        {
            return None;
        }
        let mut counter = Counter {
            name: [0; COUNTER_NAME_MAX],
            len: name.len() as u8,
            value: 0,
        };
        counter.name[..name.len()].copy_from_slice(name);
        self.0.push(counter);
        Some(self.0.len() - 1)
    }

    /// Adds to a counter, wrapping; says whether the id exists.
    pub(crate) fn add(&mut self, id: usize, n: u64) -> bool {
        match self.0.get_mut(id) {
            Some(counter) => {
                counter.value = counter.value.wrapping_add(n);
                true
            }
            None => false,
        }
    }

    /// Returns every counter by name.
    pub(crate) fn values(&self) -> BTreeMap<String, u64> {
        self.0
            .iter()
            .map(|c| (String::from_utf8_lossy(c.name()).into_owned(), c.value))
            .collect()
    }
}
