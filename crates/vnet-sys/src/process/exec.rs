use std::ffi::OsString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, set_child_subreaper, set_parent_process_death_signal, wait,
};

use super::Exit;
use crate::SysError;
use crate::error::last_errno;

/// A command for [`exec`].
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// The program, searched in PATH, and its arguments.
    pub argv: &'a [OsString],
}

/// Starts a command as a child of this single-threaded process.
///
/// It inherits descriptors 0, 1 and 2, has every signal's default action, no signal
/// blocked, and is killed when this process dies by whatever cause.
///
/// # Errors
/// What execvp(3) answers: `NotFound`, `PermissionDenied`.
pub fn exec(exec: Exec<'_>) -> io::Result<u32> {
    let Some((program, args)) = exec.argv.split_first() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the command is empty",
        ));
    };
    let mut command = Command::new(program);
    command.args(args);
    let parent = getpid();
    // SAFETY: the closure runs after fork and makes plain system calls only, which is sound in
    // any process. std restores SIGPIPE, which it ignores itself, but not the signal mask.
    unsafe {
        command.pre_exec(move || {
            super::signals::unblock_all();
            // The death signal comes when the parent's *thread* ends: this one has no other.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() != Some(parent) {
                return Err(Errno::SRCH.into());
            }
            Ok(())
        });
    }
    Ok(command.spawn()?.id())
}

/// Makes orphaned descendants children of this process (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// [`SysError::Os`].
pub fn become_subreaper() -> Result<(), SysError> {
    // Any process id but 0 turns it on.
    set_child_subreaper(Some(getpid())).map_err(|e| SysError::os("cannot become a subreaper", e))
}

/// Reaps one child that has ended, if there is one.
///
/// # Errors
/// `ECHILD` when there are no children left.
pub fn reap() -> Result<Option<(u32, Exit)>, Errno> {
    let Some((pid, status)) = wait(WaitOptions::NOHANG)? else {
        return Ok(None);
    };
    let exit = status
        .exit_status()
        .map(Exit::Code)
        .or_else(|| status.terminating_signal().map(Exit::Signal));
    Ok(exit.map(|exit| (Pid::as_raw_nonzero(pid).get().unsigned_abs(), exit)))
}

/// Kills every other process of the PID namespace of which this process is number 1.
///
/// # Errors
/// `EPERM` in any other process, which would kill all its user has.
pub fn kill_all() -> Result<(), Errno> {
    if getpid().as_raw_nonzero().get() != 1 {
        return Err(Errno::PERM);
    }
    // SAFETY: it sends a signal. Process 1 itself is not among "all".
    if unsafe { libc::kill(-1, libc::SIGKILL) } < 0 {
        return Err(last_errno());
    }
    Ok(())
}

/// Takes the descriptors 3, 4, ... this process was started with, `count` of them,
/// and closes all above (close_range(2), since kernel 5.9).
///
/// It works once, before the process has opened anything of its own.
///
/// # Errors
/// [`SysError::Os`]: `EBADF` when one of them is not open, `EALREADY` the second
/// time.
pub fn take_inherited(count: u32) -> Result<Vec<OwnedFd>, SysError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let what = "cannot take the inherited descriptors";
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(SysError::os(what, Errno::ALREADY));
    }
    let first = 3;
    // SAFETY: at the start of the process nothing owns a descriptor from there on.
    if unsafe { libc::close_range(first + count, u32::MAX, 0) } < 0 {
        return Err(SysError::last(what));
    }
    (first..first + count)
        .map(|number| {
            let number = i32::try_from(number).map_err(|_| SysError::os(what, Errno::BADF))?;
            // SAFETY: asking for its flags only tells whether the number is open.
            if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
                return Err(SysError::last(format!("{what}: {number}")));
            }
            // SAFETY: it is open and, as this runs once, owned by nobody else.
            Ok(unsafe { OwnedFd::from_raw_fd(number) })
        })
        .collect()
}

/// Points descriptors 0, 1 and 2 to /dev/null, so that this process keeps no pipe
/// of its command open.
///
/// # Errors
/// [`SysError::Os`].
pub fn discard_stdio() -> Result<(), SysError> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| SysError::os("cannot open /dev/null", e))?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .map_err(|e| SysError::os("cannot discard the standard streams", e))
}
