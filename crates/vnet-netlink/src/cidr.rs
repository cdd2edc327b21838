use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::NetlinkError;

/// An IP address with the length of its prefix, as `ip address` writes it.
///
/// A text without a length is a single address: /32, or /128 for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The address, host bits and all.
    pub ip: IpAddr,
    /// Bits of the network part.
    pub prefix: u8,
}

impl Cidr {
    /// Puts an address and a prefix length together.
    ///
    /// # Errors
    /// [`NetlinkError::BadAddress`] when the prefix is longer than the address.
    pub fn new(ip: IpAddr, prefix: u8) -> Result<Self, NetlinkError> {
        let most = bits(ip);
        if prefix > most {
            return Err(NetlinkError::BadAddress {
                address: format!("{ip}/{prefix}"),
                reason: format!("the prefix length of {} is at most {most}", family(ip)),
            });
        }
        Ok(Self { ip, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = NetlinkError;

    fn from_str(text: &str) -> Result<Self, NetlinkError> {
        let bad = |reason: String| NetlinkError::BadAddress {
            address: text.to_owned(),
            reason,
        };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = address
            .parse()
            .map_err(|_| bad(format!("{address:?} is no IPv4 or IPv6 address")))?;
        let prefix = match length {
            None => bits(ip),
            Some(length) => Some(length)
                .filter(|length| length.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|length| length.parse().ok())
                .filter(|prefix| *prefix <= bits(ip))
                .ok_or_else(|| {
                    bad(format!(
                        "the prefix length of {} is a number from 0 to {}",
                        family(ip),
                        bits(ip)
                    ))
                })?,
        };
        Ok(Self { ip, prefix })
    }
}

impl Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() {
        "an IPv4 address"
    } else {
        "an IPv6 address"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_is_a_single_one() {
        assert_eq!("10.0.0.1".parse::<Cidr>().unwrap().to_string(), "10.0.0.1/32");
        assert_eq!("fd00::1".parse::<Cidr>().unwrap().to_string(), "fd00::1/128");
        assert_eq!("10.0.0.1/24".parse::<Cidr>().unwrap().to_string(), "10.0.0.1/24");
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, word) in [
            ("10.0.0.256/24", "no IPv4 or IPv6"),
            ("10.0.0.1/33", "0 to 32"),
            ("fd00::1/129", "0 to 128"),
            ("10.0.0.1/", "0 to 32"),
            ("10.0.0.1/x", "0 to 32"),
            ("10.0.0.1/+8", "0 to 32"),
            ("", "no IPv4 or IPv6"),
        ] {
            let error = text.parse::<Cidr>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(Cidr::new("10.0.0.1".parse().unwrap(), 33).is_err());
    }
}
