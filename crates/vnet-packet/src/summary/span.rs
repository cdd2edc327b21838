//! Bytes that say how many they should be.

use super::Stop;
use crate::bytes::{get_array, get_u16, get_u32, window};

/// The bytes of one protocol: those that are there, and how many the layer below announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    /// What is there, never more than announced.
    pub bytes: &'a [u8],
    /// What was announced.
    pub len: usize,
    /// How many packets this one lies in.
    depth: u8,
}

/// Most packets in packets that are printed.
const DEPTH_MAX: u8 = 8;

impl<'a> Span<'a> {
    pub fn whole(bytes: &'a [u8]) -> Span<'a> {
        Span {
            bytes,
            len: bytes.len(),
            depth: 0,
        }
    }

    /// Returns the span without its first bytes.
    pub fn skip(self, n: usize) -> Span<'a> {
        Span {
            bytes: window(self.bytes, n, usize::MAX),
            len: self.len.saturating_sub(n),
            ..self
        }
    }

    /// Returns the span with this announced length, where that is less.
    pub fn announced(self, len: usize) -> Span<'a> {
        Span {
            bytes: window(self.bytes, 0, len),
            len,
            ..self
        }
    }

    /// Returns the span as a packet in a packet.
    pub fn nested(self) -> Result<Span<'a>, Stop> {
        if self.depth == DEPTH_MAX {
            return Err(Stop::Cut("ip"));
        }
        Ok(Span {
            depth: self.depth + 1,
            ..self
        })
    }

    /// Makes sure that the first `n` bytes are there.
    pub fn need(self, n: usize, protocol: &'static str) -> Result<Span<'a>, Stop> {
        if self.bytes.len() < n {
            Err(Stop::Cut(protocol))
        } else {
            Ok(self)
        }
    }

    pub fn u8(self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    pub fn u16(self, at: usize) -> u16 {
        get_u16(self.bytes, at)
    }

    pub fn u32(self, at: usize) -> u32 {
        get_u32(self.bytes, at)
    }

    pub fn v4(self, at: usize) -> core::net::Ipv4Addr {
        get_array::<4>(self.bytes, at).into()
    }

    pub fn v6(self, at: usize) -> core::net::Ipv6Addr {
        get_array::<16>(self.bytes, at).into()
    }

    pub fn mac(self, at: usize) -> crate::wire::MacAddr {
        get_array::<6>(self.bytes, at).into()
    }
}
