//! What a step and a case expect, held against what happened.

use std::collections::BTreeMap;
use std::path::Path;

use vnet_packet::summary;
use vnet_runtime::StageStats;

use super::Failure;
use super::file::{Case, Offered, Step, merged, spec};
use crate::capture;
use crate::diff::{Difference, diff};
use crate::trial::Judged;

/// Frames of one step that are told apart; of a capture's thousands the first say enough.
const SHOWN_MAX: usize = 10;

const VERDICTS: [&str; 5] = ["pass", "drop", "redirect", "flood", "tx"];

/// Returns what of a step was not as expected; an error where the step itself makes no sense.
pub(super) fn step(
    step: &Step,
    offered: &Offered,
    judged: &[Judged],
    dir: &Path,
) -> Result<Vec<Failure>, String> {
    let words = step.verdict.iter().chain(step.verdicts.keys());
    if let Some(word) = words.into_iter().find(|word| !VERDICTS.contains(&word.as_str())) {
        return Err(format!("{word:?} is no verdict: {}", VERDICTS.join(", ")));
    }
    let mut failures = Vec::new();
    let own: Vec<&Judged> = judged.iter().filter(|judged| !judged.appended).collect();
    let made: Vec<&[u8]> = judged
        .iter()
        .filter(|judged| judged.appended)
        .map(|judged| &judged.bytes[..])
        .collect();
    let wanted = leaves_as(step)?;
    let mut further = 0_usize;
    for ((judged, came), number) in own.iter().zip(&offered.frames).zip(1..) {
        let mut differences = verdict(step, judged);
        if let Some(wanted) = &wanted
            && judged.verdict != "drop"
        {
            differences.extend(diff(wanted, &judged.bytes, offered.layer));
        }
        if wanted.is_some() && judged.verdict == "drop" && step.verdict.is_none() {
            differences.push(Difference::new("verdict", "pass", "drop"));
        }
        let is_like_before = failures
            .last()
            .is_some_and(|last: &Failure| last.differences == differences);
        if !differences.is_empty() && (is_like_before || failures.len() == SHOWN_MAX) {
            further += 1;
        } else if !differences.is_empty() {
            let what = match own.len() {
                1 => "the frame".to_owned(),
                _ => format!("frame {number}"),
            };
            failures.push(Failure {
                what,
                frame: summary(came, offered.layer),
                differences,
                ..Failure::default()
            });
        }
    }
    if further > 0 {
        failures.push(Failure {
            what: match further {
                1 => "and another frame".to_owned(),
                n => format!("and {n} more frames"),
            },
            ..Failure::default()
        });
    }
    if let Some(list) = &step.appended {
        let wanted = list
            .iter()
            .map(|value| spec(value)?.bytes())
            .collect::<Result<Vec<_>, _>>()?;
        failures.extend(sequence("appended frame", &wanted, &made, offered));
    }
    if let Some(path) = &step.out_pcap {
        let wanted = capture::read(&dir.join(path), usize::MAX).map_err(|error| error.to_string())?;
        let left: Vec<&[u8]> = judged
            .iter()
            .filter(|judged| judged.verdict != "drop")
            .map(|judged| &judged.bytes[..])
            .collect();
        failures.extend(sequence("frame out", &wanted.frames, &left, offered));
    }
    if !step.verdicts.is_empty() {
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for judged in &own {
            *counted.entry(judged.verdict.to_owned()).or_default() += 1;
        }
        let differences = VERDICTS
            .iter()
            .filter(|word| step.verdicts.get(**word).unwrap_or(&0) != counted.get(**word).unwrap_or(&0))
            .map(|word| {
                let number = |map: &BTreeMap<String, u64>| map.get(*word).copied().unwrap_or(0);
                Difference::new(*word, number(&step.verdicts), number(&counted))
            });
        failures.extend(whole("verdicts", differences.collect()));
    }
    Ok(failures)
}

/// The bytes that the frame is to leave with, where the step says.
fn leaves_as(step: &Step) -> Result<Option<Vec<u8>>, String> {
    match (&step.out, &step.changed, &step.frame) {
        (None, None, _) => Ok(None),
        (Some(out), None, _) => spec(out)?.bytes().map(Some),
        (None, Some(changes), Some(frame)) => {
            let is_hex = frame.get("hex").is_some();
            if is_hex && changes.as_object().is_none_or(|changes| !changes.is_empty()) {
                return Err(
                    "changed needs a frame that is built from headers: write out = { hex = ... }".into(),
                );
            }
            spec(&merged(frame, changes))?.bytes().map(Some)
        }
        (None, Some(_), None) => Err("changed needs a frame: of a pcap write out_pcap = \"FILE\"".into()),
        (Some(_), Some(_), _) => Err("it has out and changed: write one of them".into()),
    }
}

fn verdict(step: &Step, judged: &Judged) -> Vec<Difference> {
    let mut differences = Vec::new();
    if let Some(wanted) = &step.verdict
        && wanted != judged.verdict
    {
        let found = match &judged.reason {
            Some(reason) => format!("{} ({reason})", judged.verdict),
            None => judged.verdict.to_owned(),
        };
        differences.push(Difference::new("verdict", wanted, found));
    }
    if let Some(wanted) = step.out_port
        && Some(wanted) != judged.out_port
    {
        let found = judged.out_port.map_or("none".into(), |port| port.to_string());
        differences.push(Difference::new("out port", wanted, found));
    }
    if let Some(wanted) = &step.reason
        && judged.reason.as_ref() != Some(wanted)
        && (judged.verdict == "drop" || step.verdict.is_none())
    {
        let found = judged.reason.as_deref().unwrap_or("none");
        differences.push(Difference::new("reason", wanted, found));
    }
    differences
}

fn sequence(what: &str, wanted: &[Vec<u8>], found: &[&[u8]], offered: &Offered) -> Vec<Failure> {
    let mut failures: Vec<Failure> = wanted
        .iter()
        .zip(found)
        .zip(1..)
        .filter_map(|((wanted, found), number)| {
            let differences = diff(wanted, found, offered.layer);
            (!differences.is_empty()).then(|| Failure {
                what: format!("{what} {number}"),
                frame: summary(found, offered.layer),
                differences,
                ..Failure::default()
            })
        })
        .collect();
    if wanted.len() != found.len() {
        let number = Difference::new("number", wanted.len(), found.len());
        failures.extend(whole(&format!("{what}s"), vec![number]));
    }
    failures
}

/// Returns what of a case's totals was not as expected.
pub(super) fn totals(case: &Case, stats: &StageStats) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (what, wanted, found) in [
        ("counters", &case.counters, &stats.counters),
        ("drops by reason", &case.drops, &stats.drops),
    ] {
        let differences = wanted
            .iter()
            .filter(|(name, n)| found.get(*name).unwrap_or(&0) != *n)
            .map(|(name, n)| {
                let found = found.get(name).map_or("none".into(), u64::to_string);
                Difference::new(name.as_str(), n, found)
            });
        failures.extend(whole(what, differences.collect()));
    }
    let faults = stats
        .faults
        .iter()
        .filter(|(kind, _)| !case.faults.contains(kind));
    let differences = faults.map(|(kind, n)| {
        let told = stats.last_fault.as_ref().filter(|fault| fault.kind == *kind);
        let message = told.map_or(String::new(), |fault| format!(": {}", fault.message));
        Difference::new(kind.as_str(), 0, format!("{n}{message}"))
    });
    failures.extend(whole("faults", differences.collect()));
    failures
}

fn whole(what: &str, differences: Vec<Difference>) -> Option<Failure> {
    (!differences.is_empty()).then(|| Failure {
        what: what.to_owned(),
        differences,
        ..Failure::default()
    })
}
