//! The VLAN tag (IEEE 802.1Q, 802.1ad).

use super::{Truncated, check};
use crate::bytes::{get_u16, put, window, window_mut};

/// A VLAN tag as it follows a type field of 0x8100 or 0x88a8: tag control, then the inner type.
#[derive(Clone, Copy, Debug)]
pub struct Vlan<T> {
    bytes: T,
}

mod field {
    pub const TCI: usize = 0;
    pub const TYPE: usize = 2;
    pub const END: usize = 4;
}

const VID: u16 = 0x0fff;
const DEI: u16 = 0x1000;
const PCP_SHIFT: u16 = 13;

impl<T: AsRef<[u8]>> Vlan<T> {
    /// Bytes of a tag.
    pub const HEADER_LEN: usize = field::END;

    /// Wraps a buffer that holds at least a tag.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 4 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("VLAN", field::END, bytes.as_ref().len())?;
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

    /// Returns the whole tag control field.
    pub fn tci(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::TCI)
    }

    /// Returns the VLAN's number, 0-4095.
    pub fn vid(&self) -> u16 {
        self.tci() & VID
    }

    /// Returns the priority, 0-7.
    pub fn priority(&self) -> u8 {
        (self.tci() >> PCP_SHIFT) as u8
    }

    /// Says whether the frame may be dropped first.
    pub fn drop_eligible(&self) -> bool {
        self.tci() & DEI != 0
    }

    /// Returns the type of what follows the tag.
    pub fn ether_type(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::TYPE)
    }

    /// Returns what follows the tag.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::END, usize::MAX)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Vlan<T> {
    /// Sets the whole tag control field.
    pub fn set_tci(&mut self, tci: u16) {
        put(self.bytes.as_mut(), field::TCI, tci.to_be_bytes());
    }

    /// Sets the VLAN's number; bits above the twelfth are cut off.
    pub fn set_vid(&mut self, vid: u16) {
        self.set_tci(self.tci() & !VID | vid & VID);
    }

    /// Sets the priority; bits above the third are cut off.
    pub fn set_priority(&mut self, priority: u8) {
        self.set_tci(self.tci() & (VID | DEI) | u16::from(priority & 7) << PCP_SHIFT);
    }

    /// Sets the type of what follows the tag.
    pub fn set_ether_type(&mut self, value: u16) {
        put(self.bytes.as_mut(), field::TYPE, value.to_be_bytes());
    }

    /// Returns what follows the tag.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        window_mut(self.bytes.as_mut(), field::END, usize::MAX)
    }
}
