//! Memory of frames that wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::frame::HEADROOM;

/// Bytes of the smallest block; each class is twice the one before.
const SMALLEST: usize = 256;

/// The largest block holds 512 KiB: more than any frame.
const CLASSES: usize = 12;

/// Most bytes of blocks in this process.
const MOST: usize = 1 << 30;

/// Bytes of free blocks kept beside as many as are in use.
const KEPT: usize = 64 << 10;

/// Bytes of blocks in this process, free ones among them.
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// A frame's own memory, with [`HEADROOM`] in front.
pub(crate) type Block = Box<[u8]>;

/// Blocks by size, made on demand and used again.
///
/// It keeps no more free blocks than are in use, and a little: what a burst took goes back to the system when it is over.
#[derive(Default)]
pub(crate) struct Store {
    free: [Vec<Block>; CLASSES],
    free_bytes: usize,
    used_bytes: usize,
}

impl Store {
    /// Returns a block with room for a frame of `len` bytes behind the headroom; `None` when this process holds too much.
    pub(crate) fn take(&mut self, len: usize) -> Option<Block> {
        let class = class(HEADROOM + len)?;
        let size = SMALLEST << class;
        let block = match self.free[class].pop() {
            Some(block) => {
                self.free_bytes -= size;
                block
            }
            None => {
                if BYTES.fetch_add(size, Ordering::Relaxed) > MOST - size {
                    BYTES.fetch_sub(size, Ordering::Relaxed);
                    return None;
                }
                vec![0; size].into_boxed_slice()
            }
        };
        self.used_bytes += size;
        Some(block)
    }

    /// Takes a block back.
    pub(crate) fn give(&mut self, block: Block) {
        let size = block.len();
        self.used_bytes -= size;
        if let Some(class) = class(size) {
            self.free_bytes += size;
            self.free[class].push(block);
        }
        while self.free_bytes > self.used_bytes + KEPT {
            let Some(block) = self.free.iter_mut().find_map(Vec::pop) else {
                return;
            };
            self.free_bytes -= block.len();
            BYTES.fetch_sub(block.len(), Ordering::Relaxed);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Those in use go with their frames, which nobody gives back any more.
        BYTES.fetch_sub(self.free_bytes + self.used_bytes, Ordering::Relaxed);
    }
}

fn class(size: usize) -> Option<usize> {
    let class = size.div_ceil(SMALLEST).next_power_of_two().trailing_zeros() as usize;
    (class < CLASSES).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_room_for_the_frame_behind_the_headroom_and_are_used_again() {
        let mut store = Store::default();
        for len in [0, 60, 128, 129, 1514, 9014, 65_558, 200_000] {
            let block = store.take(len).unwrap();
            assert!(block.len() >= HEADROOM + len && block.len() < 2 * (HEADROOM + len).max(SMALLEST));
            let at = block.as_ptr();
            store.give(block);
            if len < 60_000 {
                let again = store.take(len).unwrap();
                assert_eq!(again.as_ptr(), at);
                store.give(again);
            }
        }
        assert!(store.take(1 << 20).is_none(), "no frame is that long");
    }

    #[test]
    fn what_a_burst_took_goes_back() {
        let mut store = Store::default();
        let blocks: Vec<Block> = (0..10_000).map(|_| store.take(1514).unwrap()).collect();
        for block in blocks {
            store.give(block);
        }
        assert_eq!(store.used_bytes, 0);
        assert!(store.free_bytes <= KEPT);
    }
}
