//! The TCP header (RFC 9293).

use super::{Truncated, check};
use crate::bytes::{get_u8, get_u16, get_u32, put, window, window_mut};

/// Bits of [`Tcp::flags`].
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
    /// ECN echo (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 0x80;
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<T> {
    bytes: T,
}

mod field {
    pub const SRC_PORT: usize = 0;
    pub const DST_PORT: usize = 2;
    pub const SEQ: usize = 4;
    pub const ACK: usize = 8;
    pub const DATA_OFFSET: usize = 12;
    pub const FLAGS: usize = 13;
    pub const WINDOW: usize = 14;
    pub const CHECKSUM: usize = 16;
    pub const URGENT: usize = 18;
    pub const OPTIONS: usize = 20;
}

impl<T: AsRef<[u8]>> Tcp<T> {
    /// Bytes of a header without options.
    pub const HEADER_LEN_MIN: usize = field::OPTIONS;
    /// Where the checksum stands in the header.
    pub const CHECKSUM_OFFSET: usize = field::CHECKSUM;

    /// Wraps a buffer that holds at least the header with its options.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 20 bytes or than the data offset says, and where that says
    /// less than 20.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        let available = bytes.as_ref().len();
        check("TCP", field::OPTIONS, available)?;
        let view = Self { bytes };
        check("TCP", field::OPTIONS, view.header_len())?;
        check("TCP", view.header_len(), available)?;
        Ok(view)
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

    /// Returns the sequence number.
    pub fn seq(&self) -> u32 {
        get_u32(self.bytes.as_ref(), field::SEQ)
    }

    /// Returns the acknowledgement number.
    pub fn ack(&self) -> u32 {
        get_u32(self.bytes.as_ref(), field::ACK)
    }

    /// Returns the header's length with options, in bytes.
    pub fn header_len(&self) -> usize {
        usize::from(get_u8(self.bytes.as_ref(), field::DATA_OFFSET) >> 4) * 4
    }

    /// Returns the [`tcp_flags`].
    pub fn flags(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::FLAGS)
    }

    /// Returns the window, unscaled.
    pub fn window(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::WINDOW)
    }

    /// Returns the checksum.
    pub fn checksum(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::CHECKSUM)
    }

    /// Returns the urgent pointer.
    pub fn urgent(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::URGENT)
    }

    /// Returns the header's options.
    pub fn options(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::OPTIONS, self.header_len())
    }

    /// Returns the payload; the buffer's end is the segment's end.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), self.header_len(), usize::MAX)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Tcp<T> {
    /// Sets the source port.
    pub fn set_src_port(&mut self, port: u16) {
        put(self.bytes.as_mut(), field::SRC_PORT, port.to_be_bytes());
    }

    /// Sets the destination port.
    pub fn set_dst_port(&mut self, port: u16) {
        put(self.bytes.as_mut(), field::DST_PORT, port.to_be_bytes());
    }

    /// Sets the sequence number.
    pub fn set_seq(&mut self, seq: u32) {
        put(self.bytes.as_mut(), field::SEQ, seq.to_be_bytes());
    }

    /// Sets the acknowledgement number.
    pub fn set_ack(&mut self, ack: u32) {
        put(self.bytes.as_mut(), field::ACK, ack.to_be_bytes());
    }

    /// Sets the header's length, in bytes, rounded down to a multiple of 4 and cut off at 60.
    pub fn set_header_len(&mut self, len: usize) {
        let low = get_u8(self.bytes.as_ref(), field::DATA_OFFSET) & 0x0f;
        put(
            self.bytes.as_mut(),
            field::DATA_OFFSET,
            [((len / 4).min(15) as u8) << 4 | low],
        );
    }

    /// Sets the flags.
    pub fn set_flags(&mut self, flags: u8) {
        put(self.bytes.as_mut(), field::FLAGS, [flags]);
    }

    /// Sets the window.
    pub fn set_window(&mut self, window: u16) {
        put(self.bytes.as_mut(), field::WINDOW, window.to_be_bytes());
    }

    /// Sets the checksum.
    pub fn set_checksum(&mut self, sum: u16) {
        put(self.bytes.as_mut(), field::CHECKSUM, sum.to_be_bytes());
    }

    /// Sets the urgent pointer.
    pub fn set_urgent(&mut self, pointer: u16) {
        put(self.bytes.as_mut(), field::URGENT, pointer.to_be_bytes());
    }

    /// Returns the header's options.
    pub fn options_mut(&mut self) -> &mut [u8] {
        let end = self.header_len();
        window_mut(self.bytes.as_mut(), field::OPTIONS, end)
    }

    /// Returns the payload.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let start = self.header_len();
        window_mut(self.bytes.as_mut(), start, usize::MAX)
    }
}
