//! Where everything stands in a picture.

use std::collections::HashMap;

use crate::graph::block::{ABOVE, Block, SIDE, Style};
use crate::graph::geometry::{Point, Rect, around};
use crate::graph::layered::Floors;
use crate::graph::parts::{components, neighbours};
use crate::graph::stress::Graph;
use crate::resolved::Resolved;
use crate::spec::NodeKind;

/// Networks of more nodes show the hosts of a switch as cells of a card.
const LARGE: usize = 40;
/// The most hosts that stand around their node, and beside each other below it.
const RING: usize = 16;
const ROW: usize = 4;
/// A floor wider than this, in pixels, is made narrower.
const WIDE: f64 = 1250.0;
/// The most nodes of a line that stand in one row, and of a circle that stand on an ellipse.
const LINE: usize = 8;
/// Room between floors, and between parts that nothing joins.
const FLOOR: f64 = 56.0;
const PARTS: f64 = 28.0;

/// How large things are, in pixels.
pub(crate) struct Sizes {
    /// Each node's box.
    pub boxes: Vec<Point>,
    /// Each node's cell in a card.
    pub cells: Vec<Point>,
    /// The line below the cells of each node's card.
    pub footers: Vec<f64>,
    /// Each link's label; nothing where it has none.
    pub labels: Vec<Option<Point>>,
}

/// The line of a link: its corners, or its ends and the point that it bends towards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    pub corners: Vec<Point>,
    pub bend: Option<Point>,
}

/// Places of nodes, links and cards.
pub(crate) struct Layout {
    pub boxes: Vec<Rect>,
    pub ways: Vec<Way>,
    /// The node that each card hangs on, and its place.
    pub cards: Vec<(usize, Rect)>,
    /// Whether a node is a cell of a card.
    pub in_card: Vec<bool>,
}

/// Lays a plan out; the same plan gives the same picture.
pub(crate) fn lay_out(plan: &Resolved, sizes: &Sizes) -> Layout {
    let neighbours = neighbours(plan);
    let mut layout = Layout {
        boxes: vec![Rect::default(); plan.nodes.len()],
        ways: vec![Way::default(); plan.links.len()],
        cards: Vec::new(),
        in_card: vec![false; plan.nodes.len()],
    };
    let mut done: Vec<Part> = components(&neighbours)
        .iter()
        .map(|nodes| Part::new(plan, sizes, &neighbours, nodes))
        .collect();
    shelve(&mut done);
    for part in done {
        part.write(&mut layout);
    }
    finish_ways(plan, &mut layout);
    layout
}

/// What hangs together, with its places.
struct Part {
    /// Nodes that are no host at the end of one link, their blocks, and the hosts of each.
    core: Vec<usize>,
    blocks: Vec<Block>,
    leaves: Vec<Vec<usize>>,
    links: HashMap<usize, usize>,
}

impl Part {
    fn new(plan: &Resolved, sizes: &Sizes, neighbours: &[Vec<usize>], nodes: &[usize]) -> Self {
        // A line of nodes is a line, whatever they are.
        let line = nodes.len() > 2 && nodes.iter().all(|node| neighbours[*node].len() <= 2);
        let hangs = |node: usize| {
            !line
                && plan.nodes[node].kind == NodeKind::Host
                && neighbours[node].len() == 1
                && neighbours[neighbours[node][0]].len() > 1
        };
        let core: Vec<usize> = nodes.iter().copied().filter(|node| !hangs(*node)).collect();
        let number: HashMap<usize, usize> = core.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let leaves: Vec<Vec<usize>> = core
            .iter()
            .map(|node| {
                neighbours[*node]
                    .iter()
                    .copied()
                    .filter(|next| hangs(*next))
                    .collect()
            })
            .collect();
        let joined: Vec<Vec<usize>> = core
            .iter()
            .map(|node| {
                neighbours[*node]
                    .iter()
                    .filter_map(|next| number.get(next).copied())
                    .collect()
            })
            .collect();
        let links = plan
            .links
            .iter()
            .enumerate()
            .flat_map(|(at, link)| [(link.a.node, at), (link.b.node, at)])
            .filter(|(node, _)| hangs(*node))
            .collect();
        let mut part = Self {
            core,
            blocks: Vec::new(),
            leaves,
            links,
        };
        part.place(plan, sizes, &joined);
        part
    }

    fn place(&mut self, plan: &Resolved, sizes: &Sizes, joined: &[Vec<usize>]) {
        let large = plan.nodes.len() > LARGE;
        let alone = self.core.len() == 1;
        let style = |count: usize, narrow: bool| match count {
            _ if alone && count <= RING => Style::Ring,
            _ if (large && count >= ROW) || (alone && count > RING) => Style::Card,
            _ if count > 2 * ROW => Style::Hanging(2),
            _ if (narrow && count > 1) || count > ROW => Style::Hanging(1),
            _ => Style::Row,
        };
        let blocks = |part: &Self, narrow: bool| -> Vec<Block> {
            let of = |(node, leaves): (&usize, &Vec<usize>)| {
                let style = style(leaves.len(), narrow);
                let kind = if style == Style::Card {
                    &sizes.cells
                } else {
                    &sizes.boxes
                };
                let leaves: Vec<Point> = leaves.iter().map(|leaf| kind[*leaf]).collect();
                Block::new(sizes.boxes[*node], &leaves, style, sizes.footers[*node])
            };
            part.core.iter().zip(&part.leaves).map(of).collect()
        };
        self.blocks = blocks(self, false);
        let label = self.label(plan, sizes);
        let ground: Vec<usize> = (0..self.core.len())
            .filter(|at| !self.leaves[*at].is_empty())
            .collect();
        if alone {
            return;
        }
        let middles = if let Some(order) = in_line(joined) {
            let width = |block: &Block| block.outline().half.0 * 2.0 + 3.0 * SIDE;
            if self.blocks.iter().map(width).sum::<f64>() + label.0 > WIDE * 0.8 {
                self.blocks = blocks(self, true);
            }
            self.line(&order, label)
        } else if let Some(order) = in_circle(joined) {
            self.circle(&order, label)
        } else if let Some(floors) = Floors::new(joined, &ground) {
            let wide = |part: &Self| {
                let width = |nodes: &Vec<usize>| -> f64 {
                    nodes
                        .iter()
                        .map(|at| part.blocks[*at].outline().half.0 * 2.0 + SIDE)
                        .sum()
                };
                floors.0.iter().map(width).fold(0.0, f64::max) > WIDE
            };
            if wide(self) {
                self.blocks = blocks(self, true);
            }
            let split = floors.0.len() == 2 && wide(self);
            self.floors(&floors, joined, label, split)
        } else {
            self.anyhow(joined, label)
        };
        for (block, middle) in self.blocks.iter_mut().zip(middles) {
            *block = shifted(block, middle);
        }
    }

    /// Returns the largest label of a link between two of its core nodes.
    fn label(&self, plan: &Resolved, sizes: &Sizes) -> Point {
        let labelled = plan.links.iter().zip(&sizes.labels);
        labelled
            .filter(|(link, _)| self.core.contains(&link.a.node) && self.core.contains(&link.b.node))
            .filter_map(|(_, size)| *size)
            .fold((0.0, 0.0), |most, size| (most.0.max(size.0), most.1.max(size.1)))
    }

    /// In rows, each back the way of the one before.
    fn line(&self, order: &[usize], label: Point) -> Vec<Point> {
        let outlines: Vec<Rect> = self.blocks.iter().map(Block::outline).collect();
        let width = outlines.iter().map(|rect| rect.half.0).fold(0.0, f64::max) * 2.0
            + (label.0 + 20.0).max(2.0 * SIDE);
        let up = outlines.iter().map(|rect| -rect.top()).fold(0.0, f64::max);
        let down = outlines.iter().map(Rect::bottom).fold(0.0, f64::max);
        let rows = order.len().div_ceil(LINE);
        if rows == 1 {
            let (mut x, mut middles) = (0.0, vec![(0.0, 0.0); order.len()]);
            for pair in order.windows(2) {
                x += outlines[pair[0]].right() - outlines[pair[1]].left() + (label.0 + 28.0).max(3.0 * SIDE);
                middles[pair[1]] = (x, 0.0);
            }
            return middles;
        }
        let in_row = order.len().div_ceil(rows);
        let mut middles = vec![(0.0, 0.0); order.len()];
        for (number, at) in order.iter().enumerate() {
            let (row, column) = (number / in_row, number % in_row);
            let column = if row % 2 == 0 { column } else { in_row - 1 - column };
            middles[*at] = (
                column as f64 * width,
                row as f64 * (up + down + 2.0 * ABOVE + label.1.max(FLOOR - 20.0)),
            );
        }
        middles
    }

    /// On an ellipse, or round a rectangle where there are many.
    fn circle(&self, order: &[usize], label: Point) -> Vec<Point> {
        let outlines: Vec<Rect> = self.blocks.iter().map(Block::outline).collect();
        let widest = outlines.iter().map(|rect| rect.half.0 * 2.0).fold(0.0, f64::max);
        let highest = outlines.iter().map(|rect| rect.half.1 * 2.0).fold(0.0, f64::max);
        let step = (widest + SIDE + label.0 * 0.6, highest + ABOVE + label.1.max(24.0));
        let count = order.len();
        let mut middles = vec![(0.0, 0.0); count];
        if count <= 2 * LINE {
            let mut size = 0.6;
            while size < 40.0 {
                for (number, at) in order.iter().enumerate() {
                    let angle = std::f64::consts::TAU * (number as f64 / count as f64 - 0.25);
                    middles[*at] = (step.0 * size * angle.cos(), step.1 * size * 1.3 * angle.sin());
                }
                let place = |at: usize| outlines[at].shifted(middles[at]);
                let room = |a: usize, b: usize| !place(a).meets(&place(b), SIDE + ABOVE + label.1);
                if (0..count).all(|a| (0..a).all(|b| room(a, b))) && size >= 1.0 {
                    break;
                }
                size *= 1.06;
            }
            return middles;
        }
        // Two sides of a rectangle, and what is left over at its ends.
        let half = count.div_ceil(2);
        let columns = half.min(2 * LINE);
        let down = (count - 2 * columns).div_ceil(2);
        for (number, at) in order.iter().enumerate() {
            let (column, row) = if number < columns {
                (number, 0)
            } else if number < columns + down {
                (columns, number - columns + 1)
            } else if number < 2 * columns + down {
                (columns - 1 - (number - columns - down), down + 1)
            } else {
                // Up again, beside the first column.
                let back = number - 2 * columns - down;
                middles[*at] = (-step.0, (down - back) as f64 * step.1);
                continue;
            };
            middles[*at] = (column as f64 * step.0, row as f64 * step.1);
        }
        middles
    }

    /// On floors, the lowest below; with `split` half of the lowest stands upside down above the highest.
    fn floors(&mut self, floors: &Floors, joined: &[Vec<usize>], label: Point, split: bool) -> Vec<Point> {
        let mut rows: Vec<Vec<usize>> = floors.0.clone();
        if split {
            let above: Vec<usize> = rows[0].iter().copied().skip(1).step_by(2).collect();
            rows[0] = rows[0].iter().copied().step_by(2).collect();
            for at in &above {
                self.blocks[*at] = self.blocks[*at].clone().mirrored();
            }
            rows.push(above);
        }
        let outlines: Vec<Rect> = self.blocks.iter().map(Block::outline).collect();
        let spread = label.0.max(2.0 * SIDE);
        let width = |row: &[usize]| {
            row.iter()
                .map(|at| outlines[*at].half.0 * 2.0 + SIDE)
                .sum::<f64>()
        };
        let widest = rows.iter().map(|row| width(row)).fold(0.0, f64::max);
        // Few nodes above many stand apart, so that lines to the far ones do not run behind them.
        let mut apart = vec![SIDE; outlines.len()];
        for row in &rows {
            let free = (widest - width(row)) / (row.len() as f64 + 1.0);
            row.iter().for_each(|at| apart[*at] = SIDE.max(free * 0.7));
        }
        let along = |a: usize, b: usize| {
            let joined = joined[a].contains(&b);
            apart[a].max(if joined { spread + 28.0 } else { SIDE })
        };
        let x = Floors(rows.clone()).columns(joined, |a, b| {
            outlines[a].right() - outlines[b].left() + along(a, b)
        });
        let mut middles = vec![(0.0, 0.0); outlines.len()];
        let mut y = 0.0;
        for row in rows.iter().rev() {
            let up = row.iter().map(|at| -outlines[*at].top()).fold(0.0, f64::max);
            let down = row.iter().map(|at| outlines[*at].bottom()).fold(0.0, f64::max);
            y += up;
            for at in row {
                middles[*at] = (x[*at], y);
            }
            // A long way to the side needs more height, or its lines run flat past each other.
            let width = row.iter().map(|at| x[*at].abs()).fold(0.0, f64::max);
            y += down + FLOOR + label.1 + (width * 0.06).min(70.0);
        }
        middles
    }

    /// As near to each other as their links have them.
    fn anyhow(&self, joined: &[Vec<usize>], label: Point) -> Vec<Point> {
        let outlines: Vec<Rect> = self.blocks.iter().map(Block::outline).collect();
        let radius: Vec<f64> = outlines
            .iter()
            .map(|rect| {
                let far = |half: f64, middle: f64| half + middle.abs();
                far(rect.half.0, rect.middle.0).hypot(far(rect.half.1, rect.middle.1)) + label.0 / 4.0
            })
            .collect();
        Graph {
            neighbours: joined,
            radius: &radius,
        }
        .lay_out()
    }

    fn outline(&self) -> Rect {
        around(self.blocks.iter().map(Block::outline))
    }

    fn write(self, layout: &mut Layout) {
        for ((node, block), leaves) in self.core.iter().zip(self.blocks).zip(&self.leaves) {
            layout.boxes[*node] = block.core;
            for ((leaf, rect), way) in leaves.iter().zip(&block.leaves).zip(block.ways) {
                layout.boxes[*leaf] = *rect;
                layout.in_card[*leaf] = block.card.is_some();
                if let Some(link) = self.links.get(leaf) {
                    layout.ways[*link].corners = way;
                }
            }
            layout.cards.extend(block.card.map(|card| (*node, card)));
        }
    }
}

fn shifted(block: &Block, (x, y): Point) -> Block {
    let mut block = block.clone();
    block.core = block.core.shifted((x, y));
    for rect in block.leaves.iter_mut().chain(&mut block.card) {
        *rect = rect.shifted((x, y));
    }
    for point in block.ways.iter_mut().flatten() {
        *point = (point.0 + x, point.1 + y);
    }
    block
}

/// Puts parts side by side in rows, within a picture that is about as wide as it is high.
fn shelve(parts: &mut [Part]) {
    let outlines: Vec<Rect> = parts.iter().map(Part::outline).collect();
    let area: f64 = outlines
        .iter()
        .map(|rect| (rect.half.0 * 2.0 + PARTS) * (rect.half.1 * 2.0 + PARTS))
        .sum();
    let most = (area * 1.8).sqrt();
    let (mut x, mut y, mut height) = (0.0, 0.0, 0.0_f64);
    for (part, outline) in parts.iter_mut().zip(outlines) {
        let (width, high) = (outline.half.0 * 2.0, outline.half.1 * 2.0);
        if x > 0.0 && x + width > most {
            (x, y, height) = (0.0, y + height + PARTS, 0.0);
        }
        let shift = (x - outline.left(), y - outline.top());
        part.blocks = part.blocks.iter().map(|block| shifted(block, shift)).collect();
        x += width + PARTS;
        height = height.max(high);
    }
}

/// Draws the lines between core nodes, parallel ones apart, and those that would run behind a box bent around it.
fn finish_ways(plan: &Resolved, layout: &mut Layout) {
    let pair = |at: usize| {
        let link = &plan.links[at];
        (link.a.node.min(link.b.node), link.a.node.max(link.b.node))
    };
    let mut counts: HashMap<(usize, usize), usize> = HashMap::new();
    for at in 0..plan.links.len() {
        *counts.entry(pair(at)).or_default() += 1;
    }
    let mut drawn: HashMap<(usize, usize), usize> = HashMap::new();
    for at in 0..plan.links.len() {
        let key = pair(at);
        let number = drawn.entry(key).or_default();
        let turn = *number as f64 - (counts[&key] as f64 - 1.0) / 2.0;
        *number += 1;
        let straight = layout.ways[at].corners.len() <= 2;
        if !straight || layout.in_card[key.0] || layout.in_card[key.1] {
            continue;
        }
        let (a, b) = (layout.boxes[key.0], layout.boxes[key.1]);
        let (from, to) = (a.middle, b.middle);
        let length = (to.0 - from.0).hypot(to.1 - from.1).max(1.0);
        let level = (to.1 - from.1).abs() < 1.0;
        let blocked = level
            && (0..layout.boxes.len())
                .any(|node| node != key.0 && node != key.1 && layout.boxes[node].crosses(from, to));
        let apart = turn * 52.0
            - if blocked {
                length.mul_add(0.12, a.half.1 * 2.0) + 20.0
            } else {
                0.0
            };
        layout.ways[at] = Way {
            corners: vec![from, to],
            bend: (apart != 0.0).then(|| {
                let way = if level && to.0 < from.0 { -1.0 } else { 1.0 };
                (
                    f64::midpoint(from.0, to.0) - (to.1 - from.1) / length * apart,
                    f64::midpoint(from.1, to.1) + (to.0 - from.0) / length * apart * way,
                )
            }),
        };
    }
}

/// Returns the nodes of a line from end to end, where they are one.
fn in_line(joined: &[Vec<usize>]) -> Option<Vec<usize>> {
    let ends: Vec<usize> = (0..joined.len()).filter(|at| joined[*at].len() == 1).collect();
    (ends.len() == 2 && joined.iter().all(|next| next.len() <= 2)).then(|| follow(joined, ends[0]))
}

/// Returns the nodes of a circle in order, where they are one of more than three.
fn in_circle(joined: &[Vec<usize>]) -> Option<Vec<usize>> {
    (joined.len() > 2 && joined.iter().all(|next| next.len() == 2)).then(|| follow(joined, 0))
}

fn follow(joined: &[Vec<usize>], start: usize) -> Vec<usize> {
    let mut order = vec![start];
    let mut seen = vec![false; joined.len()];
    seen[start] = true;
    while let Some(next) = order
        .last()
        .and_then(|at| joined[*at].iter().find(|next| !seen[**next]))
    {
        seen[*next] = true;
        order.push(*next);
    }
    order
}
