//! A plan as a picture that needs nothing but itself.

use std::fmt::Write as _;

use crate::graph::geometry::{Point, Rect, around};
use crate::graph::labels::{Label, place};
use crate::graph::layout::{Layout, Way, lay_out};
use crate::graph::notes::{GraphNotes, GraphState};
use crate::graph::words::{LINE, SMALL, SMALL_CHARACTER, SMALL_LINE, TYPE, Words, tooltip};
use crate::graph::{end_name, remarks, summary};
use crate::resolved::{Resolved, ResolvedLink};
use crate::spec::{End, NodeKind};

/// Room around a picture, in pixels.
const MARGIN: f64 = 10.0;
/// Labels below a picture that are shown.
const MOST_BELOW: usize = 40;

/// Draws a plan as SVG: boxes, lines between them, what befalls frames beside the lines, details in tooltips.
///
/// It has no script and no outside references, carries its own colours, which can be read on light and dark pages,
/// and says in `aria-label` what it shows. Hosts of one switch are cells of a card where there are many nodes.
#[must_use]
pub fn graph_svg(plan: &Resolved, notes: &GraphNotes) -> String {
    let words = Words::new(plan, notes);
    let sizes = words.sizes(plan);
    let layout = lay_out(plan, &sizes);
    let taken: Vec<Rect> = layout
        .boxes
        .iter()
        .copied()
        .chain(layout.cards.iter().map(|(_, card)| *card))
        .collect();
    let labels = place(&layout.ways, &sizes.labels, &taken);
    let mut picture = Picture {
        plan,
        notes,
        words,
        layout,
        labels,
        svg: String::new(),
    };
    picture.draw();
    picture.svg
}

struct Picture<'a> {
    plan: &'a Resolved,
    notes: &'a GraphNotes,
    words: Words,
    layout: Layout,
    labels: Vec<Option<Label>>,
    svg: String,
}

impl Picture<'_> {
    fn draw(&mut self) {
        let below = self.below();
        let outline = self.outline();
        let longest = below.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let width = (outline.half.0 * 2.0).max(longest as f64 * SMALL_CHARACTER) + 2.0 * MARGIN;
        let text = if below.is_empty() {
            0.0
        } else {
            below.len() as f64 * 14.0 + 8.0
        };
        let height = outline.half.1 * 2.0 + text + 2.0 * MARGIN;
        let (left, top) = (outline.left() - MARGIN, outline.top() - MARGIN);
        let label = escape(&format!("Network with {}", summary(self.plan)));
        let _ = writeln!(
            self.svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"{left:.1} {top:.1} {width:.1} {height:.1}\" role=\"img\" aria-label=\"{label}\" \
             style=\"max-width:100%;height:auto\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" \
             font-size=\"{TYPE}\" text-anchor=\"middle\">"
        );
        let _ = writeln!(self.svg, "<title>{label}</title>");
        for at in 0..self.plan.links.len() {
            self.draw_link(at);
        }
        for (node, card) in self.layout.cards.clone() {
            self.draw_card(node, card);
        }
        for node in 0..self.plan.nodes.len() {
            if self.layout.in_card[node] {
                self.draw_cell(node);
            } else {
                self.draw_node(node);
            }
        }
        for at in 0..self.plan.links.len() {
            self.draw_label(at);
        }
        for (number, line) in below.iter().enumerate() {
            let y = outline.bottom() + 18.0 + number as f64 * 14.0;
            let _ = writeln!(
                self.svg,
                "<text class=\"below\" x=\"{:.1}\" y=\"{y:.1}\" font-size=\"{SMALL}\" text-anchor=\"start\" \
                 fill=\"#7a7a7a\">{}</text>",
                outline.left(),
                escape(line)
            );
        }
        self.svg.push_str("</svg>\n");
    }

    /// Returns the labels that found no place, in words.
    fn below(&self) -> Vec<String> {
        let mut lines: Vec<String> = (0..self.plan.links.len())
            .filter_map(|at| {
                let number = self.number(at)?;
                let said = self.words.links[at].join(", ");
                Some(format!("{number} {}: {said}", self.plan.links[at].name))
            })
            .collect();
        if lines.len() > MOST_BELOW {
            let more = lines.len() - MOST_BELOW;
            lines.truncate(MOST_BELOW);
            lines.push(format!("and {more} more"));
        }
        lines
    }

    /// Returns the number of a label below the picture, from 1.
    fn number(&self, link: usize) -> Option<usize> {
        let is_below = |label: &Option<Label>| matches!(label, Some(Label::Below(_)));
        is_below(&self.labels[link]).then(|| {
            self.labels[..=link]
                .iter()
                .filter(|label| is_below(label))
                .count()
        })
    }

    fn outline(&self) -> Rect {
        let points = self.layout.ways.iter().flat_map(|way| {
            let middle = way.bend.map(|bend| {
                // A curve comes half as near to the point that it bends towards as its ends are.
                let ends = (way.corners[0], way.corners[1]);
                let between = |a: f64, b: f64, c: f64| (a + 2.0 * b + c) / 4.0;
                (
                    between(ends.0.0, bend.0, ends.1.0),
                    between(ends.0.1, bend.1, ends.1.1),
                )
            });
            way.corners.iter().copied().chain(middle)
        });
        let labels = self.labels.iter().filter_map(|label| match label {
            Some(Label::At(rect) | Label::Below(Some(rect))) => Some(*rect),
            _ => None,
        });
        around(
            self.layout
                .boxes
                .iter()
                .copied()
                .chain(self.layout.cards.iter().map(|(_, card)| *card))
                .chain(points.map(|point| Rect::new(point, (2.0, 2.0))))
                .chain(labels),
        )
    }

    fn state(&self, link: &ResolvedLink) -> GraphState {
        let state = self
            .notes
            .links
            .get(&link.name)
            .map_or(GraphState::Plain, |note| note.state);
        if link.up { state } else { GraphState::Down }
    }

    fn draw_link(&mut self, at: usize) {
        let link = &self.plan.links[at];
        let path = path(&self.layout.ways[at]);
        if path.is_empty() {
            return;
        }
        let state = self.state(link);
        let (colour, width) = stroke(state);
        let dashes = if state == GraphState::Down {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let _ = writeln!(
            self.svg,
            "<path class=\"link\" d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}>\
             <title>{}</title></path>",
            escape(&self.link_tooltip(link))
        );
    }

    fn link_tooltip(&self, link: &ResolvedLink) -> String {
        let ends: Vec<String> = End::BOTH
            .map(|end| end_name(self.plan, link.end(end)))
            .into_iter()
            .chain(remarks(link, None))
            .collect();
        let note = self.notes.links.get(&link.name).into_iter();
        let more = note.flat_map(|note| note.lines.iter().chain(&note.details));
        let first = format!("{}: {}", link.name, ends.join(", "));
        std::iter::once(first)
            .chain(more.cloned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn draw_node(&mut self, at: usize) {
        let node = &self.plan.nodes[at];
        let rect = self.layout.boxes[at];
        let (fill, stroke, corner) = match node.kind {
            NodeKind::Host => ("#e4eefb", "#3b6fb6", 4.0),
            NodeKind::Switch => ("#e3f4e7", "#3c8d55", 0.0),
            NodeKind::Router => ("#fdeedb", "#b7742b", rect.half.1.min(20.0)),
        };
        let note = self.notes.nodes.get(&node.name);
        let drops = note.is_some_and(|note| note.state == GraphState::Drops);
        let (stroke, width) = if drops { (DROPS, 2.5) } else { (stroke, 1.0) };
        let _ = writeln!(
            self.svg,
            "<g><title>{}</title><rect class=\"node\" {} rx=\"{corner:.1}\" fill=\"{fill}\" stroke=\"{stroke}\" \
             stroke-width=\"{width}\"/>",
            escape(&tooltip(node, self.notes)),
            place_of(&rect),
        );
        let lines = &self.words.nodes[at];
        let first = rect.middle.1 - (lines.len() as f64 - 1.0) * LINE / 2.0 + TYPE / 3.0;
        for (number, line) in lines.iter().enumerate() {
            let (weight, colour) = if number == 0 {
                ("600", "#1a1a1a")
            } else {
                ("400", "#4a4a4a")
            };
            let _ = writeln!(
                self.svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-weight=\"{weight}\" fill=\"{colour}\">{}</text>",
                rect.middle.0,
                first + number as f64 * LINE,
                escape(line)
            );
        }
        self.svg.push_str("</g>\n");
    }

    fn draw_card(&mut self, node: usize, card: Rect) {
        let below = card.middle.1 > self.layout.boxes[node].middle.1;
        // The line of text stands at the side away from the node, turned over or not.
        let y = if below {
            card.bottom() - 7.0
        } else {
            card.top() + 14.0
        };
        let x = card.middle.0;
        let _ = writeln!(
            self.svg,
            "<path d=\"M{x:.1} {:.1}V{:.1}\" stroke=\"#3c8d55\" stroke-width=\"3\"/>\
             <rect class=\"card\" {} rx=\"4\" fill=\"#f4faf5\" stroke=\"#3c8d55\"/>\
             <text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{SMALL}\" fill=\"#4a4a4a\">{}</text>",
            self.layout.boxes[node].middle.1,
            card.middle.1,
            place_of(&card),
            escape(&self.words.footers[node]),
        );
    }

    /// Draws a host in a card; what befalls its link is told by its frame.
    fn draw_cell(&mut self, at: usize) {
        let node = &self.plan.nodes[at];
        let rect = self.layout.boxes[at];
        let link = node.interfaces.first().map(|interface| interface.link);
        let state = link.map_or(GraphState::Plain, |link| self.state(&self.plan.links[link]));
        let (mut colour, width) = stroke(state);
        if state == GraphState::Plain {
            colour = "#3b6fb6";
        }
        let dashes = if state == GraphState::Down {
            " stroke-dasharray=\"3 2\""
        } else {
            ""
        };
        let mut tip = tooltip(node, self.notes);
        let mut text = self.words.nodes[at][0].clone();
        if let Some(link) = link {
            let _ = write!(tip, "\n{}", self.link_tooltip(&self.plan.links[link]));
            if let Some(number) = self.number(link) {
                let _ = write!(text, " {number}");
            }
        }
        let _ = writeln!(
            self.svg,
            "<g><title>{}</title><rect class=\"node\" {} rx=\"3\" fill=\"#e4eefb\" stroke=\"{colour}\" \
             stroke-width=\"{:.1}\"{dashes}/><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{SMALL}\" \
             fill=\"#1a1a1a\">{}</text></g>",
            escape(&tip),
            place_of(&rect),
            width - 0.5,
            rect.middle.0,
            rect.middle.1 + SMALL / 3.0,
            escape(&text)
        );
    }

    fn draw_label(&mut self, at: usize) {
        let (rect, lines) = match &self.labels[at] {
            Some(Label::At(rect)) => (*rect, self.words.links[at].clone()),
            Some(Label::Below(Some(rect))) => match self.number(at) {
                Some(number) => (*rect, vec![number.to_string()]),
                None => return,
            },
            _ => return,
        };
        let (colour, _) = stroke(self.state(&self.plan.links[at]));
        let _ = writeln!(
            self.svg,
            "<g><rect class=\"label\" {} rx=\"3\" fill=\"#fffdf5\" stroke=\"{colour}\" stroke-width=\"0.8\"/>",
            place_of(&rect)
        );
        let first = rect.middle.1 - (lines.len() as f64 - 1.0) * SMALL_LINE / 2.0 + SMALL / 3.0;
        for (number, line) in lines.iter().enumerate() {
            let _ = writeln!(
                self.svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{SMALL}\" fill=\"#333\">{}</text>",
                rect.middle.0,
                first + number as f64 * SMALL_LINE,
                escape(line)
            );
        }
        self.svg.push_str("</g>\n");
    }
}

const DROPS: &str = "#c8453b";

/// Returns the colour and width of a link's line.
fn stroke(state: GraphState) -> (&'static str, f64) {
    match state {
        GraphState::Plain | GraphState::Down => ("#808080", 1.5),
        GraphState::Engine => ("#b7742b", 2.0),
        GraphState::Drops => (DROPS, 2.5),
    }
}

fn place_of(rect: &Rect) -> String {
    format!(
        "x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"",
        rect.left(),
        rect.top(),
        rect.half.0 * 2.0,
        rect.half.1 * 2.0
    )
}

fn path(way: &Way) -> String {
    let spot = |point: &Point| format!("{:.1} {:.1}", point.0, point.1);
    match (way.corners.as_slice(), way.bend) {
        ([from, to], Some(bend)) => format!("M{}Q{} {}", spot(from), spot(&bend), spot(to)),
        ([from, rest @ ..], _) => {
            let rest: String = rest.iter().map(|point| format!("L{}", spot(point))).collect();
            format!("M{}{rest}", spot(from))
        }
        ([], _) => String::new(),
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
