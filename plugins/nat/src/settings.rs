//! The outside address, who is inside, and which ports lead where.

use core::net::Ipv4Addr;

use vnet_plugin::track::Timeouts;
use vnet_plugin::wire::ip_protocol;
use vnet_plugin::{Config, Prefix, State, Value};

use crate::mappings::Endpoint;

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

const MAX: usize = 16;
const FORWARDS: usize = 64;

/// The configuration.
#[derive(Clone, Copy)]
pub struct Settings {
    pub address: Ipv4Addr,
    /// Network and mask; unused ones match nothing.
    inside: [(u32, u32); MAX],
    len: usize,
    /// First and last port to give out.
    pub ports: (u16, u16),
    pub timeouts: Timeouts,
    /// Ports of the outside address, and where they lead.
    forwards: [(u16, Endpoint); FORWARDS],
    forwards_len: usize,
}

impl Settings {
    /// Hides nobody.
    const NONE: Settings = Settings {
        address: Ipv4Addr::UNSPECIFIED,
        inside: [(0, 0); MAX],
        len: 0,
        ports: (1024, 65535),
        timeouts: Timeouts::DEFAULT,
        forwards: [(0, Endpoint::NONE); FORWARDS],
        forwards_len: 0,
    };

    fn forwards(&self) -> impl Iterator<Item = &(u16, Endpoint)> {
        self.forwards.iter().take(self.forwards_len)
    }

    /// Returns where a forward leads to.
    pub fn forward_to(&self, outside: &Endpoint) -> Option<Endpoint> {
        self.forwards()
            .find(|(port, to)| *port == outside.port && to.protocol == outside.protocol)
            .map(|(_, to)| *to)
    }

    /// Returns the port of the outside address that leads to an inside endpoint.
    pub fn forward_from(&self, inside: &Endpoint) -> Option<u16> {
        self.forwards()
            .find(|(_, to)| to == inside)
            .map(|(port, _)| *port)
    }

    /// Says whether this is the address of a host to hide.
    #[inline(always)]
    pub fn is_inside(&self, ip: Ipv4Addr) -> bool {
        let ip = ip.to_bits();
        self.inside
            .iter()
            .take(self.len)
            .any(|(network, mask)| ip & mask == *network)
    }

    fn add_inside(&mut self, value: Value<'_>) -> Result<(), &'static str> {
        const WRONG: &str = "inside must be an IPv4 prefix, or a list of up to 16: 10.0.0.0/8";
        let prefix: Prefix = value.parse().ok_or(WRONG)?;
        let place = self.inside.get_mut(self.len).ok_or(WRONG)?;
        *place = prefix.v4().ok_or(WRONG)?;
        self.len += 1;
        Ok(())
    }

    fn add_forward(&mut self, item: Value<'_>) -> Result<(), &'static str> {
        const WRONG: &str = "forward must list up to 64 of {\"protocol\": \"tcp\" or \"udp\", \"port\": 80, \"to\": an inside address}";
        let protocol = item.get("protocol").and_then(|value| value.as_protocol());
        let protocol = protocol
            .filter(|protocol| matches!(*protocol, ip_protocol::TCP | ip_protocol::UDP))
            .ok_or(WRONG)?;
        let number = |value: Value<'_>| {
            let port = u16::try_from(value.as_int()?).ok()?;
            (port != 0).then_some(port)
        };
        let outside = item.get("port").and_then(number).ok_or(WRONG)?;
        let port = match item.get("to_port") {
            Some(value) => number(value).ok_or(WRONG)?,
            None => outside,
        };
        let ip: Ipv4Addr = item.get("to").and_then(|value| value.parse()).ok_or(WRONG)?;
        let to = Endpoint { protocol, ip, port };
        if !self.is_inside(ip) {
            return Err("a forward leads to an address that is not in inside");
        }
        if self.forward_from(&to).is_some() || self.forward_to(&Endpoint { port: outside, ..to }).is_some() {
            return Err("two forwards have the same port, or lead to the same one");
        }
        let place = self.forwards.get_mut(self.forwards_len).ok_or(WRONG)?;
        *place = (outside, to);
        self.forwards_len += 1;
        Ok(())
    }
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let mut settings = Settings::NONE;
    let address = config
        .str("address")
        .and_then(|text| text.parse::<Ipv4Addr>().ok());
    settings.address = address
        .filter(|ip: &Ipv4Addr| !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast())
        .ok_or("address must be the outside IPv4 address of one router: 203.0.113.1")?;
    match config.get("inside") {
        Some(value) if value.as_str().is_some() => settings.add_inside(value)?,
        Some(value) => value.items().try_for_each(|item| settings.add_inside(item))?,
        None => {}
    }
    if settings.len == 0 {
        return Err("inside must name the hosts to hide: 10.0.0.0/8");
    }
    if settings.is_inside(settings.address) {
        return Err("address lies in inside: it must be an address of the outside");
    }
    if let Some(ports) = config.get("ports") {
        settings.ports = ports
            .as_ports()
            .filter(|(first, _)| *first != 0)
            .ok_or("ports must be the first and the last port to give out: 1024-65535")?;
    }
    settings.timeouts = Timeouts::configured(config);
    if let Some(list) = config.get("forward") {
        list.items().try_for_each(|item| settings.add_forward(item))?;
    }
    SETTINGS.set(settings);
    Ok(())
}
