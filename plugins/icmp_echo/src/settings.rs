//! Which addresses are answered for.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_plugin::wire::MacAddr;
use vnet_plugin::{Config, State, Value};

pub static SETTINGS: State<Settings> = State::new(Settings::ANY);

const MAX: usize = 16;
/// Locally administered, "vnet" in ASCII, and 1.
const MAC: MacAddr = MacAddr([0x02, 0x76, 0x6e, 0x65, 0x74, 0x01]);

/// The configured addresses.
#[derive(Clone, Copy)]
pub struct Settings {
    list: [IpAddr; MAX],
    len: usize,
    mac: Option<MacAddr>,
}

impl Settings {
    /// Answers for any address.
    pub const ANY: Settings = Settings {
        list: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); MAX],
        len: 0,
        mac: None,
    };

    /// Says whether every address that one station can have is answered for.
    pub const fn any(&self) -> bool {
        self.len == 0
    }

    /// Returns the MAC address that answers to group addresses come from.
    pub fn mac(&self) -> MacAddr {
        self.mac.unwrap_or(MAC)
    }

    /// Says whether an answer may come from this MAC address.
    pub fn may_answer_from(&self, mac: MacAddr) -> bool {
        self.mac.is_none_or(|own| own == mac)
    }

    /// Says whether this address is answered for.
    pub fn owns_v4(&self, ip: Ipv4Addr) -> bool {
        is_station_v4(ip) && (self.any() || self.contains(IpAddr::V4(ip)))
    }

    /// Says whether this address is answered for.
    pub fn owns_v6(&self, ip: Ipv6Addr) -> bool {
        is_station_v6(ip) && (self.any() || self.contains(IpAddr::V6(ip)))
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.list.iter().take(self.len).any(|known| *known == ip)
    }

    fn add(&mut self, value: Value<'_>) -> Result<(), &'static str> {
        const WRONG: &str =
            "address must be the IPv4 or IPv6 address of one station, or a list of such: 10.0.0.2";
        let ip: IpAddr = value.as_str().and_then(|text| text.parse().ok()).ok_or(WRONG)?;
        let station = match ip {
            IpAddr::V4(ip) => is_station_v4(ip),
            IpAddr::V6(ip) => is_station_v6(ip),
        };
        if !station {
            return Err(WRONG);
        }
        *self
            .list
            .get_mut(self.len)
            .ok_or("address takes at most 16 addresses")? = ip;
        self.len += 1;
        Ok(())
    }
}

/// Says whether one station can have this address.
pub fn is_station_v4(ip: Ipv4Addr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_loopback())
}

/// Says whether one station can have this address.
pub fn is_station_v6(ip: Ipv6Addr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback())
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let mut settings = Settings::ANY;
    if let Some(address) = config.get("address") {
        if address.as_str().is_some() {
            settings.add(address)?;
        } else {
            for item in address.items() {
                settings.add(item)?;
            }
            if settings.any() {
                return Err("address must be a string or a list of strings that is not empty");
            }
        }
    }
    if let Some(mac) = config.get("mac") {
        let mac: Option<MacAddr> = mac.as_str().and_then(|text| text.parse().ok());
        match mac.filter(MacAddr::is_unicast) {
            Some(mac) => settings.mac = Some(mac),
            None => return Err("mac must be the MAC address of one station: 02:00:00:00:00:01"),
        }
    }
    SETTINGS.set(settings);
    Ok(())
}
