//! Headers put before a frame and taken off again, without moving its payload.

use core::fmt;

use crate::memory;
use crate::packet::Packet;
use crate::wire::ether_type;

/// A frame's slot has too few bytes before or behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoRoom {
    /// Bytes asked for.
    pub needed: usize,
    /// Bytes that are there.
    pub room: usize,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no room in the slot: {} bytes needed, {} there",
            self.needed, self.room
        )
    }
}

impl core::error::Error for NoRoom {}

const MACS: usize = 12;
const TAG: usize = 4;

impl Packet {
    /// Puts `n` zero bytes before the frame and returns them; a host leaves room for 112.
    ///
    /// # Errors
    /// [`NoRoom`] where the headroom is used up; nothing is changed.
    pub fn push(&mut self, n: usize) -> Result<&mut [u8], NoRoom> {
        self.push_at(0, n)
    }

    /// Puts `n` zero bytes behind the frame's first `at` bytes, which move down, and returns them.
    ///
    /// # Errors
    /// [`NoRoom`] where the headroom is used up or the frame is shorter than `at`; nothing is
    /// changed.
    pub fn push_at(&mut self, at: usize, n: usize) -> Result<&mut [u8], NoRoom> {
        let (lowest, _) = memory::get().bounds(self.desc.off);
        let room = self.desc.off.saturating_sub(lowest) as usize;
        if n > room {
            return Err(NoRoom { needed: n, room });
        }
        if at > self.len() {
            return Err(NoRoom {
                needed: at,
                room: self.len(),
            });
        }
        self.desc.off -= n as u32;
        self.desc.len += n as u32;
        let frame = self.frame_mut();
        frame.copy_within(n..n + at, 0);
        let fresh = &mut frame[at..at + n];
        fresh.fill(0);
        Ok(fresh)
    }

    /// Takes the frame's first `n` bytes off; at least one byte must stay.
    ///
    /// # Errors
    /// [`NoRoom`] where the frame is not longer than that; nothing is changed.
    pub fn pop(&mut self, n: usize) -> Result<(), NoRoom> {
        self.pop_at(0, n)
    }

    /// Takes `n` bytes out behind the frame's first `at` bytes, which move up; at least one byte
    /// must stay behind them.
    ///
    /// # Errors
    /// [`NoRoom`] where the frame is not longer than that; nothing is changed.
    pub fn pop_at(&mut self, at: usize, n: usize) -> Result<(), NoRoom> {
        let room = self.len().saturating_sub(at);
        if n >= room {
            return Err(NoRoom { needed: n, room });
        }
        self.frame_mut().copy_within(..at, n);
        self.desc.off += n as u32;
        self.desc.len -= n as u32;
        Ok(())
    }

    /// Puts a VLAN tag of this type (0x8100 or 0x88a8) and control field behind the MAC addresses.
    ///
    /// # Errors
    /// [`NoRoom`] where the headroom is used up or there is no Ethernet header.
    pub fn push_vlan(&mut self, tpid: u16, tci: u16) -> Result<(), NoRoom> {
        if self.is_l3() || self.len() < MACS + 2 {
            return Err(NoRoom {
                needed: MACS + 2,
                room: if self.is_l3() { 0 } else { self.len() },
            });
        }
        let tag = self.push_at(MACS, TAG)?;
        tag[..2].copy_from_slice(&tpid.to_be_bytes());
        tag[2..].copy_from_slice(&tci.to_be_bytes());
        Ok(())
    }

    /// Takes the outermost VLAN tag off and returns its control field, or `None` where there is
    /// no tag.
    pub fn pop_vlan(&mut self) -> Option<u16> {
        let tci = match *self.frame().get(MACS..MACS + TAG + 2)? {
            [t0, t1, c0, c1, ..] if ether_type::is_vlan(u16::from_be_bytes([t0, t1])) => [c0, c1],
            _ => return None,
        };
        if self.is_l3() {
            return None;
        }
        self.pop_at(MACS, TAG).ok()?;
        Some(u16::from_be_bytes(tci))
    }
}
