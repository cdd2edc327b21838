//! What hangs together in a plan.

use std::collections::HashSet;

use crate::resolved::Resolved;

/// Lists each node's neighbours once, whatever the number of links.
pub(crate) fn neighbours(plan: &Resolved) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); plan.nodes.len()];
    let mut seen = HashSet::new();
    for link in &plan.links {
        let (a, b) = (link.a.node, link.b.node);
        if seen.insert((a.min(b), a.max(b))) {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
    }
    neighbours
}

/// Finds what hangs together.
pub(crate) fn components(neighbours: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut seen = vec![false; neighbours.len()];
    let mut components = Vec::new();
    for first in 0..neighbours.len() {
        let mut nodes = Vec::new();
        let mut stack = vec![first];
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                nodes.push(at);
                stack.extend(neighbours[at].iter().filter(|next| !seen[**next]));
            }
        }
        if !nodes.is_empty() {
            nodes.sort_unstable();
            components.push(nodes);
        }
    }
    components
}
