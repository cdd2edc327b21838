//! The virtual address and the servers behind it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use vnet_plugin::wire::{MacAddr, ip_protocol};
use vnet_plugin::{Config, State, Value};

use crate::maglev::{self, PLACES, Places, SERVERS};

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

/// Locally administered, "vnet" in ASCII, and 2.
const MAC: MacAddr = MacAddr([0x02, 0x76, 0x6e, 0x65, 0x74, 0x02]);

/// A server.
#[derive(Clone, Copy)]
pub struct Server {
    pub ip: IpAddr,
    /// Port it listens on; 0 for the one that was asked for.
    pub port: u16,
    /// Its station; zero until it is heard of.
    pub mac: MacAddr,
    /// When it was last asked for.
    pub asked_ns: u64,
}

/// The configuration, and what was learned of the servers since.
#[derive(Clone)]
pub struct Settings {
    pub address: IpAddr,
    /// Port of the service; 0 for all.
    pub port: u16,
    /// Protocol of the service; 0 for TCP and UDP.
    pub protocol: u8,
    /// Servers answer clients themselves, with the virtual address as their own.
    pub direct: bool,
    /// Station of the virtual address.
    pub mac: MacAddr,
    servers: [Server; SERVERS],
    count: usize,
    places: Places,
}

impl Settings {
    const NONE: Settings = Settings {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
        protocol: 0,
        direct: false,
        mac: MacAddr::ZERO,
        servers: [Server {
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 0,
            mac: MacAddr::ZERO,
            asked_ns: 0,
        }; SERVERS],
        count: 0,
        places: [0; PLACES],
    };

    pub fn servers(&self) -> &[Server] {
        self.servers.get(..self.count).unwrap_or_default()
    }

    pub fn server_mut(&mut self, index: usize) -> Option<&mut Server> {
        self.servers.get_mut(..self.count)?.get_mut(index)
    }

    /// Returns the index of the server with this address, and this port of its own where ports are changed.
    pub fn find(&self, ip: IpAddr, port: u16) -> Option<usize> {
        self.servers()
            .iter()
            .position(|server| server.ip == ip && (server.port == 0 || server.port == port))
    }

    /// Says whether a server has this address.
    pub fn is_server(&self, ip: IpAddr) -> bool {
        self.servers().iter().any(|server| server.ip == ip)
    }

    /// Chooses the server of a flow with this hash.
    pub fn choose(&self, hash: u32) -> usize {
        self.places.get(hash as usize % PLACES).copied().unwrap_or(0).into()
    }

    /// Remembers the station of a server.
    pub fn learn(&mut self, ip: IpAddr, mac: MacAddr) {
        for server in self.servers.iter_mut().take(self.count) {
            if server.ip == ip && server.mac != mac && mac.is_unicast() && mac != MacAddr::ZERO {
                server.mac = mac;
            }
        }
    }

    fn add(&mut self, server: Server) -> Result<(), &'static str> {
        if server.ip.is_ipv4() != self.address.is_ipv4() || server.ip.is_unspecified() || server.ip.is_multicast() {
            return Err("servers are single stations of the same family as address");
        }
        if server.ip == self.address {
            return Err("a server cannot have the virtual address as its own");
        }
        let same = |other: &Server| other.ip == server.ip && (other.port == server.port || other.port * server.port == 0);
        if self.servers().iter().any(same) {
            return Err("a server is named twice");
        }
        let place = self.servers.get_mut(self.count).ok_or("servers takes at most 64")?;
        *place = server;
        self.count += 1;
        Ok(())
    }
}

const WRONG_SERVER: &str = "a server is an address, 10.0.0.11, with a port, 10.0.0.11:8080 or [fd00::1]:80, or an object with address, port, weight and mac";

fn server(text: &str) -> Option<Server> {
    let text = text.trim_ascii();
    let (ip, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip(), address.port()),
        Err(_) => (text.parse().ok()?, 0),
    };
    Some(Server {
        ip,
        port,
        mac: MacAddr::ZERO,
        asked_ns: 0,
    })
}

fn port(value: Option<Value<'_>>) -> Result<u16, &'static str> {
    match value {
        None => Ok(0),
        Some(value) => match value.as_int() {
            Some(port @ 1..=65_535) => Ok(port as u16),
            _ => Err("port is 1 to 65535"),
        },
    }
}

fn station(value: Option<Value<'_>>) -> Result<Option<MacAddr>, &'static str> {
    let Some(value) = value else { return Ok(None) };
    let mac: Option<MacAddr> = value.as_str().and_then(|text| text.parse().ok());
    match mac.filter(MacAddr::is_unicast) {
        Some(mac) => Ok(Some(mac)),
        None => Err("mac must be the MAC address of one station: 02:00:00:00:00:01"),
    }
}

/// Reads one item of `servers` with its weight.
fn read(item: Value<'_>) -> Result<(Server, u8), &'static str> {
    if let Some(text) = item.as_str() {
        return Ok((server(text).ok_or(WRONG_SERVER)?, 1));
    }
    let address = item.get("address").and_then(|value| value.as_str());
    let mut server = address.and_then(server).ok_or(WRONG_SERVER)?;
    if let Some(value) = item.get("port") {
        server.port = port(Some(value))?;
    }
    server.mac = station(item.get("mac"))?.unwrap_or(MacAddr::ZERO);
    let weight = match item.get("weight").map_or(Some(1), |value| value.as_int()) {
        Some(weight @ 1..=100) => weight as u8,
        _ => return Err("weight is 1 to 100"),
    };
    Ok((server, weight))
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    SETTINGS.with(|settings| take(settings, config))
}

fn take(settings: &mut Settings, config: &Config<'_>) -> Result<(), &'static str> {
    settings.count = 0;
    settings.address = config
        .str("address")
        .and_then(|text| text.parse().ok())
        .filter(|ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast())
        .ok_or("address must be the virtual IPv4 or IPv6 address: 10.0.0.100")?;
    settings.port = port(config.get("port"))?;
    settings.protocol = match config.str("protocol") {
        None | Some("any") => 0,
        Some("tcp") => ip_protocol::TCP,
        Some("udp") => ip_protocol::UDP,
        Some(_) => return Err("protocol is \"tcp\", \"udp\" or \"any\""),
    };
    settings.direct = match config.str("mode") {
        None | Some("rewrite") => false,
        Some("direct") => true,
        Some(_) => return Err("mode is \"rewrite\" or \"direct\""),
    };
    settings.mac = station(config.get("mac"))?.unwrap_or(MAC);
    let mut names = [[0; 18]; SERVERS];
    let mut weights = [1; SERVERS];
    let mut put = |settings: &mut Settings, (server, weight): (Server, u8)| {
        let at = settings.count;
        settings.add(server)?;
        if settings.direct && server.port != 0 {
            return Err("in direct mode a server listens on the port that was asked for: leave its port out");
        }
        if let (Some(name), Some(place)) = (names.get_mut(at), weights.get_mut(at)) {
            let (ip, port) = name.split_at_mut(16);
            ip.copy_from_slice(&crate::table::octets(server.ip));
            port.copy_from_slice(&server.port.to_be_bytes());
            *place = weight;
        }
        Ok(())
    };
    let servers = config.get("servers").ok_or("servers must name at least one server")?;
    if let Some(text) = servers.as_str() {
        for piece in text.split(',') {
            put(settings, (server(piece).ok_or(WRONG_SERVER)?, 1))?;
        }
    } else {
        for item in servers.items() {
            put(settings, read(item)?)?;
        }
    }
    if settings.port == 0 && settings.servers().iter().any(|server| server.port != 0) {
        return Err("servers with ports of their own need the port of the service: port=80");
    }
    if settings.count == 0 {
        return Err("servers must name at least one server");
    }
    let count = settings.count;
    maglev::fill(
        &mut settings.places,
        names.get(..count).unwrap_or_default(),
        weights.get(..count).unwrap_or_default(),
    );
    Ok(())
}
