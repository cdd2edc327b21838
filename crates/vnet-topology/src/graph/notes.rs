//! What a picture says of a lab that runs, besides its plan.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What is to stand at nodes and links besides what the plan says of them, by their names; names that the plan does not
/// have are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphNotes {
    /// Notes at nodes.
    pub nodes: BTreeMap<String, GraphNote>,
    /// Notes at links.
    pub links: BTreeMap<String, GraphNote>,
}

/// What is to stand at one node or link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphNote {
    /// How it is drawn.
    pub state: GraphState,
    /// Lines that everybody sees: plugins, drops.
    pub lines: Vec<String>,
    /// Lines of its tooltip.
    pub details: Vec<String>,
}

/// How a node or link is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphState {
    /// As the plan has it.
    #[default]
    Plain,
    /// The engine moves its frames.
    Engine,
    /// It carries nothing.
    Down,
    /// It loses frames.
    Drops,
}
