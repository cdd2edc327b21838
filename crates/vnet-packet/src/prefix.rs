//! IP prefixes: an address and how many of its bits count.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An IPv4 or IPv6 address and how many of its leading bits name a network: `10.0.0.0/8`.
///
/// The address is kept as it is written, so that `10.0.0.1/24` is an interface's address too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// Every IPv4 address.
    pub const ANY_V4: Prefix = Prefix {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        len: 0,
    };
    /// Every IPv6 address.
    pub const ANY_V6: Prefix = Prefix {
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        len: 0,
    };

    /// Makes a prefix; `None` where an address of this version has fewer bits.
    #[must_use]
    pub const fn new(address: IpAddr, len: u8) -> Option<Prefix> {
        if len > bits(address) {
            return None;
        }
        Some(Prefix { address, len })
    }

    /// Returns the address as it was written.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns how many leading bits count.
    #[must_use]
    pub const fn prefix_len(&self) -> u8 {
        self.len
    }

    /// Returns network and mask of an IPv4 prefix as numbers.
    #[must_use]
    pub const fn v4(&self) -> Option<(u32, u32)> {
        match self.address {
            IpAddr::V4(address) => {
                let mask = mask_v4(self.len);
                Some((address.to_bits() & mask, mask))
            }
            IpAddr::V6(_) => None,
        }
    }

    /// Returns network and mask of an IPv6 prefix as numbers.
    #[must_use]
    pub const fn v6(&self) -> Option<(u128, u128)> {
        match self.address {
            IpAddr::V6(address) => {
                let mask = mask_v6(self.len);
                Some((address.to_bits() & mask, mask))
            }
            IpAddr::V4(_) => None,
        }
    }

    /// Says whether an address lies in the network; one of the other version never does.
    #[must_use]
    pub const fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask_v4(self.len) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask_v6(self.len) == 0
            }
            _ => false,
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

const fn mask_v4(len: u8) -> u32 {
    match len {
        0 => 0,
        len => u32::MAX << (32 - len as u32),
    }
}

const fn mask_v6(len: u8) -> u128 {
    match len {
        0 => 0,
        len => u128::MAX << (128 - len as u32),
    }
}

impl From<IpAddr> for Prefix {
    /// Makes the prefix that one address alone lies in.
    fn from(address: IpAddr) -> Prefix {
        Prefix {
            address,
            len: bits(address),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// A text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParsePrefixError;

impl fmt::Display for ParsePrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a prefix: write an address, or an address, a slash and a length, as 10.0.0.0/8 or fd00::/64",
        )
    }
}

impl core::error::Error for ParsePrefixError {}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    /// Reads `10.0.0.0/8`, `fd00::/64`, or one address, of which all bits count.
    fn from_str(text: &str) -> Result<Prefix, ParsePrefixError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError)?;
        let Some(len) = len else {
            return Ok(address.into());
        };
        if !(1..=3).contains(&len.len()) || !len.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(ParsePrefixError);
        }
        let len = len.parse().map_err(|_| ParsePrefixError)?;
        Prefix::new(address, len).ok_or(ParsePrefixError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn contains(prefix: &str, address: &str) -> bool {
        let prefix: Prefix = prefix.parse().expect("a prefix");
        prefix.contains(address.parse().expect("an address"))
    }

    #[test]
    fn holds_the_addresses_of_its_network_and_no_others() {
        assert!(contains("10.0.0.0/8", "10.255.1.2") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1/32", "10.0.0.0"));
        assert!(
            contains("10.0.0.77/24", "10.0.0.1"),
            "bits behind the prefix do not count"
        );
        assert!(contains("fd00::/9", "fd7f::1") && !contains("fd00::/9", "fd80::1"));
        assert!(contains("::/0", "fe80::1") && !contains("::/0", "10.0.0.1"));
        assert!(contains("fe80::1/128", "fe80::1") && !contains("fe80::1", "fe80::2"));
    }

    #[test]
    fn reads_what_it_prints_and_refuses_what_is_no_prefix() {
        for text in ["10.0.0.1/24", "0.0.0.0/0", "fd00::/64", "::1/128"] {
            assert_eq!(
                text.parse::<Prefix>().map(|prefix| prefix.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in [
            "",
            "/",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/0064",
            "x/8",
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(ParsePrefixError), "{text}");
        }
    }

    #[test]
    fn numbers_are_masked() {
        let of = |text: &str| text.parse::<Prefix>().expect("a prefix");
        assert_eq!(of("10.1.2.3/16").v4(), Some((0x0a01_0000, 0xffff_0000)));
        assert_eq!(of("0.0.0.0/0").v4(), Some((0, 0)));
        assert_eq!(of("fd00::1/16").v6(), Some((0xfd00 << 112, 0xffff << 112)));
        assert_eq!((of("::/0").v6(), of("::/0").v4()), (Some((0, 0)), None));
    }
}
