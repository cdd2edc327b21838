//! Carries the maps that live in guest memory from a failed instance to a fresh one.
//!
//! Every address and size in them is the guest's and untrusted: all sums are taken in 64 bits.

use std::collections::BTreeMap;

use vnet_abi::{
    MAP_HEADER_SIZE, MAP_MAGIC, MAP_SLOT_HEADER_SIZE, MapHeader, STATE_MAX, SlotHeader, fnv1a, slot_state,
};

use crate::error::Refusal;
use crate::record::MapLayout;

/// Most maps of one plugin that are looked at.
const MAPS_MAX: u32 = 256;

/// Longest name of a map, in bytes.
const NAME_MAX: u32 = 1024;

/// The entries of one map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SavedMap {
    name: Vec<u8>,
    key_size: u32,
    value_size: u32,
    /// Keys and values, one after the other without padding.
    entries: Vec<u8>,
}

/// Copies every map that is sound out of guest memory; maps that are not are left behind.
pub(crate) fn save(memory: &[u8], table: u32) -> Vec<SavedMap> {
    let mut room = STATE_MAX;
    sound(memory, table)
        .filter_map(|map| {
            let saved = map.save(memory, room)?;
            room -= saved.entries.len();
            Some(saved)
        })
        .collect()
}

/// Inserts saved entries into the maps of the same names and sizes.
pub(crate) fn restore(memory: &mut [u8], table: u32, saved: &[SavedMap]) -> Moved {
    let mut moved = Moved::default();
    let places: Vec<u32> = sound(memory, table).map(|map| map.at as u32).collect();
    for at in places {
        let Some(mut map) = Map::open(memory, at) else {
            continue;
        };
        let same = |saved: &&SavedMap| {
            saved.key_size == map.header.key_size
                && saved.value_size == map.header.value_size
                && map.name(memory) == Some(&saved.name)
        };
        if let Some(saved) = saved.iter().find(same) {
            let (inserted, lost) = map.insert_all(memory, saved);
            moved.note(saved.name(), inserted, lost);
        }
    }
    moved
}

/// What [`carry`] took along.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Names of the maps.
    pub(crate) maps: Vec<String>,
    /// Entries that are there afterwards.
    pub(crate) entries: u64,
    /// Entries for which the map had no room.
    pub(crate) lost: u64,
}

/// Says whether there is an entry in any sound map.
pub(crate) fn any(memory: &[u8], table: u32) -> bool {
    sound(memory, table).any(|map| map.header.count > 0)
}

/// Inserts the entries of one plugin's maps into another's of the same names and sizes, without a copy in between.
pub(crate) fn carry(from: &[u8], from_table: u32, to: &mut [u8], to_table: u32) -> Moved {
    let mut moved = Moved::default();
    let places: Vec<u32> = sound(to, to_table).map(|map| map.at as u32).collect();
    for source in sound(from, from_table) {
        let Some(name) = source.name(from) else { continue };
        let same = |map: &Map| {
            let (a, b) = (&map.header, &source.header);
            a.key_size == b.key_size && a.value_size == b.value_size && map.name(to) == Some(name)
        };
        let mut targets = places.iter().filter_map(|at| Map::open(to, *at));
        let Some(mut target) = targets.find(same) else {
            continue;
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let Some(used) = source.used(from) else { continue };
        let (mut inserted, mut lost) = (0, 0);
        if target.header.capacity == source.header.capacity && target.header.count == 0 {
            // Every entry stands where its hash wants it.
            let (at, size) = (source.slot(0), source.size());
            to[target.slot(0)..][..size].copy_from_slice(&from[at..at + size]);
            target.header.count = source.header.count;
            inserted = u64::from(source.header.count);
        } else {
            for slot in used {
                let value = source.value_at(slot);
                let value = &from[value..value + source.header.value_size as usize];
                if target.insert(to, source.key(from, slot), value) {
                    inserted += 1;
                } else {
                    lost += 1;
                }
            }
        }
        target.write_header(to);
        moved.note(name, inserted, lost);
    }
    moved
}

impl Moved {
    fn note(&mut self, map: String, inserted: u64, lost: u64) {
        self.maps.push(map);
        self.entries += inserted;
        self.lost += lost;
    }
}

impl SavedMap {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

/// Checks that every map the manifest describes is there, with keys and values of the size described.
pub(crate) fn check(
    memory: &[u8],
    table: Option<u32>,
    layouts: &BTreeMap<String, MapLayout>,
) -> Result<(), Refusal> {
    for (name, layout) in layouts {
        let map = table.and_then(|table| {
            headers(memory, table)
                .filter_map(|at| Map::open(memory, at))
                .find(|map| map.name(memory) == Some(name.as_bytes()))
        });
        let Some(map) = map else {
            return Err(Refusal::new(format!(
                "its manifest describes the map {name:?}, and there is none of that name in vnet_maps"
            ))
            .hint("a map has the header of the plugin ABI; `vnet_maps` returns the address of the table of them"));
        };
        layout.check(name, map.header.key_size, map.header.value_size)?;
    }
    Ok(())
}

/// Returns the addresses of the headers that a table of maps names.
pub(crate) fn headers(memory: &[u8], table: u32) -> impl Iterator<Item = u32> {
    let count = get_u32(memory, u64::from(table)).unwrap_or(0).min(MAPS_MAX);
    (0..count).filter_map(move |i| get_u32(memory, u64::from(table) + 4 + 4 * u64::from(i)))
}

/// Returns the maps that a table names, as long as their slots add up to no more than the memory.
///
/// Those of a plugin that means well do not overlap; another cannot have the host walk the same slots again and again while frames
/// wait.
fn sound(memory: &[u8], table: u32) -> impl Iterator<Item = Map> {
    let mut room = memory.len();
    headers(memory, table).filter_map(move |at| {
        let map = Map::open(memory, at)?;
        room = room.checked_sub(map.size())?;
        Some(map)
    })
}

fn get_u32(memory: &[u8], at: u64) -> Option<u32> {
    slice(memory, at, 4)?
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes))
}

fn slice(memory: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let end = at.checked_add(len).filter(|end| *end <= memory.len() as u64)?;
    Some(&memory[at as usize..end as usize])
}

/// A map whose header was checked and whose slots lie inside memory.
pub(crate) struct Map {
    at: usize,
    pub(crate) header: MapHeader,
}

/// Reads a header, of which nothing is checked but that memory has it.
pub(crate) fn header(memory: &[u8], at: u32) -> Option<MapHeader> {
    slice(memory, u64::from(at), MAP_HEADER_SIZE as u64)?
        .first_chunk()
        .map(MapHeader::from_bytes)
}

/// Returns a map's name, where memory has it and it is one: not most of the memory, once for each map.
pub(crate) fn name<'a>(memory: &'a [u8], header: &MapHeader) -> Option<&'a [u8]> {
    if header.name_len > NAME_MAX {
        return None;
    }
    slice(memory, u64::from(header.name_ptr), u64::from(header.name_len))
}

impl Map {
    fn open(memory: &[u8], at: u32) -> Option<Map> {
        Map::check(memory, at).ok()
    }

    /// Checks a header; says what is wrong with it.
    pub(crate) fn check(memory: &[u8], at: u32) -> Result<Map, &'static str> {
        let header = header(memory, at).ok_or("its header is outside the plugin's memory")?;
        if header.magic != MAP_MAGIC {
            return Err("its header does not begin with \"VMAP\"");
        }
        if !header.capacity.is_power_of_two() {
            return Err("its capacity is no power of two");
        }
        if header.count > header.capacity {
            return Err("its count is greater than its capacity");
        }
        if header.key_size == 0 {
            return Err("its keys have no bytes");
        }
        u64::from(header.capacity)
            .checked_mul(header.slot_size())
            .and_then(|size| slice(memory, u64::from(header.slots_ptr), size))
            .ok_or("its slots are outside the plugin's memory")?;
        Ok(Map {
            at: at as usize,
            header,
        })
    }

    fn name<'a>(&self, memory: &'a [u8]) -> Option<&'a [u8]> {
        name(memory, &self.header)
    }

    fn slot(&self, i: u32) -> usize {
        (u64::from(self.header.slots_ptr) + u64::from(i) * self.header.slot_size()) as usize
    }

    fn head(memory: &[u8], slot: usize) -> SlotHeader {
        memory[slot..]
            .first_chunk()
            .map(SlotHeader::from_bytes)
            .unwrap_or_default()
    }

    fn key<'a>(&self, memory: &'a [u8], slot: usize) -> &'a [u8] {
        &memory[slot + MAP_SLOT_HEADER_SIZE..][..self.header.key_size as usize]
    }

    fn value_at(&self, slot: usize) -> usize {
        slot + self.header.value_offset() as usize
    }

    /// Bytes of all slots.
    fn size(&self) -> usize {
        self.header.capacity as usize * self.header.slot_size() as usize
    }

    /// Returns the slots with entries; `None` where a slot or their number is wrong.
    fn used(&self, memory: &[u8]) -> Option<Vec<usize>> {
        let mut used = Vec::with_capacity(self.header.count as usize);
        for i in 0..self.header.capacity {
            let slot = self.slot(i);
            let head = Map::head(memory, slot);
            match head.state {
                slot_state::EMPTY | slot_state::DELETED => continue,
                slot_state::USED => {}
                _ => return None,
            }
            if head.hash != fnv1a(self.key(memory, slot)) {
                return None;
            }
            used.push(slot);
        }
        (used.len() == self.header.count as usize).then_some(used)
    }

    fn save(&self, memory: &[u8], room: usize) -> Option<SavedMap> {
        let name = self.name(memory)?.to_vec();
        let mut entries = Vec::new();
        for slot in self.used(memory)? {
            entries.extend_from_slice(self.key(memory, slot));
            entries.extend_from_slice(&memory[self.value_at(slot)..][..self.header.value_size as usize]);
            if entries.len() > room {
                return None;
            }
        }
        Some(SavedMap {
            name,
            key_size: self.header.key_size,
            value_size: self.header.value_size,
            entries,
        })
    }

    /// Returns how many entries are there afterwards, and for how many there was no room.
    fn insert_all(&mut self, memory: &mut [u8], saved: &SavedMap) -> (u64, u64) {
        let key_size = saved.key_size as usize;
        let (mut inserted, mut lost) = (0, 0);
        for entry in saved.entries.chunks_exact(key_size + saved.value_size as usize) {
            let (key, value) = entry.split_at(key_size);
            if self.insert(memory, key, value) {
                inserted += 1;
            } else {
                lost += 1;
            }
        }
        self.write_header(memory);
        (inserted, lost)
    }

    /// Sets the value of a key in memory, not yet the count in the header there; false when every slot is taken by others.
    fn insert(&mut self, memory: &mut [u8], key: &[u8], value: &[u8]) -> bool {
        let (found, free) = self.search(memory, key);
        if let Some(slot) = found {
            let at = self.value_at(slot);
            memory[at..at + value.len()].copy_from_slice(value);
            return true;
        }
        let Some(slot) = free else { return false };
        let head = SlotHeader {
            state: slot_state::USED,
            hash: fnv1a(key),
        };
        memory[slot..slot + MAP_SLOT_HEADER_SIZE].copy_from_slice(&head.to_bytes());
        memory[slot + MAP_SLOT_HEADER_SIZE..][..key.len()].copy_from_slice(key);
        let at = self.value_at(slot);
        memory[at..at + value.len()].copy_from_slice(value);
        self.header.count = self.header.count.saturating_add(1);
        true
    }

    /// Returns the slot a key is in, and else the free one it would be put into.
    fn search(&self, memory: &[u8], key: &[u8]) -> (Option<usize>, Option<usize>) {
        let hash = fnv1a(key);
        let mask = self.header.capacity - 1;
        let mut free = None;
        for step in 0..self.header.capacity {
            let slot = self.slot(hash.wrapping_add(step) & mask);
            match Map::head(memory, slot).state {
                slot_state::USED if self.key(memory, slot) == key => return (Some(slot), None),
                slot_state::USED => {}
                slot_state::EMPTY => return (None, free.or(Some(slot))),
                _ => free = free.or(Some(slot)),
            }
        }
        (None, free)
    }

    fn write_header(&self, memory: &mut [u8]) {
        memory[self.at..self.at + MAP_HEADER_SIZE].copy_from_slice(&self.header.to_bytes());
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, memory: &[u8], key: &[u8]) -> Option<Vec<u8>> {
        let at = self.value_at(self.search(memory, key).0?);
        Some(memory[at..at + self.header.value_size as usize].to_vec())
    }

    /// Sets the value of a key; false, and nothing changes, when every slot is taken by others.
    pub(crate) fn set(mut self, memory: &mut [u8], key: &[u8], value: &[u8]) -> bool {
        let fits = self.insert(memory, key, value);
        self.write_header(memory);
        fits
    }

    /// Takes a key out; returns its value.
    pub(crate) fn remove(mut self, memory: &mut [u8], key: &[u8]) -> Option<Vec<u8>> {
        let slot = self.search(memory, key).0?;
        let at = self.value_at(slot);
        let value = memory[at..at + self.header.value_size as usize].to_vec();
        let slots = self.header.slots_ptr as usize;
        let index = ((slot - slots) as u64 / self.header.slot_size()) as u32;
        let mask = self.header.capacity - 1;
        let state = |memory: &[u8], i: u32| Map::head(memory, self.slot(i & mask)).state;
        let mark = |memory: &mut [u8], i: u32, state: u32| {
            let at = self.slot(i & mask);
            memory[at..at + 4].copy_from_slice(&state.to_le_bytes());
        };
        if state(memory, index.wrapping_add(1)) == slot_state::EMPTY {
            // A search that came this far ends at the next slot anyway, and so do those that began before.
            mark(memory, index, slot_state::EMPTY);
            for back in 1..self.header.capacity {
                let before = index.wrapping_sub(back);
                if state(memory, before) != slot_state::DELETED {
                    break;
                }
                mark(memory, before, slot_state::EMPTY);
            }
        } else {
            mark(memory, index, slot_state::DELETED);
        }
        self.header.count = self.header.count.saturating_sub(1);
        self.write_header(memory);
        Some(value)
    }

    /// Empties every slot.
    pub(crate) fn clear(mut self, memory: &mut [u8]) {
        for i in 0..self.header.capacity {
            let slot = self.slot(i);
            memory[slot..slot + 4].copy_from_slice(&slot_state::EMPTY.to_le_bytes());
        }
        self.header.count = 0;
        self.write_header(memory);
    }

    /// Returns all slots, empty ones among them.
    pub(crate) fn slots<'a>(&self, memory: &'a [u8]) -> &'a [u8] {
        let start = self.header.slots_ptr as usize;
        &memory[start..start + (u64::from(self.header.capacity) * self.header.slot_size()) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: u32 = 16;
    const HEADER: u32 = 64;
    const SLOTS: u32 = 256;

    fn memory(capacity: u32, entries: &[(u32, u64)]) -> Vec<u8> {
        let mut memory = vec![0; 4096];
        memory[16..24].copy_from_slice(&[1, 0, 0, 0, HEADER as u8, 0, 0, 0]);
        memory[128..132].copy_from_slice(b"macs");
        let header = MapHeader {
            magic: MAP_MAGIC,
            key_size: 4,
            value_size: 8,
            capacity,
            count: 0,
            name_ptr: 128,
            name_len: 4,
            flags: 0,
            slots_ptr: SLOTS,
        };
        memory[64..64 + MAP_HEADER_SIZE].copy_from_slice(&header.to_bytes());
        if let Some(mut map) = Map::open(&memory, HEADER) {
            for (key, value) in entries {
                map.insert(&mut memory, &key.to_le_bytes(), &value.to_le_bytes());
            }
            memory[64..64 + MAP_HEADER_SIZE].copy_from_slice(&map.header.to_bytes());
        }
        memory
    }

    #[test]
    fn carries_entries_into_a_map_of_another_capacity() {
        let old = memory(8, &[(1, 10), (2, 20), (9, 90), (17, 170)]);
        let mut new = memory(32, &[(2, 0)]);
        assert_eq!(restore(&mut new, TABLE, &save(&old, TABLE)).maps, ["macs"]);
        let same = memory(32, &[(2, 20), (1, 10), (9, 90), (17, 170)]);
        let sorted = |memory: &[u8]| {
            let mut pairs: Vec<_> = save(memory, TABLE)[0]
                .entries
                .chunks(12)
                .map(<[u8]>::to_vec)
                .collect();
            pairs.sort();
            pairs
        };
        assert_eq!(sorted(&new), sorted(&same));
    }

    #[test]
    fn leaves_broken_maps_behind() {
        let sound = memory(8, &[(1, 10)]);
        assert_eq!(save(&sound, TABLE).len(), 1);
        let broken = |at: usize, value: u32| {
            let mut memory = sound.clone();
            memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
            save(&memory, TABLE).len()
        };
        for (what, at, value) in [
            ("magic", 64, 0),
            ("key size", 68, u32::MAX),
            ("value size", 72, u32::MAX),
            ("capacity no power of two", 76, 7),
            ("capacity outside memory", 76, 1 << 31),
            ("count", 80, 2),
            ("name outside memory", 84, u32::MAX),
            ("slots outside memory", 96, u32::MAX - 8),
            ("header outside memory", 20, u32::MAX),
            ("header behind the end", 20, 4095),
        ] {
            assert_eq!(broken(at, value), 0, "{what}");
        }
        assert_eq!(save(&sound, u32::MAX).len(), 0);
        assert_eq!(save(&sound, 4094).len(), 0);
    }

    #[test]
    fn does_not_insert_into_maps_of_other_sizes() {
        let saved = save(&memory(8, &[(1, 10)]), TABLE);
        let mut other = memory(8, &[]);
        other[68..72].copy_from_slice(&8_u32.to_le_bytes());
        let before = other.clone();
        assert_eq!(restore(&mut other, TABLE, &saved), Moved::default());
        assert_eq!(other, before);
    }

    #[test]
    fn a_full_map_takes_no_more() {
        let saved = save(&memory(16, &(0..16).map(|k| (k, 1)).collect::<Vec<_>>()), TABLE);
        let mut small = memory(4, &[]);
        restore(&mut small, TABLE, &saved);
        assert_eq!(save(&small, TABLE)[0].entries.len(), 4 * 12);
    }
}
