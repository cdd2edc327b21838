//! Graphs that have floors: what hosts hang on below, what joins it above (Sugiyama, Tagawa, Toda: Methods for visual
//! understanding of hierarchical system structures, 1981).

use crate::graph::geometry::Point;

/// Sweeps that bring neighbours below each other.
const SWEEPS: usize = 12;

/// Nodes by floor, the lowest first, each in its order from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Floors(pub Vec<Vec<usize>>);

impl Floors {
    /// Puts nodes on floors and orders each so that few lines cross: a tree under its middle, other graphs by their distance
    /// from the nodes that stand on the ground.
    ///
    /// `None` where that makes no good picture: too many lines run along a floor.
    pub fn new(neighbours: &[Vec<usize>], ground: &[usize]) -> Option<Self> {
        let floor = if is_tree(neighbours) {
            let depth = distances(neighbours, &[centre(neighbours)]);
            let deepest = depth.iter().copied().max()?;
            depth.into_iter().map(|depth| deepest - depth).collect()
        } else if ground.is_empty() {
            return None;
        } else {
            distances(neighbours, ground)
        };
        let top = floor.iter().copied().max()?;
        let mut floors = vec![Vec::new(); top + 1];
        for node in walk(neighbours, &floor) {
            floors[floor[node]].push(node);
        }
        let mut floors = Self(floors);
        let mut best = (floors.crossings(neighbours), floors.clone());
        for sweep in 0..SWEEPS {
            floors.sweep(neighbours, &floor, sweep % 2 == 0);
            let crossings = floors.crossings(neighbours);
            if crossings < best.0 {
                best = (crossings, floors.clone());
            }
        }
        let floors = best.1;
        // Along the top a line can bend over others; further down it would run through boxes.
        let strays = floors.strays(neighbours, &floor);
        (strays.iter().all(|at| *at == top) && strays.len() <= 3).then_some(floors)
    }

    /// Sorts each floor by the mean place of the neighbours on the floor before it.
    fn sweep(&mut self, neighbours: &[Vec<usize>], floor: &[usize], upwards: bool) {
        let count = self.0.len();
        let order: Vec<usize> = if upwards {
            (1..count).collect()
        } else {
            (0..count.saturating_sub(1)).rev().collect()
        };
        for at in order {
            let other = if upwards { at - 1 } else { at + 1 };
            let place = self.places(floor.len());
            let mut nodes: Vec<(f64, usize)> = self.0[at]
                .iter()
                .map(|node| {
                    let beside: Vec<f64> = neighbours[*node]
                        .iter()
                        .filter(|next| floor[**next] == other)
                        .map(|next| place[*next] / self.0[other].len() as f64)
                        .collect();
                    let own = place[*node] / self.0[at].len() as f64;
                    let mean = beside.iter().sum::<f64>() / beside.len().max(1) as f64;
                    (if beside.is_empty() { own } else { mean }, *node)
                })
                .collect();
            nodes.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.0[at] = nodes.into_iter().map(|(_, node)| node).collect();
        }
    }

    /// Returns each node's place on its floor, from 0.5 up.
    fn places(&self, count: usize) -> Vec<f64> {
        let mut place = vec![0.0; count];
        for nodes in &self.0 {
            for (number, node) in nodes.iter().enumerate() {
                place[*node] = number as f64 + 0.5;
            }
        }
        place
    }

    /// Counts the pairs of lines between two floors that cross; lower down, where there are more nodes, they weigh more.
    fn crossings(&self, neighbours: &[Vec<usize>]) -> usize {
        let place = self.places(neighbours.len());
        let mut count = 0;
        for (at, pair) in self.0.windows(2).enumerate() {
            let weight = 1 << (2 * (self.0.len() - at).min(6));
            let lines: Vec<(f64, f64)> = pair[0]
                .iter()
                .flat_map(|low| {
                    let above = neighbours[*low].iter().filter(|next| pair[1].contains(next));
                    above.map(|high| (place[*low], place[*high])).collect::<Vec<_>>()
                })
                .collect();
            for (number, a) in lines.iter().enumerate() {
                let crossed = lines[..number].iter().filter(|b| (a.0 - b.0) * (a.1 - b.1) < 0.0);
                count += weight * crossed.count();
            }
        }
        count
    }

    /// Returns the floor of each line that runs along one, past others.
    fn strays(&self, neighbours: &[Vec<usize>], floor: &[usize]) -> Vec<usize> {
        let place = self.places(neighbours.len());
        let mut strays = Vec::new();
        for (node, beside) in neighbours.iter().enumerate() {
            for next in beside
                .iter()
                .filter(|next| **next > node && floor[**next] == floor[node])
            {
                if (place[node] - place[*next]).abs() > 1.5 {
                    strays.push(floor[node]);
                }
            }
        }
        strays
    }

    /// Returns where on the x axis each node stands: as near as can be to the middle of its neighbours on other floors,
    /// `room(a, b)` from the next one.
    pub fn columns(&self, neighbours: &[Vec<usize>], room: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut x = vec![0.0; neighbours.len()];
        for nodes in &self.0 {
            let mut at = 0.0;
            for pair in nodes.windows(2) {
                at += room(pair[0], pair[1]);
                x[pair[1]] = at;
            }
            for node in nodes {
                x[*node] -= at / 2.0;
            }
        }
        for _ in 0..SWEEPS {
            for nodes in &self.0 {
                let wanted: Vec<f64> = nodes
                    .iter()
                    .map(|node| {
                        let beside: Vec<f64> = neighbours[*node]
                            .iter()
                            .filter(|next| !nodes.contains(next))
                            .map(|next| x[*next])
                            .collect();
                        if beside.is_empty() {
                            x[*node]
                        } else {
                            beside.iter().sum::<f64>() / beside.len() as f64
                        }
                    })
                    .collect();
                let rooms: Vec<f64> = nodes.windows(2).map(|pair| room(pair[0], pair[1])).collect();
                for (node, place) in nodes.iter().zip(in_order(&wanted, &rooms)) {
                    x[*node] = place;
                }
            }
        }
        x
    }
}

/// Returns places nearest to the wanted ones that keep their order and `rooms` between them (pool adjacent violators).
fn in_order(wanted: &[f64], rooms: &[f64]) -> Vec<f64> {
    let mut offset = 0.0;
    let offsets: Vec<f64> = std::iter::once(0.0)
        .chain(rooms.iter().map(|room| {
            offset += room;
            offset
        }))
        .collect();
    // Sum and number of what was put together.
    let mut pools: Vec<Point> = Vec::new();
    for (place, offset) in wanted.iter().zip(&offsets) {
        pools.push((place - offset, 1.0));
        while let [.., before, last] = pools.as_mut_slice() {
            if before.0 / before.1 <= last.0 / last.1 {
                break;
            }
            *before = (before.0 + last.0, before.1 + last.1);
            pools.pop();
        }
    }
    let means = pools
        .iter()
        .flat_map(|(sum, count)| std::iter::repeat_n(sum / count, *count as usize));
    means.zip(&offsets).map(|(mean, offset)| mean + offset).collect()
}

/// Returns each node's distance from the nearest of `ground`.
fn distances(neighbours: &[Vec<usize>], ground: &[usize]) -> Vec<usize> {
    let mut distance = vec![usize::MAX; neighbours.len()];
    let mut queue: std::collections::VecDeque<usize> = ground.iter().copied().collect();
    for node in ground {
        distance[*node] = 0;
    }
    while let Some(at) = queue.pop_front() {
        for next in &neighbours[at] {
            if distance[*next] == usize::MAX {
                distance[*next] = distance[at] + 1;
                queue.push_back(*next);
            }
        }
    }
    distance
}

/// Returns the nodes in the order of a walk from the top down, so that what hangs together begins side by side.
fn walk(neighbours: &[Vec<usize>], floor: &[usize]) -> Vec<usize> {
    let mut tops: Vec<usize> = (0..floor.len()).collect();
    tops.sort_by_key(|node| usize::MAX - floor[*node]);
    let mut seen = vec![false; floor.len()];
    let mut order = Vec::with_capacity(floor.len());
    for top in tops {
        let mut stack = vec![top];
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                order.push(at);
                let below = neighbours[at].iter().rev();
                let mut next: Vec<usize> = below
                    .copied()
                    .filter(|next| !seen[*next] && floor[*next] <= floor[at])
                    .collect();
                // What stands below first, then what stands beside.
                next.sort_by_key(|next| std::cmp::Reverse(floor[*next]));
                stack.extend(next);
            }
        }
    }
    order
}

/// Tells whether a graph that hangs together has no circle.
fn is_tree(neighbours: &[Vec<usize>]) -> bool {
    neighbours.iter().map(Vec::len).sum::<usize>() == 2 * (neighbours.len() - 1)
}

/// Returns the first of the nodes from which the farthest is nearest.
fn centre(neighbours: &[Vec<usize>]) -> usize {
    let farthest = |node: usize| distances(neighbours, &[node]).into_iter().max().unwrap_or(0);
    (0..neighbours.len())
        .min_by_key(|node| farthest(*node))
        .unwrap_or(0)
}
