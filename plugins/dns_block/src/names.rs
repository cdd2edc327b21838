//! Domain names: as the configuration writes them, as a question carries them, and a table of them.

/// Bytes that a name takes in a message at most, with its lengths and the root (RFC 1035, 2.3.4).
pub const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// Most names and suffixes together; slots are twice as many.
const ENTRIES: usize = 4096;
const SLOTS: usize = 2 * ENTRIES;
/// Bytes for all of them.
const POOL: usize = 96 << 10;

/// A name in wire form, in lower case, without the root: `3www7example3com`.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    len: usize,
}

impl Name {
    const EMPTY: Name = Name {
        bytes: [0; NAME_MAX],
        len: 0,
    };

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, label: &[u8]) -> Option<()> {
        if label.is_empty() || label.len() > LABEL_MAX || self.len + label.len() + 2 > NAME_MAX {
            return None;
        }
        *self.bytes.get_mut(self.len)? = label.len() as u8;
        let place = self.bytes.get_mut(self.len + 1..self.len + 1 + label.len())?;
        for (to, from) in place.iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        self.len += 1 + label.len();
        Some(())
    }

    /// Reads a name as people write it: `www.example.com`, with or without a last dot.
    pub fn written(text: &str) -> Option<Name> {
        let text = text.trim_ascii();
        let mut name = Name::EMPTY;
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let right = |byte: u8| byte.is_ascii_graphic() && byte != b'*' && byte != b'\\';
            if !label.bytes().all(right) {
                return None;
            }
            name.push(label.as_bytes())?;
        }
        Some(name)
    }

    /// Reads the name at the start of a question, and how many bytes it takes there; `None` for one that is cut short, too
    /// long, or compressed: the first name of a message has nothing before it to point at.
    pub fn asked(message: &[u8]) -> Option<(Name, usize)> {
        let mut name = Name::EMPTY;
        let mut at = 0;
        loop {
            match usize::from(*message.get(at)?) {
                0 => return Some((name, at + 1)),
                len if len > LABEL_MAX => return None,
                len => {
                    name.push(message.get(at + 1..at + 1 + len)?)?;
                    at += 1 + len;
                }
            }
        }
    }
}

/// A set of names and suffixes, found by hash.
#[derive(Clone)]
pub struct Names {
    pool: [u8; POOL],
    used: usize,
    count: usize,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy)]
struct Slot {
    /// Start in the pool; with `len` 0 the slot is free.
    start: u32,
    len: u8,
    /// Names below it are meant too.
    suffix: bool,
}

impl Names {
    // All zeros, so that it takes no bytes in the module.
    pub const NONE: Names = Names {
        pool: [0; POOL],
        used: 0,
        count: 0,
        slots: [Slot {
            start: 0,
            len: 0,
            suffix: false,
        }; SLOTS],
    };

    pub fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
        self.slots.fill(Names::NONE.slots[0]);
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a name, and with `suffix` all below it; false where there is no room left.
    pub fn add(&mut self, name: &Name, suffix: bool) -> bool {
        let bytes = name.bytes();
        let at = self.find(bytes);
        let (start, end) = (self.used, self.used + bytes.len());
        let Some(slot) = self.slots.get_mut(at) else { return false };
        if slot.len != 0 {
            slot.suffix |= suffix;
            return true;
        }
        let Some(place) = self.pool.get_mut(start..end) else {
            return false;
        };
        if self.count == ENTRIES {
            return false;
        }
        place.copy_from_slice(bytes);
        *slot = Slot {
            start: start as u32,
            len: bytes.len() as u8,
            suffix,
        };
        self.used = end;
        self.count += 1;
        true
    }

    /// Says whether a name, or a suffix that it ends with, is in the set.
    pub fn holds(&self, name: &Name) -> bool {
        let mut rest = name.bytes();
        let mut whole = true;
        while let Some((&len, _)) = rest.split_first() {
            let slot = self.slots.get(self.find(rest));
            if slot.is_some_and(|slot| slot.len != 0 && (whole || slot.suffix)) {
                return true;
            }
            whole = false;
            rest = rest.get(1 + usize::from(len)..).unwrap_or_default();
        }
        false
    }

    /// Returns the slot of a name, or else the free one it would be put into.
    fn find(&self, name: &[u8]) -> usize {
        let mut at = vnet_plugin::abi::fnv1a(name) as usize & (SLOTS - 1);
        // At least half of the slots are free.
        while let Some(slot) = self.slots.get(at) {
            let start = slot.start as usize;
            if slot.len == 0 || self.pool.get(start..start + usize::from(slot.len)) == Some(name) {
                break;
            }
            at = (at + 1) & (SLOTS - 1);
        }
        at
    }
}
