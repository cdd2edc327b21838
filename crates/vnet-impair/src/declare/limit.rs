//! How long the queue in front of a rate may become.

use crate::Given;
use crate::units::{LARGEST, read_size, write_size};

pub(super) const QUEUE: &str = "a number of packets such as 50 or \"50p\", at least 1, or a size such as \"30kb\", \"64kib\" or \"1500b\"";

/// How much may wait in front of the rate, the frame on the line apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// This many packets.
    Packets(u64),
    /// This many bytes.
    Bytes(u64),
}

impl Default for Limit {
    /// Returns netem's limit.
    fn default() -> Self {
        Limit::Packets(1_000)
    }
}

impl Limit {
    /// The most packets a queue may be asked to hold.
    pub(super) const MOST_PACKETS: u64 = 1_000_000;

    /// Says whether a frame of `bytes` may join `packets` that make up `queued` bytes.
    pub(crate) fn admits(self, packets: u64, queued: u64, bytes: u32) -> bool {
        match self {
            Limit::Packets(most) => packets < most,
            Limit::Bytes(most) => queued.saturating_add(u64::from(bytes)) <= most,
        }
    }

    pub(super) fn is_valid(self) -> bool {
        match self {
            Limit::Packets(most) => (1..=Limit::MOST_PACKETS).contains(&most),
            Limit::Bytes(most) => (1..=LARGEST).contains(&most),
        }
    }

    pub(super) fn read(given: Given<'_>) -> Result<Self, &'static str> {
        let limit = match given {
            Given::Integer(packets) => u64::try_from(packets).ok().map(Limit::Packets),
            Given::Float(_) => None,
            Given::Text(text) => {
                let count = text.trim().trim_end_matches('p').parse().ok().map(Limit::Packets);
                count.or_else(|| read_size(given).map(Limit::Bytes))
            }
        };
        limit.filter(|limit| limit.is_valid()).ok_or(QUEUE)
    }

    /// Says it in words.
    pub(super) fn said(self) -> String {
        match self {
            Limit::Packets(1) => "1 packet".to_owned(),
            Limit::Packets(packets) => format!("{packets} packets"),
            Limit::Bytes(bytes) => write_size(bytes),
        }
    }

    pub(super) fn write(self) -> String {
        match self {
            Limit::Packets(packets) => format!("{packets}p"),
            Limit::Bytes(bytes) => write_size(bytes),
        }
    }
}
