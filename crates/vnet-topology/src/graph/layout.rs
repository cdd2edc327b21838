//! Where each node stands in a picture.
//!
//! Distances are in boxes: every node is a square of side 1, and two nodes √2 apart do not overlap, whatever the
//! direction. What a box measures in the end stretches both axes.

use std::collections::HashSet;
use std::f64::consts::{PI, SQRT_2, TAU};

use crate::graph::stress::{Graph, Point};
use crate::resolved::Resolved;

/// Room around a node, in boxes.
const ALONE: f64 = SQRT_2 / 2.0;

/// Returns the middle of each node, in boxes, from (0.5, 0.5) up.
pub(crate) fn lay_out(plan: &Resolved) -> Vec<Point> {
    let neighbours = neighbours(plan);
    let mut points = vec![(0.0, 0.0); plan.nodes.len()];
    let mut shelves = Shelves::default();
    let parts: Vec<(Vec<usize>, Vec<Point>)> = components(&neighbours)
        .into_iter()
        .map(|nodes| {
            let placed = component(&nodes, &neighbours);
            (nodes, placed)
        })
        .collect();
    let area: f64 = parts
        .iter()
        .map(|(_, placed)| {
            let size = size(placed);
            size.0 * size.1
        })
        .sum();
    shelves.width = (area * 1.2).sqrt();
    for (nodes, placed) in parts {
        let (x, y) = shelves.place(size(&placed));
        let (left, top) = corner(&placed);
        for (node, point) in nodes.into_iter().zip(placed) {
            points[node] = (point.0 - left + x + 0.5, point.1 - top + y + 0.5);
        }
    }
    points
}

/// Lists each node's neighbours once, whatever the number of links.
fn neighbours(plan: &Resolved) -> Vec<Vec<usize>> {
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
fn components(neighbours: &[Vec<usize>]) -> Vec<Vec<usize>> {
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

/// Lays out nodes that hang together: those with one neighbour stand around it, the others by stress.
fn component(nodes: &[usize], neighbours: &[Vec<usize>]) -> Vec<Point> {
    let is_leaf = |node: usize| neighbours[node].len() == 1 && neighbours[neighbours[node][0]].len() > 1;
    let core: Vec<usize> = nodes.iter().copied().filter(|node| !is_leaf(*node)).collect();
    let at_core = |node: usize| core.binary_search(&node).ok();
    let leaves: Vec<Vec<usize>> = core
        .iter()
        .map(|node| {
            let around = neighbours[*node].iter().copied();
            around.filter(|next| is_leaf(*next)).collect()
        })
        .collect();
    let joined: Vec<Vec<usize>> = core
        .iter()
        .map(|node| {
            neighbours[*node]
                .iter()
                .filter_map(|next| at_core(*next))
                .collect()
        })
        .collect();
    let radius: Vec<f64> = leaves
        .iter()
        .zip(&joined)
        .map(|(leaves, joined)| {
            rings(leaves.len(), joined.len())
                .last()
                .map_or(ALONE, |ring| ring.radius + ALONE)
        })
        .collect();
    let middles = Graph {
        neighbours: &joined,
        radius: &radius,
    }
    .lay_out();
    let mut points = vec![(0.0, 0.0); nodes.len()];
    let mut set = |node: usize, point: Point| {
        if let Ok(at) = nodes.binary_search(&node) {
            points[at] = point;
        }
    };
    for (number, node) in core.iter().enumerate() {
        let middle = middles[number];
        set(*node, middle);
        let ways: Vec<f64> = joined[number]
            .iter()
            .map(|next| (middles[*next].1 - middle.1).atan2(middles[*next].0 - middle.0))
            .collect();
        for (leaf, (x, y)) in leaves[number].iter().zip(around(leaves[number].len(), &ways)) {
            set(*leaf, (middle.0 + x, middle.1 + y));
        }
    }
    points
}

/// A circle of places around a node.
struct Ring {
    radius: f64,
    places: usize,
    /// Places that stay empty, for the ways out: one each, of few places at most half.
    blocked: usize,
}

/// The most that stand around a node in one circle, so that no line runs behind a box.
const ONE_RING: usize = 16;

/// Returns circles that have places for so many leaves, and on each of them for the ways that lead out.
fn rings(leaves: usize, ways: usize) -> Vec<Ring> {
    let all = leaves + ways;
    if leaves == 0 {
        return Vec::new();
    }
    if all <= ONE_RING {
        // The chord between two places is at least √2.
        let radius = if all < 2 {
            SQRT_2
        } else {
            SQRT_2 / 2.0 / (PI / all as f64).sin()
        };
        return vec![Ring {
            radius: radius.max(SQRT_2),
            places: all,
            blocked: ways,
        }];
    }
    let mut rings: Vec<Ring> = Vec::new();
    let mut room = 0;
    while room < leaves {
        let radius = (rings.len() as f64 + 1.0) * SQRT_2;
        let places = (PI / (SQRT_2 / (2.0 * radius)).asin() + 1e-9).floor() as usize;
        let blocked = ways.min(places / 2);
        room += places - blocked;
        rings.push(Ring {
            radius,
            places,
            blocked,
        });
    }
    rings
}

/// Returns places around the origin for so many leaves that keep out of the way of `ways`, which are directions.
fn around(leaves: usize, ways: &[f64]) -> Vec<Point> {
    let mut found = Vec::with_capacity(leaves);
    for ring in rings(leaves, ways.len()) {
        let left = leaves - found.len();
        let usable = ring.places - ring.blocked;
        // A ring that is not full spreads what it has.
        let places = if left < usable && ways.is_empty() {
            left
        } else {
            ring.places
        };
        let start = ways.first().map_or(-PI / 2.0, |way| way + PI / places as f64);
        let mut angles: Vec<f64> = (0..places)
            .map(|place| start + TAU * place as f64 / places as f64)
            .collect();
        // Those farthest from all ways first; equally far ones in turn.
        let distance = |angle: f64| {
            let to = |way: &f64| {
                let turn = (angle - way).rem_euclid(TAU);
                turn.min(TAU - turn)
            };
            ways.iter().map(to).fold(PI, f64::min)
        };
        angles.sort_by(|a, b| distance(*b).total_cmp(&distance(*a)));
        angles.truncate(left.min(usable));
        angles.sort_by(f64::total_cmp);
        found.extend(
            angles
                .into_iter()
                .map(|angle| (ring.radius * angle.cos(), ring.radius * angle.sin())),
        );
    }
    found
}

/// Returns the smallest coordinates.
fn corner(points: &[Point]) -> Point {
    points
        .iter()
        .fold((f64::INFINITY, f64::INFINITY), |least, point| {
            (least.0.min(point.0), least.1.min(point.1))
        })
}

/// Returns how wide and high a part is with its boxes.
fn size(points: &[Point]) -> Point {
    let (left, top) = corner(points);
    points.iter().fold((1.0, 1.0), |size: Point, point| {
        (size.0.max(point.0 - left + 1.0), size.1.max(point.1 - top + 1.0))
    })
}

/// Parts side by side, in rows.
#[derive(Default)]
struct Shelves {
    width: f64,
    x: f64,
    y: f64,
    height: f64,
}

impl Shelves {
    /// Returns the corner of a part of this size.
    fn place(&mut self, (width, height): Point) -> Point {
        if self.x > 0.0 && self.x + width > self.width {
            self.y += self.height + 0.3;
            self.x = 0.0;
            self.height = 0.0;
        }
        let corner = (self.x, self.y);
        self.x += width + 0.3;
        self.height = self.height.max(height);
        corner
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{Spec, resolve};

    fn points(lab: &str) -> Vec<Point> {
        lay_out(&resolve(&Spec::from_toml(lab, "lab.toml").unwrap(), None).unwrap())
    }

    fn assert_apart(points: &[Point]) {
        for (a, first) in points.iter().enumerate() {
            assert!(first.0 >= 0.5 && first.1 >= 0.5, "{a} is outside: {first:?}");
            for (b, second) in points.iter().enumerate().skip(a + 1) {
                let (x, y) = ((first.0 - second.0).abs(), (first.1 - second.1).abs());
                assert!(
                    x >= 0.999 || y >= 0.999,
                    "{a} and {b} overlap: {first:?} {second:?}"
                );
            }
        }
    }

    fn star(hosts: usize, switches: usize) -> String {
        let mut lab = String::new();
        for switch in 0..switches {
            writeln!(lab, "[switches.s{switch}]").unwrap();
            for host in 0..hosts {
                write!(
                    lab,
                    "[hosts.h{switch}-{host}]\n[[links]]\nends = [\"h{switch}-{host}\", \"s{switch}\"]\n"
                )
                .unwrap();
            }
            if switch > 0 {
                write!(lab, "[[links]]\nends = [\"s{switch}\", \"s{}\"]\n", switch - 1).unwrap();
            }
        }
        lab
    }

    #[test]
    fn no_two_nodes_overlap() {
        for (hosts, switches) in [
            (0, 2),
            (1, 1),
            (2, 1),
            (7, 1),
            (50, 1),
            (199, 1),
            (9, 20),
            (3, 50),
            (0, 200),
        ] {
            assert_apart(&points(&star(hosts, switches)));
        }
        let apart: Vec<String> = (0..40).map(|number| format!("\"h{number}\"")).collect();
        assert_apart(&points(&format!("hosts = [{}]\n", apart.join(", "))));
        // Everybody with everybody.
        let mut full = String::from("ipv6 = false\n");
        for a in 0..15 {
            writeln!(full, "[hosts.h{a}]").unwrap();
            for b in 0..a {
                write!(full, "[[links]]\nends = [\"h{a}\", \"h{b}\"]\n").unwrap();
            }
        }
        assert_apart(&points(&full));
    }

    #[test]
    fn a_ring_of_three_is_a_triangle() {
        let points = points(
            "routers = [\"a\", \"b\", \"c\"]\nlinks = [[\"a\", \"b\"], [\"b\", \"c\"], [\"c\", \"a\"]]\n",
        );
        let distance = |a: usize, b: usize| (points[a].0 - points[b].0).hypot(points[a].1 - points[b].1);
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            let wanted = 2.0 * ALONE + crate::graph::stress::GAP;
            assert!((distance(a, b) - wanted).abs() < 0.05, "{points:?}");
        }
    }
}
