//! One frame: its bytes and what the host says of it.

use core::fmt;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::slice;
use core::time::Duration;

use vnet_abi::{DELAY_MAX_US, Desc, flags};

use crate::headroom::NoRoom;
use crate::memory;

/// One frame as the plugin judges it: its bytes, views of its headers, and what the host says of it.
///
/// The frame lies in the plugin's own memory, where the host read it; nothing is copied. Header
/// views come in pairs, such as [`ipv4`](Packet::ipv4) and [`ipv4_mut`](Packet::ipv4_mut): both
/// give `None` where the header is not there whole. [`eth`](Packet::eth) alone always gives a
/// view.
#[repr(transparent)]
pub struct Packet {
    pub(crate) desc: Desc,
    // A descriptor means something on the thread that runs the batch only.
    thread: PhantomData<*mut ()>,
}

impl Packet {
    /// Makes a descriptor of the batch at hand a packet.
    ///
    /// # Safety
    /// `off` and `len` name bytes of a slot of the memory that [`memory::get`] describes, and
    /// nothing else refers to that slot while the packet lives.
    #[inline(always)]
    pub(crate) unsafe fn from_desc(desc: &mut Desc) -> &mut Packet {
        // SAFETY: `Packet` is a transparent wrapper of `Desc`.
        unsafe { &mut *core::ptr::from_mut(desc).cast() }
    }

    /// Returns the frame's bytes.
    #[inline(always)]
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        let (off, len) = self.place();
        // SAFETY: `from_desc`'s caller vouched for the bytes; only methods of this type move them.
        unsafe { slice::from_raw_parts(memory::get().pointer(off), len as usize) }
    }

    /// Returns `off` and `len`, read in one go: each read of a guest is checked by itself.
    #[inline(always)]
    fn place(&self) -> (u32, u32) {
        const { assert!(offset_of!(Desc, off) == 0 && offset_of!(Desc, len) == 4) }
        if cfg!(target_endian = "big") {
            return (self.desc.off, self.desc.len);
        }
        // SAFETY: a descriptor's first eight bytes are those two, and it is aligned to eight.
        let word = unsafe { (&raw const self.desc).cast::<u64>().read() };
        (word as u32, (word >> 32) as u32)
    }

    /// Returns the frame's bytes, to be rewritten in place.
    ///
    /// After a change that a checksum covers call [`csum_dirty`](Packet::csum_dirty), unless the
    /// plugin writes the sums itself.
    #[inline(always)]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `frame`, and `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(memory::get().pointer(self.desc.off), self.desc.len as usize) }
    }

    /// Returns the frame's length in bytes.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.desc.len as usize
    }

    /// Says whether the frame has no bytes; such a frame is dropped, unless bytes are added.
    #[inline(always)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.desc.len == 0
    }

    /// Shortens or lengthens the frame at its end; new bytes are zero.
    ///
    /// # Errors
    /// [`NoRoom`] where the slot ends first; nothing is changed.
    pub fn set_len(&mut self, len: usize) -> Result<(), NoRoom> {
        let (_, slot_end) = memory::get().bounds(self.desc.off);
        let room = (slot_end - self.desc.off) as usize;
        if len > room {
            return Err(NoRoom { needed: len, room });
        }
        let old = self.len();
        self.desc.len = len as u32;
        if let Some(fresh) = self.frame_mut().get_mut(old..) {
            fresh.fill(0);
        }
        Ok(())
    }

    /// Returns the number of the port the frame arrived on, or is about to leave through.
    #[inline(always)]
    #[must_use]
    pub fn port(&self) -> u16 {
        self.desc.port
    }

    /// Returns when the frame arrived, in nanoseconds on the lab's clock.
    #[inline(always)]
    #[must_use]
    pub fn ts_ns(&self) -> u64 {
        self.desc.ts_ns
    }

    /// Returns the number that plugins of a chain pass on with the frame; 0 at first.
    #[inline(always)]
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.desc.mark
    }

    /// Sets the number that the chain's later plugins see.
    #[inline(always)]
    pub fn set_mark(&mut self, mark: u32) {
        self.desc.mark = mark;
    }

    /// Says whether the frame is about to leave the engine; otherwise it has just entered it.
    #[inline(always)]
    #[must_use]
    pub fn is_egress(&self) -> bool {
        self.has(flags::EGRESS)
    }

    /// Says whether a plugin made the frame.
    #[inline(always)]
    #[must_use]
    pub fn is_injected(&self) -> bool {
        self.has(flags::INJECTED)
    }

    /// Says whether the frame starts with its IP header, as those of a TUN device do.
    #[inline(always)]
    #[must_use]
    pub fn is_l3(&self) -> bool {
        self.has(flags::L3)
    }

    /// Returns the payload bytes of each segment where this is a super-frame.
    #[inline(always)]
    #[must_use]
    pub fn gso_size(&self) -> Option<u16> {
        self.has(flags::GSO).then_some(self.desc.gso_size)
    }

    /// Says whether the TCP or UDP checksum holds the pseudo-header's sum only: the device or
    /// the host finishes it later.
    #[inline(always)]
    #[must_use]
    pub fn csum_partial(&self) -> bool {
        self.has(flags::CSUM_PARTIAL)
    }

    /// Tells the host that the plugin finished a partial checksum itself.
    #[inline(always)]
    pub fn csum_finished(&mut self) {
        self.desc.flags &= !flags::CSUM_PARTIAL;
    }

    /// Asks the host to recompute the IPv4, TCP, UDP, ICMP and ICMPv6 sums.
    #[inline(always)]
    pub fn csum_dirty(&mut self) {
        self.desc.flags |= flags::CSUM_DIRTY;
    }

    /// Asks the host to hold the frame before it goes on, for a minute at most.
    pub fn delay(&mut self, by: Duration) {
        self.desc.delay_us = by.as_micros().min(u128::from(DELAY_MAX_US)) as u32;
        self.desc.flags |= flags::DELAY;
    }

    #[inline(always)]
    fn has(&self, flag: u16) -> bool {
        self.desc.flags & flag != 0
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("port", &self.port())
            .field("flags", &self.desc.flags)
            .field("frame", &self.frame())
            .finish()
    }
}
