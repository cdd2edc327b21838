use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};

use crate::{Cidr, Netlink, NetlinkError};

impl Netlink {
    /// Gives the interface an address. An IPv6 address is usable at once: it skips
    /// duplicate address detection, which takes a second or more (`IFA_F_NODAD`).
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `EEXIST` when it has it already, with the
    /// kernel's sentence where IPv6 is off.
    pub fn add_address(&self, index: u32, address: Cidr) -> Result<(), NetlinkError> {
        self.change(
            || format!("cannot add the address {address} to {}", self.shown(index)),
            RouteNetlinkMessage::NewAddress(added(index, address)),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Takes an address from the interface.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `EADDRNOTAVAIL` when it has none such.
    pub fn del_address(&self, index: u32, address: Cidr) -> Result<(), NetlinkError> {
        self.change(
            || format!("cannot delete the address {address} from {}", self.shown(index)),
            RouteNetlinkMessage::DelAddress(message(index, address)),
            0,
        )
    }
}

/// The address as it is to be added, without duplicate address detection.
pub(crate) fn added(index: u32, address: Cidr) -> AddressMessage {
    let mut message = message(index, address);
    if address.ip.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message
}

pub(crate) fn message(index: u32, address: Cidr) -> AddressMessage {
    match address.ip {
        IpAddr::V4(ip) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(ip, address.prefix)
            .build(),
        IpAddr::V6(ip) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(ip, address.prefix)
            .build(),
    }
}
