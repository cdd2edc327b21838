//! The pool that automatic subnets come from.

use std::collections::{BTreeMap, HashMap};

use crate::subnet::{Family, Subnet};

/// A pool with the ranges that are in use.
pub(crate) struct Pool {
    pool: Subnet,
    /// First and last numbers of disjoint ranges that are taken.
    taken: BTreeMap<u128, u128>,
    /// Where the search for a network of a prefix length goes on: everything before is taken.
    next: HashMap<u8, u128>,
}

impl Pool {
    pub fn new(pool: Subnet) -> Self {
        Self {
            pool,
            taken: BTreeMap::new(),
            next: HashMap::new(),
        }
    }

    /// Takes a network out; networks are nested or disjoint, so of those that meet one holds the others.
    pub fn reserve(&mut self, subnet: Subnet) {
        if self
            .around(subnet.last())
            .is_some_and(|(first, _)| first <= subnet.first)
        {
            return;
        }
        let inner: Vec<u128> = self
            .taken
            .range(subnet.first..=subnet.last())
            .map(|(first, _)| *first)
            .collect();
        for first in inner {
            self.taken.remove(&first);
        }
        self.taken.insert(subnet.first, subnet.last());
    }

    /// Returns the taken range with the largest first number up to `number`, if it ends there or later.
    fn around(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.taken.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }

    /// Takes the next free network that has room for so many interfaces: a /24 or /64, a larger one where that is
    /// too small, the whole pool where the pool is smaller. `None`: nothing of that size is left.
    pub fn take(&mut self, interfaces: usize) -> Option<Subnet> {
        let prefix = self.prefix(interfaces)?;
        let mut subnet = Subnet {
            prefix,
            first: *self.next.get(&prefix).unwrap_or(&self.pool.first),
            ..self.pool
        };
        while subnet.last() <= self.pool.last() {
            let overlap = self
                .taken
                .range(..=subnet.last())
                .next_back()
                .filter(|(_, last)| **last >= subnet.first)
                .map(|(_, last)| *last);
            match overlap {
                None => {
                    self.taken.insert(subnet.first, subnet.last());
                    self.next.insert(prefix, subnet.first);
                    return Some(subnet);
                }
                // On to the first network of this size behind what is taken.
                Some(last) => {
                    let behind = Subnet {
                        first: last,
                        ..Subnet::of(subnet.cidr())
                    };
                    subnet.first = Subnet::of(behind.cidr()).last().checked_add(1)?;
                }
            }
        }
        None
    }

    /// Returns the prefix length of a network for so many interfaces.
    fn prefix(&self, interfaces: usize) -> Option<u8> {
        let usual = match self.pool.family {
            Family::V4 => 24,
            Family::V6 => 64,
        };
        (self.pool.prefix..=usual.max(self.pool.prefix))
            .rev()
            .find(|prefix| {
                let (first, last) = Subnet {
                    prefix: *prefix,
                    ..self.pool
                }
                .interfaces();
                last - first >= (interfaces as u128).saturating_sub(1)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::of(text.parse().unwrap())
    }

    fn take(pool: &mut Pool, interfaces: usize) -> String {
        pool.take(interfaces)
            .map_or_else(|| "nothing".into(), |subnet| subnet.to_string())
    }

    #[test]
    fn gives_the_next_free_network_of_the_right_size() {
        let mut pool = Pool::new(subnet("10.0.0.0/8"));
        pool.reserve(subnet("10.0.1.128/25"));
        pool.reserve(subnet("10.0.1.200/32"));
        pool.reserve(subnet("10.0.3.0/24"));
        assert_eq!(take(&mut pool, 2), "10.0.0.0/24");
        assert_eq!(take(&mut pool, 254), "10.0.2.0/24");
        assert_eq!(take(&mut pool, 255), "10.0.4.0/23");
        assert_eq!(take(&mut pool, 1000), "10.0.8.0/22");
        assert_eq!(take(&mut pool, 1), "10.0.6.0/24");
        assert_eq!(take(&mut pool, 1), "10.0.7.0/24");
        assert_eq!(take(&mut pool, 1), "10.0.12.0/24");
    }

    #[test]
    fn ends_where_the_pool_ends() {
        let mut pool = Pool::new(subnet("192.168.0.0/23"));
        assert_eq!(take(&mut pool, 600), "nothing");
        assert_eq!(take(&mut pool, 2), "192.168.0.0/24");
        assert_eq!(take(&mut pool, 2), "192.168.1.0/24");
        assert_eq!(take(&mut pool, 2), "nothing");
        let mut small = Pool::new(subnet("192.168.0.16/28"));
        assert_eq!(take(&mut small, 14), "192.168.0.16/28");
        assert_eq!(take(&mut small, 1), "nothing");
        let mut last = Pool::new(subnet("255.255.255.0/24"));
        last.reserve(subnet("255.255.255.0/24"));
        assert_eq!(take(&mut last, 1), "nothing");
        let mut high = Pool::new(subnet("ffff:ffff:ffff:ffff::/64"));
        assert_eq!(take(&mut high, 3), "ffff:ffff:ffff:ffff::/64");
        assert_eq!(take(&mut high, 3), "nothing");
    }

    #[test]
    fn a_network_around_the_pool_takes_all_of_it() {
        let mut pool = Pool::new(subnet("10.0.0.0/16"));
        pool.reserve(subnet("10.0.7.0/24"));
        pool.reserve(subnet("10.0.0.0/8"));
        assert_eq!(take(&mut pool, 1), "nothing");
    }
}
