//! Two looks at counters, and what is between them.

use std::collections::HashMap;

use serde::Serialize;
use vnet::Row;

/// A row, and how fast its counters go.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rated {
    #[serde(flatten)]
    pub row: Row,
    /// Frames in a second.
    pub frames_per_s: f64,
    /// Bits in a second.
    pub bits_per_s: f64,
    /// Drops in a second.
    pub drops_per_s: f64,
}

/// What was seen at one moment, with rates since the moment before.
pub(crate) struct Tick {
    pub rows: Vec<Rated>,
}

type Key<'a> = (&'a str, [Option<&'a str>; 5], usize);

impl Tick {
    /// Takes the first look: no rate is known.
    pub fn first(rows: Vec<Row>) -> Self {
        let still = |row| Rated {
            row,
            frames_per_s: 0.0,
            bits_per_s: 0.0,
            drops_per_s: 0.0,
        };
        Self {
            rows: rows.into_iter().map(still).collect(),
        }
    }

    /// Takes the next look.
    pub fn next(&self, rows: Vec<Row>) -> Self {
        let before: HashMap<Key<'_>, &Row> = keyed(self.rows.iter().map(|rated| &rated.row))
            .into_iter()
            .collect();
        let since: Vec<Option<Row>> = keyed(rows.iter())
            .into_iter()
            .map(|(key, _)| before.get(&key).map(|row| (*row).clone()))
            .collect();
        let mut tick = Self::first(rows);
        for (rated, before) in tick.rows.iter_mut().zip(since) {
            let Some(before) = before else { continue };
            let seconds = (rated.row.time_ns - before.time_ns) as f64 / 1e9;
            if seconds <= 0.0 {
                continue;
            }
            // A thing that was taken away and made again counts from 0.
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
            rated.frames_per_s = rate(rated.row.frames, before.frames);
            rated.bits_per_s = 8.0 * rate(rated.row.bytes, before.bytes);
            rated.drops_per_s = rate(rated.row.drops, before.drops);
        }
        tick
    }

    /// Returns it for a machine.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!(self.rows)
    }
}

/// Names each row; rows of the same name, such as a plugin that is there twice, are told apart by their order.
fn keyed<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<(Key<'a>, &'a Row)> {
    let mut seen: HashMap<(&str, [Option<&str>; 5]), usize> = HashMap::new();
    rows.map(|row| {
        let names = [&row.node, &row.interface, &row.link, &row.stage, &row.direction].map(Option::as_deref);
        let number = seen.entry((&row.kind, names)).or_default();
        *number += 1;
        ((row.kind.as_str(), names, *number), row)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(time_ns: i64, frames: u64) -> Row {
        Row {
            time_ns,
            kind: "stage".into(),
            stage: Some("count".into()),
            frames,
            bytes: 100 * frames,
            ..Row::default()
        }
    }

    #[test]
    fn rates_are_per_second_and_of_the_same_thing() {
        let tick = Tick::first(vec![stage(0, 10), stage(0, 1_000)]);
        let tick = tick.next(vec![
            stage(500_000_000, 20),
            stage(500_000_000, 1_000),
            stage(500_000_000, 7),
        ]);
        let rates: Vec<f64> = tick.rows.iter().map(|rated| rated.frames_per_s).collect();
        assert_eq!(rates, [20.0, 0.0, 0.0]);
        assert_eq!(tick.rows[0].bits_per_s, 16_000.0);
    }

    #[test]
    fn a_counter_that_begins_again_is_not_negative() {
        let tick = Tick::first(vec![stage(0, 10)]).next(vec![stage(1_000_000_000, 3)]);
        assert_eq!(tick.rows[0].frames_per_s, 0.0);
    }
}
