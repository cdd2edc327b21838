//! Interfaces and routes as configured.

use core::net::{IpAddr, Ipv4Addr};

use vnet_plugin::wire::MacAddr;
use vnet_plugin::{Config, Prefix, State, Value, error};

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

const PORTS: usize = 64;
const ADDRESSES: usize = 4;
const ROUTES: usize = 256 + PORTS * ADDRESSES;

/// A port of the switch as an interface of the router.
#[derive(Clone, Copy)]
pub struct Interface {
    pub mac: MacAddr,
    /// Most bytes of a packet that leaves by it; 0 for any.
    pub mtu: u16,
    addresses: [Prefix; ADDRESSES],
    len: usize,
}

impl Interface {
    const NONE: Interface = Interface {
        mac: MacAddr::ZERO,
        mtu: 0,
        addresses: [Prefix::ANY_V4; ADDRESSES],
        len: 0,
    };

    /// Returns the addresses, each with the prefix of its subnet.
    pub fn addresses(&self) -> &[Prefix] {
        self.addresses.get(..self.len).unwrap_or_default()
    }

    /// Says whether an address lies on a subnet of the interface.
    pub fn is_link(&self, ip: IpAddr) -> bool {
        self.addresses().iter().any(|address| address.contains(ip))
    }

    /// Returns the interface's own address to talk to another from: on the same subnet, else any of the same version.
    pub fn address_for(&self, ip: IpAddr) -> Option<IpAddr> {
        let same = || self.addresses().iter().filter(|own| own.address().is_ipv4() == ip.is_ipv4());
        same()
            .find(|own| own.contains(ip))
            .or_else(|| same().next())
            .map(|own| own.address())
    }
}

/// Where a prefix lies: on a port, or behind a router there.
#[derive(Clone, Copy)]
struct Route {
    to: Prefix,
    port: u16,
    /// The unspecified address where destinations are neighbours. That is all zeros, which take no bytes in the module.
    via: IpAddr,
}

const NEIGHBOR: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The configuration.
#[derive(Clone)]
pub struct Settings {
    interfaces: [Interface; PORTS],
    interfaces_len: usize,
    /// The longest prefixes first.
    routes: [Route; ROUTES],
    routes_len: usize,
}

impl Settings {
    const NONE: Settings = Settings {
        interfaces: [Interface::NONE; PORTS],
        interfaces_len: 0,
        routes: [Route {
            to: Prefix::ANY_V4,
            port: 0,
            via: NEIGHBOR,
        }; ROUTES],
        routes_len: 0,
    };

    /// Returns the interface of a port.
    #[inline(always)]
    pub fn interface(&self, port: u16) -> Option<&Interface> {
        self.interfaces.get(..self.interfaces_len)?.get(usize::from(port))
    }

    fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().take(self.interfaces_len)
    }

    /// Says whether an address is one of the router's.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.interfaces()
            .flat_map(Interface::addresses)
            .any(|own| own.address() == ip)
    }

    /// Returns port and next hop for a destination, by the longest prefix that holds it.
    pub fn route(&self, dst: IpAddr) -> Option<(u16, IpAddr)> {
        let routes = self.routes.get(..self.routes_len)?;
        let route = routes.iter().find(|route| route.to.contains(dst))?;
        Some((route.port, if route.via == NEIGHBOR { dst } else { route.via }))
    }

    /// Adds a route behind those with prefixes as long; false where there is no place.
    fn add_route(&mut self, route: Route) -> bool {
        let at = self
            .routes
            .iter()
            .take(self.routes_len)
            .position(|known| known.to.prefix_len() < route.to.prefix_len())
            .unwrap_or(self.routes_len);
        let Some(moved) = self.routes.get_mut(at..=self.routes_len) else {
            return false;
        };
        moved.rotate_right(1);
        if let Some(place) = moved.first_mut() {
            *place = route;
        }
        self.routes_len += 1;
        true
    }
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    SETTINGS.with(|settings| {
        settings.interfaces_len = 0;
        settings.routes_len = 0;
        for (port, item) in config.get("ports").into_iter().flat_map(|ports| ports.items()).enumerate() {
            add_interface(settings, port, item).inspect_err(|_| error!("ports.{port} is wrong: {}", item.text()))?;
        }
        if settings.interfaces_len == 0 {
            return Err("ports must list the interfaces: [{\"addresses\": [\"10.0.0.1/24\"]}]");
        }
        for (index, item) in config.get("routes").into_iter().flat_map(|routes| routes.items()).enumerate() {
            add_route(settings, item).inspect_err(|_| error!("routes.{index} is wrong: {}", item.text()))?;
        }
        Ok(())
    })
}

fn add_interface(settings: &mut Settings, port: usize, item: Value<'_>) -> Result<(), &'static str> {
    let mut interface = Interface {
        mac: MacAddr([0x02, 0x76, 0x72, 0, 0, port as u8]),
        ..Interface::NONE
    };
    if let Some(mac) = item.get("mac") {
        interface.mac = mac
            .parse()
            .filter(MacAddr::is_unicast)
            .ok_or("a port's mac must be the MAC address of one station: 02:00:00:00:00:01")?;
    }
    for value in item.get("addresses").into_iter().flat_map(|list| list.items()) {
        const WRONG: &str = "a port's addresses must be up to four with their prefixes: 10.0.0.1/24 or fd00::1/64";
        let address: Prefix = value.parse().ok_or(WRONG)?;
        let ip = address.address();
        if ip.is_multicast() || ip.is_unspecified() || settings.is_own(ip) {
            return Err("an interface's address is a group, no address, or another interface's");
        }
        *interface.addresses.get_mut(interface.len).ok_or(WRONG)? = address;
        interface.len += 1;
        settings.add_route(Route {
            to: address,
            port: port as u16,
            via: NEIGHBOR,
        });
    }
    if let Some(mtu) = item.get("mtu") {
        let mtu = mtu.as_int().and_then(|mtu| u16::try_from(mtu).ok());
        interface.mtu = mtu.filter(|mtu| *mtu >= 576).ok_or("a port's mtu must be 576 to 65535 bytes")?;
        if interface.mtu < 1280 && interface.addresses().iter().any(|own| own.address().is_ipv6()) {
            return Err("a port's mtu is less than the 1280 bytes that IPv6 needs");
        }
    }
    let place = settings.interfaces.get_mut(port);
    *place.ok_or("there are more than 64 ports")? = interface;
    settings.interfaces_len = port + 1;
    Ok(())
}

fn add_route(settings: &mut Settings, item: Value<'_>) -> Result<(), &'static str> {
    let to: Prefix = item
        .get("to")
        .and_then(|value| value.parse())
        .ok_or("a route's to must be a prefix: 10.2.0.0/16 or ::/0")?;
    let via: IpAddr = item
        .get("via")
        .and_then(|value| value.parse())
        .ok_or("a route's via must be the address of the next router")?;
    if via.is_unspecified() || via.is_ipv4() != to.address().is_ipv4() {
        return Err("a route's via is no address, or of another IP version than its to");
    }
    let port = settings
        .interfaces()
        .position(|interface| interface.is_link(via))
        .ok_or("a route's via lies on no interface's subnet")?;
    let route = Route {
        to,
        port: port as u16,
        via,
    };
    if settings.add_route(route) {
        Ok(())
    } else {
        Err("there are more than 256 routes")
    }
}
