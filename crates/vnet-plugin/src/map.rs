//! Tables that outlive an instance and that the host can read.

use core::cell::UnsafeCell;

use vnet_abi::{MAP_MAGIC, MapHeader, fnv1a, slot_state};

use crate::state::State;

/// A static table of `KEY`-byte keys and `VALUE`-byte values with `CAPACITY` slots, a power of two.
///
/// Named in the attribute's `maps` option it is one of the maps of the plugin ABI: the host sees it, and carries its
/// entries over to a fresh instance. A table that is at most half full finds a key in one or two steps.
///
/// ```
/// use vnet_plugin::{Map, Packet, Verdict, plugin};
///
/// static SEEN: Map<6, 8, 1024> = Map::new();
///
/// /// Counts frames by sender, and drops those of senders it has no room for.
/// #[plugin(gso, csum, maps = {"seen": SEEN("sender: mac" => "frames: u64")})]
/// fn count_senders(pkt: &mut Packet) -> Verdict {
///     let sender = pkt.eth().src().0;
///     let before = SEEN.get(&sender).map_or(0, u64::from_le_bytes);
///     if SEEN.insert(&sender, (before + 1).to_le_bytes()) { Verdict::Pass } else { Verdict::Drop }
/// }
/// ```
pub struct Map<const KEY: usize, const VALUE: usize, const CAPACITY: usize>(
    State<Table<KEY, VALUE, CAPACITY>>,
);

/// The map as the ABI lays it out. All zeros at first, so that it takes no bytes in the module.
#[derive(Clone)]
#[repr(C)]
struct Table<const KEY: usize, const VALUE: usize, const CAPACITY: usize> {
    header: MapHeader,
    slots: [Slot<KEY, VALUE>; CAPACITY],
    /// The slot in which a key of each kind was found last. They may be wrong: the host, too, changes slots.
    hints: [u32; HINTS],
    /// The slot that [`Map::retain_some`] looks at next.
    hand: u32,
}

/// Kinds of keys that have a hint of their own.
const HINTS: usize = 256;

#[derive(Clone, Copy)]
#[repr(C)]
struct Slot<const KEY: usize, const VALUE: usize> {
    state: u32,
    hash: u32,
    key: Padded<KEY>,
    value: Padded<VALUE>,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Padded<const N: usize>([u8; N]);

const NO_HEADER: MapHeader = MapHeader {
    magic: [0; 4],
    key_size: 0,
    value_size: 0,
    capacity: 0,
    count: 0,
    name_ptr: 0,
    name_len: 0,
    flags: 0,
    slots_ptr: 0,
};

impl<const KEY: usize, const VALUE: usize, const CAPACITY: usize> Default for Map<KEY, VALUE, CAPACITY> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const KEY: usize, const VALUE: usize, const CAPACITY: usize> Map<KEY, VALUE, CAPACITY> {
    /// Makes an empty table.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(CAPACITY.is_power_of_two(), "a map's capacity is a power of two");
            assert!(KEY > 0, "a map's keys have bytes");
        }
        Map(State::new(Table {
            header: NO_HEADER,
            slots: [Slot {
                state: slot_state::EMPTY,
                hash: 0,
                key: Padded([0; KEY]),
                value: Padded([0; VALUE]),
            }; CAPACITY],
            hints: [0; HINTS],
            hand: 0,
        }))
    }

    /// Refuses to compile where the layout in the attribute's `maps` option does not add up to the table's sizes.
    #[doc(hidden)]
    pub const fn check_layout(&self, key: usize, value: usize) {
        assert!(
            key == KEY,
            "the fields of the map's key do not add up to the size of its keys"
        );
        assert!(
            value == VALUE,
            "the fields of the map's value do not add up to the size of its values"
        );
    }

    /// Returns the value of a key.
    #[inline]
    pub fn get(&'static self, key: &[u8; KEY]) -> Option<[u8; VALUE]> {
        // SAFETY: no code of the plugin's runs in there.
        unsafe {
            self.0
                .briefly(|table| table.slot_of(key).map(|slot| slot.value.0))
        }
    }

    /// Sets the value of a key; false, and nothing changes, when every slot is taken by others.
    #[inline]
    pub fn insert(&'static self, key: &[u8; KEY], value: [u8; VALUE]) -> bool {
        // SAFETY: no code of the plugin's runs in there.
        unsafe {
            self.0
                .briefly(|table| table.replace(key, value) || table.add(*key, value))
        }
    }

    /// Sets the value of a key that is there; false, and nothing changes, where it is not.
    #[inline]
    pub fn replace(&'static self, key: &[u8; KEY], value: [u8; VALUE]) -> bool {
        // SAFETY: no code of the plugin's runs in there.
        unsafe { self.0.briefly(|table| table.replace(key, value)) }
    }

    /// Removes the keys that `keep` answers false for.
    pub fn retain(&'static self, mut keep: impl FnMut(&[u8; KEY], &[u8; VALUE]) -> bool) {
        self.0.with(|table| {
            for at in 0..CAPACITY {
                // What is taken out may bring another entry here.
                while table.slots[at].state == slot_state::USED
                    && !keep(&table.slots[at].key.0, &table.slots[at].value.0)
                {
                    table.remove(at);
                }
            }
        });
    }

    /// Removes a key; false where it is not there.
    pub fn remove(&'static self, key: &[u8; KEY]) -> bool {
        self.0.with(|table| {
            let found = table.place_of(*key);
            found.inspect(|at| table.remove(*at)).is_some()
        })
    }

    /// Does what [`retain`](Map::retain) does to the next `slots` slots: a few for each frame or so keep a large table free
    /// of what is old, and no frame waits for all of it.
    pub fn retain_some(&'static self, slots: usize, mut keep: impl FnMut(&[u8; KEY], &[u8; VALUE]) -> bool) {
        self.0.with(|table| {
            for _ in 0..slots.min(CAPACITY) {
                let at = table.hand as usize & (CAPACITY - 1);
                while table.slots[at].state == slot_state::USED
                    && !keep(&table.slots[at].key.0, &table.slots[at].value.0)
                {
                    table.remove(at);
                }
                table.hand = at as u32 + 1;
            }
        });
    }

    /// Returns the number of keys.
    #[inline]
    #[must_use]
    pub fn len(&'static self) -> usize {
        // SAFETY: no code of the plugin's runs in there.
        unsafe { self.0.briefly(|table| table.header.count as usize) }
    }

    /// Says whether there is no key.
    #[must_use]
    pub fn is_empty(&'static self) -> bool {
        self.len() == 0
    }

    /// Fills in what the host reads of the table and returns its address. For guests: addresses are 32 bits.
    #[doc(hidden)]
    pub fn describe(&'static self, name: &'static str) -> u32 {
        self.0.with(|table| {
            table.header = MapHeader {
                magic: MAP_MAGIC,
                key_size: KEY as u32,
                value_size: VALUE as u32,
                capacity: CAPACITY as u32,
                count: table.header.count,
                name_ptr: name.as_ptr().expose_provenance() as u32,
                name_len: name.len() as u32,
                flags: 0,
                slots_ptr: table.slots.as_ptr().expose_provenance() as u32,
            };
            (&raw const table.header).expose_provenance() as u32
        })
    }
}

impl<const KEY: usize, const VALUE: usize, const CAPACITY: usize> Table<KEY, VALUE, CAPACITY> {
    /// Returns the slot that a key is in.
    ///
    /// A key that was found lately is looked for where it was, which spares its hash; the rest stays out of the way of that.
    #[inline(always)]
    fn slot_of(&mut self, key: &[u8; KEY]) -> Option<&mut Slot<KEY, VALUE>> {
        let at = self.hints[kind(key)] as usize & (CAPACITY - 1);
        let slot = &self.slots[at];
        let at = if slot.key.0 == *key && slot.state == slot_state::USED {
            at
        } else {
            // By way of a copy, so that the key itself need not lie in memory.
            self.place_of(*key)?
        };
        Some(&mut self.slots[at])
    }

    #[inline(always)]
    fn replace(&mut self, key: &[u8; KEY], value: [u8; VALUE]) -> bool {
        let slot = self.slot_of(key);
        slot.map(|slot| slot.value = Padded(value)).is_some()
    }

    /// Returns where a key is, and remembers it.
    #[cold]
    #[inline(never)]
    fn place_of(&mut self, key: [u8; KEY]) -> Option<usize> {
        let at = self.search(&key)?;
        if self.slots[at].state != slot_state::USED {
            return None;
        }
        self.hints[kind(&key)] = at as u32;
        Some(at)
    }

    /// Puts a key that is not there into a free slot; false where there is none.
    #[cold]
    #[inline(never)]
    fn add(&mut self, key: [u8; KEY], value: [u8; VALUE]) -> bool {
        let Some(at) = self.search(&key) else {
            return false;
        };
        self.header.count += 1;
        self.hints[kind(&key)] = at as u32;
        self.slots[at] = Slot {
            state: slot_state::USED,
            hash: fnv1a(&key),
            key: Padded(key),
            value: Padded(value),
        };
        true
    }

    /// Returns the slot that a key is in, or else the free one that it would be put into.
    ///
    /// The host may have left slots marked as deleted: those are passed, and taken where the key is nowhere.
    #[inline(never)]
    fn search(&self, key: &[u8; KEY]) -> Option<usize> {
        let hash = fnv1a(key);
        let mut free = None;
        for step in 0..CAPACITY {
            let at = (hash as usize + step) & (CAPACITY - 1);
            let slot = &self.slots[at];
            match slot.state {
                slot_state::USED if slot.hash == hash && slot.key.0 == *key => return Some(at),
                slot_state::USED => {}
                slot_state::EMPTY => return free.or(Some(at)),
                _ => free = free.or(Some(at)),
            }
        }
        free
    }

    /// Empties a slot and closes the gap, so that no search ends before its key (Knuth 6.4, algorithm R).
    fn remove(&mut self, at: usize) {
        const { assert!(CAPACITY.is_power_of_two()) }
        let mask = CAPACITY - 1;
        let mut gap = at;
        let mut next = (gap + 1) & mask;
        while next != at && self.slots[next].state != slot_state::EMPTY {
            let home = self.slots[next].hash as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[gap].state = slot_state::EMPTY;
        self.header.count -= 1;
    }
}

/// Returns a number below [`HINTS`] that is cheap to compute and differs for most keys.
#[inline(always)]
fn kind<const KEY: usize>(key: &[u8; KEY]) -> usize {
    let (words, rest) = key.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let mut mixed = u64::from_le_bytes(last);
    for word in words {
        mixed = (mixed ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    if words.is_empty() {
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (mixed >> 56) as usize
}

/// The table of maps that `vnet_maps` points at.
#[doc(hidden)]
pub struct MapsCell<const N: usize>(UnsafeCell<Addresses<N>>);

#[repr(C)]
struct Addresses<const N: usize> {
    count: u32,
    maps: [u32; N],
}

// SAFETY: a guest has one thread; on other targets nothing uses it.
unsafe impl<const N: usize> Sync for MapsCell<N> {}

impl<const N: usize> Default for MapsCell<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> MapsCell<N> {
    /// Returns an empty place.
    #[must_use]
    pub const fn new() -> Self {
        MapsCell(UnsafeCell::new(Addresses {
            count: 0,
            maps: [0; N],
        }))
    }

    /// Writes the table and returns where it lies.
    pub fn fill(&'static self, maps: [u32; N]) -> *const u32 {
        let place = self.0.get();
        let count = N as u32;
        // SAFETY: a guest has one thread, and the host reads the table after `vnet_maps` returned.
        unsafe { place.write(Addresses { count, maps }) };
        place.cast_const().cast()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    static SMALL: Map<4, 8, 16> = Map::new();

    #[test]
    fn agrees_with_a_map_until_it_is_full() {
        crate::state::reset();
        let mut model = BTreeMap::new();
        let mut random = 12345_u32;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = ((random >> 16) % 24).to_le_bytes();
            match random >> 29 {
                0 => {
                    let limit = step.saturating_sub(30);
                    SMALL.retain(|_, value| u64::from_le_bytes(*value) >= limit);
                    model.retain(|_, value| *value >= limit);
                }
                1 => {
                    assert_eq!(SMALL.remove(&key), model.remove(&key).is_some());
                }
                2..=4 => {
                    let fits = model.contains_key(&key) || model.len() < 16;
                    assert_eq!(SMALL.insert(&key, step.to_le_bytes()), fits);
                    if fits {
                        model.insert(key, step);
                    }
                }
                _ => assert_eq!(SMALL.get(&key).map(u64::from_le_bytes), model.get(&key).copied()),
            }
            assert_eq!(SMALL.len(), model.len());
        }
    }

    #[test]
    fn a_walk_in_pieces_comes_to_every_slot() {
        crate::state::reset();
        for n in 0..12_u32 {
            SMALL.insert(&n.to_le_bytes(), u64::from(n).to_le_bytes());
        }
        for _ in 0..8 {
            SMALL.retain_some(2, |_, value| u64::from_le_bytes(*value) % 3 == 0);
        }
        assert_eq!(SMALL.len(), 4);
        assert!(SMALL.get(&3_u32.to_le_bytes()).is_some());
    }

    #[test]
    fn the_layout_is_that_of_the_abi() {
        let header = MapHeader {
            key_size: 6,
            value_size: 12,
            ..NO_HEADER
        };
        assert_eq!(size_of::<Slot<6, 12>>() as u64, header.slot_size());
        assert_eq!(
            core::mem::offset_of!(Slot<6, 12>, value) as u64,
            header.value_offset()
        );
        assert_eq!(size_of::<MapHeader>(), vnet_abi::MAP_HEADER_SIZE);
    }
}
