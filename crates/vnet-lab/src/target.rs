use std::net::IpAddr;

use vnet_netlink::Cidr;
use vnet_topology::{NodeKind, Resolved, ResolvedNode};

use crate::error::LabError;
use crate::network::unknown_node;

/// Where packets go: to a node, by the address that fits, or to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host or router of the network.
    Node(String),
    /// Any address.
    Address(IpAddr),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Target {
    /// Takes a text for an address if it is one, else for the name of a node.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Node(text.to_owned()), Self::Address)
    }

    /// The address to send to: one of a network both nodes are in, else the node's first.
    ///
    /// Without `ipv6` it is an IPv4 address where the node has one.
    pub(crate) fn address(&self, plan: &Resolved, from: &str, ipv6: bool) -> Result<IpAddr, LabError> {
        let name = match self {
            Self::Address(address) => return Ok(*address),
            Self::Node(name) => name,
        };
        let (_, sender) = plan.node(from).ok_or_else(|| unknown_node(plan, from))?;
        let (_, node) = plan.node(name).ok_or_else(|| unknown_node(plan, name))?;
        let family = |ipv6: bool| {
            let mut own = addresses(node).filter(|address| address.ip.is_ipv6() == ipv6);
            let first = own.clone().next();
            own.find(|address| addresses(sender).any(|near| holds(near, address.ip)))
                .or(first)
                .map(|address| address.ip)
        };
        let found = if ipv6 {
            family(true)
        } else {
            family(false).or_else(|| family(true))
        };
        found.ok_or_else(|| {
            let what = if node.kind == NodeKind::Switch {
                format!("switch {name} has no addresses")
            } else if ipv6 {
                format!("node {name} has no IPv6 address")
            } else {
                format!("node {name} has no address")
            };
            LabError::bad(what, "name a host or router with a link, or an address")
        })
    }
}

fn addresses(node: &ResolvedNode) -> impl Iterator<Item = Cidr> + Clone {
    node.interfaces
        .iter()
        .flat_map(|interface| interface.addresses.iter().copied())
}

/// Whether an address lies in the network of another.
fn holds(network: Cidr, ip: IpAddr) -> bool {
    let bits = u32::from(network.prefix);
    match (network.ip, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_lies_in_a_network() {
        let inside = |network: &str, ip: &str| holds(network.parse().unwrap(), ip.parse().unwrap());
        assert!(inside("10.0.0.1/24", "10.0.0.255"));
        assert!(!inside("10.0.0.1/24", "10.0.1.1"));
        assert!(inside("0.0.0.0/0", "192.0.2.1"));
        assert!(inside("fd00::1/64", "fd00::ffff"));
        assert!(!inside("fd00::1/64", "10.0.0.1"));
        assert!(inside("10.0.0.1/32", "10.0.0.1"));
    }
}
