//! A terminal for a command in a lab: a pseudo-terminal there, raw mode here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::failure::Failure;

fn os(what: &'static str) -> impl Fn(rustix::io::Errno) -> Failure {
    move |errno| Failure::Os {
        what,
        source: errno.into(),
    }
}

/// A pseudo-terminal: what is written to one end is typed on the other.
pub(crate) struct Pty {
    /// The end that stands for the user; it does not block.
    pub ours: OwnedFd,
    /// The end that is a command's terminal.
    pub theirs: OwnedFd,
}

impl Pty {
    /// Makes one of the size of standard input's terminal.
    pub fn open() -> Result<Self, Failure> {
        const WHAT: &str = "make a pseudo-terminal";
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).map_err(os(WHAT))?;
        grantpt(&ours).map_err(os(WHAT))?;
        unlockpt(&ours).map_err(os(WHAT))?;
        let theirs = ioctl_tiocgptpeer(&ours, flags).map_err(os(WHAT))?;
        let status = fcntl_getfl(&ours).map_err(os(WHAT))?;
        fcntl_setfl(&ours, status | OFlags::NONBLOCK).map_err(os(WHAT))?;
        resize(ours.as_fd());
        Ok(Self { ours, theirs })
    }
}

/// Gives a pseudo-terminal the size of standard input's terminal.
pub(crate) fn resize(pty: BorrowedFd<'_>) {
    // A terminal that does not know its size leaves the command with none too.
    if let Ok(size) = tcgetwinsize(io::stdin()) {
        let _ = tcsetwinsize(pty, size);
    }
}

/// Tells whether a stream is a terminal.
pub(crate) fn is_terminal(stream: impl AsFd) -> bool {
    isatty(stream)
}

/// Raw mode of standard input's terminal; dropping it puts the terminal back as it was.
pub(crate) struct RawMode {
    saved: Termios,
}

impl RawMode {
    /// Lets every key through to the command, Ctrl-C too.
    pub fn enter() -> Result<Self, Failure> {
        let what = "change the mode of the terminal";
        let saved = tcgetattr(io::stdin()).map_err(os(what))?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw).map_err(os(what))?;
        Ok(Self { saved })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone, and then there is nothing to put back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.saved);
    }
}
