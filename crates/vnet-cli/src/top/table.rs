//! Rates as lines for a person.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use clap::ValueEnum;

use crate::report::pairs;
use crate::top::rates::{Rated, Tick};

/// What stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// The most bits a second
    Rate,
    /// The most frames a second
    Frames,
    /// The most drops a second, then the most drops
    Drops,
    /// The longest queue
    Queue,
    /// Names in order
    Name,
}

impl Sort {
    /// Returns the one after it.
    pub fn next(self) -> Self {
        match self {
            Sort::Rate => Sort::Frames,
            Sort::Frames => Sort::Drops,
            Sort::Drops => Sort::Queue,
            Sort::Queue => Sort::Name,
            Sort::Name => Sort::Rate,
        }
    }

    fn order(self, a: &Rated, b: &Rated) -> Ordering {
        let more = match self {
            Sort::Rate => b.bits_per_s.total_cmp(&a.bits_per_s),
            Sort::Frames => b.frames_per_s.total_cmp(&a.frames_per_s),
            Sort::Drops => b
                .drops_per_s
                .total_cmp(&a.drops_per_s)
                .then(b.row.drops.cmp(&a.row.drops)),
            Sort::Queue => b.row.queue.cmp(&a.row.queue),
            Sort::Name => Ordering::Equal,
        };
        more.then_with(|| name(a).cmp(&name(b)))
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sort::Rate => "rate",
            Sort::Frames => "frames",
            Sort::Drops => "drops",
            Sort::Queue => "queue",
            Sort::Name => "name",
        })
    }
}

/// Draws links, the interfaces that have none, plugins, and the engine's parts, as far as there are any.
pub(crate) fn table(tick: &Tick, sort: Sort) -> String {
    let of = |kind: &str| {
        let mut rows: Vec<&Rated> = tick.rows.iter().filter(|rated| rated.row.kind == kind).collect();
        rows.sort_by(|a, b| sort.order(a, b));
        rows
    };
    let links = of("link");
    // An interface with a link shows the same frames once more.
    let ports: Vec<&Rated> = of("port")
        .into_iter()
        .filter(|rated| rated.row.link.is_none())
        .collect();
    let mut text = String::new();
    part(
        &mut text,
        ["link", "path", "frames/s", "bit/s", "queue", "drops", "by reason"],
        links.iter().map(|rated| moved(rated)),
    );
    part(
        &mut text,
        [
            "interface",
            "state",
            "frames/s",
            "bit/s",
            "queue",
            "drops",
            "by reason",
        ],
        ports.iter().map(|rated| moved(rated)),
    );
    part(
        &mut text,
        [
            "plugin",
            "state",
            "frames/s",
            "bit/s",
            "ns/packet",
            "drops",
            "by reason",
        ],
        of("stage").iter().map(|rated| {
            let ns = rated
                .row
                .ns_per_packet
                .map_or_else(|| "-".into(), |ns| format!("{ns:.0}"));
            with(rated, ns)
        }),
    );
    part(
        &mut text,
        [
            "engine",
            "CPU s",
            "frames/s",
            "bit/s",
            "held",
            "drops",
            "by reason",
        ],
        of("engine").iter().map(|rated| {
            let mut cells = moved(rated);
            cells[1] = rated
                .row
                .cpu_ns
                .map_or_else(|| "-".into(), |ns| format!("{:.2}", ns as f64 / 1e9));
            cells
        }),
    );
    text
}

fn name(rated: &Rated) -> String {
    let row = &rated.row;
    let words =
        [&row.stage, &row.link, &row.node, &row.interface].map(|word| word.as_deref().unwrap_or_default());
    let [stage, link, node, interface] = words;
    let place = match (node, interface) {
        ("", interface) => interface.to_owned(),
        (node, "") => node.to_owned(),
        (node, interface) => format!("{node}:{interface}"),
    };
    let way = row.direction.as_deref().unwrap_or_default();
    match row.kind.as_str() {
        "link" => format!("{link} from {place}"),
        "stage" if link.is_empty() && place.is_empty() => stage.to_owned(),
        "stage" => format!("{stage} on {}", if link.is_empty() { &place } else { link }),
        "engine" if !link.is_empty() => link.to_owned(),
        _ => format!("{place} {way}").trim_end().to_owned(),
    }
}

fn moved(rated: &Rated) -> [String; 7] {
    with(
        rated,
        rated
            .row
            .queue
            .map_or_else(|| "-".into(), |queue| queue.to_string()),
    )
}

fn with(rated: &Rated, fifth: String) -> [String; 7] {
    let row = &rated.row;
    [
        name(rated),
        row.state.clone().unwrap_or_else(|| "-".into()),
        short(rated.frames_per_s),
        short(rated.bits_per_s),
        fifth,
        row.drops.to_string(),
        pairs(&row.reasons),
    ]
}

/// Writes a number with three digits that mean something: 1.23k, 45.6M.
fn short(number: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut rest = number;
    let mut unit = 0;
    while rest >= 999.5 && unit + 1 < UNITS.len() {
        rest /= 1000.0;
        unit += 1;
    }
    match rest {
        _ if unit == 0 => format!("{rest:.0}"),
        rest if rest < 9.995 => format!("{rest:.2}{}", UNITS[unit]),
        rest if rest < 99.95 => format!("{rest:.1}{}", UNITS[unit]),
        rest => format!("{rest:.0}{}", UNITS[unit]),
    }
}

fn part(text: &mut String, head: [&str; 7], rows: impl Iterator<Item = [String; 7]>) {
    let rows: Vec<[String; 7]> = rows.map(|row| row.map(|cell| visible(&cell))).collect();
    if rows.is_empty() {
        return;
    }
    let lines: Vec<[String; 7]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let width = |row: &[String; 7]| row[column].chars().count();
        lines.iter().map(width).max().unwrap_or(0)
    });
    for row in &lines {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                1 | 6 => write!(line, "  {cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
}

/// A plugin's words could hold what a terminal obeys.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use vnet::Row;

    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1.00k"),
            (45_600.0, "45.6k"),
            (999_960.0, "1.00M"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn what_is_fastest_stands_first_and_nothing_is_obeyed() {
        let row = |link: &str, bits: f64| Rated {
            row: Row {
                kind: "link".into(),
                link: Some(link.into()),
                node: Some("h1".into()),
                interface: Some("eth0".into()),
                ..Row::default()
            },
            frames_per_s: 0.0,
            bits_per_s: bits,
            drops_per_s: 0.0,
        };
        let tick = Tick {
            rows: vec![row("slow", 1.0), row("\x1b[2Jfast", 2.0)],
        };
        let text = table(&tick, Sort::Rate);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].contains("fast from h1:eth0") && lines[2].contains("slow"),
            "{text}"
        );
        assert!(!text.contains('\x1b'));
        assert!(table(&tick, Sort::Name).find("slow") > table(&tick, Sort::Name).find("fast"));
    }
}
