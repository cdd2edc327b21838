//! Frames as the engine hands them over, and what a stage answers.

/// Whether frames start with an Ethernet header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Ethernet frames, as TAP and veth carry them.
    #[default]
    L2,
    /// IP packets, as TUN carries them.
    L3,
}

impl Layer {
    /// Returns the layer as a manifest writes it: `l2` or `l3`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::L2 => "l2",
            Layer::L3 => "l3",
        }
    }
}

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fate {
    /// No stage has judged it.
    #[default]
    Unset,
    /// It goes to the next stage, after the last to normal forwarding.
    Pass,
    /// It is dropped.
    Drop(Reason),
    /// It leaves the chain through this port; [`FLOOD`](vnet_abi::FLOOD) means every port but the arrival one.
    Redirect(u16),
    /// It leaves the chain through the port it arrived on.
    Tx,
}

/// Why a stage dropped a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The plugin's verdict, with its reason code; 0 is none.
    Plugin(u16),
    /// The plugin trapped, timed out or answered negatively while it had this frame.
    Fault,
    /// Address or length that leave the frame's slot.
    BadDesc,
    /// A verdict that does not exist, or UNSET or DROP on an appended frame.
    BadVerdict,
    /// REDIRECT to a port that does not exist, or to the arrival port.
    BadPort,
    /// Longer than the plugin's frame buffer.
    Oversize,
    /// Of length 0.
    Empty,
    /// A delay of more than [`DELAY_MAX_US`](vnet_abi::DELAY_MAX_US).
    BadDelay,
    /// The failed plugin waits to be restarted, and fails closed.
    Backoff,
    /// The plugin failed too often and is out of service, and fails closed.
    Tripped,
}

impl Reason {
    pub(crate) const HOST: [Reason; 9] = [
        Reason::Fault,
        Reason::BadDesc,
        Reason::BadVerdict,
        Reason::BadPort,
        Reason::Oversize,
        Reason::Empty,
        Reason::BadDelay,
        Reason::Backoff,
        Reason::Tripped,
    ];

    /// Returns the name under which such drops are counted; for a plugin's own code `drop` (see
    /// [`Stage::reason_text`](crate::Stage::reason_text) for the manifest's text).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Plugin(_) => "drop",
            Reason::Fault => "fault",
            Reason::BadDesc => "bad_desc",
            Reason::BadVerdict => "bad_verdict",
            Reason::BadPort => "bad_port",
            Reason::Oversize => "oversize",
            Reason::Empty => "empty",
            Reason::BadDelay => "bad_delay",
            Reason::Backoff => "backoff",
            Reason::Tripped => "tripped",
        }
    }
}

/// One frame that lies in a stage's [`Arena`].
///
/// What every call reads lies together, so that it is read in few moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// First byte, counted from the start of [`Arena::bytes`].
    pub off: u32,
    /// Length in bytes.
    pub len: u32,
    /// Arrival port.
    pub port: u16,
    /// The host's bits of [`vnet_abi::flags`].
    pub flags: u16,
    /// Payload bytes of each segment of a super-frame.
    pub gso_size: u16,
    /// The plugin asks the host to recompute the checksums.
    pub csum_dirty: bool,
    /// The plugin finished the partial checksum; the flag `CSUM_PARTIAL` is then cleared too.
    pub csum_finished: bool,
    /// A number that plugins carry along the chain.
    pub mark: u32,
    /// The plugin asks that the frame, where it is not dropped, be held for so many microseconds after the whole
    /// chain; 0 is none, [`DELAY_MAX_US`](vnet_abi::DELAY_MAX_US) the most.
    pub delay_us: u32,
    /// The answer.
    pub fate: Fate,
    /// The plugin made this frame.
    pub appended: bool,
    /// Arrival time on the lab's clock, in nanoseconds.
    pub ts_ns: u64,
}

/// A batch: the frames the engine pushed, then those a plugin appended.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    pub(crate) list: Vec<Frame>,
}

impl Frames {
    /// Makes an empty batch. With room for [`RING_MAX`](vnet_abi::RING_MAX) frames no run allocates.
    #[must_use]
    pub fn with_capacity(frames: usize) -> Frames {
        Frames {
            list: Vec::with_capacity(frames),
        }
    }

    /// Returns the bytes of all frames.
    pub(crate) fn bytes(&self) -> u64 {
        self.list.iter().map(|frame| u64::from(frame.len)).sum()
    }

    /// Removes every frame and keeps the room.
    #[inline]
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Keeps the first `n` frames.
    #[inline]
    pub fn truncate(&mut self, n: usize) {
        self.list.truncate(n);
    }

    /// Adds a frame at the end.
    #[inline]
    pub fn push(&mut self, frame: Frame) {
        self.list.push(frame);
    }

    /// Adds frames at the end.
    #[inline]
    pub fn extend_from_slice(&mut self, frames: &[Frame]) {
        self.list.extend_from_slice(frames);
    }

    /// Returns how many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the frames in order.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Frame] {
        &self.list
    }

    /// Returns the frames in order, to be changed.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [Frame] {
        &mut self.list
    }
}

/// The memory a stage judges frames in. Slot `i` is `bytes[i * stride..][..stride]`.
#[derive(Debug)]
pub struct Arena<'a> {
    /// All slots; those beyond `slots` are for the frames a plugin appends.
    pub bytes: &'a mut [u8],
    /// Bytes from one slot to the next.
    pub stride: usize,
    /// Slots that the host may fill: the most frames of one run.
    pub slots: usize,
}

/// What a stage can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Traits {
    /// It accepts super-frames.
    pub gso: bool,
    /// It accepts partial checksums.
    pub csum: bool,
    /// Its verdict depends on the frame's bytes alone, and it rewrites nothing.
    pub pure: bool,
    /// Longest frame in bytes.
    pub max_frame: u32,
    /// Most frames in one run.
    pub batch: usize,
}
