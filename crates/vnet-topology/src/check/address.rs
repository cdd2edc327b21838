//! Addresses that interfaces and gateways may have.

use std::net::IpAddr;

use vnet_netlink::{Cidr, Mac};

use crate::check::Check;
use crate::error::TopologyError;
use crate::places::Subject;
use crate::resolve::is_an_interfaces;
use crate::subnet::Subnet;

impl Check<'_> {
    pub(super) fn addresses(&self, addresses: &[Cidr], subject: Subject) -> Result<(), TopologyError> {
        for address in addresses {
            if let Some(reason) = unfit(*address) {
                let expected = "an address for an interface, such as \"10.0.0.1/24\"";
                return Err(self.bad(subject, format!("{address} {reason}"), expected));
            }
            if !is_an_interfaces(*address) {
                let subnet = Subnet::of(*address);
                let (first, last) = subnet.interfaces();
                let (first, last) = (subnet.family.address(first), subnet.family.address(last));
                let found = format!("{} is no interface's address in {subnet}", address.ip);
                return Err(self.bad(subject, found, format!("one from {first} to {last}")));
            }
        }
        Ok(())
    }

    pub(super) fn mac(&self, mac: Option<Mac>, subject: Subject) -> Result<(), TopologyError> {
        match mac.map(Mac::check_unicast) {
            Some(Err(error)) => Err(self.bad(
                subject,
                error.to_string(),
                "an address such as \"02:00:00:00:00:01\"",
            )),
            Some(Ok(())) | None => Ok(()),
        }
    }

    pub(super) fn gateway(&self, via: IpAddr, subject: Subject) -> Result<(), TopologyError> {
        if is_unicast(via) && !is_link_local(via) {
            return Ok(());
        }
        let expected = "the address of a neighbour, such as \"10.0.0.1\"";
        Err(self.bad(subject, format!("{via} cannot be a gateway"), expected))
    }
}

/// Says why an address can be no interface's.
fn unfit(address: Cidr) -> Option<&'static str> {
    if !is_unicast(address.ip) {
        Some("is no address of an interface")
    } else if is_link_local(address.ip) {
        Some("is link-local, which the kernel makes itself")
    } else if address.prefix == 0 {
        Some("has prefix length 0, which is the whole internet")
    } else {
        None
    }
}

pub(super) fn is_unicast(ip: IpAddr) -> bool {
    let is_reserved = match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.octets()[0] == 0 || ip.octets()[0] >= 240,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    !(ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() || is_reserved)
}

/// Whether it is an IPv6 address that means another neighbour on each interface.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
