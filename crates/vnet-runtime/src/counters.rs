//! The counters a plugin names and adds to.

use std::collections::BTreeMap;

use vnet_abi::{COUNTER_NAME_MAX, COUNTERS_MAX};

#[derive(Clone, Copy)]
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

/// Counters by id; they outlive the instance that made them. Nothing here allocates after `new`, but for `inherit`.
pub(crate) struct Counters {
    list: Vec<Counter>,
    /// Of the plugin whose place this one took: a counter that gets one of these names goes on from there.
    inherited: Vec<Counter>,
}

impl Counters {
    /// Makes the counters a manifest declares, with the ids 0, 1, ...
    pub(crate) fn new(declared: &[String]) -> Counters {
        let mut counters = Counters {
            list: Vec::with_capacity(COUNTERS_MAX),
            inherited: Vec::new(),
        };
        for name in declared {
            counters.id(name.as_bytes());
        }
        counters
    }

    /// Returns the id of a name; `None` for a name that is empty, too long or not UTF-8, and when all ids are taken.
    pub(crate) fn id(&mut self, name: &[u8]) -> Option<usize> {
        if let Some(id) = self.list.iter().position(|counter| counter.name() == name) {
            return Some(id);
        }
        if name.is_empty()
            || name.len() > COUNTER_NAME_MAX
            || self.list.len() >= COUNTERS_MAX
            || std::str::from_utf8(name).is_err()
        {
            return None;
        }
        let mut counter = Counter {
            name: [0; COUNTER_NAME_MAX],
            len: name.len() as u8,
            value: self.inherited(name).unwrap_or(0),
        };
        counter.name[..name.len()].copy_from_slice(name);
        self.list.push(counter);
        Some(self.list.len() - 1)
    }

    fn inherited(&self, name: &[u8]) -> Option<u64> {
        let same = self.inherited.iter().find(|counter| counter.name() == name);
        same.map(|counter| counter.value)
    }

    /// Has every counter go on from the one of the same name in `old`, also those that are named later; returns the names of
    /// those that exist and had counted something.
    pub(crate) fn inherit(&mut self, old: &Counters) -> Vec<String> {
        let both = old.list.iter().chain(&old.inherited);
        self.inherited = both.filter(|counter| counter.value != 0).copied().collect();
        let mut names = Vec::new();
        for counter in &mut self.list {
            let same = self.inherited.iter().find(|other| other.name() == counter.name());
            if let Some(other) = same {
                counter.value = counter.value.wrapping_add(other.value);
                names.push(String::from_utf8_lossy(counter.name()).into_owned());
            }
        }
        names
    }

    /// Adds to a counter, wrapping; says whether the id exists.
    pub(crate) fn add(&mut self, id: usize, n: u64) -> bool {
        match self.list.get_mut(id) {
            Some(counter) => {
                counter.value = counter.value.wrapping_add(n);
                true
            }
            None => false,
        }
    }

    /// Returns every counter by name.
    pub(crate) fn values(&self) -> BTreeMap<String, u64> {
        self.list
            .iter()
            .map(|c| (String::from_utf8_lossy(c.name()).into_owned(), c.value))
            .collect()
    }
}
