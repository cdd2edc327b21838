use crate::forward::Parcel;
use crate::frame::{BATCH, FRAME_MAX, HEADROOM};

/// Bytes of frames that may turn back within one read: all it can bring, even cut into segments with headers of their own.
const ROOM: usize = 2 * BATCH * FRAME_MAX;

/// How often stages may turn a frame round: two that send everything back would keep it for ever.
pub(crate) const TURNS: u8 = 4;

/// A frame on its way back, waiting for the read that brought it to be finished.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// The path it takes, from this hop on.
    pub path: usize,
    pub hop: usize,
    pub off: usize,
    pub len: usize,
    pub parcel: Parcel,
}

/// Frames that take a path whose stages may be at work: they wait until those stages are free.
#[derive(Default)]
pub(crate) struct Turns {
    pub bytes: Vec<u8>,
    pub list: Vec<Turn>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(ROOM),
            list: Vec::with_capacity(ROOM / 192),
        }
    }

    /// Keeps a copy of a frame; false when there is no room, which allocates nothing.
    #[must_use]
    pub(crate) fn push(&mut self, path: usize, hop: usize, frame: &[u8], parcel: Parcel) -> bool {
        let off = self.bytes.len() + HEADROOM;
        if off + frame.len() > self.bytes.capacity() || self.list.len() == self.list.capacity() {
            return false;
        }
        self.bytes.resize(off, 0);
        self.bytes.extend_from_slice(frame);
        self.list.push(Turn {
            path,
            hop,
            off,
            len: frame.len(),
            parcel,
        });
        true
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }
}
