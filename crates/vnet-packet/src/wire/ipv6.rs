//! The IPv6 header (RFC 8200).

use core::net::Ipv6Addr;

use super::{Truncated, check};
use crate::bytes::{get_array, get_u8, get_u16, get_u32, put, window, window_mut};

/// An IPv6 packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<T> {
    bytes: T,
}

mod field {
    pub const VERSION_CLASS_FLOW: usize = 0;
    pub const PAYLOAD_LEN: usize = 4;
    pub const NEXT_HEADER: usize = 6;
    pub const HOP_LIMIT: usize = 7;
    pub const SRC: usize = 8;
    pub const DST: usize = 24;
    pub const END: usize = 40;
}

const FLOW: u32 = 0x000f_ffff;
const CLASS_SHIFT: u32 = 20;

impl<T: AsRef<[u8]>> Ipv6<T> {
    /// Bytes of the header.
    pub const HEADER_LEN: usize = field::END;

    /// Wraps a buffer that holds at least the header; the version is not looked at.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 40 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("IPv6", field::END, bytes.as_ref().len())?;
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

    /// Returns the version, which is 6.
    pub fn version(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::VERSION_CLASS_FLOW) >> 4
    }

    /// Returns the traffic class: DSCP and, in the low two bits, ECN.
    pub fn traffic_class(&self) -> u8 {
        (get_u32(self.bytes.as_ref(), field::VERSION_CLASS_FLOW) >> CLASS_SHIFT) as u8
    }

    /// Returns the flow label, 20 bits.
    pub fn flow_label(&self) -> u32 {
        get_u32(self.bytes.as_ref(), field::VERSION_CLASS_FLOW) & FLOW
    }

    /// Returns the bytes that follow this header; 0 in jumbograms.
    pub fn payload_len(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::PAYLOAD_LEN)
    }

    /// Returns the [`ip_protocol`](super::ip_protocol) that follows this header.
    pub fn next_header(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::NEXT_HEADER)
    }

    /// Returns the hop limit.
    pub fn hop_limit(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::HOP_LIMIT)
    }

    /// Returns the source address.
    pub fn src(&self) -> Ipv6Addr {
        get_array::<16>(self.bytes.as_ref(), field::SRC).into()
    }

    /// Returns the destination address.
    pub fn dst(&self) -> Ipv6Addr {
        get_array::<16>(self.bytes.as_ref(), field::DST).into()
    }

    /// Returns the payload, extension headers first, without padding behind the packet; all that
    /// there is where the length is 0 or points beyond the buffer.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::END, self.end())
    }

    fn end(&self) -> usize {
        match self.payload_len() {
            0 => usize::MAX,
            len => field::END + usize::from(len),
        }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv6<T> {
    /// Sets version 6, traffic class and flow label; bits of it above the twentieth are cut off.
    pub fn set_version_class_flow(&mut self, class: u8, flow: u32) {
        let value = 6 << 28 | u32::from(class) << CLASS_SHIFT | flow & FLOW;
        put(
            self.bytes.as_mut(),
            field::VERSION_CLASS_FLOW,
            value.to_be_bytes(),
        );
    }

    /// Sets the bytes that follow this header.
    pub fn set_payload_len(&mut self, len: u16) {
        put(self.bytes.as_mut(), field::PAYLOAD_LEN, len.to_be_bytes());
    }

    /// Sets what follows this header.
    pub fn set_next_header(&mut self, protocol: u8) {
        put(self.bytes.as_mut(), field::NEXT_HEADER, [protocol]);
    }

    /// Sets the hop limit.
    pub fn set_hop_limit(&mut self, limit: u8) {
        put(self.bytes.as_mut(), field::HOP_LIMIT, [limit]);
    }

    /// Sets the source address.
    pub fn set_src(&mut self, ip: Ipv6Addr) {
        put(self.bytes.as_mut(), field::SRC, ip.octets());
    }

    /// Sets the destination address.
    pub fn set_dst(&mut self, ip: Ipv6Addr) {
        put(self.bytes.as_mut(), field::DST, ip.octets());
    }

    /// Returns the payload, as [`payload`](Self::payload) does.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.end();
        window_mut(self.bytes.as_mut(), field::END, end)
    }
}
