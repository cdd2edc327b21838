//! Names of nodes, links and interfaces.

use std::collections::{HashMap, HashSet};

use crate::spec::{NodeKind, Spec};

/// The most bytes of a host's name (one label of RFC 1123, though dots are taken too).
const NODE_NAME: usize = 63;
/// The most bytes of a link's name: two nodes' and some more.
const LINK_NAME: usize = 160;
/// IFNAMSIZ less the final zero.
const INTERFACE_NAME: usize = 15;

/// What a node's name has to be.
pub(crate) const NODE_NAME_RULE: &str =
    "a name of 1 to 63 letters, digits, dots, underscores and hyphens that begins with a letter or digit";
/// What a link's name has to be.
pub(crate) const LINK_NAME_RULE: &str =
    "a name of 1 to 160 letters, digits, dots, underscores and hyphens that begins with a letter or digit";
/// What an interface's name has to be.
pub(crate) const INTERFACE_NAME_RULE: &str = "a name of 1 to 15 letters, digits, dots, underscores and hyphens, such as \"eth0\", and not lo, all or default";

fn is_plain(name: &str, most: usize) -> bool {
    name.len() <= most
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a node may be called so: not what would be taken for an address or for the node itself.
pub(crate) fn is_node_name(name: &str) -> bool {
    is_plain(name, NODE_NAME)
        && name.parse::<std::net::IpAddr>().is_err()
        && !name.eq_ignore_ascii_case("localhost")
}

pub(crate) fn is_link_name(name: &str) -> bool {
    is_plain(name, LINK_NAME)
}

/// Whether an interface may be called so; `all` and `default` are directories of their own among the sysctls.
pub(crate) fn is_interface_name(name: &str) -> bool {
    is_plain(name, INTERFACE_NAME) && !["lo", "all", "default"].contains(&name)
}

/// Returns the name of an interface or port that has none of its own.
pub(crate) fn interface_name(kind: NodeKind, number: u32) -> String {
    match kind {
        NodeKind::Switch => format!("port{}", number + 1),
        NodeKind::Host | NodeKind::Router => format!("eth{number}"),
    }
}

/// Gives every link a name: its own, else one made of its ends' names that nothing else has.
pub(crate) fn link_names(spec: &Spec) -> Vec<String> {
    let mut taken: HashSet<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    taken.extend(spec.links.iter().filter_map(|link| link.name.as_deref()));
    let mut made: HashSet<String> = HashSet::new();
    let mut tried: HashMap<String, u32> = HashMap::new();
    let name = |a: &str, b: &str| {
        let stem = format!("{a}-{b}");
        let number = tried.entry(stem.clone()).or_insert(0);
        loop {
            *number += 1;
            let name = match *number {
                1 => stem.clone(),
                n => format!("{stem}-{n}"),
            };
            if !taken.contains(name.as_str()) && made.insert(name.clone()) {
                return name;
            }
        }
    };
    let mut name = name;
    spec.links
        .iter()
        .map(|link| {
            link.name
                .clone()
                .unwrap_or_else(|| name(&link.a.node, &link.b.node))
        })
        .collect()
}

impl Spec {
    /// Returns a name for a link between two nodes that no node and no link has.
    ///
    /// A link that is declared while a lab runs takes its name from here at once, so that the name does not depend
    /// on links that come and go later.
    #[must_use]
    pub fn free_link_name(&self, a: &str, b: &str) -> String {
        let links = link_names(self);
        let taken = |name: &String| links.contains(name) || self.nodes.iter().any(|node| node.name == *name);
        let stem = format!("{a}-{b}");
        std::iter::once(stem.clone())
            .chain((2_u32..).map(|number| format!("{stem}-{number}")))
            .find(|name| !taken(name))
            .unwrap_or(stem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LinkSpec, NodeSpec};

    #[test]
    fn parallel_links_and_a_node_of_a_links_name_get_numbers() {
        let node = |name: &str| NodeSpec::new(name, NodeKind::Host);
        let mut named = LinkSpec::new("a", "b");
        named.name = Some("a-b-2".into());
        let mut spec = Spec {
            nodes: vec![node("a"), node("b"), node("b-a")],
            links: vec![
                LinkSpec::new("a", "b"),
                LinkSpec::new("a", "b"),
                named,
                LinkSpec::new("b", "a"),
            ],
            ..Spec::default()
        };
        assert_eq!(link_names(&spec), ["a-b", "a-b-3", "a-b-2", "b-a-2"]);
        assert_eq!(spec.free_link_name("a", "b"), "a-b-4");
        assert_eq!(spec.free_link_name("b", "b-a"), "b-b-a");
        spec.links.clear();
        assert_eq!(spec.free_link_name("a", "b"), "a-b");
    }

    #[test]
    fn knows_what_names_may_be() {
        for name in ["h1", "H-1_x.y", "0", &"n".repeat(63)] {
            assert!(is_node_name(name), "{name}");
        }
        for name in [
            "",
            "-h",
            ".h",
            "h 1",
            "h/1",
            "hé",
            "10.0.0.1",
            "Localhost",
            &"n".repeat(64),
        ] {
            assert!(!is_node_name(name), "{name}");
        }
        assert!(is_interface_name("eth0.5"));
        for name in ["lo", "all", "default", "sixteen-bytes-xx", "eth:0", ".."] {
            assert!(!is_interface_name(name), "{name}");
        }
    }
}
