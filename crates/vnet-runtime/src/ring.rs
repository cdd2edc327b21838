//! The ring of descriptors in guest memory, as the host writes and reads it.

use vnet_abi::{DESC_SIZE, HEADROOM, HOST_RESERVED, verdict};

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

#[inline]
fn put(desc: &mut [u8], words: Words) {
    if let Some(desc) = desc.first_chunk_mut::<DESC_SIZE>() {
        for (place, word) in desc.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
}

#[inline]
fn word(desc: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&desc[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Reads the guest's answer out of a descriptor.
#[inline]
pub(crate) fn answer(desc: &[u8; DESC_SIZE]) -> Answer {
    let (place, state, ports, mark) = (word(desc, 0), word(desc, 8), word(desc, 16), word(desc, 24));
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

/// Writes descriptors; keeps the part of a ring that no frame fills ready to be copied.
pub(crate) struct Ring {
    pub(crate) layout: Layout,
    template: Vec<u8>,
    port: u16,
}

impl Ring {
    pub(crate) fn new(layout: Layout) -> Ring {
        let mut ring = Ring {
            layout,
            template: vec![0; layout.ring_len * layout.desc_size],
            port: 0,
        };
        ring.address(0);
        ring
    }

    /// Fills the template for frames that arrive on `port`.
    fn address(&mut self, port: u16) {
        let Layout {
            desc_size,
            slot,
            arena,
            ..
        } = self.layout;
        for (i, desc) in self.template.chunks_exact_mut(desc_size).enumerate() {
            let off = (arena + i * slot + HEADROOM) as u64;
            let cap = (slot - HEADROOM) as u64;
            put(
                desc,
                [off, cap | u64::from(verdict::UNSET) << 32, u64::from(port), 0, 0],
            );
        }
        self.port = port;
    }

    /// Writes the descriptors of `n` frames, frame `at(d)` in slot `d`, and of the free slots after them.
    ///
    /// Returns `false` where a frame is empty or does not lie in its slot; the guest must not be called then.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        memory: &mut [u8],
        frames: &[Frame],
        n: usize,
        at: impl Fn(usize) -> usize,
    ) -> bool {
        let Layout {
            ring,
            desc_size,
            ring_len,
            arena,
            slot,
            ..
        } = self.layout;
        let port = frames[at(0)].port;
        if port != self.port {
            self.address(port);
        }
        let used = n * desc_size;
        let (head, tail) = memory[ring..ring + ring_len * desc_size].split_at_mut(used);
        tail.copy_from_slice(&self.template[used..]);
        let mut sound = true;
        let mut start = 0_usize;
        for (d, desc) in head.chunks_exact_mut(desc_size).enumerate() {
            let frame = &frames[at(d)];
            let inside = (frame.off as usize).wrapping_sub(start);
            let end = inside.wrapping_add(frame.len as usize);
            sound &= inside >= HOST_RESERVED && end <= slot && end > inside;
            let off = (arena as u64).wrapping_add(u64::from(frame.off));
            let cap = slot.wrapping_sub(inside) as u64 & 0xffff_ffff;
            let state = cap | u64::from(verdict::UNSET) << 32 | u64::from(frame.flags) << 48;
            put(
                desc,
                [
                    off | u64::from(frame.len) << 32,
                    state,
                    u64::from(frame.port) | u64::from(frame.gso_size) << 32,
                    u64::from(frame.mark),
                    frame.ts_ns,
                ],
            );
            start = start.wrapping_add(slot);
        }
        sound
    }

    /// Returns the ring as it lies in guest memory.
    #[inline]
    pub(crate) fn bytes<'a>(&self, memory: &'a [u8]) -> &'a [u8] {
        &memory[self.layout.ring..self.layout.ring + self.template.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vnet_abi::Desc;

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
        let mut ring = Ring::new(layout());
        assert!(ring.fill(&mut memory, &[frame], 1, |d| d));
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
        let mut ring = Ring::new(layout());
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
            assert!(!ring.fill(&mut memory, &[frame], 1, |d| d), "off {off} len {len}");
        }
    }
}
