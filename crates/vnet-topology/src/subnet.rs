//! Networks as ranges of numbers, the same for both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_netlink::Cidr;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Both, in the order in which addresses are listed.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bits of an address.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Returns the address of a number.
    pub fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(
                u32::try_from(number & u128::from(u32::MAX)).unwrap_or(u32::MAX),
            )),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    /// Returns the route to everywhere.
    pub fn everything(self) -> Cidr {
        Cidr {
            ip: self.address(0),
            prefix: 0,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Returns an address as a number.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// A network: an address range whose size is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subnet {
    pub family: Family,
    /// Its first address.
    pub first: u128,
    /// Bits of its number that all its addresses share.
    pub prefix: u8,
}

impl Subnet {
    /// Returns the network that an address with a prefix length lies in.
    pub fn of(cidr: Cidr) -> Self {
        let family = Family::of(cidr.ip);
        let mut subnet = Self {
            family,
            first: 0,
            prefix: cidr.prefix,
        };
        subnet.first = number(cidr.ip) & !subnet.host_bits();
        subnet
    }

    /// Its addresses, less one.
    fn host_bits(self) -> u128 {
        match self.family.bits().saturating_sub(self.prefix) {
            128 => u128::MAX,
            bits => (1 << bits) - 1,
        }
    }

    /// Its last address.
    pub fn last(self) -> u128 {
        self.first | self.host_bits()
    }

    pub fn contains(self, ip: IpAddr) -> bool {
        Family::of(ip) == self.family && (self.first..=self.last()).contains(&number(ip))
    }

    /// Whether it has addresses for neighbours, as a /32 and /128 has not.
    pub fn has_neighbours(self) -> bool {
        self.prefix < self.family.bits()
    }

    /// Returns the first and the last address that an interface may have: not an IPv4 network's own and broadcast
    /// address, not IPv6's subnet-router anycast address (RFC 4291 2.6.1); RFC 3021 and RFC 6164 exempt links for two.
    pub fn interfaces(self) -> (u128, u128) {
        if self.prefix + 1 >= self.family.bits() {
            return (self.first, self.last());
        }
        match self.family {
            Family::V4 => (self.first + 1, self.last() - 1),
            Family::V6 => (self.first + 1, self.last()),
        }
    }

    /// Returns the network as `ip route` writes it.
    pub fn cidr(self) -> Cidr {
        Cidr {
            ip: self.family.address(self.first),
            prefix: self.prefix,
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cidr().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::of(text.parse().unwrap())
    }

    #[test]
    fn knows_first_last_and_what_lies_between() {
        let lan = subnet("10.1.2.77/24");
        assert_eq!(lan.to_string(), "10.1.2.0/24");
        assert_eq!(Family::V4.address(lan.last()).to_string(), "10.1.2.255");
        assert!(lan.contains("10.1.2.255".parse().unwrap()));
        assert!(!lan.contains("10.1.3.0".parse().unwrap()));
        assert!(!lan.contains("::10.1.2.1".parse().unwrap()));
        assert_eq!(subnet("::/0").last(), u128::MAX);
        assert_eq!(subnet("0.0.0.0/0").last(), u128::from(u32::MAX));
    }

    #[test]
    fn keeps_the_addresses_that_no_interface_may_have() {
        let range = |text: &str| {
            let lan = subnet(text);
            let (first, last) = lan.interfaces();
            (
                lan.family.address(first).to_string(),
                lan.family.address(last).to_string(),
            )
        };
        assert_eq!(range("10.0.0.0/30"), ("10.0.0.1".into(), "10.0.0.2".into()));
        assert_eq!(range("10.0.0.0/31"), ("10.0.0.0".into(), "10.0.0.1".into()));
        assert_eq!(range("10.0.0.9/32"), ("10.0.0.9".into(), "10.0.0.9".into()));
        assert_eq!(range("fd00::/126"), ("fd00::1".into(), "fd00::3".into()));
        assert_eq!(range("fd00::/127"), ("fd00::".into(), "fd00::1".into()));
    }
}
