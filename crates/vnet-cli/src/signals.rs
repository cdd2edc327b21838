//! Signals as something to wait for, beside descriptors.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::failure::Failure;

/// Turns signals into readable streams, from the moment it is made on.
pub(crate) struct Signals {
    streams: Vec<(i32, UnixStream)>,
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
    /// Takes the signals that ask a process to end over for the rest of its life.
    pub fn take() -> Result<Self, Failure> {
        Self::of(&[SIGINT, SIGTERM])
    }

    /// Takes these signals over for the rest of the process's life.
    pub fn of(signals: &[i32]) -> Result<Self, Failure> {
        let stream = |signal: &i32| -> io::Result<(i32, UnixStream)> {
            let (ours, handlers) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            pipe::register(*signal, handlers)?;
            Ok((*signal, ours))
        };
        let streams = signals.iter().map(stream).collect::<Result<_, _>>();
        streams
            .map(|streams| Self { streams })
            .map_err(|source| Failure::Os {
                what: "take signals over",
                source,
            })
    }

    /// Waits for a signal, for `fd` to become readable, or for the time to be over; a signal wins.
    pub fn wait(&mut self, fd: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Result<Woken, Failure> {
        let fds: Vec<_> = fd.into_iter().map(|fd| (fd, PollFlags::IN)).collect();
        let (signal, ready) = self.wait_any(&fds, timeout)?;
        Ok(match signal {
            Some(signal) => Woken::Signal(signal),
            None if ready.iter().any(|found| !found.is_empty()) => Woken::Readable,
            None => Woken::TimedOut,
        })
    }

    /// Waits for a signal, for what is asked of the descriptors, or for the time to be over; returns the signal and what each
    /// descriptor is ready for.
    pub fn wait_any(
        &mut self,
        fds: &[(BorrowedFd<'_>, PollFlags)],
        timeout: Option<Duration>,
    ) -> Result<(Option<i32>, Vec<PollFlags>), Failure> {
        let os = |source: io::Error| Failure::Os {
            what: "wait for a signal",
            source,
        };
        let timeout = timeout
            .map(Timespec::try_from)
            .transpose()
            .map_err(|e| os(io::Error::other(e)))?;
        let signals = self.streams.iter().map(|(_, s)| (s.as_fd(), PollFlags::IN));
        let mut waited: Vec<PollFd<'_>> = signals
            .chain(fds.iter().copied())
            .map(|(fd, wanted)| PollFd::from_borrowed_fd(fd, wanted))
            .collect();
        loop {
            match poll(&mut waited, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(os(errno.into())),
                Ok(_) => break,
            }
        }
        let ready = waited[self.streams.len()..].iter().map(PollFd::revents).collect();
        let mut byte = [0];
        let mut arrived = None;
        for (signal, stream) in &mut self.streams {
            if arrived.is_none() && matches!(stream.read(&mut byte), Ok(1)) {
                arrived = Some(*signal);
            }
        }
        Ok((arrived, ready))
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
