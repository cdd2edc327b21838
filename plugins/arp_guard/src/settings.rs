//! Configured bindings and trusted ports.

use core::net::IpAddr;

use vnet_plugin::wire::MacAddr;
use vnet_plugin::{Config, State, Value, error};

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

const BINDINGS: usize = 256;
const PORTS: usize = 1_023;
const ANY_PORT: u16 = u16::MAX;
const SECOND: u64 = 1_000_000_000;

/// Who has an address by configuration.
#[derive(Clone, Copy)]
pub struct Owner {
    ip: IpAddr,
    pub mac: MacAddr,
    port: u16,
}

impl Owner {
    /// Says whether this station is the owner.
    pub fn is(&self, mac: MacAddr, port: u16) -> bool {
        self.mac == mac && (self.port == port || self.port == ANY_PORT)
    }
}

/// The configuration.
#[derive(Clone)]
pub struct Settings {
    owners: [Owner; BINDINGS],
    owners_len: usize,
    trusted: [bool; PORTS],
    pub any_trusted: bool,
    pub learns: bool,
    /// Whether the sources of IP packets are judged, too.
    pub sources: bool,
    /// In nanoseconds.
    pub timeout: u64,
    pub most_per_port: u16,
}

impl Settings {
    const NONE: Settings = Settings {
        owners: [Owner {
            ip: IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            mac: MacAddr::ZERO,
            port: 0,
        }; BINDINGS],
        owners_len: 0,
        trusted: [false; PORTS],
        any_trusted: false,
        learns: true,
        sources: false,
        timeout: 1_800 * SECOND,
        most_per_port: 256,
    };

    /// Returns who has an address by configuration.
    pub fn owner(&self, ip: IpAddr) -> Option<&Owner> {
        self.owners.iter().take(self.owners_len).find(|owner| owner.ip == ip)
    }

    pub fn is_trusted(&self, port: u16) -> bool {
        self.trusted.get(usize::from(port)).copied().unwrap_or(false)
    }
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    SETTINGS.with(|settings| {
        *settings = Settings::NONE;
        settings.learns = config.bool("learn").unwrap_or(true);
        settings.sources = config.bool("sources").unwrap_or(false);
        if let Some(seconds) = config.int("timeout") {
            let seconds = u64::try_from(seconds).map_err(|_| "timeout must be a number of seconds")?;
            settings.timeout = seconds.saturating_mul(SECOND);
        }
        if let Some(most) = config.int("most_per_port") {
            settings.most_per_port = u16::try_from(most).map_err(|_| "most_per_port must be 1 to 4096")?;
        }
        for port in config.get("trusted").into_iter().flat_map(|ports| ports.items()) {
            let port = port.as_int().and_then(|port| usize::try_from(port).ok());
            let place = port.and_then(|port| settings.trusted.get_mut(port));
            *place.ok_or("trusted must list ports, numbers from 0 to 1022")? = true;
            settings.any_trusted = true;
        }
        let list = config.get("bindings").into_iter().flat_map(|list| list.items());
        for (index, item) in list.enumerate() {
            add(settings, item).inspect_err(|_| error!("bindings.{index} is wrong: {}", item.text()))?;
        }
        Ok(())
    })
}

fn add(settings: &mut Settings, item: Value<'_>) -> Result<(), &'static str> {
    let ip: IpAddr = item
        .get("ip")
        .and_then(|value| value.parse())
        .ok_or("a binding's ip must be an IPv4 or IPv6 address")?;
    let mac: MacAddr = item
        .get("mac")
        .and_then(|value| value.parse())
        .filter(MacAddr::is_unicast)
        .ok_or("a binding's mac must be the MAC address of one station: 02:00:00:00:00:01")?;
    let port = match item.get("port") {
        None => ANY_PORT,
        Some(port) => port
            .as_int()
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| usize::from(*port) < PORTS)
            .ok_or("a binding's port must be a number from 0 to 1022")?,
    };
    if settings.owner(ip).is_some() {
        return Err("two bindings have the same ip");
    }
    let place = settings.owners.get_mut(settings.owners_len);
    *place.ok_or("there are more than 256 bindings")? = Owner { ip, mac, port };
    settings.owners_len += 1;
    Ok(())
}
