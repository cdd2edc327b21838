//! Broadcast domains.

use crate::resolved::{Resolved, Segment};
use crate::spec::{End, NodeKind};

/// Finds the segments of a plan: everything that frames reach without a router.
pub(crate) fn find(plan: &Resolved) -> Vec<Segment> {
    let mut joined = Joined::new(plan.links.len());
    for node in plan.nodes.iter().filter(|node| node.kind == NodeKind::Switch) {
        for pair in node.interfaces.windows(2) {
            joined.join(pair[0].link, pair[1].link);
        }
    }
    let mut number_of = vec![None; plan.links.len()];
    let mut segments: Vec<Segment> = Vec::new();
    for link in 0..plan.links.len() {
        let root = joined.root(link);
        let number = *number_of[root].get_or_insert_with(|| {
            segments.push(Segment::default());
            segments.len() - 1
        });
        segments[number].links.push(link);
        for end in End::BOTH {
            let slot = plan.links[link].end(end);
            if plan.nodes[slot.node].kind == NodeKind::Switch {
                segments[number].switches.push(slot.node);
            } else {
                segments[number].interfaces.push(slot);
            }
        }
    }
    for segment in &mut segments {
        segment.switches.sort_unstable();
        segment.switches.dedup();
        segment.interfaces.sort_unstable();
    }
    segments
}

/// Links that switches join (union-find; the root of a set is its first link).
struct Joined {
    parent: Vec<usize>,
}

impl Joined {
    fn new(links: usize) -> Self {
        Self {
            parent: (0..links).collect(),
        }
    }

    fn root(&mut self, mut link: usize) -> usize {
        while self.parent[link] != link {
            self.parent[link] = self.parent[self.parent[link]];
            link = self.parent[link];
        }
        link
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.parent[one.max(other)] = one.min(other);
    }
}
