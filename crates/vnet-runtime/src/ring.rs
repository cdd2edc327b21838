//! The ring of descriptors in guest memory, as the host writes and reads it.

use std::mem::offset_of;

use vnet_abi::{DESC_SIZE, Desc, HOST_RESERVED, verdict};

use crate::frames::Frame;
use crate::layout::Layout;
use crate::plain::Plain;

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

/// Bytes of a cache line.
const LINE: usize = 64;

/// The five little-endian words of a descriptor (`vn_desc`), so that it is written and read in five moves.
pub(crate) type Words = [u64; 5];

#[inline(always)]
pub(crate) fn put(desc: &mut [u8; DESC_SIZE], words: Words) {
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

/// Writes descriptors, and tells what the guest changed in them.
pub(crate) struct Ring {
    pub(crate) layout: Layout,
    /// The ring while all descriptors are free.
    free: Image,
    /// Port of all those.
    port: u16,
    /// What the descriptors in guest memory were, where the batch is plain.
    shown: Option<Plain>,
    /// PASS or UNSET, whichever the plugin answers for a frame that passes.
    passes: u8,
}

impl Ring {
    pub(crate) fn new(layout: Layout, memory: &[u8]) -> Ring {
        let mut ring = Ring {
            layout,
            free: Image::new(&memory[layout.ring..], layout.ring_len * layout.desc_size),
            port: 0,
            shown: None,
            passes: verdict::PASS,
        };
        ring.address(0);
        ring
    }

    /// Writes the free descriptors for frames of a port.
    #[cold]
    fn address(&mut self, port: u16) {
        self.port = port;
        let plain = Plain::new(&self.layout, port, 0);
        let descs = self.free.bytes_mut().chunks_exact_mut(self.layout.desc_size);
        for (d, desc) in descs.enumerate() {
            if let Some(desc) = desc.first_chunk_mut() {
                put(desc, plain.words(d, verdict::UNSET));
            }
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
        if first.port != self.port {
            self.address(first.port);
        }
        let descs = &mut memory[ring..ring + ring_len * desc_size];
        self.shown = None;
        if desc_size == DESC_SIZE {
            let plain = Plain::new(&self.layout, first.port, first.flags);
            // Whole cache lines: the first may take some of a frame's descriptor, which is written afterwards.
            self.free
                .copy_to(descs, (frames.len() * DESC_SIZE).next_multiple_of(LINE) - LINE);
            let bytes = plain.show(frames, descs.as_chunks_mut().0);
            if bytes.is_some() {
                self.shown = Some(plain);
                return bytes;
            }
        } else {
            self.free.copy_to(descs, 0);
        }
        write(&self.layout, frames, descs)
    }

    /// Lets frames pass, the first of which is in slot `from`, as long as the guest says so and changed nothing; returns how many.
    #[inline]
    pub(crate) fn pass(&self, frames: &mut [Frame], descs: &[u8], from: usize) -> usize {
        let Some(plain) = &self.shown else { return 0 };
        // Where the first does not pass, others seldom do.
        if descs.get(from * DESC_SIZE + offset_of!(Desc, verdict)) != Some(&self.passes) {
            return 0;
        }
        plain.pass(frames, &descs.as_chunks().0[from..], from, self.passes)
    }

    /// Takes note of what the plugin answers for a frame that passes.
    #[inline]
    pub(crate) fn note(&mut self, answer: u8) {
        if matches!(answer, verdict::PASS | verdict::UNSET) {
            self.passes = answer;
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

    /// Copies all bytes from `from` on to the same place of a target as long.
    ///
    /// Glibc copies 2 KiB and more by `rep movsb`, which costs twice as much as its vector loop here.
    #[inline]
    fn copy_to(&self, target: &mut [u8], from: usize) {
        const PIECE: usize = 25 * LINE;
        let (target, bytes) = (&mut target[from..], &self.bytes()[from..]);
        for (to, from) in target.chunks_mut(PIECE).zip(bytes.chunks(PIECE)) {
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
