//! MAC addresses.

use core::fmt;
use core::str::FromStr;

/// A 48-bit IEEE 802 MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
    /// `00:00:00:00:00:00`.
    pub const ZERO: MacAddr = MacAddr([0; 6]);

    /// Says whether this is the broadcast address.
    #[must_use]
    pub fn is_broadcast(&self) -> bool {
        *self == MacAddr::BROADCAST
    }

    /// Says whether this is a group address, as the broadcast address is too.
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Says whether this can be the address of one interface.
    #[must_use]
    pub fn is_unicast(&self) -> bool {
        !self.is_multicast() && *self != MacAddr::ZERO
    }

    /// Says whether the address was given out locally, not by its vendor.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.0[0] & 2 != 0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> MacAddr {
        MacAddr(octets)
    }
}

/// A text is not a MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseMacError;

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a MAC address: write six pairs of hex digits, as 02:00:00:00:00:01")
    }
}

impl core::error::Error for ParseMacError {}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Reads six pairs of hex digits with `:` or `-` between them.
    fn from_str(text: &str) -> Result<MacAddr, ParseMacError> {
        let text = text.as_bytes();
        if text.len() != 17 {
            return Err(ParseMacError);
        }
        let separator = text[2];
        if !matches!(separator, b':' | b'-') {
            return Err(ParseMacError);
        }
        let mut octets = [0; 6];
        for (octet, part) in octets.iter_mut().zip(text.chunks(3)) {
            if part.len() == 3 && part[2] != separator {
                return Err(ParseMacError);
            }
            *octet = hex(part[0])? << 4 | hex(part[1])?;
        }
        Ok(MacAddr(octets))
    }
}

fn hex(digit: u8) -> Result<u8, ParseMacError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(ParseMacError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let mac = MacAddr([0x02, 0xab, 0, 0xff, 0x10, 9]);
        extern crate std;
        let text = std::string::ToString::to_string(&mac);
        assert_eq!(text, "02:ab:00:ff:10:09");
        assert_eq!(text.parse(), Ok(mac));
        assert_eq!("02-AB-00-FF-10-09".parse(), Ok(mac));
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "02:ab:00:ff:10",
            "02:ab:00:ff:10:0g",
            "02:ab-00:ff:10:09",
            "02.ab.00.ff.10.09",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError), "{text}");
        }
    }

    #[test]
    fn knows_group_addresses() {
        assert!(MacAddr::BROADCAST.is_broadcast() && MacAddr::BROADCAST.is_multicast());
        assert!(MacAddr([0x33, 0x33, 0, 0, 0, 1]).is_multicast());
        assert!(MacAddr([2, 0, 0, 0, 0, 1]).is_unicast() && MacAddr([2, 0, 0, 0, 0, 1]).is_local());
        assert!(!MacAddr::ZERO.is_unicast());
    }
}
