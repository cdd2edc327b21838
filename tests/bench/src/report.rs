//! The table on stdout and the same as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::lab::Result;
use crate::pairs::{Estimate, estimate, median};

/// A ratio with what it is held to.
#[derive(Debug, Serialize)]
pub struct Row {
    pub what: String,
    pub ratio: Estimate,
    /// What the median must reach, or stay below.
    pub bar: Option<Bar>,
    pub met: bool,
}

/// A bound on a row's median.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// Everything one run measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub machine: BTreeMap<String, String>,
    pub rounds: usize,
    /// Medians of the runs behind the ratios, with their unit in the name.
    pub medians: BTreeMap<String, f64>,
    pub rows: Vec<Row>,
    pub plugins_ns_per_packet: BTreeMap<String, f64>,
}

impl Report {
    pub fn row(&mut self, what: &str, ratios: &[f64], bar: Option<Bar>) {
        let ratio = estimate(ratios);
        let met = match bar {
            None => true,
            Some(Bar::AtLeast(least)) => ratio.median >= least,
            Some(Bar::AtMost(most)) => ratio.median <= most,
        };
        self.rows.push(Row {
            what: what.to_owned(),
            ratio,
            bar,
            met,
        });
    }

    pub fn measured(&mut self, what: &str, values: &[f64]) {
        self.medians.insert(what.to_owned(), median(values));
    }

    pub fn print(&self) {
        println!(
            "machine: {}",
            self.machine
                .iter()
                .map(|(k, v)| format!("{k} {v}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        println!("medians of {} interleaved rounds:", self.rounds);
        for (what, value) in &self.medians {
            println!("  {what:<52} {value:>12.2}");
        }
        println!(
            "\n{:<54} {:>7}  {:^17}  {:>8}",
            "ratio", "median", "95 % interval", "bar"
        );
        for row in &self.rows {
            let bar = match row.bar {
                None => String::new(),
                Some(Bar::AtLeast(x)) => format!(">= {x}"),
                Some(Bar::AtMost(x)) => format!("<= {x}"),
            };
            let Estimate { median, low, high } = row.ratio;
            let verdict = if row.met { "" } else { "  MISSED" };
            println!(
                "{:<54} {median:>7.3}  [{low:>6.3}, {high:>6.3}]  {bar:>8}{verdict}",
                row.what
            );
        }
        println!("\nplugin alone, 64 B frames, batches of 64: ns per packet");
        for (name, ns) in &self.plugins_ns_per_packet {
            println!("  {name:<52} {ns:>12.2}");
        }
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    pub fn missed(&self) -> bool {
        self.rows.iter().any(|r| !r.met)
    }
}

/// Describes the machine: processor, count, kernel.
pub fn machine() -> BTreeMap<String, String> {
    let first = |file: &str, key: &str| {
        std::fs::read_to_string(file).ok().and_then(|text| {
            let line = text.lines().find(|l| l.starts_with(key))?;
            Some(line.split_once(':').map_or(line, |(_, v)| v).trim().to_owned())
        })
    };
    let mut machine = BTreeMap::new();
    let mut put = |k: &str, v: Option<String>| {
        machine.insert(k.to_owned(), v.unwrap_or_else(|| "unknown".to_owned()));
    };
    put("cpu", first("/proc/cpuinfo", "model name"));
    put(
        "cpus",
        std::thread::available_parallelism().ok().map(|n| n.to_string()),
    );
    put("kernel", first("/proc/sys/kernel/osrelease", ""));
    machine
}
