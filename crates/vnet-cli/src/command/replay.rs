//! `vnet replay`: plugins over a capture file.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use vnet::{Replay, ReplayReport};

use crate::args::PluginOptions;
use crate::failure::Failure;
use crate::impair_arg::ImpairOptions;
use crate::output::{self, Paint};
use crate::report;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Capture to read: pcap or pcapng
    input: PathBuf,
    #[command(flatten)]
    plugins: PluginOptions,
    #[command(flatten)]
    impair: ImpairOptions,
    /// Capture to write: pcapng, or pcap when the name ends in .pcap
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name the frames that were changed, and those that did not leave
    #[arg(long)]
    diff: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: Options) -> Result<i32, Failure> {
    let report = vnet::replay(Replay {
        input: options.input,
        output: options.output,
        plugins: options.plugins.plugins().collect(),
        diff: options.diff,
        impair: options.impair.one_way()?,
        seed: options.impair.seed.unwrap_or_default(),
        ..Replay::default()
    })?;
    if options.json {
        output::json(&report)?;
    } else {
        output::data(&text(&report, options.diff))?;
    }
    Ok(0)
}

fn text(report: &ReplayReport, diff: bool) -> String {
    let mut text = format!(
        "{} frames in, {} out, {} dropped",
        report.frames_in, report.frames_out, report.dropped
    );
    for (cause, count) in &report.drops {
        let _ = write!(text, ", {cause} {count}");
    }
    text.push('\n');
    if let Some(line) = &report.line {
        let _ = writeln!(text, "{}", report::fared(line));
    }
    if diff {
        for change in &report.changed {
            let _ = write!(
                text,
                "frame {}: {} bytes changed from offset {}",
                change.number, change.bytes_changed, change.first_difference
            );
            if change.len_before != change.len_after {
                let _ = write!(text, ", length {} to {}", change.len_before, change.len_after);
            }
            text.push('\n');
        }
        for number in &report.missing {
            let _ = writeln!(text, "frame {number}: did not leave");
        }
    }
    text.push_str(&report::table(&report.stages, Paint::stdout()));
    text
}
