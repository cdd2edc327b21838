//! A plan in Graphviz' language.

use std::fmt::Write as _;

use crate::graph::{addresses, remarks};
use crate::resolved::{Resolved, ResolvedNode};
use crate::spec::{End, NodeKind};

/// Writes a plan in DOT, for `dot -Tsvg` and the like.
#[must_use]
pub fn graph_dot(plan: &Resolved) -> String {
    let mut text = String::from(
        "graph lab {\n  node [fontname=\"monospace\"];\n  edge [fontname=\"monospace\", fontsize=9];\n",
    );
    for node in &plan.nodes {
        let shape = match node.kind {
            NodeKind::Host => "box",
            NodeKind::Switch => "box3d",
            NodeKind::Router => "ellipse",
        };
        let _ = writeln!(
            text,
            "  {} [shape={shape}, label={}];",
            quote(&node.name),
            quote(&label(node))
        );
    }
    for link in &plan.links {
        let [a, b] = End::BOTH.map(|end| link.end(end));
        let style = if link.up { "" } else { ", style=dashed" };
        let _ = writeln!(
            text,
            "  {} -- {} [taillabel={}, headlabel={}, label={}{style}];",
            quote(&plan.nodes[a.node].name),
            quote(&plan.nodes[b.node].name),
            quote(&plan.interface(a).name),
            quote(&plan.interface(b).name),
            quote(&remarks(link, None).join(", ")),
        );
    }
    text.push_str("}\n");
    text
}

/// Returns a node's name and under it the addresses of each interface.
fn label(node: &ResolvedNode) -> String {
    let lines = node
        .interfaces
        .iter()
        .map(addresses)
        .filter(|line| !line.is_empty());
    std::iter::once(node.name.clone())
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Writes a quoted identifier; DOT's only escapes in one are those of the quotation mark, backslash and line end.
fn quote(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
