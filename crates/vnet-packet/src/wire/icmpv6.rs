//! The ICMPv6 header (RFC 4443) with the messages of Neighbour Discovery (RFC 4861).

use core::net::Ipv6Addr;

use super::{MacAddr, Truncated, check, ip_protocol};
use crate::bytes::{get_array, get_u8, get_u16, get_u32, put, window, window_mut};
use crate::checksum;

/// Values of [`Icmpv6::kind`].
pub mod icmpv6_type {
    /// A packet could not be delivered.
    pub const UNREACHABLE: u8 = 1;
    /// A packet does not fit the next hop's MTU.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// The hop limit ran out.
    pub const TIME_EXCEEDED: u8 = 3;
    /// A header field is wrong.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// A ping.
    pub const ECHO_REQUEST: u8 = 128;
    /// Answer to a ping.
    pub const ECHO_REPLY: u8 = 129;
    /// Is there a router?
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// I am a router.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Who has this address?
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// I have it.
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    /// Use another router.
    pub const REDIRECT: u8 = 137;
    /// Multicast listener report, version 2 (RFC 3810).
    pub const MLD2_REPORT: u8 = 143;
}

/// Types of the options of Neighbour Discovery.
pub mod ndp_option {
    /// MAC address of the sender.
    pub const SOURCE_LLADDR: u8 = 1;
    /// MAC address of the target.
    pub const TARGET_LLADDR: u8 = 2;
    /// A prefix of this link.
    pub const PREFIX: u8 = 3;
    /// The link's MTU.
    pub const MTU: u8 = 5;
}

/// An ICMPv6 message.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv6<T> {
    bytes: T,
}

mod field {
    pub const TYPE: usize = 0;
    pub const CODE: usize = 1;
    pub const CHECKSUM: usize = 2;
    pub const REST: usize = 4;
    pub const SEQ: usize = 6;
    pub const END: usize = 8;
    pub const TARGET: usize = 8;
    pub const OPTIONS: usize = 24;
}

impl<T: AsRef<[u8]>> Icmpv6<T> {
    /// Bytes of the header.
    pub const HEADER_LEN: usize = field::END;
    /// Where the options of a neighbour solicitation or advertisement start.
    pub const NEIGHBOR_LEN: usize = field::OPTIONS;

    /// Wraps a buffer that holds at least the header; its end is the message's end.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 8 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("ICMPv6", field::END, bytes.as_ref().len())?;
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

    /// Returns the [`icmpv6_type`].
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

    /// Returns the target of a neighbour solicitation or advertisement; zero where it is cut off.
    pub fn target(&self) -> Ipv6Addr {
        get_array::<16>(self.bytes.as_ref(), field::TARGET).into()
    }

    /// Returns the MAC address in an option of a neighbour solicitation or advertisement.
    pub fn lladdr(&self, option: u8) -> Option<MacAddr> {
        let mut rest = window(self.bytes.as_ref(), field::OPTIONS, usize::MAX);
        while let [kind, units, ..] = *rest {
            let len = usize::from(units) * 8;
            if len == 0 || len > rest.len() {
                return None;
            }
            if kind == option {
                return Some(MacAddr(get_array(rest, 2)));
            }
            rest = window(rest, len, usize::MAX);
        }
        None
    }

    /// Returns what follows the header.
    pub fn payload(&self) -> &[u8] {
        window(self.bytes.as_ref(), field::END, usize::MAX)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Icmpv6<T> {
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

    /// Sets the target of a neighbour solicitation or advertisement.
    pub fn set_target(&mut self, target: Ipv6Addr) {
        put(self.bytes.as_mut(), field::TARGET, target.octets());
    }

    /// Writes the eight bytes of a MAC address option where the options start.
    pub fn set_first_lladdr(&mut self, option: u8, mac: MacAddr) {
        let [a, b, c, d, e, f] = mac.0;
        put(self.bytes.as_mut(), field::OPTIONS, [option, 1, a, b, c, d, e, f]);
    }

    /// Recomputes the checksum over the whole buffer with the pseudo-header of these addresses.
    pub fn fill_checksum(&mut self, src: Ipv6Addr, dst: Ipv6Addr) {
        self.set_checksum(0);
        let bytes = self.bytes.as_ref();
        let pseudo = checksum::pseudo_v6(src, dst, ip_protocol::ICMPV6, bytes.len() as u32);
        let sum = !checksum::fold(pseudo + checksum::sum(bytes));
        self.set_checksum(sum);
    }

    /// Returns what follows the header.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        window_mut(self.bytes.as_mut(), field::END, usize::MAX)
    }
}
