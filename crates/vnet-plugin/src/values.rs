//! What a configuration's values say of packets: addresses, prefixes, ports, protocols.

use core::str::FromStr;

use crate::json::Value;
use crate::wire::ip_protocol;

impl Value<'_> {
    /// Reads a string as an address, a prefix, a MAC address or whatever else can be parsed; `None` where it is none.
    #[must_use]
    pub fn parse<T: FromStr>(&self) -> Option<T> {
        self.as_str()?.parse().ok()
    }

    /// Returns first and last port of `80`, `"80"` or `"1024-65535"`.
    #[must_use]
    pub fn as_ports(&self) -> Option<(u16, u16)> {
        let text = self.as_str().unwrap_or(self.text());
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim_ascii().parse().ok()?, last.trim_ascii().parse().ok()?);
        (first <= last).then_some((first, last))
    }

    /// Returns an IP protocol given by number, or by name: `tcp`, `udp`, `icmp`, `icmpv6`.
    #[must_use]
    pub fn as_protocol(&self) -> Option<u8> {
        match self.as_str() {
            Some("tcp") => Some(ip_protocol::TCP),
            Some("udp") => Some(ip_protocol::UDP),
            Some("icmp") => Some(ip_protocol::ICMP),
            Some("icmpv6") => Some(ip_protocol::ICMPV6),
            Some(_) => None,
            None => self.as_int()?.try_into().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    #[test]
    fn reads_ports_protocols_and_addresses() {
        let ports = |text| Value::new(text).as_ports();
        assert_eq!((ports("80"), ports("\"80\"")), (Some((80, 80)), Some((80, 80))));
        assert_eq!(ports("\"1 - 9\""), Some((1, 9)));
        assert_eq!(
            (ports("\"9-1\""), ports("65536"), ports("\"\""), ports("-1")),
            (None, None, None, None)
        );
        let protocol = |text| Value::new(text).as_protocol();
        assert_eq!((protocol("\"udp\""), protocol("47")), (Some(17), Some(47)));
        assert_eq!((protocol("\"any\""), protocol("256")), (None, None));
        assert_eq!(Value::new("\"::1\"").parse(), "::1".parse::<IpAddr>().ok());
        assert_eq!(Value::new("1").parse::<IpAddr>(), None);
    }
}
