//! `vnet plugin test`: a file of cases, and a diff of headers where one fails.

use std::path::{Path, PathBuf};

use clap::Args;
use vnet::Plugin;
use vnet::kit::{self, TestReport};

use super::{subject, table::table};
use crate::args::ModuleCap;
use crate::failure::Failure;
use crate::output::{self, Paint};
use crate::plugin_arg;

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The plugin: a file, the bare name of one that ships with vnet, or a project's folder [default: the project here]
    #[arg(value_name = "FILE", value_parser = plugin_arg::parse)]
    plugin: Option<Plugin>,
    /// The file of cases [default: tests.toml of the project, or beside the plugin]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    cap: ModuleCap,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Test) -> Result<i32, Failure> {
    let project = subject::project(options.plugin.as_ref())?;
    let plugin = subject::plugin(options.plugin.as_ref(), &[], options.cap)?;
    let cases = options.cases.clone().unwrap_or_else(|| match &project {
        Some(project) => project.cases(),
        None => Path::new(&plugin.source).with_file_name("tests.toml"),
    });
    let report = vnet::test_plugin(&plugin, &cases)?;
    if options.json {
        output::json(&report)?;
    } else {
        output::data(&text(&report, &cases, Paint::stdout()))?;
    }
    if report.failed == 0 {
        return Ok(0);
    }
    Err(Failure::check(
        format!(
            "{} of {} cases of {} failed",
            report.failed,
            report.cases.len(),
            cases.display()
        ),
        None,
    ))
}

fn text(report: &TestReport, cases: &Path, paint: Paint) -> String {
    let mut text = String::new();
    for case in &report.cases {
        if case.failures.is_empty() {
            text += &format!("{} {}\n", paint.green("ok  "), case.name);
            continue;
        }
        let place = format!("{}:{}", cases.display(), case.line);
        text += &format!("{} {} ({place})\n", paint.red("FAIL"), case.name);
        for failure in &case.failures {
            text += &indented(&one(failure), 5);
        }
    }
    text += &format!("{} passed, {} failed", report.passed, report.failed);
    if report.frames > 0 {
        text += &format!("; {} frames, {:.1} ns each", report.frames, report.ns_per_packet);
    }
    text.push('\n');
    text
}

fn one(failure: &kit::Failure) -> String {
    let place = match failure.step {
        0 => failure.what.clone(),
        step => format!("step {step}, {}", failure.what),
    };
    if failure.differences.is_empty() {
        return format!("{place}\n");
    }
    let mut text = if failure.frame.is_empty() {
        format!("{place}:\n")
    } else {
        format!("{place}: {}\n", failure.frame)
    };
    let mut rows = vec![["", "expected", "found"].map(str::to_owned).to_vec()];
    for difference in &failure.differences {
        rows.push(vec![
            difference.field.clone(),
            difference.expected.clone(),
            difference.found.clone(),
        ]);
    }
    text += &indented(&table(&rows, &[]), 2);
    text
}

fn indented(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| format!("{}{line}\n", " ".repeat(by)))
        .collect()
}
