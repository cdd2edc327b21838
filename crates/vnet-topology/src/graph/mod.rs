//! Pictures of a plan: text for a terminal, DOT for Graphviz, SVG for a page.

mod block;
mod dot;
mod geometry;
mod labels;
mod layered;
mod layout;
mod notes;
mod parts;
mod stress;
mod svg;
mod text;
mod words;

pub use dot::graph_dot;
pub use notes::{GraphNote, GraphNotes, GraphState};
pub use svg::graph_svg;
pub use text::graph_text;

use vnet_impair::Impairment;

use crate::resolved::{Resolved, ResolvedInterface, ResolvedLink, Slot};
use crate::spec::{End, NodeKind};

/// Says how many of what there are: `2 hosts, 1 switch and 2 links`.
pub(crate) fn summary(plan: &Resolved) -> String {
    let count = |kind| plan.nodes.iter().filter(|node| node.kind == kind).count();
    let parts: Vec<String> = [
        (count(NodeKind::Host), "host", "hosts"),
        (count(NodeKind::Switch), "switch", "switches"),
        (count(NodeKind::Router), "router", "routers"),
        (plan.links.len(), "link", "links"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
    .collect();
    match parts.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Lists the addresses of an interface with spaces between them.
pub(crate) fn addresses(interface: &ResolvedInterface) -> String {
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    addresses.join(" ")
}

/// Names one end of a link: `h1 eth0`.
pub(crate) fn end_name(plan: &Resolved, slot: Slot) -> String {
    format!("{} {}", plan.nodes[slot.node].name, plan.interface(slot).name)
}

/// Says what is not usual about a link: that it is down, its MTU, what befalls its frames. Where the directions differ, as
/// seen from one of its ends; from outside as arrows from a to b and from b to a.
pub(crate) fn remarks(link: &ResolvedLink, seen_from: Option<End>) -> Vec<String> {
    let down = (!link.up).then(|| "down".to_owned());
    let mut remarks: Vec<String> = down
        .into_iter()
        .chain(link.mtu.map(|mtu| format!("mtu {mtu}")))
        .collect();
    let [there, back] = link.impair.each_ref().map(Impairment::entries);
    for key in Impairment::KEYS {
        let of = |entries: &[(&'static str, String)]| {
            let found = entries.iter().find(|(known, _)| known == key);
            found.map_or("none", |(_, text)| text).to_owned()
        };
        match (of(&there), of(&back)) {
            (there, back) if there == back && there == "none" => {}
            (there, back) if there == back => remarks.push(format!("{key} {there}")),
            (there, back) => remarks.push(match seen_from {
                None => format!("{key} {there}\u{2192} {back}\u{2190}"),
                Some(End::A) => format!("{key} {there} out {back} in"),
                Some(End::B) => format!("{key} {back} out {there} in"),
            }),
        }
    }
    remarks
}
