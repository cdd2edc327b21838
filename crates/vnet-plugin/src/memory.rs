//! Where descriptors and frames lie, and the batch at hand.
//!
//! In a guest an address of the ABI is a pointer. In a test on the host it is an offset into the
//! memory that [`testing`](crate::testing) owns.

use core::cell::Cell;
use core::ptr::with_exposed_provenance_mut;

use vnet_abi::{Desc, HOST_RESERVED};

/// The plugin's memory as the host sees it, and how far the batch at hand has come.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Added to an address of the ABI to make a pointer; 0 in a guest.
    pub base: usize,
    /// Address of slot 0.
    pub arena: u32,
    /// Bytes of a slot.
    pub slot: u32,
    /// Address of the descriptor that the next appended frame takes.
    pub next: u32,
    /// Address behind the last descriptor; equal to `next` outside a batch.
    pub end: u32,
}

impl Memory {
    const NONE: Memory = Memory {
        base: 0,
        arena: 0,
        slot: 1,
        next: 0,
        end: 0,
    };

    /// Returns the pointer to an address of the ABI.
    #[inline(always)]
    pub fn pointer<T>(&self, address: u32) -> *mut T {
        with_exposed_provenance_mut(self.base + address as usize)
    }

    /// Returns the first address that the frame at `off` may be moved down to, and its slot's end.
    #[inline]
    pub fn bounds(&self, off: u32) -> (u32, u32) {
        let start = off - (off - self.arena) % self.slot;
        (start + HOST_RESERVED as u32, start + self.slot)
    }

    /// Takes the descriptor of the next appended frame.
    pub fn take(&mut self) -> Option<*mut Desc> {
        if self.next == self.end {
            return None;
        }
        let desc = self.pointer(self.next);
        self.next += size_of::<Desc>() as u32;
        Some(desc)
    }
}

#[cfg(target_arch = "wasm32")]
mod place {
    use super::{Cell, Memory};

    struct Guest(Cell<Memory>);

    // SAFETY: a guest has one thread: the ABI has no shared memory.
    unsafe impl Sync for Guest {}

    static MEMORY: Guest = Guest(Cell::new(Memory::NONE));

    #[inline(always)]
    pub(crate) fn get() -> Memory {
        MEMORY.0.get()
    }

    #[inline(always)]
    pub(crate) fn set(memory: Memory) {
        MEMORY.0.set(memory);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod place {
    use super::{Cell, Memory};

    std::thread_local! {
        static MEMORY: Cell<Memory> = const { Cell::new(Memory::NONE) };
    }

    pub(crate) fn get() -> Memory {
        MEMORY.get()
    }

    pub(crate) fn set(memory: Memory) {
        MEMORY.set(memory);
    }
}

pub(crate) use place::{get, set};
