//! Points, rectangles and lines of a picture, in pixels; y grows downwards.

pub(crate) use crate::graph::stress::Point;

/// A rectangle by its middle and half its size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rect {
    pub middle: Point,
    pub half: Point,
}

impl Rect {
    pub fn new(middle: Point, (width, height): Point) -> Self {
        Self {
            middle,
            half: (width / 2.0, height / 2.0),
        }
    }

    pub fn left(&self) -> f64 {
        self.middle.0 - self.half.0
    }

    pub fn top(&self) -> f64 {
        self.middle.1 - self.half.1
    }

    pub fn right(&self) -> f64 {
        self.middle.0 + self.half.0
    }

    pub fn bottom(&self) -> f64 {
        self.middle.1 + self.half.1
    }

    /// Tells whether two rectangles come closer than `gap`.
    pub fn meets(&self, other: &Self, gap: f64) -> bool {
        (self.middle.0 - other.middle.0).abs() < self.half.0 + other.half.0 + gap
            && (self.middle.1 - other.middle.1).abs() < self.half.1 + other.half.1 + gap
    }

    /// Tells whether a line runs through it (Liang, Barsky: A new concept and method for line clipping, 1984).
    pub fn crosses(&self, from: Point, to: Point) -> bool {
        self.span(from, to).is_some()
    }

    /// Returns which part of a line lies inside, from 0 to 1.
    fn span(&self, from: Point, to: Point) -> Option<(f64, f64)> {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let (mut first, mut last): (f64, f64) = (0.0, 1.0);
        for (step, room) in [
            (-dx, from.0 - self.left()),
            (dx, self.right() - from.0),
            (-dy, from.1 - self.top()),
            (dy, self.bottom() - from.1),
        ] {
            if step.abs() < 1e-9 {
                if room < 0.0 {
                    return None;
                }
            } else if step < 0.0 {
                first = first.max(room / step);
            } else {
                last = last.min(room / step);
            }
        }
        (first < last).then_some((first, last))
    }

    /// Moves it.
    pub fn shifted(self, (x, y): Point) -> Self {
        Self {
            middle: (self.middle.0 + x, self.middle.1 + y),
            ..self
        }
    }
}

/// Returns the rectangle around all of them.
pub(crate) fn around(rects: impl IntoIterator<Item = Rect>) -> Rect {
    let mut rects = rects.into_iter();
    let Some(first) = rects.next() else {
        return Rect::default();
    };
    let (mut left, mut top, mut right, mut bottom) =
        (first.left(), first.top(), first.right(), first.bottom());
    for rect in rects {
        left = left.min(rect.left());
        top = top.min(rect.top());
        right = right.max(rect.right());
        bottom = bottom.max(rect.bottom());
    }
    Rect::new(
        (f64::midpoint(left, right), f64::midpoint(top, bottom)),
        (right - left, bottom - top),
    )
}
