//! The table at the end: what every plugin did with the packets it saw.

use std::collections::BTreeMap;
use std::fmt::Write;

use vnet::{LineStats, StageStats};

use crate::output::Paint;

const HEADINGS: [&str; 8] = [
    "plugin",
    "packets",
    "passed",
    "dropped",
    "redirected",
    "sent back",
    "ns/packet",
    "drops by reason",
];

/// Draws one row for each plugin, then what it counted and how it failed; empty without plugins.
pub(crate) fn table(stages: &[StageStats], paint: Paint) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 8]> = stages.iter().map(row).collect();
    let mut text = String::new();
    let widths: [usize; 8] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .fold(HEADINGS[column].len(), usize::max)
    });
    let heading = line(&HEADINGS.map(String::from), &widths);
    let _ = writeln!(text, "{}", paint.bold(&heading));
    for (row, stage) in rows.iter().zip(stages) {
        let _ = writeln!(text, "{}", line(row, &widths));
        notes(&mut text, stage);
    }
    text
}

/// Says for each impaired direction of a wire how its packets have fared; empty where none is.
pub(crate) fn lines(lines: &[Option<LineStats>; 2], seed: u64) -> String {
    let mut text = String::new();
    for (line, way) in lines.iter().zip(["a to b", "b to a"]) {
        if let Some(line) = line {
            let _ = writeln!(text, "{way}: {}", fared(line));
        }
    }
    if !text.is_empty() {
        let _ = writeln!(text, "seed {seed}");
    }
    text
}

/// Says in one line what was asked of a direction, and what became of its packets.
pub(crate) fn fared(line: &LineStats) -> String {
    let asked: Vec<String> = line
        .asked
        .iter()
        .map(|(key, text)| format!("{key} {text}"))
        .collect();
    let mut text = format!(
        "{}: {} in, {} out",
        asked.join(", "),
        line.frames_in,
        line.frames_out
    );
    for (what, count) in [
        ("lost", line.lost),
        ("queue full", line.queue_full),
        ("dropped by codel", line.codel_drops),
        ("marked", line.ecn_marked),
        ("duplicated", line.duplicated),
        ("reordered", line.reordered),
        ("corrupted", line.corrupted),
        ("flight full", line.flight_full),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if let Some(delay) = &line.delay.realised {
        let _ = write!(
            text,
            ", delay p50 {} p99 {}",
            millis(delay.p50_ns),
            millis(delay.p99_ns)
        );
    }
    if let Some(rate) = line.rate_realised {
        let _ = write!(text, ", {:.3} Mbit/s while busy", rate / 1e6);
    }
    text
}

fn millis(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns % 1_000_000 / 1_000)
}

fn row(stage: &StageStats) -> [String; 8] {
    let ns = if stage.packets_in == 0 {
        "-".to_owned()
    } else {
        format!("{:.1}", stage.ns_per_packet)
    };
    [
        stage.name.clone(),
        stage.packets_in.to_string(),
        stage.passed.to_string(),
        stage.dropped.to_string(),
        stage.redirected.to_string(),
        stage.tx.to_string(),
        ns,
        pairs(&stage.drops),
    ]
}

/// Text to the left, numbers to the right, no blanks at the end of a line.
fn line(cells: &[String; 8], widths: &[usize; 8]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let gap = if column == 0 { "" } else { "  " };
        let _ = match column {
            0 | 7 => write!(text, "{gap}{cell:<width$}"),
            _ => write!(text, "{gap}{cell:>width$}"),
        };
    }
    text.trim_end().to_owned()
}

fn notes(text: &mut String, stage: &StageStats) {
    for (what, numbers) in [("counters", &stage.counters), ("faults", &stage.faults)] {
        let numbers = pairs(numbers);
        if !numbers.is_empty() {
            let _ = writeln!(text, "  {what}: {numbers}");
        }
    }
    if stage.restarts > 0 {
        let _ = writeln!(text, "  restarts: {}", stage.restarts);
    }
    if stage.state != "running" {
        let _ = writeln!(text, "  state: {}", stage.state);
    }
    if let Some(fault) = &stage.last_fault {
        let _ = writeln!(text, "  last fault: {}: {}", fault.kind, fault.message);
    }
}

/// Writes `name count, name count`, without what never happened.
pub(crate) fn pairs(numbers: &BTreeMap<String, u64>) -> String {
    let shown: Vec<String> = numbers
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> StageStats {
        StageStats {
            name: "drop_bcast".into(),
            state: "running".into(),
            packets_in: 12,
            passed: 9,
            dropped: 3,
            drops: BTreeMap::from([("broadcast".into(), 3)]),
            ns_per_packet: 1.52,
            ..StageStats::default()
        }
    }

    #[test]
    fn a_row_says_packets_drops_by_reason_and_time() {
        let text = table(&[stage()], Paint::plain());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "plugin      packets  passed  dropped  redirected  sent back  ns/packet  drops by reason"
        );
        assert_eq!(
            lines[1],
            "drop_bcast       12       9        3           0          0        1.5  broadcast 3"
        );
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_plugin_that_saw_nothing_has_no_time() {
        let idle = StageStats {
            name: "count".into(),
            state: "running".into(),
            ..StageStats::default()
        };
        assert!(
            table(&[idle], Paint::plain())
                .lines()
                .last()
                .is_some_and(|line| line.ends_with('-'))
        );
    }

    #[test]
    fn no_plugins_no_table() {
        assert_eq!(table(&[], Paint::plain()), "");
    }
}
