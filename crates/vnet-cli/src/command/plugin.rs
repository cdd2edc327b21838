//! `vnet plugin`: work on plugin files.

use std::fmt::Write;

use clap::{Args, Subcommand};
use vnet::{CheckOptions, CheckReport, Plugin};

use crate::failure::Failure;
use crate::output;
use crate::plugin_arg;
use crate::report;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load a plugin and show it thousands of hostile frames, without a device
    Check(Check),
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The plugin: a file, or the bare name of one that ships with vnet
    #[arg(value_name = "FILE[:key=val,...]", value_parser = plugin_arg::parse)]
    plugin: Plugin,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: Command) -> Result<i32, Failure> {
    match command {
        Command::Check(options) => check(&options),
    }
}

fn check(options: &Check) -> Result<i32, Failure> {
    let report = vnet::check(&options.plugin, CheckOptions::default())?;
    if options.json {
        output::json(&report)?;
    } else {
        output::data(&text(&report))?;
    }
    if report.passed() {
        return Ok(0);
    }
    let what = format!(
        "plugin {} broke {} of the plugin interface's rules",
        report.plugin,
        report.problems.len()
    );
    Err(Failure::check(what, None))
}

fn text(report: &CheckReport) -> String {
    let mut text = String::new();
    let CheckReport {
        plugin,
        form,
        size,
        frames,
        ns_per_packet,
        ..
    } = report;
    let layers = report.layers.join(", ");
    let _ = writeln!(text, "{plugin}: {form} form, {layers}, {size} bytes");
    let _ = writeln!(text, "{frames} frames, {ns_per_packet:.1} ns each");
    for (what, numbers) in [
        ("verdicts", &report.verdicts),
        ("drops", &report.drops),
        ("faults", &report.faults),
    ] {
        let numbers = report::pairs(numbers);
        if !numbers.is_empty() {
            let _ = writeln!(text, "{what}: {numbers}");
        }
    }
    for problem in &report.problems {
        let _ = writeln!(text, "{} ({}): {}", problem.rule, problem.layer, problem.message);
        for line in problem.frame.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}
