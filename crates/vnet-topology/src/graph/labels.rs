//! Labels of links: beside their line where there is room, else by number below the picture.

use crate::graph::geometry::{Point, Rect};
use crate::graph::layout::Way;

/// Where along a line a label may stand, the best place first.
const PLACES: [f64; 9] = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];
/// Room around a label, in pixels.
const ROOM: f64 = 3.0;
/// The size of a number that stands for a label.
pub(crate) const MARKER: Point = (16.0, 14.0);

/// Where the label of a link stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Label {
    /// At its line.
    At(Rect),
    /// Below the picture, with its number at the line where there is room for that.
    Below(Option<Rect>),
}

/// Finds a place for each label that a link has; boxes, cards and other labels stay free.
pub(crate) fn place(ways: &[Way], sizes: &[Option<Point>], taken: &[Rect]) -> Vec<Option<Label>> {
    let lines: Vec<Vec<Point>> = ways.iter().map(|way| visible(way, taken)).collect();
    let mut taken = taken.to_vec();
    sizes
        .iter()
        .enumerate()
        .map(|(at, size)| {
            let size = (*size)?;
            let place = free(&lines, at, size, &taken);
            let place = place.map_or_else(|| Label::Below(free(&lines, at, MARKER, &taken)), Label::At);
            if let Label::At(rect) | Label::Below(Some(rect)) = place {
                taken.push(rect);
            }
            Some(place)
        })
        .collect()
}

/// Returns the free place over which the fewest other lines run.
fn free(lines: &[Vec<Point>], at: usize, size: Point, taken: &[Rect]) -> Option<Rect> {
    let mut best: Option<(usize, Rect)> = None;
    for side in [0.0, 1.0, -1.0] {
        for part in PLACES {
            let Some((middle, (x, y))) = along(&lines[at], part) else {
                continue;
            };
            // Beside the line it does not hide it.
            let away = side * (size.0 / 2.0 * y.abs() + size.1 / 2.0 * x.abs() + 4.0);
            let rect = Rect::new((middle.0 - y * away, middle.1 + x * away), size);
            if taken.iter().any(|other| rect.meets(other, ROOM)) {
                continue;
            }
            let runs = |line: &Vec<Point>| line.windows(2).any(|ends| rect.crosses(ends[0], ends[1]));
            let crossed = lines
                .iter()
                .enumerate()
                .filter(|(other, line)| *other != at && runs(line))
                .count();
            if best.is_none_or(|(fewest, _)| crossed < fewest) {
                best = Some((crossed, rect));
            }
        }
    }
    best.map(|(_, rect)| rect)
}

/// Returns a line as many short ones where it bends, without what is behind the boxes it begins and ends in.
fn visible(way: &Way, boxes: &[Rect]) -> Vec<Point> {
    let points = match (way.bend, way.corners.as_slice()) {
        (Some(bend), [from, to]) => (0..=16)
            .map(|step| curve(*from, bend, *to, f64::from(step) / 16.0))
            .collect(),
        _ => way.corners.clone(),
    };
    let [from, .., to] = points.as_slice() else {
        return Vec::new();
    };
    let hidden: Vec<&Rect> = boxes
        .iter()
        .filter(|rect| rect.middle == *from || rect.middle == *to)
        .collect();
    let inside = |point: Point| {
        let spot = Rect::new(point, (0.0, 0.0));
        hidden.iter().any(|rect| spot.meets(rect, 0.0))
    };
    // Fine enough for the ends to stand where the boxes end.
    let fine: Vec<Point> = points
        .windows(2)
        .flat_map(|ends| {
            (0..=24).map(move |step| {
                let part = f64::from(step) / 24.0;
                (
                    ends[0].0 + (ends[1].0 - ends[0].0) * part,
                    ends[0].1 + (ends[1].1 - ends[0].1) * part,
                )
            })
        })
        .filter(|point| !inside(*point))
        .collect();
    if way.bend.is_none() && points.len() == 2 {
        return match fine.as_slice() {
            [first, .., last] => vec![*first, *last],
            _ => points,
        };
    }
    fine
}

/// Returns the point at a part of a line's length, and its direction there.
fn along(line: &[Point], part: f64) -> Option<(Point, Point)> {
    let length = |ends: &[Point]| (ends[1].0 - ends[0].0).hypot(ends[1].1 - ends[0].1);
    let mut left = line.windows(2).map(length).sum::<f64>() * part;
    for ends in line.windows(2) {
        let long = length(ends);
        if long > 0.0 && left <= long {
            let way = ((ends[1].0 - ends[0].0) / long, (ends[1].1 - ends[0].1) / long);
            return Some(((ends[0].0 + way.0 * left, ends[0].1 + way.1 * left), way));
        }
        left -= long;
    }
    None
}

fn curve(from: Point, bend: Point, to: Point, part: f64) -> Point {
    let rest = 1.0 - part;
    let mix = |a: f64, b: f64, c: f64| rest * rest * a + 2.0 * rest * part * b + part * part * c;
    (mix(from.0, bend.0, to.0), mix(from.1, bend.1, to.1))
}
