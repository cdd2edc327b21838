//! From a spec to a lab file.

use std::fmt::Write as _;

use serde_json::Value as Json;
use vnet_impair::time_text;
use vnet_netlink::Cidr;

use crate::error::{Place, TopologyError};
use crate::spec::{
    DEFAULT_IPV4, DEFAULT_IPV6, EndSpec, Gateway, LinkSpec, NodeKind, NodeSpec, PluginUse, Routing, Spec,
};
use crate::write::link::fares;

impl Spec {
    /// Writes a lab file that [`Spec::from_toml`] reads as an equal spec.
    ///
    /// # Errors
    /// [`TopologyError::NoFileForm`] for plugin options that TOML has no form for: null, and whole numbers beyond
    /// 63 bits.
    pub fn to_toml(&self) -> Result<String, TopologyError> {
        let mut text = String::new();
        let mut lines = Lines { text: &mut text };
        self.write_lab(&mut lines);
        for node in &self.nodes {
            write_node(node, &mut lines)?;
        }
        for link in &self.links {
            write_link(link, &mut lines)?;
        }
        Ok(text)
    }

    fn write_lab(&self, lines: &mut Lines<'_>) {
        if let Some(name) = &self.name {
            lines.set("name", &quote(name));
        }
        if let Some(seed) = self.seed {
            lines.set("seed", &seed.to_string());
        }
        for (key, pool, usual) in [
            ("ipv4", self.ipv4, DEFAULT_IPV4),
            ("ipv6", self.ipv6, DEFAULT_IPV6),
        ] {
            match pool {
                None => lines.set(key, "false"),
                Some(pool) if pool != usual => lines.set(key, &quote(&pool.to_string())),
                Some(_) => {}
            }
        }
        if self.routing == Routing::None {
            lines.set("routing", &quote("none"));
        }
        if !self.private_tmp {
            lines.set("private_tmp", "false");
        }
        if let Some(time) = self.busy_poll_ns {
            lines.set("busy_poll", &quote(&time_text(time)));
        }
    }
}

/// The file as it grows; writing to a String cannot fail.
struct Lines<'a> {
    text: &'a mut String,
}

impl Lines<'_> {
    fn header(&mut self, header: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.text, "{gap}{header}");
    }

    fn set(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key} = {value}");
    }
}

fn write_node(node: &NodeSpec, lines: &mut Lines<'_>) -> Result<(), TopologyError> {
    let group = match node.kind {
        NodeKind::Host => "hosts",
        NodeKind::Switch => "switches",
        NodeKind::Router => "routers",
    };
    let path = format!("{group}.{}", key(&node.name));
    lines.header(&format!("[{path}]"));
    if !node.ip.is_empty() {
        lines.set("ip", &addresses(&node.ip));
    }
    if let Some(mac) = node.mac {
        lines.set("mac", &quote(&mac.to_string()));
    }
    match &node.gateway {
        Gateway::Auto => {}
        Gateway::None => lines.set("gateway", &quote("none")),
        Gateway::Via(gateways) => lines.set("gateway", &one_or_list(gateways)),
    }
    if !node.routes.is_empty() {
        let routes: Vec<String> = node
            .routes
            .iter()
            .map(|route| format!("{} via {}", route.to, route.via))
            .collect();
        lines.set("routes", &list(&routes));
    }
    if let Some(routing) = node.routing {
        let routing = match routing {
            Routing::Static => "static",
            Routing::None => "none",
        };
        lines.set("routing", &quote(routing));
    }
    if !node.dns.is_empty() {
        lines.set("dns", &one_or_list(&node.dns));
    }
    if !node.private_dirs.is_empty() {
        let directories: Vec<String> = node
            .private_dirs
            .iter()
            .map(|directory| directory.display().to_string())
            .collect();
        lines.set("private_dirs", &list(&directories));
    }
    if !node.run.is_empty() {
        lines.set("run", &list(&node.run));
    }
    if !node.plugins.is_empty() {
        lines.set("plugins", &plugins(&node.plugins, &format!("{path}.plugins"))?);
    }
    if !node.sysctls.is_empty() {
        lines.header(&format!("[{path}.sysctls]"));
        for (name, value) in &node.sysctls {
            lines.set(&quote(name), &quote(value));
        }
    }
    Ok(())
}

fn write_link(link: &LinkSpec, lines: &mut Lines<'_>) -> Result<(), TopologyError> {
    lines.header("[[links]]");
    if let Some(name) = &link.name {
        lines.set("name", &quote(name));
    }
    let plain = |end: &EndSpec| *end == EndSpec::new(&end.node);
    if plain(&link.a) && plain(&link.b) {
        lines.set("ends", &list(&[&link.a.node, &link.b.node]));
    } else {
        lines.set("a", &end(&link.a));
        lines.set("b", &end(&link.b));
    }
    if let Some(mtu) = link.mtu {
        lines.set("mtu", &mtu.to_string());
    }
    if !link.up {
        lines.set("up", "false");
    }
    let name = link
        .name
        .clone()
        .unwrap_or_else(|| format!("{}-{}", link.a.node, link.b.node));
    for (key, written) in fares(link) {
        lines.set(&key, &value(&written, &format!("links.{name}.{key}"))?);
    }
    if !link.plugins.is_empty() {
        lines.set(
            "plugins",
            &plugins(&link.plugins, &format!("links.{name}.plugins"))?,
        );
    }
    Ok(())
}

fn end(end: &EndSpec) -> String {
    let mut parts = vec![format!("node = {}", quote(&end.node))];
    if let Some(interface) = &end.interface {
        parts.push(format!("interface = {}", quote(interface)));
    }
    if !end.ip.is_empty() {
        parts.push(format!("ip = {}", addresses(&end.ip)));
    }
    if let Some(mac) = end.mac {
        parts.push(format!("mac = {}", quote(&mac.to_string())));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn addresses(addresses: &[Cidr]) -> String {
    one_or_list(addresses)
}

fn one_or_list<T: ToString>(values: &[T]) -> String {
    match values {
        [one] => quote(&one.to_string()),
        _ => list(&values.iter().map(T::to_string).collect::<Vec<_>>()),
    }
}

fn list<T: AsRef<str>>(values: &[T]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| quote(value.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

fn plugins(plugins: &[PluginUse], path: &str) -> Result<String, TopologyError> {
    let mut written = Vec::new();
    for (number, used) in plugins.iter().enumerate() {
        if *used == PluginUse::new(&used.plugin) {
            written.push(quote(&used.plugin));
            continue;
        }
        let mut parts = vec![format!("plugin = {}", quote(&used.plugin))];
        if !used.config.is_empty() {
            let config = Json::Object(used.config.clone());
            let at = format!("{path}[{number}].config");
            parts.push(format!("config = {}", value(&config, &at)?));
        }
        for (name, text) in [("on_fault", &used.on_fault), ("direction", &used.direction)] {
            parts.extend(text.as_ref().map(|text| format!("{name} = {}", quote(text))));
        }
        if !used.grants.is_empty() {
            parts.push(format!("grants = {}", list(&used.grants)));
        }
        parts.extend(used.module_cap.map(|bytes| format!("module_cap = {bytes}")));
        written.push(format!("{{ {} }}", parts.join(", ")));
    }
    Ok(format!("[{}]", written.join(", ")))
}

fn value(json: &Json, path: &str) -> Result<String, TopologyError> {
    let refuse = |found: String, fix: &str| TopologyError::NoFileForm {
        at: Place::named(path),
        found,
        fix: fix.into(),
    };
    Ok(match json {
        Json::Null => return Err(refuse("null".into(), "leave the key out")),
        Json::Bool(value) => value.to_string(),
        Json::String(text) => quote(text),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.to_string(),
            // Debug always writes a point or an exponent, as TOML wants of a float.
            (None, Some(float)) if !number.is_u64() => format!("{float:?}"),
            _ => return Err(refuse(number.to_string(), "write it as a text")),
        },
        Json::Array(items) => {
            let mut written = Vec::new();
            for (number, item) in items.iter().enumerate() {
                written.push(value(item, &format!("{path}[{number}]"))?);
            }
            format!("[{}]", written.join(", "))
        }
        Json::Object(map) => {
            let mut written = Vec::new();
            for (name, item) in map {
                let item = value(item, &format!("{path}.{name}"))?;
                written.push(format!("{} = {item}", key(name)));
            }
            format!("{{ {} }}", written.join(", "))
        }
    })
}

/// Writes a key, bare where TOML lets it be.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { name.to_owned() } else { quote(name) }
}

/// Writes a basic string (TOML 1.0: backslash, quotation mark and control characters are escaped).
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
