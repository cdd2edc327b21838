//! The UDP header (RFC 768).

use super::{Truncated, check};
use crate::bytes::{get_u16, put, window, window_mut};

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<T> {
    bytes: T,
}

mod field {
    pub const SRC_PORT: usize = 0;
    pub const DST_PORT: usize = 2;
    pub const LEN: usize = 4;
    pub const CHECKSUM: usize = 6;
    pub const END: usize = 8;
}

impl<T: AsRef<[u8]>> Udp<T> {
    /// Bytes of the header.
    pub const HEADER_LEN: usize = field::END;
    /// Where the checksum stands in the header.
    pub const CHECKSUM_OFFSET: usize = field::CHECKSUM;

    /// Wraps a buffer that holds at least the header.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 8 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("UDP", field::END, bytes.as_ref().len())?;
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

    /// Returns the source port.
    pub fn src_port(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::SRC_PORT)
    }

    /// Returns the destination port.
    pub fn dst_port(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::DST_PORT)
    }

    /// Returns the datagram's length with header, in bytes.
    pub fn len(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::LEN)
    }

    /// Says whether the datagram has no payload.
    pub fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }

    /// Returns the checksum; 0 means that the sender computed none.
    pub fn checksum(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::CHECKSUM)
    }

    /// Returns the payload as far as the length field reaches; all that there is where that is 0
    /// or points beyond the buffer.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::END, self.end())
    }

    fn end(&self) -> usize {
        match self.len() {
            0 => usize::MAX,
            len => usize::from(len),
        }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Udp<T> {
    /// Sets the source port.
    pub fn set_src_port(&mut self, port: u16) {
        put(self.bytes.as_mut(), field::SRC_PORT, port.to_be_bytes());
    }

    /// Sets the destination port.
    pub fn set_dst_port(&mut self, port: u16) {
        put(self.bytes.as_mut(), field::DST_PORT, port.to_be_bytes());
    }

    /// Sets the datagram's length with header, in bytes.
    pub fn set_len(&mut self, len: u16) {
        put(self.bytes.as_mut(), field::LEN, len.to_be_bytes());
    }

    /// Sets the checksum.
    pub fn set_checksum(&mut self, sum: u16) {
        put(self.bytes.as_mut(), field::CHECKSUM, sum.to_be_bytes());
    }

    /// Returns the payload, as [`payload`](Self::payload) does.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.end();
        window_mut(self.bytes.as_mut(), field::END, end)
    }
}
