//! Reads and changes the maps of a running plugin.
//!
//! A map lies in guest memory and is the guest's: its header is checked at each use, and a broken one is an error here, never
//! of the packet path.

use thiserror::Error;
use vnet_abi::{MAP_SLOT_HEADER_SIZE, SlotHeader, fnv1a, slot_state};

use crate::instance::Instance;
use crate::maps::{self, Map};
use crate::record::Record;
use crate::stage::Stage;

/// What a map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapInfo {
    /// Its name.
    pub name: String,
    /// The fields of its keys: the manifest's, else bytes.
    pub key: Record,
    /// The fields of its values.
    pub value: Record,
    /// Most entries it can have.
    pub capacity: u32,
    /// Entries it has.
    pub len: u32,
}

/// Why a map cannot be read or changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MapError {
    /// The plugin has no map of that name.
    #[error("plugin {plugin} has no map {name:?}; {}", list(.known))]
    Unknown {
        /// Name of the plugin.
        plugin: String,
        /// The name asked for.
        name: String,
        /// Names of those it has.
        known: Vec<String>,
    },
    /// The map in the plugin's memory is not one any more.
    #[error("map {name:?} of plugin {plugin} is broken: {why}")]
    Broken {
        /// Name of the plugin.
        plugin: String,
        /// Name of the map.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Every slot is taken by other keys.
    #[error("map {name:?} of plugin {plugin} is full: it has {capacity} slots")]
    Full {
        /// Name of the plugin.
        plugin: String,
        /// Name of the map.
        name: String,
        /// Its slots.
        capacity: u32,
    },
    /// A key or value of another size was given.
    #[error("a {what} of map {name:?} has {expected} bytes; {given} were given")]
    Size {
        /// Name of the map.
        name: String,
        /// `key` or `value`.
        what: &'static str,
        /// Bytes given.
        given: usize,
        /// Bytes it has.
        expected: u32,
    },
    /// The plugin failed, and has no instance just now.
    #[error("plugin {plugin} is out of service ({state}); its maps are in the memory of an instance")]
    OutOfService {
        /// Name of the plugin.
        plugin: String,
        /// State of its fault life cycle.
        state: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    }
}

/// A key and its value.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// All slots of a map at one moment, to be looked at elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapCopy {
    plugin: String,
    name: String,
    bytes: Vec<u8>,
    stride: usize,
    key_size: usize,
    value_at: usize,
    value_size: usize,
    count: u32,
}

impl MapCopy {
    /// Makes an empty copy that holds `room` bytes without asking for memory, whose pages are there already.
    #[must_use]
    pub fn with_room(room: usize) -> MapCopy {
        let mut bytes = vec![1; room];
        bytes.clear();
        MapCopy {
            bytes,
            ..MapCopy::default()
        }
    }

    /// Returns the keys with their values.
    ///
    /// # Errors
    /// [`MapError::Broken`] where slots do not agree with the header.
    pub fn entries(&self) -> Result<Vec<Entry<'_>>, MapError> {
        let broken = |why: String| MapError::Broken {
            plugin: self.plugin.clone(),
            name: self.name.clone(),
            why,
        };
        let mut entries = Vec::with_capacity(self.count as usize);
        for (i, slot) in self.bytes.chunks_exact(self.stride.max(1)).enumerate() {
            let head = slot.first_chunk().map(SlotHeader::from_bytes).unwrap_or_default();
            match head.state {
                slot_state::EMPTY | slot_state::DELETED => continue,
                slot_state::USED => {}
                state => return Err(broken(format!("slot {i} has the state {state}"))),
            }
            let key = &slot[MAP_SLOT_HEADER_SIZE..][..self.key_size];
            if head.hash != fnv1a(key) {
                return Err(broken(format!("the hash in slot {i} is not that of its key")));
            }
            entries.push((key, &slot[self.value_at..][..self.value_size]));
        }
        if entries.len() != self.count as usize {
            return Err(broken(format!(
                "{} slots are in use and its count is {}",
                entries.len(),
                self.count
            )));
        }
        Ok(entries)
    }
}

impl Stage {
    /// Returns what the plugin's maps are.
    ///
    /// # Errors
    /// [`MapError::Broken`] for a map of the manifest that is none any more, [`MapError::OutOfService`].
    pub fn maps(&mut self) -> Result<Vec<MapInfo>, MapError> {
        let names = self.map_names()?;
        names.iter().map(|name| self.map_info(name)).collect()
    }

    /// Returns what a map is.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_info(&mut self, name: &str) -> Result<MapInfo, MapError> {
        let header = self.map(name)?.0.header;
        let layout = self.module.manifest().maps.get(name);
        let record = |given: Option<&Record>, size| given.cloned().unwrap_or_else(|| Record::bytes(size));
        Ok(MapInfo {
            name: name.to_owned(),
            key: record(layout.and_then(|layout| layout.key.as_ref()), header.key_size),
            value: record(layout.and_then(|layout| layout.value.as_ref()), header.value_size),
            capacity: header.capacity,
            len: header.count,
        })
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_get(&mut self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        let (map, memory) = self.map(name)?;
        check_size(name, "key", key, map.header.key_size)?;
        Ok(map.get(memory, key))
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`MapError`]; nothing has changed then.
    pub fn map_set(&mut self, name: &str, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        let (map, memory) = self.map(name)?;
        check_size(name, "key", key, map.header.key_size)?;
        check_size(name, "value", value, map.header.value_size)?;
        let capacity = map.header.capacity;
        if map.set(memory, key, value) {
            return Ok(());
        }
        Err(MapError::Full {
            plugin: self.name().to_owned(),
            name: name.to_owned(),
            capacity,
        })
    }

    /// Takes a key out and returns its value.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_remove(&mut self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        let (map, memory) = self.map(name)?;
        check_size(name, "key", key, map.header.key_size)?;
        Ok(map.remove(memory, key))
    }

    /// Takes all keys out.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_clear(&mut self, name: &str) -> Result<(), MapError> {
        let (map, memory) = self.map(name)?;
        map.clear(memory);
        Ok(())
    }

    /// Returns how many bytes [`Stage::map_copy`] copies.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_bytes(&mut self, name: &str) -> Result<usize, MapError> {
        let (map, memory) = self.map(name)?;
        Ok(map.slots(memory).len())
    }

    /// Copies the slots of a map as they are; nothing is looked at, so that this takes no longer than the copy itself.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_copy(&mut self, name: &str, mut room: MapCopy) -> Result<MapCopy, MapError> {
        let plugin = self.name().to_owned();
        let (map, memory) = self.map(name)?;
        room.bytes.extend_from_slice(map.slots(memory));
        Ok(MapCopy {
            plugin,
            name: name.to_owned(),
            bytes: room.bytes,
            stride: map.header.slot_size() as usize,
            key_size: map.header.key_size as usize,
            value_at: map.header.value_offset() as usize,
            value_size: map.header.value_size as usize,
            count: map.header.count,
        })
    }

    /// Returns the names of the maps in the table, and those of the manifest that are not there any more.
    ///
    /// # Errors
    /// [`MapError::OutOfService`]
    pub fn map_names(&mut self) -> Result<Vec<String>, MapError> {
        let (table, memory) = self.map_table()?;
        let mut names: Vec<String> = maps::headers(memory, table)
            .filter_map(|at| {
                let header = maps::header(memory, at)?;
                let name = maps::name(memory, &header)?;
                Some(String::from_utf8_lossy(name).into_owned())
            })
            .collect();
        for name in self.module.manifest().maps.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    fn map_table(&mut self) -> Result<(u32, &mut [u8]), MapError> {
        if self.instance.is_none() {
            return Err(MapError::OutOfService {
                plugin: self.name().to_owned(),
                state: self.stats().state,
            });
        }
        match &mut self.instance {
            // A table at the end of the address space names no map.
            Some(instance) => Ok((instance.maps.unwrap_or(u32::MAX), Instance::memory(instance))),
            None => Ok((u32::MAX, &mut [])),
        }
    }

    /// Returns a map whose header is sound and as the manifest says, and the memory it lies in.
    fn map(&mut self, name: &str) -> Result<(Map, &mut [u8]), MapError> {
        let plugin = self.name().to_owned();
        let layout = self.module.manifest().maps.get(name).cloned();
        let broken = |why: String| MapError::Broken {
            plugin: plugin.clone(),
            name: name.to_owned(),
            why,
        };
        let (table, memory) = self.map_table()?;
        let at = maps::headers(memory, table).find(|at| {
            maps::header(memory, *at)
                .is_some_and(|header| maps::name(memory, &header) == Some(name.as_bytes()))
        });
        let Some(at) = at else {
            if layout.is_some() {
                return Err(broken(
                    "its header is not in the table of `vnet_maps` any more".into(),
                ));
            }
            return Err(MapError::Unknown {
                known: self.map_names()?,
                plugin,
                name: name.to_owned(),
            });
        };
        let map = Map::check(memory, at).map_err(|why| broken(why.into()))?;
        if let Some(layout) = layout {
            layout
                .check(name, map.header.key_size, map.header.value_size)
                .map_err(|refusal| broken(refusal.reason))?;
        }
        Ok((map, self.map_table()?.1))
    }
}

fn check_size(name: &str, what: &'static str, given: &[u8], expected: u32) -> Result<(), MapError> {
    if given.len() == expected as usize {
        return Ok(());
    }
    Err(MapError::Size {
        name: name.to_owned(),
        what,
        given: given.len(),
        expected,
    })
}
