//! Switches that links join in a circle.

use std::collections::HashMap;

use crate::resolved::Resolved;
use crate::spec::NodeKind;

/// Returns each link that is up and closes a loop between switches with links before it: its position, and those of the
/// links it closes the loop with, in the order of the way from its one end to the other.
#[must_use]
pub fn loops(plan: &Resolved) -> Vec<(usize, Vec<usize>)> {
    let mut beside: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    let mut closing = Vec::new();
    for (at, link) in plan.links.iter().enumerate() {
        let (a, b) = (link.a.node, link.b.node);
        let is_switch = |node: usize| plan.nodes[node].kind == NodeKind::Switch;
        if !link.up || !is_switch(a) || !is_switch(b) {
            continue;
        }
        if let Some(around) = way(&beside, a, b) {
            closing.push((at, around));
        } else {
            beside.entry(a).or_default().push((b, at));
            beside.entry(b).or_default().push((a, at));
        }
    }
    closing
}

/// Finds the links between two nodes of a forest.
fn way(beside: &HashMap<usize, Vec<(usize, usize)>>, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut came: HashMap<usize, (usize, usize)> = HashMap::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        if node == to {
            let mut links = Vec::new();
            let mut at = to;
            while at != from {
                let (before, link) = came[&at];
                links.push(link);
                at = before;
            }
            links.reverse();
            return Some(links);
        }
        for (next, link) in beside.get(&node).into_iter().flatten() {
            if *next != from && !came.contains_key(next) {
                came.insert(*next, (node, *link));
                open.push(*next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::loops;
    use crate::resolve::resolve;
    use crate::spec::Spec;

    fn closing(links: &str) -> Vec<(usize, Vec<usize>)> {
        let text = format!("switches = [\"s1\", \"s2\", \"s3\"]\nrouters = [\"r1\"]\nlinks = [{links}]\n");
        loops(&resolve(&Spec::from_toml(&text, "lab.toml").unwrap(), None).unwrap())
    }

    #[test]
    fn a_circle_of_switches_is_closed_by_its_last_link() {
        let found = closing(r#"["s1", "s2"], ["s2", "s3"], ["s3", "s1"]"#);
        assert_eq!(found, [(2, vec![1, 0])]);
    }

    #[test]
    fn two_links_between_the_same_switches_are_a_loop() {
        assert_eq!(closing(r#"["s1", "s2"], ["s1", "s2"]"#), [(1, vec![0])]);
    }

    #[test]
    fn a_link_that_is_down_and_a_way_through_a_router_close_nothing() {
        let down = r#"["s1", "s2"], ["s2", "s3"], { ends = ["s3", "s1"], up = false }"#;
        assert_eq!(closing(down), []);
        assert_eq!(closing(r#"["s1", "s2"], ["s1", "r1"], ["r1", "s2"]"#), []);
    }
}
