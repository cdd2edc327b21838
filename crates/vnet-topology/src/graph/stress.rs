//! Points in the plane whose distances come as close as possible to wanted ones: stress majorization (Gansner, Koren,
//! North: Graph drawing by stress majorization, 2004).

use std::collections::VecDeque;

/// A point or a vector.
pub(crate) type Point = (f64, f64);

/// A graph whose edges have wanted lengths and whose points have room around them.
pub(crate) struct Graph<'a> {
    /// Neighbours of each point.
    pub neighbours: &'a [Vec<usize>],
    /// Radius of the room of each point; an edge is as long as the radii of its ends together, and a gap.
    pub radius: &'a [f64],
}

/// What is left between the rooms of two neighbours, in pixels.
const GAP: f64 = 30.0;
/// The work that a layout may cost: points times points times rounds.
const WORK: usize = 20_000_000;

impl Graph<'_> {
    /// Lays a connected graph out; the same graph gives the same picture.
    pub fn lay_out(&self) -> Vec<Point> {
        let count = self.radius.len();
        let wanted: Vec<Vec<f64>> = (0..count).map(|from| self.distances(from)).collect();
        let mut points = self.circle();
        let rounds = (WORK / (count * count).max(1)).clamp(10, 300);
        for _ in 0..rounds {
            for at in 0..count {
                points[at] = improved(&points, at, &wanted[at]);
            }
        }
        self.part(&mut points);
        points
    }

    fn length(&self, a: usize, b: usize) -> f64 {
        self.radius[a] + self.radius[b] + GAP
    }

    /// Returns the lengths of the ways to all points that have the fewest edges.
    fn distances(&self, from: usize) -> Vec<f64> {
        let mut distance = vec![f64::INFINITY; self.radius.len()];
        distance[from] = 0.0;
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for next in &self.neighbours[at] {
                if distance[*next].is_infinite() {
                    distance[*next] = distance[at] + self.length(at, *next);
                    queue.push_back(*next);
                }
            }
        }
        distance
    }

    /// Puts the points on a circle in the order of a walk through the graph, so that neighbours begin close together.
    fn circle(&self) -> Vec<Point> {
        let count = self.radius.len();
        let mut order = Vec::with_capacity(count);
        let mut seen = vec![false; count];
        let mut stack: Vec<usize> = (0..count).rev().collect();
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                order.push(at);
                stack.extend(self.neighbours[at].iter().rev().filter(|next| !seen[**next]));
            }
        }
        let around: f64 = self.radius.iter().map(|radius| 2.0 * radius + 2.0 * GAP).sum();
        let mut points = vec![(0.0, 0.0); count];
        for (number, at) in order.into_iter().enumerate() {
            let angle = std::f64::consts::TAU * number as f64 / count as f64;
            let radius = around / std::f64::consts::TAU;
            points[at] = (radius * angle.cos(), radius * angle.sin());
        }
        points
    }

    /// Pushes points out of each other's room, then stretches the picture until none is in another's.
    fn part(&self, points: &mut [Point]) {
        let count = points.len();
        for _ in 0..100 {
            let mut moved = false;
            for a in 0..count {
                for b in a + 1..count {
                    let need = self.radius[a] + self.radius[b];
                    let (x, y, distance) = between(points[a], points[b]);
                    if distance < need {
                        let push = (need - distance) / 2.0 + 0.5;
                        points[a] = (points[a].0 - x * push, points[a].1 - y * push);
                        points[b] = (points[b].0 + x * push, points[b].1 + y * push);
                        moved = true;
                    }
                }
            }
            if !moved {
                return;
            }
        }
        let mut stretch: f64 = 1.0;
        for a in 0..count {
            for b in a + 1..count {
                let (_, _, distance) = between(points[a], points[b]);
                stretch = stretch.max((self.radius[a] + self.radius[b]) / distance.max(1.0));
            }
        }
        for point in points {
            *point = (point.0 * stretch, point.1 * stretch);
        }
    }
}

/// Returns the direction from one point to another and the distance; points in one place have some direction too.
fn between(a: Point, b: Point) -> (f64, f64, f64) {
    let (x, y) = (b.0 - a.0, b.1 - a.1);
    let distance = x.hypot(y);
    if distance < 1e-9 {
        (1.0, 0.0, 0.0)
    } else {
        (x / distance, y / distance, distance)
    }
}

/// Returns where a point is best, with all others where they are.
fn improved(points: &[Point], at: usize, wanted: &[f64]) -> Point {
    let (mut x, mut y, mut weights) = (0.0, 0.0, 0.0);
    for (other, wanted) in wanted.iter().enumerate() {
        if other == at || !wanted.is_finite() {
            continue;
        }
        let (dx, dy, _) = between(points[other], points[at]);
        let weight = 1.0 / (wanted * wanted);
        x += weight * (points[other].0 + wanted * dx);
        y += weight * (points[other].1 + wanted * dy);
        weights += weight;
    }
    if weights > 0.0 {
        (x / weights, y / weights)
    } else {
        points[at]
    }
}
