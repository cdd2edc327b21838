//! Processes: starting, waiting for, signalling and finding them.
//!
//! A program with threads never forks: [`spawn`] is posix_spawn. [`exec`] and [`fork`]
//! are for the helper process alone, which has one thread.

mod exec;
mod fork;
mod signals;
mod spawn;
mod stat;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal, waitid,
};

pub use exec::{Exec, become_subreaper, discard_stdio, exec, kill_all, reap, take_inherited};
pub use fork::{Program, fork};
pub use signals::{SignalFd, Signals};
pub use spawn::{Spawn, spawn};
pub use stat::{Stat, all, start_time, stat};

use crate::SysError;
use crate::error::last_errno;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// Returns the code a shell shows: a signal's number plus 128.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Tells whether it ended with code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    fn of(status: &WaitIdStatus) -> Option<Self> {
        status
            .exit_status()
            .map(Self::Code)
            .or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

/// A child process held by a pidfd, so that its number cannot come to mean another.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

impl Process {
    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Gives the pidfd away.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.pidfd
    }

    /// Waits until it has ended, at most `timeout`, and reaps it.
    ///
    /// Returns nothing when the time is over, and [`Exit::Code`] 0 never by guess:
    /// a process somebody else reaped is an error.
    ///
    /// # Errors
    /// [`SysError::Os`] with `ECHILD` when it was reaped elsewhere.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Exit>, SysError> {
        if !readable(self.pidfd.as_fd(), timeout)? {
            return Ok(None);
        }
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(status) => return Ok(status.as_ref().and_then(Exit::of)),
                Err(Errno::INTR) => {}
                Err(e) => {
                    return Err(SysError::os(format!("cannot wait for process {}", self.pid), e));
                }
            }
        }
    }

    /// Sends a signal by number; a process that has ended already is no error.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn signal(&self, signal: i32) -> Result<(), SysError> {
        send(self.pidfd.as_fd(), signal)
    }
}

impl AsFd for Process {
    /// The pidfd: readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Opens a pidfd of the process `pid` (`pidfd_open(2)`, since kernel 5.3).
///
/// # Errors
/// [`SysError::Os`] with `ESRCH` when there is no such process.
pub fn open(pid: u32) -> Result<OwnedFd, SysError> {
    let what = || format!("cannot open process {pid}");
    let raw = to_pid(pid).ok_or_else(|| SysError::os(what(), Errno::SRCH))?;
    pidfd_open(raw, PidfdFlags::empty()).map_err(|e| SysError::os(what(), e))
}

/// Sends a signal by number through a pidfd; a process that has ended is no error.
///
/// # Errors
/// [`SysError::Os`]: `EINVAL` for a number that is no signal.
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), SysError> {
    let what = || format!("cannot send signal {signal}");
    let raw = to_signal(signal).ok_or_else(|| SysError::os(what(), Errno::INVAL))?;
    match pidfd_send_signal(pidfd, raw) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(e) => Err(SysError::os(what(), e)),
    }
}

/// Sends a signal to the process group whose number is that of the process behind a
/// pidfd, which may have ended, and returns whether there was anyone in the group;
/// signal 0 only asks that.
///
/// # Errors
/// [`SysError::Os`]: `EINVAL` before Linux 6.9 and for a number that is no signal.
pub fn send_to_group(pidfd: BorrowedFd<'_>, signal: i32) -> Result<bool, SysError> {
    /// `PIDFD_SIGNAL_PROCESS_GROUP` (`linux/pidfd.h`).
    const GROUP: libc::c_uint = 4;
    // SAFETY: the call takes numbers only; a null pointer asks for the usual signal information.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            GROUP,
        )
    };
    if result == 0 {
        return Ok(true);
    }
    match last_errno() {
        Errno::SRCH => Ok(false),
        errno => Err(SysError::os(
            format!("cannot send signal {signal} to a process group"),
            errno,
        )),
    }
}

/// Waits until a descriptor is readable or closed by its other end, at most
/// `timeout`; tells whether it is.
///
/// # Errors
/// [`SysError::Os`].
pub fn readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool, SysError> {
    let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
    loop {
        let left = deadline.map(|d| timespec(d.saturating_duration_since(Instant::now())));
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(e) => return Err(SysError::os("cannot poll a descriptor", e)),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn to_signal(signal: i32) -> Option<Signal> {
    Signal::from_named_raw(signal)
}
