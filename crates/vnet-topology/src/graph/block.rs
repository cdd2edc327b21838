//! A node with the hosts that hang on it alone: how they stand together.

use std::f64::consts::{PI, TAU};

use crate::graph::geometry::{Point, Rect, around};

/// Room between boxes side by side, and above one another, in pixels.
pub(crate) const SIDE: f64 = 18.0;
pub(crate) const ABOVE: f64 = 12.0;
/// Room between a node and a row of hosts below it.
const DROP: f64 = 44.0;
/// How far a spine stands off the boxes that hang on it.
const SPINE: f64 = 14.0;
/// Room in a card around its cells, and between them.
const MARGIN: f64 = 7.0;
const CELLS: f64 = 5.0;
/// Height of the line in a card that says how many hosts it has.
const FOOTER: f64 = 18.0;

/// How hosts stand at their node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Side by side below it.
    Row,
    /// Below one another at a spine, in so many columns.
    Hanging(usize),
    /// Around it.
    Ring,
    /// As cells of a card that hangs on it.
    Card,
}

/// Places of a node and its hosts around the origin.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The node.
    pub core: Rect,
    /// Its hosts, in order.
    pub leaves: Vec<Rect>,
    /// Corners of the way to each host; two are a straight line.
    pub ways: Vec<Vec<Point>>,
    /// The card that holds the hosts.
    pub card: Option<Rect>,
}

impl Block {
    /// Puts hosts of these sizes at a node; `least` is how wide a card's footer is.
    pub fn new(core: Point, leaves: &[Point], style: Style, least: f64) -> Self {
        let middle = Rect::new((0.0, 0.0), core);
        let mut block = Self {
            core: middle,
            leaves: Vec::new(),
            ways: Vec::new(),
            card: None,
        };
        if leaves.is_empty() {
            return block;
        }
        let cell = leaves.iter().fold((0.0, 0.0), |most: Point, size| {
            (most.0.max(size.0), most.1.max(size.1))
        });
        match style {
            Style::Row => block.row(leaves, cell),
            Style::Hanging(columns) => block.hang(leaves, cell, columns),
            Style::Ring => block.ring(leaves, cell),
            Style::Card => block.fill_card(leaves, cell, least),
        }
        block
    }

    fn row(&mut self, leaves: &[Point], cell: Point) {
        let step = cell.0 + SIDE;
        let y = self.core.bottom() + DROP + cell.1 / 2.0;
        let start = -step * (leaves.len() as f64 - 1.0) / 2.0;
        for (number, size) in leaves.iter().enumerate() {
            let middle = (start + step * number as f64, y);
            self.leaves.push(Rect::new(middle, *size));
            self.ways.push(vec![(0.0, 0.0), middle]);
        }
    }

    fn hang(&mut self, leaves: &[Point], cell: Point, columns: usize) {
        for (number, size) in leaves.iter().enumerate() {
            let row = (number / columns) as f64;
            let y = self.core.bottom() + ABOVE + cell.1 / 2.0 + row * (cell.1 + ABOVE);
            let spine = if columns == 1 {
                self.core.left() + SPINE
            } else {
                0.0
            };
            let side = if columns == 1 || number % 2 == 1 {
                1.0
            } else {
                -1.0
            };
            let x = spine + side * (SPINE + size.0 / 2.0);
            self.leaves.push(Rect::new((x, y), *size));
            self.ways.push(vec![
                (spine, self.core.bottom()),
                (spine, y),
                (spine + side * SPINE, y),
            ]);
        }
    }

    fn ring(&mut self, leaves: &[Point], cell: Point) {
        let count = leaves.len() as f64;
        let clear = (
            self.core.half.0 + cell.0 / 2.0 + SIDE,
            self.core.half.1 + cell.1 / 2.0 + DROP,
        );
        // An ellipse as wide as the boxes are, on which no two of them meet.
        let mut size: f64 = 1.0;
        loop {
            let place = |number: usize| {
                let angle = -PI / 2.0 + TAU * number as f64 / count;
                (clear.0 * size * 1.15 * angle.cos(), clear.1 * size * angle.sin())
            };
            let rects: Vec<Rect> = leaves
                .iter()
                .enumerate()
                .map(|(number, leaf)| Rect::new(place(number), *leaf))
                .collect();
            let apart = rects.iter().enumerate().all(|(number, rect)| {
                !rect.meets(&self.core, ABOVE)
                    && rects[..number].iter().all(|other| !rect.meets(other, ABOVE))
            });
            if apart || size > 40.0 {
                self.ways = rects.iter().map(|rect| vec![(0.0, 0.0), rect.middle]).collect();
                self.leaves = rects;
                return;
            }
            size *= 1.08;
        }
    }

    fn fill_card(&mut self, leaves: &[Point], cell: Point, least: f64) {
        let step = (cell.0 + CELLS, cell.1 + CELLS);
        // About half as wide again as it is high.
        let columns =
            ((leaves.len() as f64 * 1.6 * step.1 / step.0).sqrt().round()).clamp(1.0, leaves.len() as f64);
        let rows = (leaves.len() as f64 / columns).ceil();
        let width = (columns * step.0 - CELLS).max(least).max(self.core.half.0 * 2.0) + 2.0 * MARGIN;
        let height = rows * step.1 - CELLS + 2.0 * MARGIN + FOOTER;
        let top = self.core.bottom() + 6.0;
        self.card = Some(Rect::new((0.0, top + height / 2.0), (width, height)));
        let left = -(columns * step.0 - CELLS) / 2.0 + cell.0 / 2.0;
        for number in 0..leaves.len() {
            let (column, row) = (number % columns as usize, number / columns as usize);
            let middle = (
                left + column as f64 * step.0,
                top + MARGIN + cell.1 / 2.0 + row as f64 * step.1,
            );
            self.leaves.push(Rect::new(middle, cell));
            // The card itself says that they are linked.
            self.ways.push(Vec::new());
        }
    }

    /// Returns the rectangle around all of it.
    pub fn outline(&self) -> Rect {
        around(self.leaves.iter().copied().chain([self.core]).chain(self.card))
    }

    /// Turns it upside down, its node below.
    pub fn mirrored(mut self) -> Self {
        let flip = |rect: &mut Rect| rect.middle.1 = -rect.middle.1;
        flip(&mut self.core);
        if let Some(card) = &mut self.card {
            // Its cells go on from top to bottom.
            let (top, height) = (card.top() + MARGIN, card.half.1 * 2.0);
            flip(card);
            let shift = card.bottom() - height + MARGIN + FOOTER - top;
            self.leaves.iter_mut().for_each(|leaf| leaf.middle.1 += shift);
        } else {
            self.leaves.iter_mut().for_each(flip);
        }
        for point in self.ways.iter_mut().flatten() {
            point.1 = -point.1;
        }
        self
    }
}
