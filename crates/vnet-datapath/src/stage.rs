use std::sync::atomic::{AtomicU64, Ordering};

use vnet_runtime::{Frames, Stage, StageStats};

use crate::callout::{Callout, Seated};
use crate::cause::Causes;
use crate::frame::{Accepts, HEADROOM, Meta};
use crate::path::Home;
use crate::record::Seat;

/// Names one attached stage for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StageId(u64);

impl StageId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which of a device's or a wire's frames a stage sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Frames that enter the engine from the device; on a wire, those that came from its first end.
    Ingress,
    /// Frames about to leave the engine through the device; on a wire, those that came from its second end.
    Egress,
    /// Both, judged by one instance.
    Both,
}

/// An end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSide {
    /// The first end.
    A,
    /// The second end.
    B,
}

impl Direction {
    pub(crate) fn covers(self, other: Direction) -> bool {
        self == Direction::Both || self == other
    }
}

/// A stage in the worker's hands, with the frames that wait in its arena.
pub(crate) struct StageBox {
    pub id: StageId,
    pub stage: Stage,
    /// Who judges in the plugin's place, if anybody.
    pub callout: Option<Box<Callout>>,
    pub direction: Direction,
    pub accepts: Accepts,
    pub stride: usize,
    pub slots: usize,
    pub max_frame: usize,
    pub frames: Frames,
    pub metas: Vec<Meta>,
    pub drops: Causes,
    /// Whether the forwarder has it on its list of stages to run.
    pub queued: bool,
}

impl StageBox {
    pub(crate) fn new(seated: impl Into<Seated>, direction: Direction) -> Box<Self> {
        let Seated { mut stage, callout } = seated.into();
        let traits = stage.traits();
        let arena = stage.arena();
        let (stride, slots) = (arena.stride, arena.slots.min(traits.batch));
        Box::new(Self {
            id: StageId::next(),
            accepts: Accepts {
                gso: traits.gso,
                csum: traits.csum,
            },
            stride,
            slots,
            max_frame: (traits.max_frame as usize).min(stride - HEADROOM),
            frames: Frames::with_capacity(vnet_abi::RING_MAX),
            metas: Vec::with_capacity(vnet_abi::RING_MAX),
            drops: Causes::default(),
            queued: false,
            stage,
            callout,
            direction,
        })
    }

    /// Tells which stage it is, at a place.
    pub(crate) fn seat(&self, home: Option<Home>) -> Seat<'_> {
        Seat {
            id: self.id,
            name: self.stage.name(),
            home,
        }
    }

    /// Offset of the next free slot's frame start.
    pub(crate) fn next(&self) -> usize {
        self.metas.len() * self.stride + HEADROOM
    }

    pub(crate) fn is_full(&self) -> bool {
        self.metas.len() >= self.slots
    }

    /// Tells whether it takes, as it is, whatever another one lets pass.
    pub(crate) fn takes_all_of(&self, other: &StageBox) -> bool {
        self.accepts == Accepts::ALL || other.accepts == Accepts::NONE
    }

    /// Forgets the frames of the last run.
    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.metas.clear();
    }

    pub(crate) fn stats(&self) -> StageStats {
        let mut stats = self.stage.stats();
        if let Some(callout) = &self.callout {
            callout.tell(&mut stats);
        }
        for (name, n) in self.drops.named() {
            *stats.drops.entry(name).or_default() += n;
            // Refused at the stage's door: it arrived and was dropped, though the plugin never saw it.
            stats.packets_in += n;
            stats.dropped += n;
        }
        stats
    }
}
