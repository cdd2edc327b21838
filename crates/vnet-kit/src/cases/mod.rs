//! `vnet plugin test`: a file of cases, each frames in and what is expected to become of them.

mod expect;
mod file;

use std::fs;
use std::path::Path;

use serde::Serialize;
use vnet_packet::Layer;
use vnet_runtime::{Module, StageStats};

use crate::diff::Difference;
use crate::error::KitError;
use crate::trial::{Trial, TrialOptions};
use file::Case;

/// What became of a file of cases.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TestReport {
    /// Name of the plugin.
    pub plugin: String,
    /// Cases that went as expected.
    pub passed: usize,
    /// Cases that did not.
    pub failed: usize,
    /// Frames that the plugin judged.
    pub frames: u64,
    /// Nanoseconds a frame, of what the calls of the plugin took.
    pub ns_per_packet: f64,
    /// Every case, in the file's order.
    pub cases: Vec<CaseReport>,
}

/// What became of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// Its name in the file.
    pub name: String,
    /// The line of the file where it starts.
    pub line: usize,
    /// What was not as expected; empty when it passed.
    pub failures: Vec<Failure>,
}

/// One expectation that did not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Number of the step, from 1; 0 is the case as a whole.
    pub step: usize,
    /// What was looked at, in words.
    pub what: String,
    /// The frame that was offered, in one line; empty where there was none.
    pub frame: String,
    /// In which points it differs.
    pub differences: Vec<Difference>,
}

/// Runs every case of a file on fresh instances of a plugin.
///
/// # Errors
/// [`KitError::Invalid`] where the file is no file of cases, with the line or the case; [`KitError::NotFound`] where a file is missing.
pub fn run(module: &Module, path: &Path) -> Result<TestReport, KitError> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => KitError::not_found(
            format!("file of cases {} does not exist", path.display()),
            "`vnet plugin new` makes one to start from; --cases names another",
        ),
        _ => KitError::file("read", path, error),
    })?;
    let refuse = |error: String| KitError::invalid(format!("{}: {}", path.display(), error.trim_end()));
    let cases = file::parse(&text).map_err(refuse)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut report = TestReport {
        plugin: module.name().to_owned(),
        ..TestReport::default()
    };
    let mut guest_ns = 0;
    for (case, line) in cases {
        let (failures, stats) =
            run_case(module, &case, dir).map_err(|error| refuse(format!("case {:?}: {error}", case.name)))?;
        report.frames += stats.packets_in;
        guest_ns += stats.guest_ns;
        if failures.is_empty() {
            report.passed += 1;
        } else {
            report.failed += 1;
        }
        report.cases.push(CaseReport {
            name: case.name,
            line,
            failures,
        });
    }
    report.ns_per_packet = guest_ns as f64 / report.frames.max(1) as f64;
    Ok(report)
}

fn run_case(module: &Module, case: &Case, dir: &Path) -> Result<(Vec<Failure>, StageStats), String> {
    let unstarted = |failures| Ok((failures, StageStats::default()));
    let mut offered = Vec::new();
    for (step, number) in case.step.iter().zip(1..) {
        let frames = file::offered(step, dir).map_err(|error| format!("step {number}: {error}"))?;
        offered.push(frames);
    }
    let layer = offered.first().map_or(Layer::L2, |frames| frames.layer);
    if let Some(other) = offered.iter().position(|frames| frames.layer != layer) {
        return Err(format!(
            "step {}: its frames start with another header than those of step 1",
            other + 1
        ));
    }
    let options = TrialOptions {
        config: case.config.clone(),
        grants: case.grants.clone(),
        layer,
        ports: case.ports,
        mtu: case.mtu,
    };
    let mut trial = match (Trial::new(module, options), &case.refused) {
        (Ok(trial), None) => trial,
        (Ok(_), Some(text)) => {
            return unstarted(vec![Failure {
                what: "the configuration".into(),
                differences: vec![Difference::new("start", format!("refused: {text}"), "accepted")],
                ..Failure::default()
            }]);
        }
        (Err(error), Some(text)) if error.to_string().contains(text.as_str()) => return unstarted(Vec::new()),
        (Err(error), wanted) => {
            let wanted = wanted
                .as_ref()
                .map_or("accepted".into(), |text| format!("refused: {text}"));
            return unstarted(vec![Failure {
                what: "the start".into(),
                differences: vec![Difference::new("start", wanted, error)],
                ..Failure::default()
            }]);
        }
    };
    let mut failures = Vec::new();
    for ((step, frames), number) in case.step.iter().zip(&offered).zip(1..) {
        let ts_ns = (step.at.max(0.0) * 1e9) as u64;
        let judged = trial.judge(&frames.frames, step.port, ts_ns);
        let found = judged
            .and_then(|judged| expect::step(step, frames, &judged, dir))
            .map_err(|error| format!("step {number}: {error}"))?;
        failures.extend(found.into_iter().map(|failure| Failure {
            step: number,
            ..failure
        }));
    }
    let stats = trial.stats();
    failures.extend(expect::totals(case, &stats));
    Ok((failures, stats))
}
