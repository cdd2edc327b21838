//! What stands in a picture, and how much room it takes.

use crate::graph::geometry::Point;
use crate::graph::layout::Sizes;
use crate::graph::notes::GraphNotes;
use crate::graph::{addresses, remarks};
use crate::resolved::{Resolved, ResolvedNode};
use crate::spec::NodeKind;

/// Type size of nodes and of labels, what a character of a monospaced face of it takes, and the height of a line, in pixels.
pub(crate) const TYPE: f64 = 12.0;
pub(crate) const LINE: f64 = 15.0;
const CHARACTER: f64 = 7.4;
pub(crate) const SMALL: f64 = 10.0;
pub(crate) const SMALL_LINE: f64 = 12.5;
pub(crate) const SMALL_CHARACTER: f64 = 6.2;
/// Room within a box, the least width of one, and the most that makes others as wide.
const PADDING: f64 = 9.0;
const LEAST: f64 = 64.0;
const USUAL: f64 = 180.0;
/// Characters of a name or note that are shown; the rest is in the tooltip.
const SHOWN: usize = 20;
const SHOWN_NOTE: usize = 34;
/// Lines of a label, and of a router's addresses, that are shown.
const LINES: usize = 6;
const ADDRESSES: usize = 3;

/// The texts of a picture.
pub(crate) struct Words {
    /// Each node's lines, its name first.
    pub nodes: Vec<Vec<String>>,
    /// Each link's label; empty where there is nothing to say.
    pub links: Vec<Vec<String>>,
    /// The line below the cells of each node's card.
    pub footers: Vec<String>,
}

impl Words {
    pub fn new(plan: &Resolved, notes: &GraphNotes) -> Self {
        let nodes = plan.nodes.iter().map(|node| {
            let mut lines = vec![cut(&node.name, SHOWN)];
            lines.extend(about(node));
            let own = notes
                .nodes
                .get(&node.name)
                .into_iter()
                .flat_map(|note| &note.lines);
            lines.extend(own.map(|line| cut(line, SHOWN_NOTE)));
            lines
        });
        let links = plan.links.iter().map(|link| {
            let own = notes
                .links
                .get(&link.name)
                .into_iter()
                .flat_map(|note| note.lines.clone());
            let mut lines: Vec<String> = remarks(link, None)
                .into_iter()
                .chain(own)
                .map(|line| cut(&line, SHOWN_NOTE))
                .collect();
            if lines.len() > LINES {
                let more = lines.len() - (LINES - 1);
                lines.truncate(LINES - 1);
                lines.push(format!("and {more} more"));
            }
            lines
        });
        Self {
            nodes: nodes.collect(),
            links: links.collect(),
            footers: (0..plan.nodes.len()).map(|node| footer(plan, node)).collect(),
        }
    }

    /// Returns how much room they take.
    pub fn sizes(&self, plan: &Resolved) -> Sizes {
        let width = |lines: &[String]| (longest(lines) * CHARACTER + 2.0 * PADDING).max(LEAST);
        // Nodes of a kind are equally wide, but for those with much to say.
        let usual = |kind: NodeKind| {
            let alike = plan
                .nodes
                .iter()
                .zip(&self.nodes)
                .filter(|(node, _)| node.kind == kind);
            let widths = alike
                .map(|(_, lines)| width(lines))
                .filter(|width| *width <= USUAL);
            widths.fold(0.0, f64::max)
        };
        let kinds = [NodeKind::Host, NodeKind::Switch, NodeKind::Router].map(|kind| (kind, usual(kind)));
        let boxes = plan.nodes.iter().zip(&self.nodes).map(|(node, lines)| {
            let usual = kinds
                .iter()
                .find(|(kind, _)| *kind == node.kind)
                .map_or(0.0, |(_, width)| *width);
            (width(lines).max(usual), lines.len() as f64 * LINE + PADDING)
        });
        let labelled = |node: &ResolvedNode| {
            let mut links = node
                .interfaces
                .iter()
                .map(|interface| &self.links[interface.link]);
            links.any(|lines| !lines.is_empty())
        };
        let cells = plan.nodes.iter().zip(&self.nodes).map(|(node, lines)| {
            // Room for the number of a label.
            let number = if labelled(node) { 3 } else { 0 };
            let characters = lines[0].chars().count() + number;
            (characters as f64 * SMALL_CHARACTER + 10.0, SMALL_LINE + 6.0)
        });
        Sizes {
            boxes: boxes.collect(),
            cells: cells.collect(),
            footers: self
                .footers
                .iter()
                .map(|line| line.chars().count() as f64 * SMALL_CHARACTER)
                .collect(),
            labels: self.links.iter().map(|lines| label_size(lines)).collect(),
        }
    }
}

fn label_size(lines: &[String]) -> Option<Point> {
    (!lines.is_empty()).then(|| {
        (
            longest(lines) * SMALL_CHARACTER + 10.0,
            lines.len() as f64 * SMALL_LINE + 5.0,
        )
    })
}

/// Returns what stands below a node's name: addresses, or what it is.
fn about(node: &ResolvedNode) -> Vec<String> {
    let found = node.interfaces.iter().flat_map(|interface| &interface.addresses);
    match node.kind {
        NodeKind::Host => found.take(1).map(ToString::to_string).collect(),
        NodeKind::Switch => vec!["switch".into()],
        NodeKind::Router => {
            // The first of each interface: what its neighbours reach it by.
            let mut lines: Vec<String> = node
                .interfaces
                .iter()
                .filter_map(|interface| interface.addresses.first())
                .map(ToString::to_string)
                .collect();
            if lines.is_empty() {
                lines.push("router".into());
            }
            if lines.len() > ADDRESSES {
                let more = lines.len() - (ADDRESSES - 1);
                lines.truncate(ADDRESSES - 1);
                lines.push(format!("and {more} more"));
            }
            lines
        }
    }
}

/// Says how many hosts hang on a node, and their first and last address.
fn footer(plan: &Resolved, node: usize) -> String {
    let hosts: Vec<&ResolvedNode> = plan.nodes[node]
        .interfaces
        .iter()
        .map(|interface| {
            let link = &plan.links[interface.link];
            let peer = if link.a.node == node {
                link.b.node
            } else {
                link.a.node
            };
            &plan.nodes[peer]
        })
        .filter(|peer| peer.kind == NodeKind::Host && peer.interfaces.len() == 1)
        .collect();
    let address = |host: &&ResolvedNode| {
        let first = host.interfaces[0].addresses.first();
        first.map(|cidr| cidr.to_string().split('/').next().unwrap_or_default().to_owned())
    };
    let count = hosts.len();
    match (hosts.first().and_then(address), hosts.last().and_then(address)) {
        (Some(first), Some(last)) if count > 1 => format!("{count} hosts {first} – {last}"),
        _ => format!("{count} hosts"),
    }
}

/// Returns the lines of a node's tooltip.
pub(crate) fn tooltip(node: &ResolvedNode, notes: &GraphNotes) -> String {
    let mut lines = vec![format!("{} {}", node.kind, node.name)];
    let interfaces = node.interfaces.iter();
    lines.extend(interfaces.map(|interface| format!("{} {}", interface.name, addresses(interface))));
    if let Some(note) = notes.nodes.get(&node.name) {
        lines.extend(note.lines.iter().chain(&note.details).cloned());
    }
    lines.join("\n").trim_end().to_owned()
}

fn longest(lines: &[String]) -> f64 {
    lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as f64
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
