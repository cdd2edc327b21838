use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Most stations a switch remembers.
pub(crate) const ENTRIES: usize = 8192;

/// Half of them stay empty, so that a search ends soon.
const SLOTS: usize = 2 * ENTRIES;

/// How long a silent station is remembered, in nanoseconds: 300 s, as IEEE 802.1Q recommends.
pub(crate) const AGEING_NS: u64 = 300_000_000_000;

/// How often a full table is searched for stations that were forgotten, in nanoseconds.
const SWEEP_NS: u64 = 1_000_000_000;

/// One entry of a switch's forwarding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Learned {
    /// The station's address.
    pub mac: [u8; 6],
    /// The VLAN it was heard in; `None` for frames without a tag.
    pub vlan: Option<u16>,
    /// The port it was heard on.
    pub port: usize,
    /// How long ago it was last heard.
    pub age: Duration,
}

/// A unicast address in a VLAN, in one number; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Station(u64);

impl Station {
    const NONE: Station = Station(0);

    /// `None` for group addresses and for all zeros, which no station has.
    pub(crate) fn new(mac: [u8; 6], vlan: u16) -> Option<Self> {
        let [a, b, c, d, e, f] = mac;
        let address = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        (a & 1 == 0 && address != 0).then_some(Self(u64::from(vlan) << 48 | address))
    }

    fn mac(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    fn vlan(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

#[derive(Clone, Copy)]
struct Slot {
    station: Station,
    seen_ns: u64,
    port: u32,
}

const EMPTY: Slot = Slot {
    station: Station::NONE,
    seen_ns: 0,
    port: 0,
};

/// The forwarding table of a switch: open addressing with linear probing in one array, so that no frame allocates.
pub(crate) struct Fdb {
    slots: Box<[Slot]>,
    used: usize,
    /// Unknown to the stations, so that none can choose addresses that collide.
    seeds: [u64; 2],
    swept_ns: u64,
}

impl Fdb {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self {
            slots: vec![EMPTY; SLOTS].into_boxed_slice(),
            used: 0,
            seeds: [random.hash_one(0), random.hash_one(1) | 1],
            swept_ns: 0,
        }
    }

    /// Remembers that a station was heard on a port; false when the table is full.
    #[must_use]
    pub(crate) fn learn(&mut self, station: Station, port: usize, now: u64) -> bool {
        let mut at = self.find(station);
        if self.slots[at].station == Station::NONE {
            if self.used == ENTRIES {
                if now.saturating_sub(self.swept_ns) < SWEEP_NS {
                    return false;
                }
                self.swept_ns = now;
                self.forget(|slot| is_old(slot, now));
                if self.used == ENTRIES {
                    return false;
                }
                at = self.find(station);
            }
            self.used += 1;
        }
        self.slots[at] = Slot {
            station,
            seen_ns: now,
            port: port as u32,
        };
        true
    }

    /// Returns the port a station was heard on within the ageing time.
    pub(crate) fn port_of(&self, station: Station, now: u64) -> Option<usize> {
        let slot = &self.slots[self.find(station)];
        (slot.station != Station::NONE && !is_old(slot, now)).then_some(slot.port as usize)
    }

    /// Forgets every station of a port.
    pub(crate) fn forget_port(&mut self, port: usize) {
        self.forget(|slot| slot.port as usize == port);
    }

    /// Returns the entries that hold at `now`, in the order of their VLANs and addresses.
    pub(crate) fn entries(&self, now: u64) -> Vec<Learned> {
        let mut known: Vec<&Slot> = self
            .slots
            .iter()
            .filter(|slot| slot.station != Station::NONE && !is_old(slot, now))
            .collect();
        known.sort_by_key(|slot| slot.station.0);
        let entry = |slot: &Slot| Learned {
            mac: slot.station.mac(),
            vlan: Some(slot.station.vlan()).filter(|vlan| *vlan != 0),
            port: slot.port as usize,
            age: Duration::from_nanos(now.saturating_sub(slot.seen_ns)),
        };
        known.into_iter().map(entry).collect()
    }

    fn home(&self, station: Station) -> usize {
        let wide = u128::from(station.0 ^ self.seeds[0]) * u128::from(self.seeds[1]);
        ((wide >> 64) as u64 ^ wide as u64) as usize % SLOTS
    }

    /// Returns the slot a station is in, or the empty one it would be put into.
    fn find(&self, station: Station) -> usize {
        let mut at = self.home(station);
        while self.slots[at].station != station && self.slots[at].station != Station::NONE {
            at = (at + 1) % SLOTS;
        }
        at
    }

    fn forget(&mut self, which: impl Fn(&Slot) -> bool) {
        for at in 0..SLOTS {
            // What is taken out may bring another entry here.
            while self.slots[at].station != Station::NONE && which(&self.slots[at]) {
                self.remove(at);
            }
        }
    }

    /// Empties a slot and closes the gap, so that no search ends before its station (Knuth 6.4, algorithm R).
    fn remove(&mut self, at: usize) {
        let mut gap = at;
        let mut next = (gap + 1) % SLOTS;
        while self.slots[next].station != Station::NONE {
            let home = self.home(self.slots[next].station);
            if (next + SLOTS - home) % SLOTS >= (next + SLOTS - gap) % SLOTS {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
            next = (next + 1) % SLOTS;
        }
        self.slots[gap] = EMPTY;
        self.used -= 1;
    }
}

fn is_old(slot: &Slot, now: u64) -> bool {
    now.saturating_sub(slot.seen_ns) > AGEING_NS
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn station(number: u32, vlan: u16) -> Station {
        let [a, b, c, d] = number.to_be_bytes();
        Station::new([2, 0, a, b, c, d], vlan).unwrap()
    }

    #[test]
    fn group_addresses_and_zeros_are_no_stations() {
        assert_eq!(Station::new([0xff; 6], 0), None);
        assert_eq!(Station::new([1, 0, 0x5e, 0, 0, 1], 5), None);
        assert_eq!(Station::new([0; 6], 5), None);
        let known = Station::new([2, 1, 2, 3, 4, 5], 4094).unwrap();
        assert_eq!((known.mac(), known.vlan()), ([2, 1, 2, 3, 4, 5], 4094));
    }

    #[test]
    fn a_full_table_learns_nothing_more_until_stations_are_forgotten() {
        let mut fdb = Fdb::new();
        for n in 0..ENTRIES as u32 {
            assert!(fdb.learn(station(n, 0), 1, 10 * SECOND));
        }
        assert!(!fdb.learn(station(99_999, 0), 2, 20 * SECOND));
        assert_eq!(fdb.port_of(station(99_999, 0), 20 * SECOND), None);
        assert!(
            fdb.learn(station(7, 0), 3, 20 * SECOND),
            "a known station is still followed"
        );
        let later = 20 * SECOND + AGEING_NS;
        assert!(fdb.learn(station(99_999, 0), 2, later));
        assert_eq!(fdb.entries(later).len(), 2);
        assert_eq!(fdb.port_of(station(7, 0), later), Some(3));
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec((0..6u8, 0..40u32, 0..3u16, 0..4usize, 0..200u64), 1..300)) {
            let mut fdb = Fdb::new();
            let mut model: HashMap<(u32, u16), (usize, u64)> = HashMap::new();
            let mut now = SECOND;
            for (op, number, vlan, port, seconds) in ops {
                match op {
                    0 => now += seconds * SECOND,
                    1 => {
                        fdb.forget_port(port);
                        model.retain(|_, (p, _)| *p != port);
                    }
                    2 | 3 => {
                        prop_assert!(fdb.learn(station(number, vlan), port, now));
                        model.insert((number, vlan), (port, now));
                    }
                    _ => {
                        let known = model.get(&(number, vlan)).filter(|(_, seen)| now - seen <= AGEING_NS);
                        prop_assert_eq!(fdb.port_of(station(number, vlan), now), known.map(|(p, _)| *p));
                    }
                }
            }
            let alive = model.values().filter(|(_, seen)| now - seen <= AGEING_NS).count();
            prop_assert_eq!(fdb.entries(now).len(), alive);
        }
    }
}
