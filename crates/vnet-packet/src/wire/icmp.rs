//! The ICMP header (RFC 792).

use super::{Truncated, check};
use crate::bytes::{get_u8, get_u16, get_u32, put, window, window_mut};
use crate::checksum;

/// Values of [`Icmp::kind`].
pub mod icmp_type {
    /// Answer to a ping.
    pub const ECHO_REPLY: u8 = 0;
    /// A packet could not be delivered.
    pub const UNREACHABLE: u8 = 3;
    /// Use another router.
    pub const REDIRECT: u8 = 5;
    /// A ping.
    pub const ECHO_REQUEST: u8 = 8;
    /// The time to live ran out.
    pub const TIME_EXCEEDED: u8 = 11;
    /// A header field is wrong.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// An ICMP message.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<T> {
    bytes: T,
}

mod field {
    pub const TYPE: usize = 0;
    pub const CODE: usize = 1;
    pub const CHECKSUM: usize = 2;
    pub const REST: usize = 4;
    pub const SEQ: usize = 6;
    pub const END: usize = 8;
}

impl<T: AsRef<[u8]>> Icmp<T> {
    /// Bytes of the header.
    pub const HEADER_LEN: usize = field::END;

    /// Wraps a buffer that holds at least the header; its end is the message's end.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 8 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("ICMP", field::END, bytes.as_ref().len())?;
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

    /// Returns the [`icmp_type`].
    pub fn kind(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::TYPE)
    }

    /// Returns the code.
    pub fn code(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::CODE)
    }

    /// Returns the checksum.
    pub fn checksum(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::CHECKSUM)
    }

    /// Returns the four bytes after the checksum, whose meaning depends on the type.
    pub fn rest(&self) -> u32 {
        get_u32(self.bytes.as_ref(), field::REST)
    }

    /// Returns an echo's identifier.
    pub fn echo_id(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::REST)
    }

    /// Returns an echo's sequence number.
    pub fn echo_seq(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::SEQ)
    }

    /// Returns what follows the header.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::END, usize::MAX)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Icmp<T> {
    /// Sets the type.
    pub fn set_kind(&mut self, kind: u8) {
        put(self.bytes.as_mut(), field::TYPE, [kind]);
    }

    /// Sets the code.
    pub fn set_code(&mut self, code: u8) {
        put(self.bytes.as_mut(), field::CODE, [code]);
    }

    /// Sets the checksum.
    pub fn set_checksum(&mut self, sum: u16) {
        put(self.bytes.as_mut(), field::CHECKSUM, sum.to_be_bytes());
    }

    /// Sets the four bytes after the checksum.
    pub fn set_rest(&mut self, rest: u32) {
        put(self.bytes.as_mut(), field::REST, rest.to_be_bytes());
    }

    /// Sets an echo's identifier.
    pub fn set_echo_id(&mut self, id: u16) {
        put(self.bytes.as_mut(), field::REST, id.to_be_bytes());
    }

    /// Sets an echo's sequence number.
    pub fn set_echo_seq(&mut self, seq: u16) {
        put(self.bytes.as_mut(), field::SEQ, seq.to_be_bytes());
    }

    /// Recomputes the checksum over the whole buffer.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let sum = checksum::internet(self.bytes.as_ref());
        self.set_checksum(sum);
    }

    /// Returns what follows the header.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        window_mut(self.bytes.as_mut(), field::END, usize::MAX)
    }
}
