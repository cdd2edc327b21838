//! Copies frames that enter a switch to one of its ports, where somebody listens.
//!
//! Attached to a switch it sees every frame once, as it enters, and sends a copy out by the mirror port; the frame itself goes
//! on untouched. What the listener at that port sends is not copied.
#![cfg_attr(target_arch = "wasm32", no_std)]

use core::net::IpAddr;

use vnet_plugin::wire::{ether_type, ip_protocol};
use vnet_plugin::{Config, Counter, Packet, Prefix, State, Value, Verdict, append_to, plugin};

static COPIED: Counter = Counter::new("copied");
/// Frames that matched and found no room for their copy.
static MISSED: Counter = Counter::new("missed");

static SETTINGS: State<Settings> = State::new(Settings::NONE);

/// Ports that can be told apart.
const PORTS: usize = 1024;

#[derive(Clone, Copy)]
struct Settings {
    to: u16,
    /// Ports whose frames are copied, a bit each; all where none is set.
    from: [u64; PORTS / 64],
    protocol: Protocol,
    /// Source or destination lies in it.
    address: Option<Prefix>,
    /// Source or destination port; 0 for any.
    port: u16,
    /// VLAN; 0 for any.
    vlan: u16,
}

#[derive(Clone, Copy)]
enum Protocol {
    Any,
    /// By the Ethernet type.
    Ether(u16),
    /// By what is behind the IP header.
    Ip(u8),
    /// ICMP or ICMPv6.
    Icmp,
}

impl Settings {
    const NONE: Settings = Settings {
        to: 0,
        from: [0; PORTS / 64],
        protocol: Protocol::Any,
        address: None,
        port: 0,
        vlan: 0,
    };

    fn copies_from(&self, port: u16) -> bool {
        let word = self.from.get(usize::from(port / 64)).copied().unwrap_or(0);
        port != self.to && (word & 1 << (port % 64) != 0 || self.from.iter().all(|word| *word == 0))
    }

    /// Says whether a frame is one of those asked for.
    fn wants(&self, pkt: &Packet) -> bool {
        if self.vlan != 0 && pkt.vlan().is_none_or(|tag| tag.vid() != self.vlan) {
            return false;
        }
        if let Protocol::Ether(kind) = self.protocol
            && pkt.ether_type() != kind
        {
            return false;
        }
        if !matches!(self.protocol, Protocol::Ip(_) | Protocol::Icmp) && self.address.is_none() && self.port == 0 {
            return true;
        }
        let Some(flow) = pkt.flow() else {
            return self.port == 0 && self.address.is_some_and(|prefix| is_arp_of(pkt, &prefix));
        };
        let right_protocol = match self.protocol {
            Protocol::Ip(protocol) => flow.protocol == protocol,
            Protocol::Icmp => matches!(flow.protocol, ip_protocol::ICMP | ip_protocol::ICMPV6),
            Protocol::Any | Protocol::Ether(_) => true,
        };
        let right_address = self.address.is_none_or(|prefix| prefix.contains(flow.src) || prefix.contains(flow.dst));
        let right_port = self.port == 0 || flow.ports.is_some_and(|(src, dst)| src == self.port || dst == self.port);
        right_protocol && right_address && right_port
    }
}

/// Says whether an ARP message is of or for an address of the network.
fn is_arp_of(pkt: &Packet, prefix: &Prefix) -> bool {
    let names = |ip| prefix.contains(IpAddr::V4(ip));
    pkt.arp()
        .is_some_and(|arp| arp.is_ethernet_ipv4() && (names(arp.sender_ip()) || names(arp.target_ip())))
}

fn number(value: Value<'_>, least: i64, most: u16) -> Option<u16> {
    value
        .as_int()
        .filter(|number| (least..=i64::from(most)).contains(number))
        .map(|number| number as u16)
}

fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    const TO: &str = "to must be the number of the port that copies leave by, 0 to 1023";
    let last = PORTS as u16 - 1;
    let mut settings = Settings {
        to: config.get("to").and_then(|value| number(value, 0, last)).ok_or(TO)?,
        ..Settings::NONE
    };
    if let Some(ports) = config.get("from") {
        const FROM: &str = "from is the number of a port, or a list of such, to among them not";
        let mut set = |value: Value<'_>| -> Result<(), &'static str> {
            let port = number(value, 0, last).filter(|port| *port != settings.to).ok_or(FROM)?;
            if let Some(word) = settings.from.get_mut(usize::from(port / 64)) {
                *word |= 1 << (port % 64);
            }
            Ok(())
        };
        if ports.as_int().is_some() {
            set(ports)?;
        } else {
            ports.items().try_for_each(&mut set)?;
        }
        if settings.from.iter().all(|word| *word == 0) {
            return Err(FROM);
        }
    }
    settings.protocol = match config.str("protocol") {
        None => Protocol::Any,
        Some("arp") => Protocol::Ether(ether_type::ARP),
        Some("ipv4") => Protocol::Ether(ether_type::IPV4),
        Some("ipv6") => Protocol::Ether(ether_type::IPV6),
        Some("tcp") => Protocol::Ip(ip_protocol::TCP),
        Some("udp") => Protocol::Ip(ip_protocol::UDP),
        Some("icmp") => Protocol::Icmp,
        Some(_) => return Err("protocol is arp, ipv4, ipv6, tcp, udp or icmp"),
    };
    if let Some(text) = config.get("address") {
        let prefix = text.as_str().and_then(|text| text.parse().ok());
        settings.address = Some(prefix.ok_or("address is a prefix or an address: 10.0.0.0/24, fd00::1")?);
    }
    let optional = |key, least, most, wrong| match config.get(key) {
        None => Ok(0),
        Some(value) => number(value, least, most).ok_or(wrong),
    };
    settings.port = optional("port", 1, u16::MAX, "port is 1 to 65535")?;
    settings.vlan = optional("vlan", 1, 4094, "vlan is 1 to 4094")?;
    SETTINGS.set(settings);
    Ok(())
}

/// Copies frames that enter a switch to one of its ports.
#[plugin(
    // Copies carry no offloads: what they lack must be done before. Jumbo frames of 9,000 bytes fit.
    slot_len = 9_408,
    layers = ["l2"],
    counters = ["copied", "missed"],
    config = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["to"],
        "properties": {
            "to": {
                "type": "integer", "minimum": 0, "maximum": 1023,
                "description": "number of the port that copies leave by; a switch counts its links from 0"
            },
            "from": {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": 1023},
                    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 1023}, "minItems": 1}
                ],
                "description": "port whose frames are copied, or a list of such; all others when absent"
            },
            "protocol": {
                "enum": ["arp", "ipv4", "ipv6", "tcp", "udp", "icmp"],
                "description": "copies frames of this protocol alone; icmp is ICMPv6 too"
            },
            "address": {"type": "string", "description": "copies packets from or to this address or prefix alone"},
            "port": {
                "type": "integer", "minimum": 1, "maximum": 65535,
                "description": "copies TCP and UDP from or to this port alone"
            },
            "vlan": {
                "type": "integer", "minimum": 1, "maximum": 4094,
                "description": "copies frames of this VLAN alone"
            }
        }
    }"#,
    configure = configure,
)]
fn mirror(pkt: &mut Packet) -> Verdict {
    let settings = SETTINGS.get();
    if settings.copies_from(pkt.port()) && !pkt.is_egress() && !pkt.is_empty() && settings.wants(pkt) {
        match append_to(settings.to, pkt.frame()) {
            Ok(()) => COPIED.increment(),
            Err(_) => MISSED.increment(),
        }
    }
    Verdict::Pass
}

#[cfg(test)]
mod tests;
