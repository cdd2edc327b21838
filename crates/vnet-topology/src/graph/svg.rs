//! A plan as a picture that needs nothing but itself.

use std::fmt::Write as _;

use crate::graph::layout::lay_out;
use crate::graph::notes::GraphNotes;
use crate::graph::{addresses, end_name, remarks, summary};
use crate::resolved::{Resolved, ResolvedNode};
use crate::spec::{End, NodeKind};

/// Type size, and what a character of a monospaced face of it takes, in pixels.
const TYPE: f64 = 12.0;
const CHARACTER: f64 = 7.4;
/// Height of a line, room within a box, and room between two boxes, in pixels.
const LINE: f64 = 15.0;
const PADDING: f64 = 9.0;
const GAP: (f64, f64) = (16.0, 36.0);
/// Characters of a name that are shown; the rest is in the tooltip.
const SHOWN: usize = 20;
/// How far parallel links bend apart, in pixels.
const BEND: f64 = 14.0;

/// Draws a plan as SVG: boxes of a size, lines between them, details in tooltips.
///
/// It has no script and no outside references, carries its own colours, which can be read on light and dark pages,
/// and says in `aria-label` what it shows.
#[must_use]
pub fn graph_svg(plan: &Resolved, _notes: &GraphNotes) -> String {
    let boxes: Vec<[String; 2]> = plan.nodes.iter().map(lines).collect();
    let longest = boxes
        .iter()
        .flatten()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let width = longest as f64 * CHARACTER + 2.0 * PADDING;
    let rows = if boxes.iter().any(|[_, second]| !second.is_empty()) {
        2.0
    } else {
        1.0
    };
    let height = rows * LINE + PADDING;
    let step = (width + GAP.0, height + GAP.1);
    let points: Vec<(f64, f64)> = lay_out(plan)
        .into_iter()
        .map(|(x, y)| (x * step.0, y * step.1))
        .collect();
    let (right, bottom) = points.iter().fold(step, |most, point| {
        (
            most.0.max(point.0 + step.0 / 2.0),
            most.1.max(point.1 + step.1 / 2.0),
        )
    });
    let label = escape(&format!("Network with {}", summary(plan)));
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right:.0}\" height=\"{bottom:.0}\" \
         viewBox=\"0 0 {right:.0} {bottom:.0}\" role=\"img\" aria-label=\"{label}\" style=\"max-width:100%;height:auto\" \
         font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"{TYPE}\" text-anchor=\"middle\">"
    );
    let _ = writeln!(svg, "<title>{label}</title>");
    svg.push_str("<g fill=\"none\" stroke=\"#808080\" stroke-width=\"1.5\">\n");
    links(plan, &points, &mut svg);
    svg.push_str("</g>\n");
    for ((node, lines), middle) in plan.nodes.iter().zip(&boxes).zip(&points) {
        draw_node(node, lines, *middle, (width, height), &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns what stands in a node's box: its name, and a host's first address.
fn lines(node: &ResolvedNode) -> [String; 2] {
    let mut name: String = node.name.chars().take(SHOWN).collect();
    if name.len() < node.name.len() {
        name.pop();
        name.push('…');
    }
    let first = node
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
        .next();
    let second = match node.kind {
        NodeKind::Host => first.map_or_else(String::new, ToString::to_string),
        NodeKind::Switch | NodeKind::Router => node.kind.to_string(),
    };
    [name, second]
}

fn draw_node(
    node: &ResolvedNode,
    lines: &[String; 2],
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    svg: &mut String,
) {
    let (fill, stroke, corner) = match node.kind {
        NodeKind::Host => ("#e4eefb", "#3b6fb6", 4.0),
        NodeKind::Switch => ("#e3f4e7", "#3c8d55", 0.0),
        NodeKind::Router => ("#fdeedb", "#b7742b", height / 2.0),
    };
    let mut tooltip = format!("{} {}", node.kind, node.name);
    for interface in &node.interfaces {
        let _ = write!(tooltip, "\n{} {}", interface.name, addresses(interface));
    }
    let _ = writeln!(
        svg,
        "<g><title>{}</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
         rx=\"{corner:.1}\" fill=\"{fill}\" stroke=\"{stroke}\"/>",
        escape(tooltip.trim_end()),
        x - width / 2.0,
        y - height / 2.0,
    );
    let shown: Vec<&String> = lines.iter().filter(|line| !line.is_empty()).collect();
    let first = y - (shown.len() as f64 - 1.0) * LINE / 2.0 + TYPE / 3.0;
    for (number, line) in shown.into_iter().enumerate() {
        let (weight, colour) = if number == 0 {
            ("600", "#1a1a1a")
        } else {
            ("400", "#4a4a4a")
        };
        let baseline = first + number as f64 * LINE;
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" font-weight=\"{weight}\" fill=\"{colour}\">{}</text>",
            escape(line)
        );
    }
    svg.push_str("</g>\n");
}

/// Draws a line for each link; several between two nodes bend apart.
fn links(plan: &Resolved, points: &[(f64, f64)], svg: &mut String) {
    let pair = |link: &crate::ResolvedLink| (link.a.node.min(link.b.node), link.a.node.max(link.b.node));
    let mut counts = std::collections::HashMap::new();
    for link in &plan.links {
        *counts.entry(pair(link)).or_insert(0_u32) += 1;
    }
    let mut drawn = std::collections::HashMap::new();
    for link in &plan.links {
        let key = pair(link);
        let number: &mut u32 = drawn.entry(key).or_insert(0);
        let bend = (f64::from(*number) - (f64::from(counts[&key]) - 1.0) / 2.0) * 2.0 * BEND;
        *number += 1;
        let ((x1, y1), (x2, y2)) = (points[key.0], points[key.1]);
        let length = (x2 - x1).hypot(y2 - y1).max(1.0);
        let (x, y) = (
            (x1 + x2) / 2.0 - (y2 - y1) / length * bend,
            (y1 + y2) / 2.0 + (x2 - x1) / length * bend,
        );
        let ends: Vec<String> = End::BOTH
            .map(|end| end_name(plan, link.end(end)))
            .into_iter()
            .chain(remarks(link, None))
            .collect();
        let dashes = if link.up { "" } else { " stroke-dasharray=\"5 4\"" };
        let _ = writeln!(
            svg,
            "<path d=\"M{x1:.1} {y1:.1}Q{x:.1} {y:.1} {x2:.1} {y2:.1}\"{dashes}><title>{}</title></path>",
            escape(&format!("{}: {}", link.name, ends.join(", ")))
        );
    }
}

/// Writes text as XML's character data or an attribute's value.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // No XML document may hold the other control characters.
            c if c.is_control() && c != '\n' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
