//! The time between "everything is in place" and "it ends": until a signal, or the end of CMD.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use vnet::{Command, Running};

use crate::failure::Failure;
use crate::signals::{Signals, Woken};

/// How often what the command has set up is looked after.
const LOOK: Duration = Duration::from_millis(500);
/// How long CMD may take to end after it was sent the signal that vnet got.
const GRACE: Duration = Duration::from_millis(80);
/// How long the helper may take to say how CMD ended, once it has.
const REAP: Duration = Duration::from_secs(5);

/// Waits for a signal; `look` fails when what was set up has gone.
pub(crate) fn until_signal(
    signals: &mut Signals,
    look: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<i32, Failure> {
    loop {
        match signals.wait(None, Some(LOOK))? {
            // It is the way such a command ends, so it is no failure.
            Woken::Signal(_) => return Ok(0),
            Woken::Readable | Woken::TimedOut => look()?,
        }
    }
}

/// Runs CMD to its end, or passes on the signal that comes first; returns its exit code as a shell does.
pub(crate) fn until_end_of(
    command: Command,
    signals: &mut Signals,
    look: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<i32, Failure> {
    let mut running = command.spawn().map_err(Failure::not_run)?;
    let ended = running
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Failure::Os {
            what: "watch the command",
            source,
        })?;
    loop {
        match signals.wait(Some(ended.as_fd()), Some(LOOK))? {
            Woken::Readable => return code(&mut running),
            Woken::Signal(signal) => return pass_on(signal, &mut running, &ended, signals),
            Woken::TimedOut => look()?,
        }
    }
}

fn code(running: &mut Running) -> Result<i32, Failure> {
    match running.poll(REAP)? {
        Some(completed) => Ok(completed.shell_code()),
        None => Err(Failure::check(
            "the command ended, but its exit code cannot be had",
            None,
        )),
    }
}

/// Lets CMD end by the same signal in its own way, and kills it when it does not, or when a second signal comes.
fn pass_on(
    signal: i32,
    running: &mut Running,
    ended: &OwnedFd,
    signals: &mut Signals,
) -> Result<i32, Failure> {
    running.signal(signal)?;
    if signals.wait(Some(ended.as_fd()), Some(GRACE))? == Woken::Readable {
        return code(running);
    }
    running.kill()?;
    Ok(128 + signal)
}
