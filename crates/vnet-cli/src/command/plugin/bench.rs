//! `vnet plugin bench`: what a plugin costs a packet, with frames in memory.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use vnet::Plugin;
use vnet::kit::{BenchOptions, BenchReport};

use super::{subject, table::table};
use crate::args::{Grant, ModuleCap};
use crate::failure::Failure;
use crate::live;
use crate::output;
use crate::plugin_arg;

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// The plugin: a file, the bare name of one that ships with vnet, or a project's folder [default: the project here]
    #[arg(value_name = "FILE[:key=val,...]", value_parser = plugin_arg::parse)]
    plugin: Option<Plugin>,
    /// Lengths of the frames in bytes
    #[arg(long, value_delimiter = ',', default_values_t = [64, 512, 1500], value_name = "BYTES,...")]
    sizes: Vec<usize>,
    /// How many frames one call gets
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64], value_name = "N,...")]
    batches: Vec<usize>,
    /// Judge the frames of a capture instead, which is read into memory first
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Capability the plugin gets where it asks for it; repeated for more
    #[arg(long = "grant", value_name = "CAPABILITY")]
    grants: Vec<Grant>,
    /// CPU time of each measurement in milliseconds
    #[arg(long, default_value_t = 300, value_name = "MS")]
    time: u64,
    #[command(flatten)]
    cap: ModuleCap,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Bench) -> Result<i32, Failure> {
    let plugin = subject::plugin(options.plugin.as_ref(), &options.grants, options.cap)?;
    let report = vnet::bench(
        &plugin,
        BenchOptions {
            sizes: options.sizes.clone(),
            batches: options.batches.clone(),
            pcap: options.pcap.clone(),
            time: Duration::from_millis(options.time),
            ..BenchOptions::default()
        },
        live::progress(),
    )?;
    if options.json {
        output::json(&report)?;
    } else {
        output::data(&text(&report))?;
    }
    if report.faults.is_empty() {
        return Ok(0);
    }
    let faults: Vec<String> = report
        .faults
        .iter()
        .map(|(kind, n)| format!("{kind} {n}"))
        .collect();
    Err(Failure::check(
        format!(
            "plugin {} broke rules while it was measured: {}",
            report.plugin,
            faults.join(", ")
        ),
        Some("see `vnet plugin check`"),
    ))
}

fn text(report: &BenchReport) -> String {
    let heading = [
        "bytes",
        "batch",
        "ns/packet",
        "Mpps",
        "host ns",
        "native ns",
        "instructions",
    ]
    .map(str::to_owned)
    .to_vec();
    let rows = report.rows.iter().map(|row| {
        vec![
            row.size.to_string(),
            row.batch.to_string(),
            format!("{:.2}", row.ns_per_packet),
            format!("{:.2}", row.mpps),
            format!("{:.2}", row.host_ns),
            row.native_ns.map_or("-".into(), |ns| format!("{ns:.2}")),
            row.fuel_per_packet
                .map_or("-".into(), |fuel| format!("{fuel:.1}")),
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    format!(
        "{}, CPU time of one core\n{}",
        report.plugin,
        table(&rows, &[0, 1, 2, 3, 4, 5, 6])
    )
}
