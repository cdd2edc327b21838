//! A plan as text: each node with its interfaces and what they lead to.

use std::fmt::Write as _;

use crate::graph::{addresses, end_name, remarks, summary};
use crate::resolved::{Resolved, ResolvedInterface, ResolvedNode};

/// Draws a plan as text for a terminal.
///
/// ```text
/// 2 hosts, 1 switch and 2 links
///
/// host h1
///   eth0  10.0.0.1/24 fd00::1/64  -- s1 port1
/// host h2
///   eth0  10.0.0.2/24 fd00::2/64  -- s1 port2
/// switch s1
///   port1  -- h1 eth0
///   port2  -- h2 eth0
/// ```
#[must_use]
pub fn graph_text(plan: &Resolved) -> String {
    let mut text = format!("{}\n", summary(plan));
    if !plan.nodes.is_empty() {
        text.push('\n');
    }
    for node in &plan.nodes {
        let _ = writeln!(text, "{} {}", node.kind, node.name);
        interfaces(plan, node, &mut text);
    }
    text
}

/// Writes a line for each interface, in columns.
fn interfaces(plan: &Resolved, node: &ResolvedNode, text: &mut String) {
    let width = |of: &dyn Fn(&ResolvedInterface) -> usize| node.interfaces.iter().map(of).max().unwrap_or(0);
    let names = width(&|interface| interface.name.len());
    let columns = width(&|interface| addresses(interface).len());
    for interface in &node.interfaces {
        let link = &plan.links[interface.link];
        let peer = end_name(plan, link.end(interface.end.other()));
        let mut line = format!("  {:names$}  ", interface.name);
        if columns > 0 {
            let _ = write!(line, "{:columns$}  ", addresses(interface));
        }
        let _ = write!(line, "-- {peer}");
        let remarks = remarks(link, Some(interface.end));
        if !remarks.is_empty() {
            let _ = write!(line, "  ({})", remarks.join(", "));
        }
        text.push_str(&line);
        text.push('\n');
    }
}
