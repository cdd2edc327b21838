//! Hosts, switches and routers of a document.

use std::path::PathBuf;

use crate::error::TopologyError;
use crate::places::{Places, Subject};
use crate::read::cursor::{Cursor, Fields};
use crate::read::tree::Value;
use crate::read::values;
use crate::spec::{NodeKind, NodeSpec, Spec};

/// Tables of nodes of one kind.
const GROUPS: [(&str, NodeKind); 3] = [
    ("hosts", NodeKind::Host),
    ("switches", NodeKind::Switch),
    ("routers", NodeKind::Router),
];

/// Keys of all nodes that have a namespace.
const HOST: [&str; 8] = [
    "ip",
    "mac",
    "gateway",
    "routes",
    "dns",
    "sysctls",
    "private_dirs",
    "run",
];
const NODE_NAMES: &str = "a table of nodes by name, or a list of names such as [\"h1\", \"h2\"]";
const NODE: &str = "a table, which may be empty";
const NODES: &str = "a list of tables with name and kind";

/// A node with what is needed to put it into the order of the document.
struct Found<'a> {
    at: usize,
    node: NodeSpec,
    /// The key that its settings are under.
    subject: Cursor<'a>,
    settings: Option<Fields<'a>>,
}

/// Reads all nodes in the order of the document.
pub(crate) fn read_all(top: &Fields<'_>, spec: &mut Spec, places: &mut Places) -> Result<(), TopologyError> {
    let mut found = Vec::new();
    for (group, kind) in GROUPS {
        if let Some(nodes) = top.get(group) {
            read_group(nodes, kind, &mut found)?;
        }
    }
    if let Some(nodes) = top.get("nodes") {
        let Value::List(items) = &nodes.item.value else {
            return Err(nodes.unexpected(NODES));
        };
        for node in nodes.elements(items) {
            found.push(read_listed(node)?);
        }
    }
    found.sort_by_key(|found| found.at);
    for mut found in found {
        let at = spec.nodes.len();
        places.note(Subject::Node(at), found.place());
        if let Some(settings) = &found.settings {
            fill(&mut found.node, settings, at, places)?;
        }
        spec.nodes.push(found.node);
    }
    Ok(())
}

impl Found<'_> {
    /// Returns where the node's name stands.
    fn place(&self) -> crate::error::Place {
        self.subject.place_at(self.at)
    }
}

fn read_group<'a>(
    nodes: &Cursor<'a>,
    kind: NodeKind,
    found: &mut Vec<Found<'a>>,
) -> Result<(), TopologyError> {
    if let Value::List(items) = &nodes.item.value {
        for name in nodes.elements(items) {
            found.push(Found {
                at: name.item.at,
                node: NodeSpec::new(name.text(NODE_NAMES)?, kind),
                subject: name,
                settings: None,
            });
        }
        return Ok(());
    }
    for field in nodes.entries(NODE_NAMES)? {
        let settings = match field.value.item.value {
            // JSON's null, as an empty table is.
            Value::Null => None,
            _ => Some(field.value.fields(&keys(kind, &[]), NODE)?),
        };
        found.push(Found {
            at: field.at,
            node: NodeSpec::new(field.key, kind),
            subject: field.value,
            settings,
        });
    }
    Ok(())
}

fn read_listed(node: Cursor<'_>) -> Result<Found<'_>, TopologyError> {
    const KIND: &str = "\"host\", \"switch\" or \"router\"";
    const NAME: &str = "the node's name";
    // The kind comes first: it decides which keys there are.
    let kind = node
        .entries(NODES)?
        .into_iter()
        .find(|field| field.key == "kind")
        .ok_or_else(|| node.missing("kind", KIND))?
        .value;
    let kind = match kind.text(KIND)? {
        "host" => NodeKind::Host,
        "switch" => NodeKind::Switch,
        "router" => NodeKind::Router,
        _ => return Err(kind.unexpected(KIND)),
    };
    let settings = node.fields(&keys(kind, &["name", "kind"]), NODES)?;
    let name = settings.get("name").ok_or_else(|| node.missing("name", NAME))?;
    Ok(Found {
        at: node.item.at,
        node: NodeSpec::new(name.text(NAME)?, kind),
        subject: node,
        settings: Some(settings),
    })
}

fn keys(kind: NodeKind, more: &[&'static str]) -> Vec<&'static str> {
    let mut keys = more.to_vec();
    match kind {
        NodeKind::Switch => keys.push("plugins"),
        NodeKind::Host => keys.extend(HOST),
        NodeKind::Router => {
            keys.extend(HOST);
            keys.push("routing");
        }
    }
    keys
}

fn fill(
    node: &mut NodeSpec,
    settings: &Fields<'_>,
    at: usize,
    places: &mut Places,
) -> Result<(), TopologyError> {
    const DNS: &str = "the address of a name server, such as \"10.0.0.53\", or a list of them";
    const RUN: &str = "a shell command, or a list of them";
    const DIRS: &str = "the path of a directory, such as \"/var/lib/dhcp\", or a list of them";
    for key in HOST.into_iter().chain(["routing", "plugins", "name"]) {
        if let Some(value) = settings.get(key) {
            places.note(Subject::NodeKey(at, key), value.place());
        }
    }
    if let Some(value) = settings.get("ip") {
        node.ip = values::addresses(value)?;
    }
    if let Some(value) = settings.get("mac") {
        node.mac = Some(values::mac(value)?);
    }
    if let Some(value) = settings.get("gateway") {
        node.gateway = values::gateway(value)?;
    }
    if let Some(value) = settings.get("routes") {
        node.routes = values::routes(value)?;
    }
    if let Some(value) = settings.get("dns") {
        node.dns = values::ips(value, DNS)?;
    }
    if let Some(value) = settings.get("sysctls") {
        node.sysctls = values::sysctls(value)?;
    }
    if let Some(value) = settings.get("private_dirs") {
        node.private_dirs = values::texts(value, DIRS)?
            .into_iter()
            .map(PathBuf::from)
            .collect();
    }
    if let Some(value) = settings.get("run") {
        node.run = values::texts(value, RUN)?;
    }
    if let Some(value) = settings.get("routing") {
        node.routing = Some(values::routing(value)?);
    }
    if let Some(value) = settings.get("plugins") {
        node.plugins = values::plugins(value)?;
        for (number, place) in values::places(value) {
            places.note(Subject::NodePlugin(at, number), place);
        }
    }
    Ok(())
}
