//! `vnet ls`: the labs of this user that run.

use std::fmt::Write;

use clap::Args;
use serde_json::json;
use vnet::LabDescription;

use crate::failure::Failure;
use crate::output::{self, Paint};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A lab that answered.
struct Row {
    pid: u32,
    lab: LabDescription,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    // A lab that ends while it is asked is one that does not run.
    let rows: Vec<Row> = vnet::labs()
        .into_iter()
        .filter_map(|entry| {
            Some(Row {
                pid: entry.pid,
                lab: entry.describe().ok()?,
            })
        })
        .collect();
    if options.json {
        output::json(&rows.iter().map(document).collect::<Vec<_>>())?;
    } else if rows.is_empty() {
        output::note("no lab of yours is running here; start one: vnet run lab.toml");
    } else {
        output::data(&table(&rows, Paint::stdout()))?;
    }
    Ok(0)
}

fn document(row: &Row) -> serde_json::Value {
    let nodes = row.lab.nodes.iter();
    let nodes = nodes.map(|node| json!({"name": node.name, "commands": node.commands}));
    json!({
        "name": row.lab.name,
        "pid": row.pid,
        "rootless": row.lab.rootless,
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

fn table(rows: &[Row], paint: Paint) -> String {
    let widest = |width: usize, length: usize| width.max(length);
    let name = rows
        .iter()
        .map(|row| row.lab.name.len())
        .fold("lab".len(), widest);
    let pid = rows
        .iter()
        .map(|row| row.pid.to_string().len())
        .fold("pid".len(), widest);
    let mut text = String::new();
    let heading = format!("{:name$}  {:>pid$}  commands  nodes", "lab", "pid");
    let _ = writeln!(text, "{}", paint.bold(&heading));
    for row in rows {
        let commands: usize = row.lab.nodes.iter().map(|node| node.commands).sum();
        let line = format!(
            "{:name$}  {:>pid$}  {commands:>8}  {}",
            row.lab.name,
            row.pid,
            nodes(&row.lab)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Lists the first nodes of a lab.
fn nodes(lab: &LabDescription) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = lab
        .nodes
        .iter()
        .take(SHOWN)
        .map(|node| node.name.as_str())
        .collect();
    match lab.nodes.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", names.join(" ")),
        _ => names.join(" "),
    }
}
