use vnet_packet::gso::Offload;
use vnet_runtime::{Fate, Frame, Frames};

use crate::stage::StageId;

/// Room in front of every frame for headers a plugin may add, as ABI.md sets it.
pub(crate) const HEADROOM: usize = vnet_abi::HEADROOM;

/// Most frames read and judged in one go.
pub(crate) const BATCH: usize = 64;

/// Largest frame carried in one piece: a 64 KiB segmentation-offload packet with its Ethernet header and two VLAN tags.
pub(crate) const FRAME_MAX: usize = 65_536 + 22;

/// Most bytes of a super-frame over IPv4 on a link that carries BIG TCP, as its interfaces are told
/// (`gso_ipv4_max_size`); see [`Port::big`](crate::Port::big).
pub const BIG_TCP_MAX: u32 = 180_000;

/// Largest frame of a port of such a link, with tags put back.
pub(crate) const BIG_FRAME_MAX: usize = BIG_TCP_MAX as usize + 22;

/// Largest layer-2 overhead of a wire-size frame: Ethernet header and two VLAN tags.
pub(crate) const L2_OVERHEAD: u32 = 22;

/// What the engine keeps of a frame beside what its plugin sees.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Meta {
    /// Segmentation and checksum work still to be done, relative to the frame's first byte.
    pub offload: Offload,
    /// Position of the frame in its input; 0 for frames made on the way.
    pub serial: u64,
    /// Bytes at the frame's end that its capture left out.
    pub missing: u32,
    /// Where the frame began before its present stage ran.
    pub off: u32,
    /// Its length before that.
    pub len: u32,
    /// The stage that sent the frame back out, which is not asked again.
    pub sent_by: Option<u32>,
    /// The path it is on.
    pub path: u32,
    /// The stage of that path it waits at.
    pub hop: u16,
    /// How often stages turned it round.
    pub turns: u8,
    /// Whether a plugin made it by `inject`.
    pub is_injected: bool,
    /// When it came, on the worker's clock, where that is known better than by the time it was read; else 0.
    pub arrived_ns: u64,
    /// For how long plugins ask it to be held at its path's end.
    pub delay_us: u32,
    /// The last of the stages that asked so.
    pub delayed_by: Option<StageId>,
}

impl Meta {
    /// Returns the host flags that the frame has everywhere.
    pub(crate) fn flags(&self) -> u16 {
        if self.is_injected {
            vnet_abi::flags::INJECTED
        } else {
            0
        }
    }

    /// Adds the delay that a stage asks for.
    pub(crate) fn note_delay(&mut self, frame: &Frame, stage: StageId) {
        if frame.delay_us > 0 {
            self.delay_us = self.delay_us.saturating_add(frame.delay_us);
            self.delayed_by = Some(stage);
        }
    }
}

/// Work left undone on frames that a stage or a port takes as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepts {
    pub gso: bool,
    pub csum: bool,
}

impl Accepts {
    pub(crate) const ALL: Accepts = Accepts {
        gso: true,
        csum: true,
    };
    pub(crate) const NONE: Accepts = Accepts {
        gso: false,
        csum: false,
    };

    pub(crate) fn takes(self, offload: &Offload) -> bool {
        (self.gso || offload.gso_type == 0) && (self.csum || !offload.needs_csum)
    }

    pub(crate) fn and(self, other: Accepts) -> Accepts {
        Accepts {
            gso: self.gso && other.gso,
            csum: self.csum && other.csum,
        }
    }
}

/// What all frames of one read have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Port number as the first stage sees it.
    pub port: u16,
    /// Host flags of the first stage (EGRESS, L3).
    pub flags: u16,
    pub ts_ns: u64,
    /// The path they begin.
    pub path: u32,
}

/// Makes the runtime's view of a frame that no plugin has judged.
pub(crate) fn frame(off: usize, len: usize, arrival: &Arrival, offload: &Offload) -> Frame {
    let mut flags = arrival.flags;
    if offload.needs_csum {
        flags |= vnet_abi::flags::CSUM_PARTIAL;
    }
    if offload.gso_type != 0 {
        flags |= vnet_abi::flags::GSO;
    }
    Frame {
        off: off as u32,
        len: len as u32,
        port: arrival.port,
        flags,
        gso_size: offload.gso_size,
        mark: 0,
        ts_ns: arrival.ts_ns,
        fate: Fate::Unset,
        delay_us: 0,
        csum_dirty: false,
        csum_finished: false,
        appended: false,
    }
}

/// The slots frames are read into: a stage's arena, or the worker's own when there is no stage.
pub(crate) struct Landing<'a> {
    pub bytes: &'a mut [u8],
    pub stride: usize,
    pub slots: usize,
    pub max_frame: usize,
    pub accepts: Accepts,
    pub arrival: Arrival,
    pub frames: &'a mut Frames,
    pub metas: &'a mut Vec<Meta>,
}

impl Landing<'_> {
    pub(crate) fn is_full(&self) -> bool {
        self.metas.len() >= self.slots
    }

    /// Offset of the next free slot's frame start.
    pub(crate) fn next(&self) -> usize {
        self.metas.len() * self.stride + HEADROOM
    }

    /// Takes the next slot for a frame of `len` bytes at `off`.
    pub(crate) fn take(&mut self, off: usize, len: usize, meta: Meta) {
        self.frames.push(frame(off, len, &self.arrival, &meta.offload));
        self.metas.push(Meta {
            path: self.arrival.path,
            ..meta
        });
    }
}

/// How a read from a port ended.
#[derive(Debug)]
pub(crate) enum Got {
    /// Every slot is taken; more may wait.
    Full,
    /// Nothing more waits.
    Empty,
    /// A frame that the first stage does not take as it is lies in the spill buffer at this range.
    Spilled {
        /// First byte in the spill buffer.
        at: usize,
        /// Length in bytes.
        len: usize,
        /// The frame's own data.
        meta: Meta,
    },
    /// The device was deleted, or the input ended.
    Gone,
}

/// Bytes of the spill buffer: the part of a frame beyond its slot, behind room for the part inside.
pub(crate) const SPILL: usize = 2 * (FRAME_MAX + 64);

/// Offset in the spill buffer behind which a frame's overflow is read.
pub(crate) const SPILL_AT: usize = FRAME_MAX + 64;
