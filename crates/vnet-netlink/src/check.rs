//! What is refused without asking the kernel: names, numbers and sizes that no kernel
//! takes, in words that name them.

use std::net::IpAddr;

use vnet_sys::check_name;

use crate::change::{Change, LinkSet, RouteSpec};
use crate::link::{ALIAS_MAX, check_mtu};
use crate::{Cidr, Mac, NetlinkError};

/// The smallest and the largest MTU of Ethernet devices without hardware
/// (`ETH_MIN_MTU`, `ETH_MAX_MTU`, `linux/if_ether.h`).
const MTU: (u32, u32) = (68, 65535);

impl Change {
    /// Refuses what cannot work in any namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Sys`] for a name, [`NetlinkError::BadMac`],
    /// [`NetlinkError::BadMtu`], [`NetlinkError::BadAddress`], and
    /// [`NetlinkError::BadValue`] for the rest.
    pub fn check(&self) -> Result<(), NetlinkError> {
        match self {
            Self::Veth {
                index,
                name,
                mac,
                mtu,
                peer,
            } => {
                self.made(*index, name, *mac, *mtu)?;
                self.made(peer.index, &peer.name, peer.mac, *mtu)
            }
            Self::Bridge {
                index,
                name,
                mac,
                mtu,
            } => self.made(*index, name, *mac, *mtu),
            Self::Ifb { index, name } => self.made(*index, name, None, None),
            Self::Link { index, set } => {
                self.number(*index)?;
                self.set(*index, set)
            }
            Self::Delete { index } | Self::IngressQdisc { index } | Self::FlushFdb { bridge: index } => {
                self.number(*index)
            }
            Self::AddAddress { index, address } | Self::DelAddress { index, address } => {
                self.number(*index)?;
                own_address(*address)
            }
            Self::AddRoute(route) | Self::DelRoute(route) => {
                self.route(route, matches!(self, Self::AddRoute(_)))
            }
            Self::AddNeighbour { index, ip, .. } | Self::DelNeighbour { index, ip } => {
                self.number(*index)?;
                neighbour(*ip)
            }
            Self::Redirect { index, prio, to, .. } => {
                self.number(*index)?;
                self.number(*to)?;
                self.priority(*prio)
            }
            Self::DelRedirect { index, prio } => {
                self.number(*index)?;
                self.priority(*prio)
            }
        }
    }

    fn made(&self, index: u32, name: &str, mac: Option<Mac>, mtu: Option<u32>) -> Result<(), NetlinkError> {
        check_name(name)?;
        self.number(index)?;
        mac.map_or(Ok(()), Mac::check_unicast)?;
        mtu.map_or(Ok(()), |mtu| check_mtu(name, mtu, MTU.0, MTU.1))
    }

    fn set(&self, index: u32, set: &LinkSet) -> Result<(), NetlinkError> {
        if *set == LinkSet::default() {
            return Err(self.bad("it sets nothing".to_owned()));
        }
        if let Some(name) = &set.name {
            check_name(name)?;
        }
        set.mac.map_or(Ok(()), Mac::check_unicast)?;
        if let Some(mtu) = set.mtu {
            check_mtu(&format!("#{index}"), mtu, MTU.0, MTU.1)?;
        }
        if let Some(alias) = &set.alias {
            let len = alias.len();
            if len > ALIAS_MAX {
                let reason = format!("the alias has {len} bytes and at most {ALIAS_MAX} are taken");
                return Err(NetlinkError::BadValue {
                    what: format!("set the alias of #{index}"),
                    reason,
                });
            }
            if alias.contains('\0') {
                return Err(self.bad("the alias contains a zero byte".to_owned()));
            }
        }
        match set.bridge {
            Some(bridge) if bridge != 0 => self.number(bridge),
            _ => Ok(()),
        }
    }

    /// The kernel holds interface numbers as positive `int`s.
    fn number(&self, index: u32) -> Result<(), NetlinkError> {
        if index == 0 || i32::try_from(index).is_err() {
            return Err(self.bad(format!(
                "an interface number is from 1 to {}, not {index}",
                i32::MAX
            )));
        }
        Ok(())
    }

    /// The kernel takes priority 0 for "choose one".
    fn priority(&self, prio: u16) -> Result<(), NetlinkError> {
        if prio == 0 {
            return Err(self.bad("a priority is from 1 to 65535, not 0".to_owned()));
        }
        Ok(())
    }

    /// Which of the routes to a network is to be deleted need not be said.
    fn route(&self, route: &RouteSpec, leads: bool) -> Result<(), NetlinkError> {
        let to = Cidr::new(route.to.ip, route.to.prefix)?;
        if let Some(index) = route.index {
            self.number(index)?;
        }
        let bad = |reason: &str| NetlinkError::BadAddress {
            address: to.to_string(),
            reason: reason.to_owned(),
        };
        if to.ip.is_multicast() {
            return Err(bad("the main table has no routes to multicast groups"));
        }
        match route.via {
            Some(gateway) if gateway.is_ipv4() != to.ip.is_ipv4() => {
                Err(bad("the gateway is of the other address family"))
            }
            Some(gateway) if gateway.is_unspecified() || gateway.is_multicast() => {
                Err(bad(&format!("{gateway} is no gateway")))
            }
            None if leads && route.index.is_none() => Err(bad("a route needs a gateway or an interface")),
            _ => Ok(()),
        }
    }

    fn bad(&self, reason: String) -> NetlinkError {
        NetlinkError::BadValue {
            what: self.to_string(),
            reason,
        }
    }
}

/// What the kernel takes for an address of an interface, or takes for something else.
fn own_address(address: Cidr) -> Result<(), NetlinkError> {
    Cidr::new(address.ip, address.prefix)?;
    if address.ip.is_unspecified() || address.ip.is_multicast() {
        return Err(NetlinkError::BadAddress {
            address: address.to_string(),
            reason: "an interface cannot have it as its own".to_owned(),
        });
    }
    Ok(())
}

fn neighbour(ip: IpAddr) -> Result<(), NetlinkError> {
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(NetlinkError::BadAddress {
            address: ip.to_string(),
            reason: "it is no single neighbour's".to_owned(),
        });
    }
    Ok(())
}
