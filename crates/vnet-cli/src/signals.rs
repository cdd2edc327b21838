//! SIGINT and SIGTERM as something to wait for, beside a descriptor.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::failure::Failure;

/// Turns the signals that ask a process to end into readable streams, from the moment it is made on.
pub(crate) struct Signals {
    streams: [(i32, UnixStream); 2],
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// This signal arrived.
    Signal(i32),
    /// The descriptor became readable.
    Readable,
    /// The time was over.
    TimedOut,
}

impl Signals {
    /// Takes the signals over for the rest of the process's life.
    pub fn take() -> Result<Self, Failure> {
        let stream = |signal| -> io::Result<(i32, UnixStream)> {
            let (ours, handlers) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            pipe::register(signal, handlers)?;
            Ok((signal, ours))
        };
        let os = |source| Failure::Os {
            what: "take over SIGINT and SIGTERM",
            source,
        };
        Ok(Self {
            streams: [stream(SIGINT).map_err(os)?, stream(SIGTERM).map_err(os)?],
        })
    }

    /// Waits for a signal, for `fd` to become readable, or for the time to be over; a signal wins.
    pub fn wait(&mut self, fd: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Result<Woken, Failure> {
        let os = |source: io::Error| Failure::Os {
            what: "wait for a signal",
            source,
        };
        let timeout = timeout
            .map(Timespec::try_from)
            .transpose()
            .map_err(|e| os(io::Error::other(e)))?;
        let readable = {
            let mut waited: Vec<PollFd<'_>> = self
                .streams
                .iter()
                .map(|(_, s)| s.as_fd())
                .chain(fd)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            loop {
                match poll(&mut waited, timeout.as_ref()) {
                    Err(rustix::io::Errno::INTR) => {}
                    Err(errno) => return Err(os(errno.into())),
                    Ok(_) => break,
                }
            }
            waited.get(2).is_some_and(|fd| !fd.revents().is_empty())
        };
        let mut byte = [0];
        for (signal, stream) in &mut self.streams {
            if matches!(stream.read(&mut byte), Ok(1)) {
                return Ok(Woken::Signal(*signal));
            }
        }
        Ok(if readable {
            Woken::Readable
        } else {
            Woken::TimedOut
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_signal_ends_the_wait_and_is_named() {
        let mut signals = Signals::take().expect("signals");
        assert_eq!(
            signals.wait(None, Some(Duration::ZERO)).expect("wait"),
            Woken::TimedOut
        );
        signal_hook::low_level::raise(SIGTERM).expect("raise");
        assert_eq!(
            signals.wait(None, Some(Duration::from_secs(5))).expect("wait"),
            Woken::Signal(SIGTERM)
        );
    }
}
