//! What goes into a line and what comes out of it.

use serde::Serialize;

/// What a line must know of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The frame's length in bytes.
    pub bytes: u32,
    /// Its sender knows ECN (ECT(0), ECT(1) or CE in its IP header), so it can be marked instead of dropped.
    pub ect: bool,
}

impl From<u32> for Size {
    /// Returns the size of a frame of so many bytes that does not know ECN.
    fn from(bytes: u32) -> Self {
        Size { bytes, ect: false }
    }
}

/// What became of a frame that a line took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It leaves.
    Out {
        /// The frame.
        frame: T,
        /// How many times it leaves: 1, or 2 when duplicated.
        copies: u8,
        /// The bit to flip in every copy: bit `index % 8`, lowest first, of byte `index / 8`.
        corrupt: Option<u64>,
        /// CoDel asks for the mark "congestion experienced" in its IP header.
        mark_ce: bool,
        /// When it should have left, in the engine's clock.
        asked: u64,
    },
    /// It does not.
    Dropped {
        /// The frame.
        frame: T,
        /// Why.
        why: Dropped,
    },
}

/// Why a frame does not leave a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// The wire lost it.
    Loss,
    /// The queue in front of the rate was full.
    QueueFull,
    /// CoDel dropped it from a queue that stands.
    #[serde(rename = "codel")]
    CoDel,
    /// More bytes were under way behind the delay than are kept for one direction.
    FlightFull,
}

impl Dropped {
    /// All reasons.
    pub const ALL: [Dropped; 4] = [
        Dropped::Loss,
        Dropped::QueueFull,
        Dropped::CoDel,
        Dropped::FlightFull,
    ];

    /// Returns the reason's name in statistics.
    pub fn name(self) -> &'static str {
        match self {
            Dropped::Loss => "loss",
            Dropped::QueueFull => "queue_full",
            Dropped::CoDel => "codel",
            Dropped::FlightFull => "flight_full",
        }
    }
}
