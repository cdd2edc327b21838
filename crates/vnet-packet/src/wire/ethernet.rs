//! The Ethernet II header.

use super::{MacAddr, Truncated, check};
use crate::bytes::{get_array, get_u16, put, window, window_mut};

/// An Ethernet frame without its check sequence.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<T> {
    bytes: T,
}

mod field {
    pub const DST: usize = 0;
    pub const SRC: usize = 6;
    pub const TYPE: usize = 12;
    pub const END: usize = 14;
}

impl<T: AsRef<[u8]>> Ethernet<T> {
    /// Bytes of the header.
    pub const HEADER_LEN: usize = field::END;

    /// Wraps a buffer that holds at least the header.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 14 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("Ethernet", field::END, bytes.as_ref().len())?;
        Ok(Self { bytes })
    }

    /// Wraps any buffer; fields beyond its end read as zero.
    pub const fn new_unchecked(bytes: T) -> Self {
        Self { bytes }
    }

    /// Gives the buffer back.
    pub fn into_inner(self) -> T {
        self.bytes
    }

    /// Returns the destination address.
    pub fn dst(&self) -> MacAddr {
        MacAddr(get_array(self.bytes.as_ref(), field::DST))
    }

    /// Returns the source address.
    pub fn src(&self) -> MacAddr {
        MacAddr(get_array(self.bytes.as_ref(), field::SRC))
    }

    /// Returns the type field: an [`ether_type`](super::ether_type), or the length of an 802.3 frame.
    pub fn ether_type(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::TYPE)
    }

    /// Returns what follows the header; a VLAN tag if the type says so.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::END, usize::MAX)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ethernet<T> {
    /// Sets the destination address.
    pub fn set_dst(&mut self, mac: MacAddr) {
        put(self.bytes.as_mut(), field::DST, mac.0);
    }

    /// Sets the source address.
    pub fn set_src(&mut self, mac: MacAddr) {
        put(self.bytes.as_mut(), field::SRC, mac.0);
    }

    /// Sets the type field.
    pub fn set_ether_type(&mut self, value: u16) {
        put(self.bytes.as_mut(), field::TYPE, value.to_be_bytes());
    }

    /// Returns what follows the header.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        window_mut(self.bytes.as_mut(), field::END, usize::MAX)
    }
}
