//! The configuration, turned into numbers.

use vnet_plugin::wire::ip_protocol;
use vnet_plugin::{Config, Prefix, State, Value, error};

use crate::counters::RULES_MAX;
use crate::rules::{Action, Range, Rule, Rules};

pub static SETTINGS: State<Settings> = State::new(Settings::NONE);

/// Rules by IP version.
#[derive(Clone, Copy)]
pub struct Settings {
    pub v4: Rules<u32>,
    pub v6: Rules<u128>,
    pub default: Action,
    /// Whether frames that are not IP are dropped.
    pub denies_other: bool,
}

/// Fills the places of rules.
const fn blank<A: Copy>(zero: A) -> Rule<A> {
    let nothing = Range { first: 0, span: 0 };
    Rule {
        src: zero,
        src_mask: zero,
        dst: zero,
        dst_mask: zero,
        sport: nothing,
        dport: nothing,
        protocol: 0,
        protocol_mask: 0,
        action: Action::Deny,
        index: 0,
    }
}

impl Settings {
    const NONE: Settings = Settings {
        v4: Rules::new(blank(0)),
        v6: Rules::new(blank(0)),
        default: Action::Deny,
        denies_other: false,
    };
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    SETTINGS.with(|settings| {
        *settings = Settings::NONE;
        if let Some(value) = config.get("default") {
            settings.default = action(value).ok_or("default must be permit or deny")?;
        }
        if let Some(value) = config.get("other") {
            settings.denies_other = action(value).ok_or("other must be permit or deny")? == Action::Deny;
        }
        let Some(rules) = config.get("rules") else {
            return Ok(());
        };
        for (index, rule) in rules.items().enumerate() {
            if index >= RULES_MAX {
                return Err("there are more than 240 rules");
            }
            add(settings, rule, index as u8).inspect_err(|_| error!("rules.{index} is wrong: {}", rule.text()))?;
        }
        Ok(())
    })
}

fn add(settings: &mut Settings, rule: Value<'_>, index: u8) -> Result<(), &'static str> {
    let action = rule
        .get("action")
        .and_then(action)
        .ok_or("a rule's action must be permit or deny")?;
    let (protocol, protocol_mask) = protocol(rule.get("protocol"))?;
    let (src, dst) = (prefix(rule.get("src"))?, prefix(rule.get("dst"))?);
    let (sport, mut dport) = (range(rule.get("sport"))?, range(rule.get("dport"))?);
    if (sport, dport) != (Range::ANY, Range::ANY) && !matches!(protocol, ip_protocol::TCP | ip_protocol::UDP) {
        return Err("a rule with ports must name the protocol tcp or udp");
    }
    if let Some(kind) = rule.get("type") {
        let first = kind.as_int().and_then(|kind| u8::try_from(kind).ok());
        let first = first.ok_or("a rule's type must be the number of an ICMP type, 0 to 255")?;
        if !matches!(protocol, ip_protocol::ICMP | ip_protocol::ICMPV6) {
            return Err("a rule with a type must name the protocol icmp or icmpv6");
        }
        dport = Range {
            first: first.into(),
            span: 0,
        };
    }
    let of_v6 = |prefix: &Option<Prefix>| prefix.is_some_and(|prefix| prefix.v6().is_some());
    let of_v4 = |prefix: &Option<Prefix>| prefix.is_some_and(|prefix| prefix.v4().is_some());
    let (four, six) = (of_v4(&src) || of_v4(&dst), of_v6(&src) || of_v6(&dst));
    if four && six {
        return Err("a rule's src and dst are of different IP versions");
    }
    let rule = Rule {
        src: (),
        src_mask: (),
        dst: (),
        dst_mask: (),
        sport,
        dport,
        protocol,
        protocol_mask,
        action,
        index,
    };
    let (src4, dst4) = (src.unwrap_or(Prefix::ANY_V4).v4(), dst.unwrap_or(Prefix::ANY_V4).v4());
    if let (Some(src), Some(dst)) = (src4, dst4) {
        settings.v4.add(rule.between(src, dst));
    }
    let (src6, dst6) = (src.unwrap_or(Prefix::ANY_V6).v6(), dst.unwrap_or(Prefix::ANY_V6).v6());
    if let (Some(src), Some(dst)) = (src6, dst6) {
        settings.v6.add(rule.between(src, dst));
    }
    Ok(())
}

fn action(value: Value<'_>) -> Option<Action> {
    match value.as_str()? {
        "permit" => Some(Action::Permit),
        "deny" => Some(Action::Deny),
        _ => None,
    }
}

/// Returns protocol and mask.
fn protocol(value: Option<Value<'_>>) -> Result<(u8, u8), &'static str> {
    match value {
        None => Ok((0, 0)),
        Some(any) if any.as_str() == Some("any") => Ok((0, 0)),
        Some(value) => match value.as_protocol() {
            Some(number) => Ok((number, u8::MAX)),
            None => Err("a rule's protocol must be tcp, udp, icmp, icmpv6, any or a number up to 255"),
        },
    }
}

fn prefix(value: Option<Value<'_>>) -> Result<Option<Prefix>, &'static str> {
    match value {
        None => Ok(None),
        Some(value) => match value.parse() {
            Some(prefix) => Ok(Some(prefix)),
            None => Err("a rule's src and dst must be prefixes: 10.0.0.0/8 or fd00::/64"),
        },
    }
}

fn range(value: Option<Value<'_>>) -> Result<Range, &'static str> {
    match value {
        None => Ok(Range::ANY),
        Some(value) => match value.as_ports() {
            Some((first, last)) => Ok(Range {
                first,
                span: last - first,
            }),
            None => Err("a rule's sport and dport must be a port or a range: 80 or 1024-65535"),
        },
    }
}
