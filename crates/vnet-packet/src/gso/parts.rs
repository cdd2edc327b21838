//! Super-frames cut from one that is longer than the next buffer, or than IP's length field tells (BIG TCP).

use super::{BadGso, Offload, Segments, gso_type, segments};
use crate::Layer;

/// A cursor over the super-frames that one is cut into; it borrows the frame and allocates nothing.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    pieces: Segments<'a>,
    offload: Offload,
}

/// Returns super-frames of at most `most` bytes that carry what a longer one does: each holds whole segments, right lengths
/// and a partial checksum.
///
/// # Errors
/// As [`segments`]; [`BadGso::Size`] where not even one segment fits `most` bytes.
pub fn parts<'a>(frame: &'a [u8], layer: Layer, off: &Offload, most: usize) -> Result<Parts<'a>, BadGso> {
    let one_each = segments(frame, layer, off)?;
    let pieces = one_each.merged(most).ok_or(BadGso::Size(off.gso_size))?;
    let (needs_csum, csum_start, csum_offset) = pieces.partial_checksum();
    Ok(Parts {
        pieces,
        offload: Offload {
            needs_csum,
            csum_start,
            csum_offset,
            ..*off
        },
    })
}

impl Parts<'_> {
    /// Returns how many there are in all, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pieces.count()
    }

    /// Returns the bytes of the longest, with its headers.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.pieces.longest()
    }

    /// Writes the next one to the start of `out`; returns its length in bytes and what is left to do on it.
    ///
    /// Returns `None` after the last one, and where `out` is shorter than [`longest`](Self::longest) asks for.
    pub fn next_into(&mut self, out: &mut [u8]) -> Option<(usize, Offload)> {
        let len = self.pieces.next_unfinished_into(out)?;
        let is_one_segment = len - self.pieces.headers_len() <= usize::from(self.offload.gso_size);
        let offload = if is_one_segment {
            Offload {
                gso_type: gso_type::NONE,
                gso_size: 0,
                ..self.offload
            }
        } else {
            self.offload
        };
        Some((len, offload))
    }
}
