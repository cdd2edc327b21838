//! The two endpoints, and which networks they carry.

use core::net::{IpAddr, Ipv4Addr};

use vnet_plugin::wire::MacAddr;
use vnet_plugin::{Config, State, Value};

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

/// Locally administered, "vnet" in ASCII, and 3.
const MAC: MacAddr = MacAddr([0x02, 0x76, 0x6e, 0x65, 0x74, 0x03]);
/// VXLAN's port (RFC 7348, section 8).
const PORT: u16 = 4789;
const MTU: usize = 1500;
const NETWORKS: usize = 64;

/// A network, and the VLAN that it is inside; 0 for frames without a tag.
#[derive(Clone, Copy)]
pub struct Network {
    pub vlan: u16,
    pub vni: u32,
}

/// The configuration, and what was learned of the next hop since.
#[derive(Clone, Copy)]
pub struct Settings {
    pub local: IpAddr,
    pub remote: IpAddr,
    pub gateway: IpAddr,
    pub port: u16,
    pub mtu: usize,
    pub keep_tags: bool,
    pub udp_checksum: bool,
    pub mac: MacAddr,
    /// The next hop's station; zero until it is heard of.
    pub gateway_mac: MacAddr,
    /// Its station was configured.
    pub gateway_is_fixed: bool,
    pub asked_ns: u64,
    /// Number of a link's port that is inside.
    pub port_inside: u16,
    networks: [Network; NETWORKS],
    count: usize,
}

impl Settings {
    const NONE: Settings = Settings {
        local: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        remote: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        gateway: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
        mtu: 0,
        keep_tags: false,
        udp_checksum: false,
        mac: MacAddr::ZERO,
        gateway_mac: MacAddr::ZERO,
        gateway_is_fixed: false,
        asked_ns: 0,
        port_inside: 0,
        networks: [Network { vlan: 0, vni: 0 }; NETWORKS],
        count: 0,
    };

    pub fn networks(&self) -> &[Network] {
        self.networks.get(..self.count).unwrap_or_default()
    }

    /// Returns the network of a VLAN.
    pub fn of_vlan(&self, vlan: u16) -> Option<Network> {
        self.networks().iter().find(|network| network.vlan == vlan).copied()
    }

    /// Returns the network with an identifier.
    pub fn of_vni(&self, vni: u32) -> Option<Network> {
        self.networks().iter().find(|network| network.vni == vni).copied()
    }

    fn add(&mut self, vlan: u16, vni: u32) -> Result<(), &'static str> {
        if self.of_vlan(vlan).is_some() || self.of_vni(vni).is_some() {
            return Err("each VLAN and each VNI belongs to one network");
        }
        let place = self.networks.get_mut(self.count).ok_or("map takes at most 64 networks")?;
        *place = Network { vlan, vni };
        self.count += 1;
        Ok(())
    }
}

fn vni(value: Value<'_>) -> Result<u32, &'static str> {
    match value.as_int() {
        Some(vni @ 0..=0xff_ffff) => Ok(vni as u32),
        _ => Err("vni is 0 to 16777215"),
    }
}

fn address(config: &Config<'_>, key: &str, wrong: &'static str) -> Result<Option<IpAddr>, &'static str> {
    let Some(value) = config.get(key) else { return Ok(None) };
    let ip: Option<IpAddr> = value.as_str().and_then(|text| text.parse().ok());
    match ip.filter(|ip| !ip.is_unspecified() && !ip.is_multicast()) {
        Some(ip) => Ok(Some(ip)),
        None => Err(wrong),
    }
}

fn station(config: &Config<'_>, key: &str) -> Result<Option<MacAddr>, &'static str> {
    let Some(value) = config.get(key) else { return Ok(None) };
    let mac: Option<MacAddr> = value.as_str().and_then(|text| text.parse().ok());
    match mac.filter(MacAddr::is_unicast) {
        Some(mac) => Ok(Some(mac)),
        None => Err("mac and gateway_mac are MAC addresses of one station: 02:00:00:00:00:01"),
    }
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    const LOCAL: &str = "local must be this endpoint's IPv4 or IPv6 address outside: 192.0.2.1";
    const REMOTE: &str = "remote must be the other endpoint's address, of the same family as local";
    const GATEWAY: &str = "gateway must be the next hop's address, of the same family as local";
    let local = address(config, "local", LOCAL)?.ok_or(LOCAL)?;
    let remote = address(config, "remote", REMOTE)?.ok_or(REMOTE)?;
    let gateway = address(config, "gateway", GATEWAY)?.unwrap_or(remote);
    if remote.is_ipv4() != local.is_ipv4() || remote == local {
        return Err(REMOTE);
    }
    if gateway.is_ipv4() != local.is_ipv4() {
        return Err(GATEWAY);
    }
    let gateway_mac = station(config, "gateway_mac")?;
    let mut settings = Settings {
        local,
        remote,
        gateway,
        port: match config.int("port").unwrap_or(PORT.into()) {
            port @ 1..=65_535 => port as u16,
            _ => return Err("port is 1 to 65535"),
        },
        mtu: match config.int("mtu").unwrap_or(MTU as i64) {
            mtu @ 576..=9_216 => mtu as usize,
            _ => return Err("mtu is 576 to 9216 bytes"),
        },
        keep_tags: config.bool("keep_tags").unwrap_or(false),
        udp_checksum: config.bool("udp_checksum").unwrap_or(local.is_ipv6()),
        mac: station(config, "mac")?.unwrap_or(MAC),
        gateway_mac: gateway_mac.unwrap_or(MacAddr::ZERO),
        gateway_is_fixed: gateway_mac.is_some(),
        port_inside: match config.str("end") {
            None | Some("a") => 0,
            Some("b") => 1,
            Some(_) => return Err("end is \"a\" or \"b\""),
        },
        ..Settings::NONE
    };
    if let Some(value) = config.get("vni") {
        settings.add(0, vni(value)?)?;
    }
    if let Some(map) = config.get("map") {
        for item in map.items() {
            let vlan = match item.get("vlan").and_then(|value| value.as_int()) {
                Some(vlan @ 1..=4094) => vlan as u16,
                _ => return Err("vlan in map is 1 to 4094"),
            };
            let own = item.get("vni").ok_or("each item of map has a vlan and a vni")?;
            settings.add(vlan, vni(own)?)?;
        }
        if settings.keep_tags {
            return Err("give map or keep_tags, not both");
        }
    }
    if settings.networks().is_empty() {
        return Err("give vni=42, or a map of VLANs to VNIs");
    }
    SETTINGS.set(settings);
    Ok(())
}
