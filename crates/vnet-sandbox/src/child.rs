use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::RecvFlags;
use vnet_sys::process::{self, Exit, Process};

use crate::SandboxError;
use crate::lab::{Connection, InLab};
use crate::protocol::{self, Report, Request};

/// How long a dropped child may take to die before it is left to its helper.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// A running command. Dropping it kills the command, except in a process that was
/// forked from the one that started it.
///
/// A command below a helper of its own ([`spawn`](crate::spawn)) is killed with all
/// its descendants. One in a lab ([`Lab::spawn`](crate::Lab::spawn)) is killed with its
/// process group; what it has sent into other sessions ends with the lab.
#[derive(Debug)]
pub struct Child {
    command: String,
    pid: u32,
    way: Way,
    exit: Mutex<Option<Exit>>,
    starter: u32,
}

/// Who watches over the command.
#[derive(Debug)]
enum Way {
    Helper { helper: Process, control: OwnedFd },
    Lab(InLab),
}

impl Child {
    pub(crate) fn new(command: String, pid: u32, helper: Process, control: OwnedFd) -> Self {
        Self::of(command, pid, Way::Helper { helper, control })
    }

    /// A command with the process id `pid` in the lab behind `connection`.
    pub(crate) fn in_lab(
        command: String,
        pid: u32,
        pidfd: OwnedFd,
        status: OwnedFd,
        connection: Arc<Connection>,
    ) -> Self {
        let way = InLab::new(pid, pidfd, status, connection);
        Self::of(command, way.pid_here(), Way::Lab(way))
    }

    fn of(command: String, pid: u32, way: Way) -> Self {
        Self {
            command,
            pid,
            way,
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
    /// What it left running in the background ends with it, but in a lab lives on.
    /// Waiting again gives the same answer.
    ///
    /// # Errors
    /// [`SandboxError::HelperDied`] when somebody killed the helper.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Exit>, SandboxError> {
        if !process::readable(self.as_fd(), timeout)? {
            return Ok(None);
        }
        let mut exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if exit.is_none() {
            *exit = self.way.report();
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
        check(signal)?;
        match &self.way {
            Way::Helper { control, .. } => ask(control, Request::Signal(signal)),
            Way::Lab(command) => command.signal(signal)?,
        }
        Ok(())
    }

    /// Sends a signal to the process group of a command in a lab, which may have outlived
    /// the command (before Linux 6.9 it is not reached then); a command below a helper of
    /// its own gets the signal alone.
    ///
    /// # Errors
    /// As [`Child::signal`].
    pub fn signal_group(&self, signal: i32) -> Result<(), SandboxError> {
        check(signal)?;
        match &self.way {
            Way::Helper { control, .. } => ask(control, Request::Signal(signal)),
            Way::Lab(command) => command.signal_group(signal),
        }
        Ok(())
    }

    /// Returns whether anyone is left of the command, in a lab of its process group.
    #[must_use]
    pub fn has_group(&self) -> bool {
        match &self.way {
            Way::Helper { helper, .. } => {
                !process::readable(helper.as_fd(), Some(Duration::ZERO)).unwrap_or(true)
            }
            Way::Lab(command) => command.has_group(),
        }
    }

    /// Kills the command with its descendants, or in a lab with its process group; does
    /// nothing once it has ended.
    pub fn kill(&self) {
        match &self.way {
            Way::Helper { control, .. } => ask(control, Request::Kill),
            Way::Lab(command) => command.kill(),
        }
    }
}

impl Way {
    /// Takes the report of a command that has ended; nothing when there will be none.
    fn report(&self) -> Option<Exit> {
        match self {
            Self::Helper { helper, control } => {
                // The helper has ended, so its report, if any, is there.
                let report = protocol::next_report(control.as_fd(), RecvFlags::DONTWAIT);
                // Reaping is all this is for, and an embedding program may have reaped all its children.
                drop(helper.wait(Some(Duration::ZERO)));
                match report {
                    Ok(Some(Report::Ended(exit))) => Some(exit),
                    _ => None,
                }
            }
            Self::Lab(command) => command.report(),
        }
    }
}

fn check(signal: i32) -> Result<(), SandboxError> {
    if (1..=64).contains(&signal) {
        return Ok(());
    }
    Err(SandboxError::BadArgument {
        what: format!("{signal} is no signal"),
        fix: "give a number from 1 to 64".to_owned(),
    })
}

fn ask(control: &OwnedFd, request: Request) {
    // A helper that does not listen any more has ended, and the command with it.
    drop(protocol::request(control.as_fd(), request));
}

impl AsFd for Child {
    /// A descriptor that is readable when the command has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Helper { helper, .. } => helper.as_fd(),
            Way::Lab(command) => command.as_fd(),
        }
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
