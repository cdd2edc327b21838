//! What is said of a frame (docs/captures.md).

use std::fmt::Write;

use vnet_abi::FLOOD;
use vnet_impair::{Impairment, Outcome};
use vnet_runtime::{Fate, Frame, Reason, Stage};

use crate::cause::Cause;

/// Who dropped a frame, other than a stage or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropper {
    Switch,
    Port(usize),
    Engine,
}

/// What a plugin decided.
pub(crate) fn verdict(stage: &Stage, frame: &Frame, is_rewritten: bool) -> String {
    let mut text = format!("{}: ", stage.name());
    match frame.fate {
        Fate::Drop(reason @ Reason::Plugin(code)) if code != 0 => {
            let _ = write!(text, "drop, reason {code} {}", quoted(stage.reason_text(reason)));
            if let Some(item) = stage.reason_item(reason) {
                let _ = write!(text, " {}", quoted(item));
            }
        }
        fate => decision(&mut text, fate, is_rewritten),
    }
    if frame.delay_us > 0 && !matches!(frame.fate, Fate::Drop(_)) {
        let _ = write!(
            text,
            ", delayed {}.{:03} ms",
            frame.delay_us / 1000,
            frame.delay_us % 1000
        );
    }
    if frame.appended {
        text.push_str(", appended");
    }
    text
}

/// What was decided for a stage elsewhere, with a reason in the user's words.
pub(crate) fn judged(name: &str, fate: Fate, reason: Option<&str>, is_rewritten: bool) -> String {
    let mut text = format!("{name}: ");
    match (fate, reason) {
        (Fate::Drop(Reason::Plugin(0)), Some(reason)) => {
            let _ = write!(text, "drop, reason {}", quoted(reason));
        }
        _ => decision(&mut text, fate, is_rewritten),
    }
    text
}

fn decision(text: &mut String, fate: Fate, is_rewritten: bool) {
    let _ = match fate {
        Fate::Unset | Fate::Pass => write!(text, "pass"),
        Fate::Tx => write!(text, "tx"),
        Fate::Redirect(FLOOD) => write!(text, "redirect flood"),
        Fate::Redirect(port) => write!(text, "redirect {port}"),
        Fate::Drop(Reason::Plugin(0)) => write!(text, "drop"),
        Fate::Drop(reason) => write!(text, "drop, {}", reason.name()),
    };
    if is_rewritten && !matches!(fate, Fate::Drop(_)) {
        text.push_str(", rewritten");
    }
}

fn quoted(words: &str) -> String {
    format!("\"{}\"", words.replace(['"', '\n'], "'"))
}

/// What a line that was `asked` for this did.
pub(crate) fn fate<T>(outcome: &Outcome<T>, asked: &Impairment, waited_ns: u64, queue: usize) -> String {
    match outcome {
        Outcome::Dropped { why, .. } => format!("lost ({})", asked.said(*why)),
        Outcome::Out {
            copies,
            corrupt,
            mark_ce,
            ..
        } => {
            let us = waited_ns / 1000;
            let mut text = format!(
                "passed, waited {}.{:03} ms in a queue of {queue}",
                us / 1000,
                us % 1000
            );
            if *copies > 1 {
                let _ = write!(text, ", {copies} copies");
            }
            if let Some(bit) = corrupt {
                let _ = write!(text, ", corrupted bit {bit}");
            }
            if *mark_ce {
                text.push_str(", marked CE");
            }
            text
        }
    }
}

pub(crate) fn dropped(who: &str, cause: Cause) -> String {
    format!("{who}: dropped ({})", cause.name())
}
