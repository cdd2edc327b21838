//! The ring of descriptors in guest memory, as the host writes and reads it.

use std::mem::offset_of;

use vnet_abi::{DESC_SIZE, Desc, HEADROOM, HOST_RESERVED, verdict};

use crate::frames::Frame;
use crate::layout::Layout;

/// What a guest says of one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) off: u32,
    pub(crate) len: u32,
    pub(crate) verdict: u8,
    pub(crate) flags: u16,
    pub(crate) out_port: u16,
    pub(crate) reason: u16,
    pub(crate) mark: u32,
    pub(crate) delay_us: u32,
}

/// The five little-endian words of a descriptor (`vn_desc`), so that it is written and read in five moves.
type Words = [u64; 5];

/// Places within a descriptor.
const LEN: usize = offset_of!(Desc, len);
const STATE: usize = offset_of!(Desc, verdict);
const PORT: usize = offset_of!(Desc, port);
const TIME: usize = offset_of!(Desc, ts_ns);

#[inline(always)]
fn put(desc: &mut [u8; DESC_SIZE], words: Words) {
    desc[..8].copy_from_slice(&words[0].to_le_bytes());
    desc[8..16].copy_from_slice(&words[1].to_le_bytes());
    desc[16..24].copy_from_slice(&words[2].to_le_bytes());
    desc[24..32].copy_from_slice(&words[3].to_le_bytes());
    desc[32..].copy_from_slice(&words[4].to_le_bytes());
}

/// Returns the eight bytes at `AT` of a descriptor as a number.
#[inline(always)]
pub(crate) fn word<const AT: usize>(desc: &[u8; DESC_SIZE]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&desc[AT..AT + 8]);
    u64::from_le_bytes(bytes)
}

/// Reads the guest's answer out of a descriptor.
#[inline]
pub(crate) fn answer(desc: &[u8; DESC_SIZE]) -> Answer {
    let (place, state, ports, mark) = (
        word::<0>(desc),
        word::<8>(desc),
        word::<16>(desc),
        word::<24>(desc),
    );
    Answer {
        off: place as u32,
        len: (place >> 32) as u32,
        verdict: (state >> 32) as u8,
        flags: (state >> 48) as u16,
        out_port: (ports >> 16) as u16,
        reason: (ports >> 48) as u16,
        mark: mark as u32,
        delay_us: (mark >> 32) as u32,
    }
}

/// Writes descriptors, by way of an image of the ring that lies in the host's memory.
///
/// Most batches are plain: every frame starts behind the headroom of its slot, and port and flags are the same. The
/// image needs a length and a time for each frame then, and is copied as a whole. As the guest cannot reach it, it
/// also tells what the guest changed.
pub(crate) struct Ring {
    pub(crate) layout: Layout,
    /// The ring as it is before a call, but for the verdicts of frames: those are what the plugin writes where it
    /// lets a frame pass.
    image: Image,
    /// Descriptors at the image's start that are those of frames; the others are free.
    used: usize,
    /// Port of all descriptors of the image.
    port: u16,
    /// Flags of those of frames.
    flags: u16,
    /// PASS or UNSET, whichever the plugin answers for a frame that passes.
    passes: u8,
    /// The image shows what lies in guest memory.
    plain: bool,
}

impl Ring {
    pub(crate) fn new(layout: Layout, memory: &[u8]) -> Ring {
        let mut ring = Ring {
            layout,
            image: Image::new(&memory[layout.ring..], layout.ring_len * layout.desc_size),
            used: 0,
            port: 0,
            flags: 0,
            passes: verdict::PASS,
            plain: false,
        };
        ring.free(0, layout.ring_len);
        ring
    }

    /// Makes descriptors of the image free ones.
    fn free(&mut self, from: usize, to: usize) {
        let Layout {
            desc_size,
            slot,
            arena,
            ..
        } = self.layout;
        let cap = (slot - HEADROOM) as u64;
        let descs = self.image.bytes_mut().chunks_exact_mut(desc_size);
        for (i, desc) in descs.enumerate().take(to).skip(from) {
            let off = (arena + i * slot + HEADROOM) as u64;
            if let Some(desc) = desc.first_chunk_mut() {
                let state = cap | u64::from(verdict::UNSET) << 32;
                put(desc, [off, state, u64::from(self.port), 0, 0]);
            }
        }
    }

    /// Makes free descriptors of the image those of frames that still lack length and time.
    fn take(&mut self, from: usize, to: usize) {
        let state = u32::from(self.passes) | u32::from(self.flags) << 16;
        let descs = self.image.bytes_mut().chunks_exact_mut(self.layout.desc_size);
        for desc in descs.take(to).skip(from) {
            desc[STATE..STATE + 4].copy_from_slice(&state.to_le_bytes());
        }
    }

    /// Changes the port of the whole image.
    #[cold]
    fn address(&mut self, port: u16) {
        self.port = port;
        for desc in self.image.bytes_mut().chunks_exact_mut(self.layout.desc_size) {
            desc[PORT..PORT + 2].copy_from_slice(&port.to_le_bytes());
        }
    }

    /// Writes the descriptors of the frames, the d-th in slot d, and of the free slots after them.
    ///
    /// Returns the frames' bytes; `None` where there is no frame, or one is empty or does not lie in its slot: the guest
    /// must not be called then.
    #[inline]
    pub(crate) fn fill(&mut self, memory: &mut [u8], frames: &[Frame]) -> Option<u64> {
        let first = frames.first()?;
        let Layout {
            ring,
            desc_size,
            ring_len,
            ..
        } = self.layout;
        let n = frames.len();
        if first.port != self.port {
            self.address(first.port);
        }
        if first.flags != self.flags {
            self.flags = first.flags;
            self.take(0, self.used);
        }
        if n < self.used {
            self.free(n, self.used);
        } else if n > self.used {
            self.take(self.used, n);
        }
        self.used = n;
        let shown = (desc_size == DESC_SIZE).then(|| self.show(frames)).flatten();
        self.plain = shown.is_some();
        let descs = &mut memory[ring..ring + ring_len * desc_size];
        self.image.copy_to(descs);
        if self.plain {
            for desc in &mut descs.as_chunks_mut::<DESC_SIZE>().0[..n] {
                desc[STATE] = verdict::UNSET;
            }
            return shown;
        }
        write(&self.layout, frames, descs)
    }

    /// Puts frames into the image; returns their bytes, or `None` where they are not what it can show.
    #[inline]
    fn show(&mut self, frames: &[Frame]) -> Option<u64> {
        let Layout { slot, .. } = self.layout;
        let same = u32::from(self.port) | u32::from(self.flags) << 16;
        // Where a frame starts and, in the upper half, the least length; what is above that, there, at the most.
        let (mut least, most) = (HEADROOM as u64 | 1 << 32, ((slot - HEADROOM) as u64 - 1) << 32);
        let (mut above, mut beyond, mut bytes) = (0_u64, 0_u64, 0_u32);
        let (mut some, mut all, mut odd) = (0_u32, u32::MAX, 0_u32);
        let descs = self.image.bytes_mut().as_chunks_mut::<DESC_SIZE>().0;
        for (frame, desc) in frames.iter().zip(descs) {
            // The lower half is 0 where the frame starts where it should. What is below 0 sets the top bit.
            let more = (u64::from(frame.off) | u64::from(frame.len) << 32).wrapping_sub(least);
            above |= more;
            beyond |= most.wrapping_sub(more);
            bytes = bytes.wrapping_add(frame.len);
            let found = u32::from(frame.port) | u32::from(frame.flags) << 16;
            some |= found;
            all &= found;
            odd |= u32::from(frame.gso_size) | frame.mark;
            desc[LEN..LEN + 4].copy_from_slice(&frame.len.to_le_bytes());
            desc[TIME..].copy_from_slice(&frame.ts_ns.to_le_bytes());
            least = least.wrapping_add(slot as u64);
        }
        let placed = above as u32 == 0 && (above | beyond) >> 63 == 0;
        // Frames that are placed lie in one memory, so their lengths add up to less than 32 bits hold.
        (placed && some == same && all == same && odd == 0).then_some(u64::from(bytes))
    }

    /// Says of a run of descriptors whether the guest let all frames pass and changed nothing.
    #[inline]
    pub(crate) fn passed(&self, descs: &[u8], from: usize) -> bool {
        let from = from * DESC_SIZE;
        self.plain && self.image.bytes().get(from..from + descs.len()) == Some(descs)
    }

    /// Takes note of what the plugin answers for a frame that passes.
    #[inline]
    pub(crate) fn note(&mut self, answer: u8) {
        if answer != self.passes && matches!(answer, verdict::PASS | verdict::UNSET) {
            self.passes = answer;
            self.take(0, self.used);
        }
    }

    /// Returns the ring as it lies in guest memory.
    #[inline]
    pub(crate) fn bytes<'a>(&self, memory: &'a [u8]) -> &'a [u8] {
        &memory[self.layout.ring..self.layout.ring + self.layout.ring_len * self.layout.desc_size]
    }
}

/// Writes the descriptors of frames, the d-th in slot d; returns their bytes, or `None` where one is empty or does not lie
/// there.
#[inline(never)]
fn write(layout: &Layout, frames: &[Frame], descs: &mut [u8]) -> Option<u64> {
    let (arena, slot) = (layout.arena as u64, layout.slot as i64);
    let (mut start, mut wrong, mut bytes) = (0_i64, 0_i64, 0_u64);
    for (frame, desc) in frames.iter().zip(descs.chunks_exact_mut(layout.desc_size)) {
        // All of these are far from 64 bits: a difference below 0, which sets the top bit, is a rule broken.
        let (inside, len) = (i64::from(frame.off).wrapping_sub(start), i64::from(frame.len));
        let left = slot.wrapping_sub(inside);
        wrong |= inside.wrapping_sub(HOST_RESERVED as i64) | left.wrapping_sub(len) | len.wrapping_sub(1);
        if let Some(desc) = desc.first_chunk_mut() {
            put(
                desc,
                [
                    u64::from(frame.off).wrapping_add(arena) & 0xffff_ffff | u64::from(frame.len) << 32,
                    left as u64 & 0xffff_ffff
                        | u64::from(verdict::UNSET) << 32
                        | u64::from(frame.flags) << 48,
                    u64::from(frame.port) | u64::from(frame.gso_size) << 32,
                    u64::from(frame.mark),
                    frame.ts_ns,
                ],
            );
        }
        start = start.wrapping_add(slot);
        bytes = bytes.wrapping_add(u64::from(frame.len));
    }
    (wrong >= 0).then_some(bytes)
}

/// Bytes that lie at the same place within a cache line as those they are copied to, and half a page from them.
///
/// A copy reads and writes whole lines then, and never reads what has the low address bits of a write under way.
struct Image {
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl Image {
    fn new(target: &[u8], len: usize) -> Image {
        const PAGE: usize = 4096;
        let room = vec![0; len + PAGE];
        let wanted = target.as_ptr().addr().wrapping_add(PAGE / 2);
        let start = wanted.wrapping_sub(room.as_ptr().addr()) % PAGE;
        Image { room, start, len }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.room[self.start..][..self.len]
    }

    /// Copies all bytes to a target as long.
    ///
    /// Glibc copies 2 KiB and more by `rep movsb`, which costs twice as much as its vector loop here.
    #[inline]
    fn copy_to(&self, target: &mut [u8]) {
        const PIECE: usize = 25 * 64;
        for (to, from) in target.chunks_mut(PIECE).zip(self.bytes().chunks(PIECE)) {
            to.copy_from_slice(from);
        }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            ring: 0,
            desc_size: 48,
            ring_len: 8,
            arena: 4096,
            arena_len: 8 * 256,
            slot: 256,
            flags: 0,
        }
    }

    fn desc(memory: &[u8], i: usize) -> Desc {
        Desc::from_bytes(memory[i * 48..].first_chunk().expect("a descriptor"))
    }

    #[test]
    fn writes_every_field_where_the_abi_puts_it() {
        let mut memory = vec![0xee; 8192];
        let frame = Frame {
            off: 124,
            len: 60,
            port: 3,
            flags: 0x11,
            gso_size: 1448,
            mark: 0xdead_beef,
            ts_ns: u64::MAX - 1,
            ..Frame::default()
        };
        let mut ring = Ring::new(layout(), &memory);
        assert_eq!(ring.fill(&mut memory, &[frame]), Some(60));
        let expected = Desc {
            off: 4096 + 124,
            len: 60,
            cap: 132,
            verdict: verdict::UNSET,
            flags: 0x11,
            port: 3,
            gso_size: 1448,
            mark: 0xdead_beef,
            ts_ns: u64::MAX - 1,
            ..Desc::default()
        };
        assert_eq!(desc(&memory, 0), expected);
        for i in 1..8 {
            let free = Desc {
                off: 4096 + 256 * i as u32 + 128,
                cap: 128,
                verdict: verdict::UNSET,
                port: 3,
                ..Desc::default()
            };
            assert_eq!(desc(&memory, i), free, "descriptor {i}");
        }
    }

    #[test]
    fn reads_every_field_where_the_abi_puts_it() {
        let desc = Desc {
            off: 1,
            len: 2,
            cap: 3,
            verdict: 4,
            pad: 5,
            flags: 6,
            port: 7,
            out_port: 8,
            gso_size: 9,
            reason: 10,
            mark: 11,
            delay_us: 12,
            ts_ns: 13,
        };
        let found = answer(&desc.to_bytes());
        assert_eq!(
            (
                found.off,
                found.len,
                found.verdict,
                found.flags,
                found.out_port,
                found.reason,
                found.mark,
                found.delay_us
            ),
            (1, 2, 4, 6, 8, 10, 11, 12)
        );
    }

    #[test]
    fn refuses_frames_outside_their_slot() {
        let mut memory = vec![0; 8192];
        let mut ring = Ring::new(layout(), &memory);
        for (off, len) in [
            (15, 10),
            (128, 129),
            (128, 0),
            (384, 10),
            (128, u32::MAX),
            (u32::MAX, 10),
        ] {
            let frame = Frame {
                off,
                len,
                ..Frame::default()
            };
            assert_eq!(ring.fill(&mut memory, &[frame]), None, "off {off} len {len}");
        }
    }
}
