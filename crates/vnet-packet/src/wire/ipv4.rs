//! The IPv4 header (RFC 791).

use core::net::Ipv4Addr;

use super::{Truncated, check};
use crate::bytes::{get_array, get_u8, get_u16, put, window, window_mut};
use crate::checksum;

/// An IPv4 packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<T> {
    bytes: T,
}

mod field {
    pub const VERSION_IHL: usize = 0;
    pub const TOS: usize = 1;
    pub const TOTAL_LEN: usize = 2;
    pub const ID: usize = 4;
    pub const FRAGMENT: usize = 6;
    pub const TTL: usize = 8;
    pub const PROTOCOL: usize = 9;
    pub const CHECKSUM: usize = 10;
    pub const SRC: usize = 12;
    pub const DST: usize = 16;
    pub const OPTIONS: usize = 20;
}

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

impl<T: AsRef<[u8]>> Ipv4<T> {
    /// Bytes of a header without options.
    pub const HEADER_LEN_MIN: usize = field::OPTIONS;

    /// Wraps a buffer that holds at least the header with its options; the version is not looked
    /// at.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 20 bytes or than the header length field says, and where that
    /// field says less than 20.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        let available = bytes.as_ref().len();
        check("IPv4", field::OPTIONS, available)?;
        let view = Self { bytes };
        check("IPv4", field::OPTIONS, view.header_len())?;
        check("IPv4", view.header_len(), available)?;
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

    /// Returns the version, which is 4.
    pub fn version(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::VERSION_IHL) >> 4
    }

    /// Returns the header's length with options, in bytes.
    pub fn header_len(&self) -> usize {
        usize::from(get_u8(self.bytes.as_ref(), field::VERSION_IHL) & 0x0f) * 4
    }

    /// Returns the type of service: DSCP and, in the low two bits, ECN.
    pub fn tos(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::TOS)
    }

    /// Returns the packet's length with header, in bytes; 0 in super-frames above 65,535.
    pub fn total_len(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::TOTAL_LEN)
    }

    /// Returns the identification.
    pub fn id(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::ID)
    }

    /// Says whether routers must not fragment the packet.
    pub fn dont_fragment(&self) -> bool {
        self.fragment_field() & DONT_FRAGMENT != 0
    }

    /// Says whether fragments follow this one.
    pub fn more_fragments(&self) -> bool {
        self.fragment_field() & MORE_FRAGMENTS != 0
    }

    /// Returns where this fragment's payload belongs, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment_field() & OFFSET) * 8
    }

    /// Says whether the packet is a piece of a larger one.
    pub fn is_fragment(&self) -> bool {
        self.fragment_field() & (MORE_FRAGMENTS | OFFSET) != 0
    }

    /// Returns the time to live.
    pub fn ttl(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::TTL)
    }

    /// Returns the [`ip_protocol`](super::ip_protocol) of the payload.
    pub fn protocol(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::PROTOCOL)
    }

    /// Returns the header checksum.
    pub fn checksum(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::CHECKSUM)
    }

    /// Says whether the header checksum is right.
    pub fn checksum_ok(&self) -> bool {
        checksum::internet(self.header()) == 0
    }

    /// Returns the source address.
    pub fn src(&self) -> Ipv4Addr {
        get_array::<4>(self.bytes.as_ref(), field::SRC).into()
    }

    /// Returns the destination address.
    pub fn dst(&self) -> Ipv4Addr {
        get_array::<4>(self.bytes.as_ref(), field::DST).into()
    }

    /// Returns the header with its options.
    pub fn header(&self) -> &[u8] {
        window(self.bytes.as_ref(), 0, self.header_len())
    }

    /// Returns the header's options.
    pub fn options(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::OPTIONS, self.header_len())
    }

    /// Returns the payload, without padding behind the packet; all that there is where the total
    /// length is 0 or points beyond the buffer.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), self.header_len(), self.end())
    }

    fn end(&self) -> usize {
        match self.total_len() {
            0 => usize::MAX,
            len => usize::from(len),
        }
    }

    fn fragment_field(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::FRAGMENT)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv4<T> {
    /// Sets the version to 4 and the header's length, in bytes, rounded down to a multiple of 4
    /// and cut off at 60.
    pub fn set_version_and_header_len(&mut self, len: usize) {
        let words = (len / 4).min(15) as u8;
        put(self.bytes.as_mut(), field::VERSION_IHL, [0x40 | words]);
    }

    /// Sets the type of service.
    pub fn set_tos(&mut self, tos: u8) {
        put(self.bytes.as_mut(), field::TOS, [tos]);
    }

    /// Sets the packet's length with header, in bytes.
    pub fn set_total_len(&mut self, len: u16) {
        put(self.bytes.as_mut(), field::TOTAL_LEN, len.to_be_bytes());
    }

    /// Sets the identification.
    pub fn set_id(&mut self, id: u16) {
        put(self.bytes.as_mut(), field::ID, id.to_be_bytes());
    }

    /// Sets flags and offset: `offset` in bytes, rounded down to a multiple of 8.
    pub fn set_fragment(&mut self, dont_fragment: bool, more_fragments: bool, offset: usize) {
        let flags = u16::from(dont_fragment) * DONT_FRAGMENT + u16::from(more_fragments) * MORE_FRAGMENTS;
        let value = flags | (offset / 8) as u16 & OFFSET;
        put(self.bytes.as_mut(), field::FRAGMENT, value.to_be_bytes());
    }

    /// Sets the time to live.
    pub fn set_ttl(&mut self, ttl: u8) {
        put(self.bytes.as_mut(), field::TTL, [ttl]);
    }

    /// Sets the payload's protocol.
    pub fn set_protocol(&mut self, protocol: u8) {
        put(self.bytes.as_mut(), field::PROTOCOL, [protocol]);
    }

    /// Sets the header checksum.
    pub fn set_checksum(&mut self, sum: u16) {
        put(self.bytes.as_mut(), field::CHECKSUM, sum.to_be_bytes());
    }

    /// Sets the source address.
    pub fn set_src(&mut self, ip: Ipv4Addr) {
        put(self.bytes.as_mut(), field::SRC, ip.octets());
    }

    /// Sets the destination address.
    pub fn set_dst(&mut self, ip: Ipv4Addr) {
        put(self.bytes.as_mut(), field::DST, ip.octets());
    }

    /// Recomputes the header checksum.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let sum = checksum::internet(self.header());
        self.set_checksum(sum);
    }

    /// Returns the payload, as [`payload`](Self::payload) does.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let (start, end) = (self.header_len(), self.end());
        window_mut(self.bytes.as_mut(), start, end)
    }
}
