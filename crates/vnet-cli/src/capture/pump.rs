//! From the pipe of a capture to where it goes, until one of them ends, somebody asks for the end, or enough has come.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use vnet::Tapping;

use super::{Blocks, Kind, Sink, blocks};
use crate::failure::Failure;
use crate::signals::Signals;

/// Bytes taken from the pipe at a time.
const CHUNK: usize = 256 << 10;
/// Bytes that a pipe which is writable at all takes without blocking (PIPE_BUF).
const PIPE_BUF: usize = 4096;
/// How long the owner may be silent while it ends the capture, and a reader while it takes what is left.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How a capture came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was asked to end, and is whole.
    Asked,
    /// The lab has ended.
    Lab,
    /// It was asked to end, and the owner did not answer any more.
    Silent,
    /// Somebody did not wait for the end any more: the signal's exit code.
    Left(i32),
}

/// A capture on its way.
pub(crate) struct Pump<'a> {
    pub tapping: Tapping,
    pub signals: &'a mut Signals,
    pub sink: Box<dyn Sink>,
    /// Whether standard output is what it goes to.
    pub prints: bool,
    /// After how many packets it ends.
    pub most: Option<u64>,
    /// Packets so far.
    pub captured: u64,
    /// Frames that the recorder lost, once it has said so.
    pub dropped: Option<u64>,
    /// By what it was asked to end, and since when nothing has come or gone.
    pub asked: Option<(Instant, i32)>,
}

impl Pump<'_> {
    /// Runs to the end.
    pub fn run(&mut self) -> Result<Ended, Failure> {
        let mut held = Blocks::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            let stdout = io::stdout();
            let mut fds = vec![
                (self.tapping.pipe(), PollFlags::IN),
                (self.tapping.connection(), PollFlags::IN),
            ];
            if self.prints {
                // Asked for nothing but whether somebody reads.
                fds.push((stdout.as_fd(), PollFlags::empty()));
            }
            let rest = self
                .asked
                .map(|(since, _)| PATIENCE.saturating_sub(since.elapsed()));
            let (signal, ready) = self.signals.wait_any(&fds, rest)?;
            if let Some(ended) = self.heard(signal) {
                return Ok(ended);
            }
            let is_closed = |ready: &PollFlags| ready.intersects(PollFlags::ERR | PollFlags::HUP);
            // A terminal hangs up, too.
            if ready.get(2).is_some_and(is_closed) {
                return Err(Failure::Output(io::ErrorKind::BrokenPipe.into()));
            }
            // Asked before the pipe is emptied: what was written before the end is found.
            let is_over = !ready[1].is_empty();
            let is_empty = self.take(&mut held, &mut chunk)?;
            if is_empty == Some(true) || (is_empty == Some(false) && is_over) {
                return Ok(self.ended());
            }
            if self.asked.is_some_and(|(since, _)| since.elapsed() > PATIENCE) {
                return Ok(Ended::Silent);
            }
        }
    }

    /// Takes note that something has come or gone.
    fn moved(&mut self) {
        if let Some((since, _)) = &mut self.asked {
            *since = Instant::now();
        }
    }

    fn ended(&self) -> Ended {
        match self.asked {
            Some(_) => Ended::Asked,
            None => Ended::Lab,
        }
    }

    /// Asks for the end by the first signal; a second one does not wait for it.
    fn heard(&mut self, signal: Option<i32>) -> Option<Ended> {
        let signal = signal?;
        if self.asked.is_some_and(|(_, by)| by != 0) {
            return Some(Ended::Left(128 + signal));
        }
        self.ask(signal);
        None
    }

    fn ask(&mut self, signal: i32) {
        self.tapping.stop();
        self.asked = Some((Instant::now(), signal));
    }

    /// Takes what is in the pipe and passes it on; true at the pipe's end, false where there is no more just now.
    fn take(&mut self, held: &mut Blocks, chunk: &mut [u8]) -> Result<Option<bool>, Failure> {
        let more = match rustix::io::read(self.tapping.pipe(), &mut *chunk) {
            Ok(0) => Some(true),
            Ok(count) => {
                held.push(&chunk[..count]);
                self.moved();
                None
            }
            Err(Errno::AGAIN) => Some(false),
            Err(Errno::INTR) => None,
            Err(errno) => {
                return Err(Failure::Os {
                    what: "read the capture",
                    source: errno.into(),
                });
            }
        };
        let mut out = Vec::new();
        while let Some((kind, block)) = held.next()? {
            if kind == Kind::Packet {
                if self.most.is_some_and(|most| self.captured >= most) {
                    continue;
                }
                self.captured += 1;
            }
            if kind == Kind::Statistics {
                let dropped = blocks::dropped(block).unwrap_or(0);
                *self.dropped.get_or_insert(0) += dropped;
            }
            self.sink.take(kind, block, &mut out)?;
        }
        self.put(&out)?;
        self.sink.flush()?;
        if self.asked.is_none() && self.most.is_some_and(|most| self.captured >= most) {
            self.ask(0);
        }
        Ok(more)
    }

    /// Writes to standard output, as fast as it takes it; once the end was asked for, not for ever.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let stdout = io::stdout();
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = self
                .asked
                .map(|(since, _)| PATIENCE.saturating_sub(since.elapsed()));
            let fds = [(stdout.as_fd(), PollFlags::OUT)];
            let (signal, ready) = self.signals.wait_any(&fds, left)?;
            let is_late = left.is_some_and(|left| left.is_zero()) && ready[0].is_empty();
            if is_late || self.heard(signal).is_some() {
                return Err(Failure::Output(io::ErrorKind::TimedOut.into()));
            }
            if ready[0].is_empty() {
                continue;
            }
            match rustix::io::write(&stdout, &rest[..rest.len().min(PIPE_BUF)]) {
                Ok(count) => {
                    rest = &rest[count..];
                    self.moved();
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(Failure::Output(errno.into())),
            }
        }
        Ok(())
    }
}
