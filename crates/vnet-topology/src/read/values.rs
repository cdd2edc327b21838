//! Values that several kinds of tables have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value as Json;
use vnet_netlink::{Cidr, Mac};

use crate::error::{Place, TopologyError};
use crate::read::cursor::Cursor;
use crate::read::tree::Value;
use crate::spec::{Gateway, PluginUse, RouteEntry, Routing};
use crate::subnet::Family;

const ADDRESS: &str = "an address with its prefix length, such as \"10.0.0.1/24\", or a list of them";

/// Reads an address with its prefix length, which says what its neighbours are.
///
/// # Errors
/// What is wrong with the text, as a sentence.
pub(crate) fn address(text: &str) -> Result<Cidr, String> {
    let address: Cidr = text
        .parse()
        .map_err(|error: vnet_netlink::NetlinkError| error.to_string())?;
    if text.contains('/') {
        Ok(address)
    } else {
        Err(format!("{text:?} has no prefix length"))
    }
}

pub(crate) fn addresses(cursor: &Cursor<'_>) -> Result<Vec<Cidr>, TopologyError> {
    let read =
        |element: Cursor<'_>| address(element.text(ADDRESS)?).map_err(|found| element.bad(found, ADDRESS));
    cursor.one_or_more().into_iter().map(read).collect()
}

pub(crate) fn mac(cursor: &Cursor<'_>) -> Result<Mac, TopologyError> {
    const EXPECTED: &str = "an Ethernet address, such as \"02:00:00:00:00:01\"";
    let read: Result<Mac, _> = cursor.text(EXPECTED)?.parse();
    read.map_err(|error| cursor.bad(error.to_string(), EXPECTED))
}

pub(crate) fn ips(cursor: &Cursor<'_>, expected: &str) -> Result<Vec<IpAddr>, TopologyError> {
    let read = |element: Cursor<'_>| {
        let text = element.text(expected)?;
        text.parse()
            .map_err(|_| element.bad(format!("{text:?} is no IPv4 or IPv6 address"), expected))
    };
    cursor.one_or_more().into_iter().map(read).collect()
}

pub(crate) fn texts(cursor: &Cursor<'_>, expected: &str) -> Result<Vec<String>, TopologyError> {
    let read = |element: Cursor<'_>| element.text(expected).map(str::to_owned);
    cursor.one_or_more().into_iter().map(read).collect()
}

/// Reads a pool of addresses; `false` is none, `true` the usual one.
pub(crate) fn pool(cursor: &Cursor<'_>, usual: Cidr) -> Result<Option<Cidr>, TopologyError> {
    const EXPECTED: &str = "a network to take addresses from, such as \"10.0.0.0/8\", or false";
    if let Value::Bool(wanted) = cursor.item.value {
        return Ok(wanted.then_some(usual));
    }
    address(cursor.text(EXPECTED)?)
        .map(Some)
        .map_err(|found| cursor.bad(found, EXPECTED))
}

pub(crate) fn routing(cursor: &Cursor<'_>) -> Result<Routing, TopologyError> {
    const EXPECTED: &str = "\"static\" or \"none\"";
    match cursor.text(EXPECTED)? {
        "static" => Ok(Routing::Static),
        "none" => Ok(Routing::None),
        _ => Err(cursor.unexpected(EXPECTED)),
    }
}

pub(crate) fn gateway(cursor: &Cursor<'_>) -> Result<Gateway, TopologyError> {
    const EXPECTED: &str =
        "the address of a router beside it, such as \"10.0.0.1\", a list of them, or \"none\"";
    match &cursor.item.value {
        Value::Text(text) if text == "auto" => Ok(Gateway::Auto),
        Value::Text(text) if text == "none" => Ok(Gateway::None),
        Value::Bool(false) => Ok(Gateway::None),
        Value::Bool(true) => Ok(Gateway::Auto),
        _ => ips(cursor, EXPECTED).map(Gateway::Via),
    }
}

/// Reads routes, as texts that `ip route add` would take or as tables of `to` and `via`.
pub(crate) fn routes(cursor: &Cursor<'_>) -> Result<Vec<RouteEntry>, TopologyError> {
    const EXPECTED: &str = "a route such as \"10.9.0.0/16 via 10.0.0.1\", or a list of them";
    let read = |element: Cursor<'_>| {
        if let Value::Text(text) = &element.item.value {
            let words: Vec<&str> = text.split_whitespace().collect();
            let [to, "via", via] = words[..] else {
                return Err(element.unexpected(EXPECTED));
            };
            return route(to, via).map_err(|found| element.bad(found, EXPECTED));
        }
        let fields = element.fields(&["to", "via"], EXPECTED)?;
        let text = |key: &str| {
            let value = fields.get(key).ok_or_else(|| element.missing(key, EXPECTED))?;
            value.text(EXPECTED)
        };
        route(text("to")?, text("via")?).map_err(|found| element.bad(found, EXPECTED))
    };
    cursor.one_or_more().into_iter().map(read).collect()
}

fn route(to: &str, via: &str) -> Result<RouteEntry, String> {
    let via: IpAddr = via
        .parse()
        .map_err(|_| format!("{via:?} is no IPv4 or IPv6 address"))?;
    let to = if to == "default" {
        Family::of(via).everything()
    } else {
        to.parse()
            .map_err(|error: vnet_netlink::NetlinkError| error.to_string())?
    };
    Ok(RouteEntry { to, via })
}

/// Reads kernel settings; `net.ipv4.ip_forward = 1` may be one key or, as TOML has it, tables in tables.
pub(crate) fn sysctls(cursor: &Cursor<'_>) -> Result<BTreeMap<String, String>, TopologyError> {
    let mut found = BTreeMap::new();
    collect_sysctls(cursor, "", &mut found)?;
    Ok(found)
}

fn collect_sysctls(
    cursor: &Cursor<'_>,
    prefix: &str,
    found: &mut BTreeMap<String, String>,
) -> Result<(), TopologyError> {
    const EXPECTED: &str = "kernel settings, such as \"net.ipv4.ip_forward\" = 1";
    for field in cursor.entries(EXPECTED)? {
        let key = format!("{prefix}{}", field.key);
        let value = match &field.value.item.value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Bool(value) => u8::from(*value).to_string(),
            Value::Table(_) => {
                collect_sysctls(&field.value, &format!("{key}."), found)?;
                continue;
            }
            _ => return Err(field.value.unexpected("a number or a text")),
        };
        if found.insert(key.clone(), value).is_some() {
            let what = format!("{key} is set twice");
            return Err(field.value.bad(what, "it once"));
        }
    }
    Ok(())
}

/// Reads plugins: names, tables, or a list of both.
pub(crate) fn plugins(cursor: &Cursor<'_>) -> Result<Vec<PluginUse>, TopologyError> {
    const EXPECTED: &str =
        "the name of a plugin, the path of a .wasm file, a table with plugin = ..., or a list of them";
    const TEXT: &str = "a text";
    let read = |element: Cursor<'_>| {
        if let Value::Text(text) = &element.item.value {
            return Ok(PluginUse::new(text));
        }
        let fields = element.fields(
            &[
                "plugin",
                "config",
                "on_fault",
                "direction",
                "grants",
                "module_cap",
            ],
            EXPECTED,
        )?;
        let plugin = fields
            .get("plugin")
            .ok_or_else(|| element.missing("plugin", EXPECTED))?
            .text(EXPECTED)?;
        let text = |key: &str| {
            let value = fields.get(key).map(|value| value.text(TEXT));
            value.transpose().map(|text| text.map(str::to_owned))
        };
        let mut used = PluginUse::new(plugin);
        if let Some(config) = fields.get("config") {
            for field in config.entries("a table of the plugin's options")? {
                used.config.insert(field.key.to_owned(), json(&field.value)?);
            }
        }
        used.on_fault = text("on_fault")?;
        used.direction = text("direction")?;
        if let Some(grants) = fields.get("grants") {
            used.grants = texts(
                grants,
                "capabilities: a list of \"random\", \"inject\", \"timer\"",
            )?;
        }
        if let Some(cap) = fields.get("module_cap") {
            const SIZE: &str = "the largest module accepted: bytes up to 1 GiB, or a size such as \"4MiB\"";
            let bytes = match &cap.item.value {
                Value::Text(text) => vnet_impair::size(text),
                Value::Integer(bytes) => vnet_impair::size(&bytes.to_string()),
                _ => None,
            };
            used.module_cap = Some(bytes.ok_or_else(|| cap.unexpected(SIZE))?);
        }
        Ok(used)
    };
    cursor.one_or_more().into_iter().map(read).collect()
}

/// Returns where each element of a list, or the one that stands for a list, is.
pub(crate) fn places(cursor: &Cursor<'_>) -> impl Iterator<Item = (usize, Place)> {
    let elements = cursor.one_or_more().into_iter();
    elements.map(|element| element.place()).enumerate()
}

/// Reads any value of a plugin's options.
fn json(cursor: &Cursor<'_>) -> Result<Json, TopologyError> {
    const EXPECTED: &str = "a text, number, true, false, list or table";
    Ok(match &cursor.item.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Text(text) => Json::String(text.clone()),
        Value::Integer(value) => i64::try_from(*value)
            .map(Json::from)
            .or_else(|_| u64::try_from(*value).map(Json::from))
            .map_err(|_| cursor.unexpected("a number of at most 64 bits"))?,
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .map(Json::Number)
            .ok_or_else(|| cursor.unexpected("a finite number"))?,
        Value::List(items) => {
            let read = cursor
                .elements(items)
                .iter()
                .map(json)
                .collect::<Result<_, _>>()?;
            Json::Array(read)
        }
        Value::Table(_) => {
            let mut map = serde_json::Map::new();
            for field in cursor.entries(EXPECTED)? {
                map.insert(field.key.to_owned(), json(&field.value)?);
            }
            Json::Object(map)
        }
        Value::Other(_) => return Err(cursor.unexpected(EXPECTED)),
    })
}
