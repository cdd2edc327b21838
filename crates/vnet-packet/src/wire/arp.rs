//! ARP for IPv4 on Ethernet (RFC 826).

use core::net::Ipv4Addr;

use super::{MacAddr, Truncated, check, ether_type};
use crate::bytes::{get_array, get_u8, get_u16, put};

/// Values of [`Arp::operation`].
pub mod arp_operation {
    /// Who has this address?
    pub const REQUEST: u16 = 1;
    /// I have it.
    pub const REPLY: u16 = 2;
}

/// An ARP message for IPv4 on Ethernet.
#[derive(Clone, Copy, Debug)]
pub struct Arp<T> {
    bytes: T,
}

mod field {
    pub const HARDWARE: usize = 0;
    pub const PROTOCOL: usize = 2;
    pub const HARDWARE_LEN: usize = 4;
    pub const PROTOCOL_LEN: usize = 5;
    pub const OPERATION: usize = 6;
    pub const SENDER_MAC: usize = 8;
    pub const SENDER_IP: usize = 14;
    pub const TARGET_MAC: usize = 18;
    pub const TARGET_IP: usize = 24;
    pub const END: usize = 28;
}

const HARDWARE_ETHERNET: u16 = 1;

impl<T: AsRef<[u8]>> Arp<T> {
    /// Bytes of a message.
    pub const HEADER_LEN: usize = field::END;

    /// Wraps a buffer that holds at least a message; [`is_ethernet_ipv4`](Self::is_ethernet_ipv4)
    /// says whether the address fields mean anything.
    ///
    /// # Errors
    /// [`Truncated`] for fewer than 28 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Truncated> {
        check("ARP", field::END, bytes.as_ref().len())?;
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

    /// Returns the hardware type; 1 is Ethernet.
    pub fn hardware(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::HARDWARE)
    }

    /// Returns the protocol type, an [`ether_type`].
    pub fn protocol(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::PROTOCOL)
    }

    /// Returns the bytes of a hardware address.
    pub fn hardware_len(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::HARDWARE_LEN)
    }

    /// Returns the bytes of a protocol address.
    pub fn protocol_len(&self) -> u8 {
        get_u8(self.bytes.as_ref(), field::PROTOCOL_LEN)
    }

    /// Says whether types and lengths are those of IPv4 on Ethernet.
    pub fn is_ethernet_ipv4(&self) -> bool {
        self.hardware() == HARDWARE_ETHERNET
            && self.protocol() == ether_type::IPV4
            && self.hardware_len() == 6
            && self.protocol_len() == 4
    }

    /// Returns the [`arp_operation`].
    pub fn operation(&self) -> u16 {
        get_u16(self.bytes.as_ref(), field::OPERATION)
    }

    /// Returns the sender's MAC address.
    pub fn sender_mac(&self) -> MacAddr {
        MacAddr(get_array(self.bytes.as_ref(), field::SENDER_MAC))
    }

    /// Returns the sender's IPv4 address.
    pub fn sender_ip(&self) -> Ipv4Addr {
        get_array::<4>(self.bytes.as_ref(), field::SENDER_IP).into()
    }

    /// Returns the target's MAC address; zero in a request.
    pub fn target_mac(&self) -> MacAddr {
        MacAddr(get_array(self.bytes.as_ref(), field::TARGET_MAC))
    }

    /// Returns the target's IPv4 address.
    pub fn target_ip(&self) -> Ipv4Addr {
        get_array::<4>(self.bytes.as_ref(), field::TARGET_IP).into()
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Arp<T> {
    /// Sets types and lengths to those of IPv4 on Ethernet.
    pub fn set_ethernet_ipv4(&mut self) {
        let bytes = self.bytes.as_mut();
        put(bytes, field::HARDWARE, HARDWARE_ETHERNET.to_be_bytes());
        put(bytes, field::PROTOCOL, ether_type::IPV4.to_be_bytes());
        put(bytes, field::HARDWARE_LEN, [6, 4]);
    }

    /// Sets the [`arp_operation`].
    pub fn set_operation(&mut self, operation: u16) {
        put(self.bytes.as_mut(), field::OPERATION, operation.to_be_bytes());
    }

    /// Sets the sender's MAC address.
    pub fn set_sender_mac(&mut self, mac: MacAddr) {
        put(self.bytes.as_mut(), field::SENDER_MAC, mac.0);
    }

    /// Sets the sender's IPv4 address.
    pub fn set_sender_ip(&mut self, ip: Ipv4Addr) {
        put(self.bytes.as_mut(), field::SENDER_IP, ip.octets());
    }

    /// Sets the target's MAC address.
    pub fn set_target_mac(&mut self, mac: MacAddr) {
        put(self.bytes.as_mut(), field::TARGET_MAC, mac.0);
    }

    /// Sets the target's IPv4 address.
    pub fn set_target_ip(&mut self, ip: Ipv4Addr) {
        put(self.bytes.as_mut(), field::TARGET_IP, ip.octets());
    }
}
