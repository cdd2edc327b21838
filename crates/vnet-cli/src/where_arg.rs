//! `--plugin WHERE=FILE[:key=val,...]`: a plugin and its place in a network.

use vnet::{Attachment, Direction, Link, Network, Node, NodeKind, Plugin};

use crate::failure::Failure;
use crate::plugin_arg;

/// A plugin with the place it is for.
#[derive(Clone, Debug)]
pub(crate) struct PlacedPlugin {
    /// A link, a switch, a host or router with one interface, or `node:interface`.
    pub place: String,
    pub plugin: Plugin,
}

/// Reads one `--plugin` argument of a command that has a network.
///
/// # Errors
/// A sentence that says what is missing.
pub(crate) fn parse(text: &str) -> Result<PlacedPlugin, String> {
    let example = "for example h1-s1=drop_bcast or s1=./my.wasm:ttl=3";
    let Some((place, plugin)) = text.split_once('=').filter(|(place, _)| !place.is_empty()) else {
        return Err(format!(
            "it names no link or node: write WHERE=FILE[:key=val,...], {example}"
        ));
    };
    Ok(PlacedPlugin {
        place: place.to_owned(),
        plugin: plugin_arg::parse(plugin)?,
    })
}

/// A part of a network that takes plugins.
pub(crate) enum Place {
    Link(Link),
    /// A node, and which of its interfaces where one was named.
    Node(Node, Option<String>),
}

impl Place {
    /// Finds the part of a network that a text names, without starting it.
    pub fn find(network: &Network, text: &str) -> Result<Self, Failure> {
        let (name, interface) = match text.split_once(':') {
            Some((name, interface)) => (name, Some(interface)),
            None => (text, None),
        };
        if let Some(link) = network
            .links()?
            .into_iter()
            .find(|link| link.name() == name && interface.is_none())
        {
            return Ok(Self::Link(link));
        }
        if let Some(node) = network.nodes()?.into_iter().find(|node| node.name() == name) {
            return Ok(Self::Node(node, interface.map(str::to_owned)));
        }
        Err(unknown(network, text)?)
    }

    /// Puts a plugin there; it judges both directions of a link, and what enters a switch or leaves a node.
    pub fn attach(&self, plugin: &Plugin) -> Result<Attachment, Failure> {
        Ok(match self {
            Self::Link(link) => link.attach(plugin, Direction::Both, None)?,
            Self::Node(node, interface) => {
                node.attach(interface.as_deref(), plugin, Direction::Ingress, None)?
            }
        })
    }
}

fn unknown(network: &Network, text: &str) -> Result<Failure, Failure> {
    const SHOWN: usize = 20;
    let links: Vec<String> = network.links()?.iter().map(|link| link.name().into()).collect();
    let nodes: Vec<String> = network.nodes()?.iter().map(|node| node.name().into()).collect();
    let list = |names: &[String]| match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
        _ => names.join(", "),
    };
    Ok(Failure::not_found(
        format!("the network has no link and no node {text:?} for a plugin"),
        format!("links: {}; nodes: {}", list(&links), list(&nodes)),
    ))
}

/// Whether programs can run in a node.
pub(crate) fn runs_programs(node: &Node) -> bool {
    node.kind() != NodeKind::Switch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_place_from_the_plugin_and_its_options() {
        let read = parse("h1-s1=./p.wasm:ttl=3,mode=x").expect("it is right");
        assert_eq!(read.place, "h1-s1");
        assert_eq!(read.plugin.source, "./p.wasm");
        assert_eq!(parse("r1:eth1=count").expect("it is right").place, "r1:eth1");
    }

    #[test]
    fn refuses_what_names_no_place_or_no_file() {
        for text in ["drop_bcast", "=drop_bcast"] {
            assert!(
                parse(text).expect_err("refused").contains("names no link"),
                "{text}"
            );
        }
        assert!(parse("s1=").expect_err("refused").contains("names no file"));
    }
}
