//! How fast a link carries bits.

use crate::Given;
use crate::units::read_size;

pub(super) const BURST: &str = "a size such as \"1500b\", \"32kib\" or a number of bytes, at most 1 GiB";
pub(super) const OVERHEAD: &str =
    "a number of bytes a frame from -65536 to 65536, such as 38 for what Ethernet adds";
pub(super) const MOST_OVERHEAD: i32 = 65_536;

/// How fast a link carries bits: a token bucket whose tokens are bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Bits a second.
    pub bits_per_s: u64,
    /// Bytes that an idle link lets through at once; 0 is a plain wire, where each frame takes the time its bits take.
    pub burst: u64,
    /// Bytes that each frame takes on the line beyond its own; may be negative.
    pub overhead: i32,
}

pub(super) fn read_burst(given: Given<'_>) -> Result<u64, &'static str> {
    read_size(given).ok_or(BURST)
}

pub(super) fn read_overhead(given: Given<'_>) -> Result<i32, &'static str> {
    let bytes = match given {
        Given::Integer(bytes) => i32::try_from(bytes).ok(),
        Given::Float(_) => None,
        Given::Text(text) => text.trim().trim_end_matches('b').parse().ok(),
    };
    bytes
        .filter(|bytes| bytes.unsigned_abs() <= MOST_OVERHEAD.unsigned_abs())
        .ok_or(OVERHEAD)
}
