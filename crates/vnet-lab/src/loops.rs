//! Warnings of loops.

use vnet_topology::Resolved;

/// Warns of each link that closes a loop between switches and did not before.
pub(crate) fn warn(before: &Resolved, after: &Resolved) {
    let known: Vec<String> = names(before).map(|(closing, _)| closing).collect();
    for (closing, around) in names(after).filter(|(closing, _)| !known.contains(closing)) {
        tracing::warn!(
            target: "vnet::lab",
            "link {closing} closes a loop between switches with {around}: they run no spanning tree, so a broadcast \
             circulates there for ever; take one of these links down"
        );
    }
}

/// The name of each link that closes a loop, and of the links it closes it with.
fn names(plan: &Resolved) -> impl Iterator<Item = (String, String)> {
    vnet_topology::loops(plan).into_iter().map(|(closing, around)| {
        let around: Vec<&str> = around.iter().map(|at| plan.links[*at].name.as_str()).collect();
        let links = if around.len() == 1 { "link" } else { "links" };
        (
            plan.links[closing].name.clone(),
            format!("{links} {}", around.join(", ")),
        )
    })
}
