//! What the attribute macro's code calls; no part of the SDK's promise.

use core::cell::UnsafeCell;
use core::slice;

use vnet_abi::{Desc, Info};

use crate::config::Config;
use crate::counter;
pub use crate::log::write as write_log;
use crate::log::{self, Level};
use crate::memory::{self, Memory};
use crate::packet::Packet;
use crate::verdict::Verdict;

// Whole pages, so that the host can put others in their place and frames need no copy along a chain.
#[repr(C, align(4096))]
struct Arena<const SLOT: usize, const RING: usize>([[u8; SLOT]; RING]);

// The host copies the ring as a whole: whole cache lines are cheaper.
#[repr(C, align(64))]
struct Ring<const RING: usize>([Desc; RING]);

/// A plugin's ring and arena.
pub struct Store<const SLOT: usize, const RING: usize> {
    ring: UnsafeCell<Ring<RING>>,
    arena: UnsafeCell<Arena<SLOT, RING>>,
}

// SAFETY: a guest has one thread; on other targets nothing reads or writes what lies inside.
unsafe impl<const SLOT: usize, const RING: usize> Sync for Store<SLOT, RING> {}

impl<const SLOT: usize, const RING: usize> Default for Store<SLOT, RING> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SLOT: usize, const RING: usize> Store<SLOT, RING> {
    const EMPTY: Desc = Desc {
        off: 0,
        len: 0,
        cap: 0,
        verdict: 0,
        pad: 0,
        flags: 0,
        port: 0,
        out_port: 0,
        gso_size: 0,
        reason: 0,
        mark: 0,
        delay_us: 0,
        ts_ns: 0,
    };

    /// Returns a store of zeros, which takes no bytes in the module.
    #[must_use]
    pub const fn new() -> Self {
        Store {
            ring: UnsafeCell::new(Ring([Self::EMPTY; RING])),
            arena: UnsafeCell::new(Arena([[0; SLOT]; RING])),
        }
    }

    /// Returns what `vnet_info` points at, and prepares the SDK. For guests: addresses are 32 bits.
    pub fn start(&'static self, flags: u32) -> Info {
        #[cfg(all(target_arch = "wasm32", feature = "std"))]
        crate::panic::log_panics();
        let ring = self.ring();
        let arena = self.arena.get().expose_provenance() as u32;
        memory::set(Memory {
            base: 0,
            arena,
            slot: SLOT as u32,
            next: 0,
            end: 0,
        });
        Info::new(ring, RING as u32, arena, (SLOT * RING) as u32, flags)
    }

    /// Returns the address behind the last descriptor.
    #[inline(always)]
    pub fn ring_end(&'static self) -> u32 {
        self.ring() + (RING * size_of::<Desc>()) as u32
    }

    fn ring(&'static self) -> u32 {
        self.ring.get().expose_provenance() as u32
    }
}

/// A place for the block that `vnet_info` points at.
pub struct InfoCell(UnsafeCell<[u32; 8]>);

// SAFETY: a guest has one thread; on other targets nothing uses it.
unsafe impl Sync for InfoCell {}

impl Default for InfoCell {
    fn default() -> Self {
        Self::new()
    }
}

impl InfoCell {
    /// Returns an empty place.
    #[must_use]
    pub const fn new() -> Self {
        InfoCell(UnsafeCell::new([0; 8]))
    }

    /// Writes the block and returns where it lies.
    pub fn fill(&'static self, info: &Info) -> *const Info {
        let place: *mut Info = self.0.get().cast();
        // SAFETY: the place has `Info`'s 32 bytes and an alignment that is no less; the host
        // reads it after `vnet_info` returned.
        unsafe { place.write(*info) };
        place
    }
}

/// Judges the `n` frames whose descriptors start at the address `desc`, in a ring that ends at the
/// address `end`, and returns how many frames were appended.
///
/// # Safety
/// The descriptors from `desc` to `end` lie in the memory that was set, there are `n` of them or
/// more, nothing else uses them, and each names bytes of its own slot.
#[inline(always)]
pub unsafe fn on_batch(desc: u32, n: u32, end: u32, judge: impl Fn(&mut Packet) -> Verdict) -> i32 {
    const SIZE: u32 = size_of::<Desc>() as u32;
    let given = desc + n * SIZE;
    let mut memory = memory::get();
    memory.next = given;
    memory.end = end;
    memory::set(memory);
    let mut at = desc;
    while at != given {
        // SAFETY: the caller vouches for the descriptor.
        let desc = unsafe { &mut *memory.pointer::<Desc>(at) };
        // SAFETY: the caller vouches for what it names.
        let pkt = unsafe { Packet::from_desc(desc) };
        let verdict = judge(pkt);
        verdict.write(&mut pkt.desc);
        at += SIZE;
    }
    let mut memory = memory::get();
    let appended = (memory.next - given) / SIZE;
    memory.end = memory.next;
    memory::set(memory);
    counter::flush();
    appended as i32
}

/// Hands the configuration to the plugin; returns what `vnet_configure` does.
///
/// # Safety
/// The `len` bytes at the address `json` are UTF-8 in the memory that was set, and nothing else
/// uses them.
pub unsafe fn on_configure(
    json: u32,
    len: u32,
    configure: impl FnOnce(&Config<'_>) -> Result<(), &'static str>,
) -> i32 {
    // SAFETY: the caller vouches for the bytes.
    let bytes = unsafe { slice::from_raw_parts(memory::get().pointer::<u8>(json), len as usize) };
    // SAFETY: the caller vouches for the encoding.
    let text = unsafe { core::str::from_utf8_unchecked(bytes) };
    match configure(&Config::new(text)) {
        Ok(()) => 0,
        Err(reason) => {
            log::line(Level::Error, reason);
            1
        }
    }
}

/// Tells the plugin that a timer came.
#[inline(always)]
pub fn on_timer(id: u32, now_ns: u64, timer: impl FnOnce(u32, u64)) {
    timer(id, now_ns);
    counter::flush();
}
