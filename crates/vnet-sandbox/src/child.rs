use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::RecvFlags;
use vnet_sys::process::{self, Exit, Process};

use crate::SandboxError;
use crate::protocol::{self, Report, Request};

/// How long a dropped child may take to die before it is left to its helper.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// A running command. Dropping it kills the command and all its descendants, except
/// in a process that was forked from the one that started it.
#[derive(Debug)]
pub struct Child {
    command: String,
    pid: u32,
    helper: Process,
    control: OwnedFd,
    exit: Mutex<Option<Exit>>,
    starter: u32,
}

impl Child {
    pub(crate) fn new(command: String, pid: u32, helper: Process, control: OwnedFd) -> Self {
        Self {
            command,
            pid,
            helper,
            control,
            exit: Mutex::new(None),
            starter: std::process::id(),
        }
    }

    /// Returns the process id of the command itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the command has ended, at most `timeout`, and returns how; nothing
    /// when the time is over.
    ///
    /// What the command left running in the background ends with it. Waiting again
    /// gives the same answer.
    ///
    /// # Errors
    /// [`SandboxError::HelperDied`] when somebody killed the helper.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Exit>, SandboxError> {
        if !process::readable(self.helper.as_fd(), timeout)? {
            return Ok(None);
        }
        let mut exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if exit.is_none() {
            // The helper has ended, so its report, if any, is there.
            if let Ok(Some(Report::Ended(ended))) =
                protocol::next_report(self.control.as_fd(), RecvFlags::DONTWAIT)
            {
                *exit = Some(ended);
            }
            // Reaping is all this is for, and an embedding program may have reaped all its children.
            drop(self.helper.wait(Some(Duration::ZERO)));
        }
        exit.map(Some).ok_or_else(|| SandboxError::HelperDied {
            command: self.command.clone(),
        })
    }

    /// Sends a signal to the command itself; one that has ended already is no error.
    ///
    /// # Errors
    /// [`SandboxError::BadArgument`] for a number that is no signal.
    pub fn signal(&self, signal: i32) -> Result<(), SandboxError> {
        if !(1..=64).contains(&signal) {
            return Err(SandboxError::BadArgument {
                what: format!("{signal} is no signal"),
                fix: "give a number from 1 to 64".to_owned(),
            });
        }
        self.ask(Request::Signal(signal));
        Ok(())
    }

    /// Kills the command and all its descendants.
    pub fn kill(&self) {
        self.ask(Request::Kill);
    }

    fn ask(&self, request: Request) {
        // A helper that does not listen any more has ended, and the command with it.
        drop(protocol::request(self.control.as_fd(), request));
    }
}

impl AsFd for Child {
    /// A pidfd, readable when the command has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.helper.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.starter != std::process::id() {
            return;
        }
        self.kill();
        drop(self.wait(Some(LAST_WAIT)));
    }
}
