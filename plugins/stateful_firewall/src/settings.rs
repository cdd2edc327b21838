//! Zones and rules as configured.

use vnet_plugin::track::Timeouts;
use vnet_plugin::wire::ip_protocol;
use vnet_plugin::{Config, Flow, Prefix, State, Value, error};

use crate::rules::Rule;

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

/// Number of a zone, from 1.
pub type Zone = u8;

const PORTS: usize = 1_023;
const RULES: usize = 128;
const ZONES: usize = 16;

/// The configuration.
#[derive(Clone)]
pub struct Settings {
    /// By port; 0 where it is in no zone.
    zones: [Zone; PORTS],
    /// There are ports 0 and 1 alone.
    pub two_sided: bool,
    rules: [Rule; RULES],
    rules_len: usize,
    /// Whether frames that are not IP are dropped.
    pub denies_other: bool,
    pub timeouts: Timeouts,
}

impl Settings {
    const NONE: Settings = Settings {
        zones: [0; PORTS],
        two_sided: true,
        rules: [Rule::ANY; RULES],
        rules_len: 0,
        denies_other: false,
        timeouts: Timeouts::DEFAULT,
    };

    /// Returns the zone of a port.
    #[inline(always)]
    pub fn zone_of(&self, port: u16) -> Option<Zone> {
        self.zones.get(usize::from(port)).copied().filter(|zone| *zone != 0)
    }

    /// Says whether a rule lets a conversation begin with this packet.
    pub fn allows(&self, flow: &Flow, zones: (Zone, Option<Zone>)) -> bool {
        self.rules
            .iter()
            .take(self.rules_len)
            .any(|rule| rule.allows(flow, zones))
    }
}

/// Names of zones, in the order of their numbers.
struct Names<'a> {
    list: [&'a str; ZONES],
    len: usize,
}

impl<'a> Names<'a> {
    fn number(&self, name: &str) -> Option<Zone> {
        let at = self.list.iter().take(self.len).position(|known| *known == name)?;
        Some(at as Zone + 1)
    }

    fn add(&mut self, name: &'a str) -> Option<Zone> {
        *self.list.get_mut(self.len)? = name;
        self.len += 1;
        Some(self.len as Zone)
    }
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    SETTINGS.with(|settings| {
        settings.zones = [0; PORTS];
        settings.two_sided = true;
        settings.rules_len = 0;
        settings.timeouts = Timeouts::configured(config);
        settings.denies_other = match config.str("other") {
            None | Some("permit") => false,
            Some("deny") => true,
            Some(_) => return Err("other must be permit or deny"),
        };
        let mut names = Names {
            list: [""; ZONES],
            len: 0,
        };
        for (name, ports) in config.get("zones").into_iter().flat_map(|zones| zones.entries()) {
            add_zone(settings, &mut names, name, ports)?;
        }
        if names.len < 2 {
            return Err("zones must name two zones or more, each with its ports: {\"inside\": [0], \"outside\": [1]}");
        }
        let rules = config.get("allow").into_iter().flat_map(|rules| rules.items());
        for (index, rule) in rules.enumerate() {
            let rule = read_rule(rule, &names)
                .inspect_err(|_| error!("allow.{index} is wrong: {}", rule.text()))?;
            let place = settings.rules.get_mut(settings.rules_len);
            *place.ok_or("there are more than 128 rules")? = rule;
            settings.rules_len += 1;
        }
        Ok(())
    })
}

fn add_zone<'a>(
    settings: &mut Settings,
    names: &mut Names<'a>,
    name: Value<'a>,
    ports: Value<'_>,
) -> Result<(), &'static str> {
    let name = name.as_str().ok_or("a zone's name is a text without escapes")?;
    let zone = names.add(name).ok_or("there are more than 16 zones")?;
    let mut any = false;
    for port in ports.items() {
        let port = port.as_int().and_then(|port| usize::try_from(port).ok());
        let place = port.and_then(|port| settings.zones.get_mut(port));
        let place = place.ok_or("a zone's ports are numbers from 0 to 1022")?;
        if *place != 0 {
            return Err("a port is in two zones");
        }
        *place = zone;
        settings.two_sided &= port.is_some_and(|port| port < 2);
        any = true;
    }
    if any { Ok(()) } else { Err("a zone has no ports: write [0]") }
}

fn read_rule(value: Value<'_>, names: &Names<'_>) -> Result<Rule, &'static str> {
    let zone = |key| match value.get(key) {
        None => Ok(None),
        Some(name) => match name.as_str().and_then(|name| names.number(name)) {
            Some(zone) => Ok(Some(zone)),
            None => Err("a rule's from and to must be names of zones"),
        },
    };
    let prefix = |key| match value.get(key) {
        None => Ok(None),
        Some(prefix) => match prefix.parse::<Prefix>() {
            Some(prefix) => Ok(Some(prefix)),
            None => Err("a rule's src and dst must be prefixes: 10.0.0.0/8 or fd00::/64"),
        },
    };
    let protocol = match value.get("protocol") {
        None => None,
        Some(any) if any.as_str() == Some("any") => None,
        Some(value) => match value.as_protocol() {
            Some(number) => Some(number),
            None => return Err("a rule's protocol must be tcp, udp, icmp, icmpv6, any or a number up to 255"),
        },
    };
    let dport = match value.get("dport") {
        None => None,
        Some(value) => match value.as_ports() {
            Some(ports) => Some(ports),
            None => return Err("a rule's dport must be a port or a range: 80 or 1-1023"),
        },
    };
    if dport.is_some() && !matches!(protocol, Some(ip_protocol::TCP | ip_protocol::UDP)) {
        return Err("a rule with a dport must name the protocol tcp or udp");
    }
    Ok(Rule {
        from: zone("from")?,
        to: zone("to")?,
        protocol,
        src: prefix("src")?,
        dst: prefix("dst")?,
        dport,
    })
}
