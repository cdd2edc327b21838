use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::NetlinkError;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Refuses what the kernel's `is_valid_ether_addr` refuses to an interface:
    /// group addresses and all zeros.
    ///
    /// # Errors
    /// [`NetlinkError::BadMac`].
    pub fn check_unicast(self) -> Result<(), NetlinkError> {
        let reason = if self.0[0] & 1 != 0 {
            "an interface's own address must not be a group address (its first byte is odd)"
        } else if self.0 == [0; 6] {
            "it is all zeros"
        } else {
            return Ok(());
        };
        Err(NetlinkError::BadMac {
            mac: self.to_string(),
            reason: reason.to_owned(),
        })
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = NetlinkError;

    fn from_str(text: &str) -> Result<Self, NetlinkError> {
        let bad = |reason: &str| NetlinkError::BadMac {
            mac: text.to_owned(),
            reason: reason.to_owned(),
        };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(|| bad("it has fewer than six bytes"))?;
            // from_str_radix would take a sign.
            *byte = Some(part)
                .filter(|part| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| bad("each byte is one or two hexadecimal digits"))?;
        }
        if parts.next().is_some() {
            return Err(bad("it has more than six bytes"));
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let mac: Mac = "02-0A:ff:00:1:9c".parse().unwrap();
        assert_eq!(mac.to_string(), "02:0a:ff:00:01:9c");
        assert_eq!(mac.to_string().parse::<Mac>().unwrap(), mac);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, word) in [
            ("02:00:00:00:00", "fewer"),
            ("02:00:00:00:00:01:02", "more"),
            ("02:00:00:00:00:zz", "hexadecimal"),
            ("+2:00:00:00:00:01", "hexadecimal"),
            ("", "hexadecimal"),
        ] {
            let error = text.parse::<Mac>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(Mac([1, 0, 0x5e, 0, 0, 1]).check_unicast().is_err());
        assert!(Mac([0; 6]).check_unicast().is_err());
        assert!(Mac([2, 0, 0, 0, 0, 1]).check_unicast().is_ok());
    }
}
