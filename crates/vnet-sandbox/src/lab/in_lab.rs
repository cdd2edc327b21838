use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use vnet_sys::process::{self, Exit};

use super::Connection;
use super::message::{Request, SignalRequest};
use crate::SandboxError;
use crate::protocol::Report;

const SIGKILL: i32 = 9;

/// A command that runs in a lab.
///
/// Its end comes through a pipe of its own, so that waiting for it never waits for
/// other requests.
#[derive(Debug)]
pub(crate) struct InLab {
    /// Its process id in the lab.
    pid: u32,
    pidfd: OwnedFd,
    /// Brings a report when it has ended, and the end of the file without one when the
    /// helper was killed.
    status: OwnedFd,
    connection: Arc<Connection>,
}

impl InLab {
    pub(crate) fn new(pid: u32, pidfd: OwnedFd, status: OwnedFd, connection: Arc<Connection>) -> Self {
        Self {
            pid,
            pidfd,
            status,
            connection,
        }
    }

    /// Returns its process id as this process counts, or 0 once it is gone.
    pub(crate) fn pid_here(&self) -> u32 {
        let path = format!("/proc/self/fdinfo/{}", self.pidfd.as_raw_fd());
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn report(&self) -> Option<Exit> {
        let mut bytes = [0; 16];
        let len = rustix::io::retry_on_intr(|| rustix::io::read(&self.status, &mut bytes)).ok()?;
        match Report::decode(&bytes[..len])? {
            Report::Ended(exit) => Some(exit),
            _ => None,
        }
    }

    pub(crate) fn signal(&self, signal: i32) -> Result<(), SandboxError> {
        Ok(process::send(self.pidfd.as_fd(), signal)?)
    }

    /// Kills its process group while it has not ended itself.
    pub(crate) fn kill(&self) {
        if !self.has_ended() {
            self.signal_group(SIGKILL);
        }
    }

    fn has_ended(&self) -> bool {
        process::readable(self.pidfd.as_fd(), Some(Duration::ZERO)).unwrap_or(false)
    }

    /// Returns whether its process group has anyone in it.
    pub(crate) fn has_group(&self) -> bool {
        // Before Linux 6.9 nothing is known of the group of a command that has ended.
        process::send_to_group(self.pidfd.as_fd(), 0).unwrap_or_else(|_| !self.has_ended())
    }

    /// Signals its process group, which may have outlived it.
    pub(crate) fn signal_group(&self, signal: i32) {
        if process::send_to_group(self.pidfd.as_fd(), signal).is_err() {
            // Before Linux 6.9 only by number, which means the right group within the lab alone, while the command runs.
            let request = Request::Signal(SignalRequest {
                pid: self.pid,
                signal,
            });
            // A helper that does not answer has ended, and the command with it.
            drop(self.connection.ask(&request, &[]));
        }
    }
}

impl AsFd for InLab {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }
}
