//! Where each part of a spec was declared.

use std::collections::HashMap;

use crate::error::Place;
use crate::spec::{End, LinkSpec, Spec};

/// A part of a spec; nodes and links by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A key of the lab itself.
    Lab(&'static str),
    Node(usize),
    NodeKey(usize, &'static str),
    Link(usize),
    LinkKey(usize, &'static str),
    NodePlugin(usize, usize),
    LinkPlugin(usize, usize),
    LinkEvent(usize, usize),
    EndOf(usize, End),
    EndKey(usize, End, &'static str),
}

impl Subject {
    /// The larger part that it belongs to.
    fn parent(self) -> Option<Self> {
        match self {
            Self::Lab(_) | Self::Node(_) | Self::Link(_) => None,
            Self::NodeKey(node, _) => Some(Self::Node(node)),
            Self::NodePlugin(node, _) => Some(Self::NodeKey(node, "plugins")),
            Self::LinkPlugin(link, _) => Some(Self::LinkKey(link, "plugins")),
            Self::LinkEvent(link, _) => Some(Self::LinkKey(link, "schedule")),
            Self::LinkKey(link, _) | Self::EndOf(link, _) => Some(Self::Link(link)),
            Self::EndKey(link, end, _) => Some(Self::EndOf(link, end)),
        }
    }

    /// Says it in words.
    fn describe(self, spec: &Spec) -> String {
        let link = |at: usize| spec.links.get(at).map_or_else(String::new, describe_link);
        let node_at = |at: usize, end: End| {
            spec.links
                .get(at)
                .map_or_else(String::new, |link| link.end(end).node.clone())
        };
        match self {
            Self::Lab(key) => key.to_owned(),
            Self::Node(at) => spec
                .nodes
                .get(at)
                .map_or_else(String::new, |node| format!("{} {}", node.kind, node.name)),
            Self::NodePlugin(at, number) => format!("plugins[{number}] of {}", Self::Node(at).describe(spec)),
            Self::LinkPlugin(at, number) => format!("plugins[{number}] of {}", link(at)),
            Self::LinkEvent(at, number) => format!("schedule[{number}] of {}", link(at)),
            Self::NodeKey(at, key) => format!("{key} of {}", Self::Node(at).describe(spec)),
            Self::Link(at) => link(at),
            Self::LinkKey(at, key) => format!("{key} of {}", link(at)),
            Self::EndOf(at, end) => format!("{} at {}", link(at), node_at(at, end)),
            Self::EndKey(at, end, key) => format!("{key} of {} at {}", link(at), node_at(at, end)),
        }
    }
}

fn describe_link(link: &LinkSpec) -> String {
    match &link.name {
        Some(name) => format!("link {name}"),
        None => format!("link {}-{}", link.a.node, link.b.node),
    }
}

/// The places of the parts of one spec; without any, parts are named in words.
#[derive(Debug, Default)]
pub(crate) struct Places {
    known: HashMap<Subject, Place>,
}

impl Places {
    pub fn note(&mut self, subject: Subject, place: Place) {
        self.known.insert(subject, place);
    }

    /// Returns where a part was declared, or the smallest part around it whose place is known.
    pub fn of(&self, spec: &Spec, subject: Subject) -> Place {
        let mut around = Some(subject);
        while let Some(part) = around {
            if let Some(place) = self.known.get(&part) {
                return place.clone();
            }
            around = part.parent();
        }
        Place::named(subject.describe(spec))
    }
}

/// Where a lab file declares what only its reader can check.
#[derive(Debug)]
pub struct Declared(pub(crate) Places);

impl Declared {
    /// Returns where a plugin of a node stands; both by position in the spec that was read.
    #[must_use]
    pub fn node_plugin(&self, spec: &Spec, node: usize, number: usize) -> Place {
        self.0.of(spec, Subject::NodePlugin(node, number))
    }

    /// Returns where a plugin of a link stands; both by position in the spec that was read.
    #[must_use]
    pub fn link_plugin(&self, spec: &Spec, link: usize, number: usize) -> Place {
        self.0.of(spec, Subject::LinkPlugin(link, number))
    }
}
