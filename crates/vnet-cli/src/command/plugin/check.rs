//! `vnet plugin check`: does a plugin keep the rules?

use std::fmt::Write;

use clap::Args;
use vnet::{CheckOptions, CheckReport, Plugin};

use super::subject;
use crate::args::{Grant, ModuleCap};
use crate::failure::Failure;
use crate::output;
use crate::plugin_arg;
use crate::report;

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The plugin: a file, the bare name of one that ships with vnet, or a project's folder [default: the project here]
    #[arg(value_name = "FILE[:key=val,...]", value_parser = plugin_arg::parse)]
    plugin: Option<Plugin>,
    /// Frames to offer on each layer it understands
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    frames: usize,
    /// Capability the plugin gets where it asks for it; repeated for more
    #[arg(long = "grant", value_name = "CAPABILITY")]
    grants: Vec<Grant>,
    /// Seed of the frames
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    cap: ModuleCap,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Check) -> Result<i32, Failure> {
    let plugin = subject::plugin(options.plugin.as_ref(), &options.grants, options.cap)?;
    let checks = CheckOptions {
        frames: options.frames,
        seed: options.seed,
        ..CheckOptions::default()
    };
    judge(&plugin, checks, options.json)
}

/// Checks a plugin, prints the report, and fails where it broke a rule.
pub(super) fn judge(plugin: &Plugin, options: CheckOptions, json: bool) -> Result<i32, Failure> {
    let report = vnet::check(plugin, options)?;
    if json {
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
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for problem in &report.problems {
        let _ = writeln!(text, "{} ({}): {}", problem.rule, problem.layer, problem.message);
        for line in problem.frame.lines() {
            let _ = writeln!(text, "    {line}");
        }
        if !problem.hint.is_empty() {
            let _ = writeln!(text, "    hint: {}", problem.hint);
        }
    }
    text
}
