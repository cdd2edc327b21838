//! From a spec to a JSON document.

use serde_json::{Map, Value as Json, json};
use vnet_impair::time_text;

use crate::spec::{
    DEFAULT_IPV4, DEFAULT_IPV6, EndSpec, Gateway, LinkSpec, NodeSpec, PluginUse, Routing, Spec,
};
use crate::write::link::fares;

impl Spec {
    /// Writes a document that [`Spec::from_json`] reads as an equal spec; what is at its default is left out.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut lab = Map::new();
        if let Some(name) = &self.name {
            lab.insert("name".into(), json!(name));
        }
        if let Some(seed) = self.seed {
            lab.insert("seed".into(), json!(seed));
        }
        for (key, pool, usual) in [
            ("ipv4", self.ipv4, DEFAULT_IPV4),
            ("ipv6", self.ipv6, DEFAULT_IPV6),
        ] {
            match pool {
                None => lab.insert(key.into(), json!(false)),
                Some(pool) if pool != usual => lab.insert(key.into(), json!(pool)),
                Some(_) => None,
            };
        }
        if self.routing == Routing::None {
            lab.insert("routing".into(), json!(self.routing));
        }
        if !self.private_tmp {
            lab.insert("private_tmp".into(), json!(false));
        }
        if let Some(time) = self.busy_poll_ns {
            lab.insert("busy_poll".into(), json!(time_text(time)));
        }
        lab.insert("nodes".into(), self.nodes.iter().map(node).collect());
        lab.insert("links".into(), self.links.iter().map(link).collect());
        Json::Object(lab)
    }
}

fn node(node: &NodeSpec) -> Json {
    let mut map = Map::new();
    map.insert("name".into(), json!(node.name));
    map.insert("kind".into(), json!(node.kind));
    if !node.ip.is_empty() {
        map.insert("ip".into(), json!(node.ip));
    }
    if let Some(mac) = node.mac {
        map.insert("mac".into(), json!(mac));
    }
    match &node.gateway {
        Gateway::Auto => {}
        Gateway::None => {
            map.insert("gateway".into(), json!("none"));
        }
        Gateway::Via(gateways) => {
            map.insert("gateway".into(), json!(gateways));
        }
    }
    if !node.routes.is_empty() {
        map.insert("routes".into(), json!(node.routes));
    }
    if let Some(routing) = node.routing {
        map.insert("routing".into(), json!(routing));
    }
    if !node.dns.is_empty() {
        map.insert("dns".into(), json!(node.dns));
    }
    if !node.private_dirs.is_empty() {
        let directories = node
            .private_dirs
            .iter()
            .map(|directory| directory.display().to_string());
        map.insert("private_dirs".into(), directories.collect());
    }
    if !node.run.is_empty() {
        map.insert("run".into(), json!(node.run));
    }
    if !node.plugins.is_empty() {
        map.insert("plugins".into(), plugins(&node.plugins));
    }
    if !node.sysctls.is_empty() {
        map.insert("sysctls".into(), json!(node.sysctls));
    }
    Json::Object(map)
}

fn link(link: &LinkSpec) -> Json {
    let mut map = Map::new();
    if let Some(name) = &link.name {
        map.insert("name".into(), json!(name));
    }
    map.insert("a".into(), end(&link.a));
    map.insert("b".into(), end(&link.b));
    if let Some(mtu) = link.mtu {
        map.insert("mtu".into(), json!(mtu));
    }
    if !link.up {
        map.insert("up".into(), json!(false));
    }
    map.extend(fares(link));
    if !link.plugins.is_empty() {
        map.insert("plugins".into(), plugins(&link.plugins));
    }
    Json::Object(map)
}

fn end(end: &EndSpec) -> Json {
    let mut map = Map::new();
    map.insert("node".into(), json!(end.node));
    if let Some(interface) = &end.interface {
        map.insert("interface".into(), json!(interface));
    }
    if !end.ip.is_empty() {
        map.insert("ip".into(), json!(end.ip));
    }
    if let Some(mac) = end.mac {
        map.insert("mac".into(), json!(mac));
    }
    Json::Object(map)
}

fn plugins(plugins: &[PluginUse]) -> Json {
    let write = |used: &PluginUse| {
        let mut map = Map::new();
        map.insert("plugin".into(), json!(used.plugin));
        if !used.config.is_empty() {
            map.insert("config".into(), Json::Object(used.config.clone()));
        }
        if let Some(policy) = &used.on_fault {
            map.insert("on_fault".into(), json!(policy));
        }
        if let Some(direction) = &used.direction {
            map.insert("direction".into(), json!(direction));
        }
        if !used.grants.is_empty() {
            map.insert("grants".into(), json!(used.grants));
        }
        if let Some(bytes) = used.module_cap {
            map.insert("module_cap".into(), json!(bytes));
        }
        Json::Object(map)
    };
    plugins.iter().map(write).collect()
}
