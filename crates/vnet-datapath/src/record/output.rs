//! Where the bytes of a recording go.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};

use super::hub::Hub;

/// Bytes held back from a file for fewer system calls.
const BUFFER: usize = 256 << 10;

/// Bytes that a pipe which is writable at all takes without blocking (PIPE_BUF).
const CHUNK: usize = 4096;

/// The most bytes for one that never blocks.
const LARGE_CHUNK: usize = 64 << 10;

/// How long a reader may take nothing once the recording is to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a reader, however slow, may take for the rest then; whoever ends the recording waits for it.
const REST: Duration = Duration::from_secs(5);

/// A file or stream that counts what it is given.
pub(crate) struct Out {
    to: To,
    pub bytes: u64,
}

enum To {
    File(BufWriter<File>),
    Stream(Stream),
}

/// A pipe or socket, with what is held back for it.
struct Stream {
    fd: OwnedFd,
    hub: Arc<Hub>,
    held: Vec<u8>,
    /// Bytes of one write.
    chunk: usize,
    /// When it was first seen that the recording is to end.
    ends: Option<Instant>,
}

impl Out {
    pub(crate) fn file(file: File) -> Self {
        Self {
            to: To::File(BufWriter::with_capacity(BUFFER, file)),
            bytes: 0,
        }
    }

    pub(crate) fn stream(fd: OwnedFd, hub: Arc<Hub>) -> Self {
        // The descriptor may be shared with others who want it as it is, so it stays so.
        let never_blocks = fcntl_getfl(&fd).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        let chunk = if never_blocks { LARGE_CHUNK } else { CHUNK };
        Self {
            to: To::Stream(Stream {
                fd,
                hub,
                held: Vec::with_capacity(BUFFER),
                chunk,
                ends: None,
            }),
            bytes: 0,
        }
    }

    /// The descriptor of a stream.
    pub(crate) fn as_stream(&self) -> Option<BorrowedFd<'_>> {
        match &self.to {
            To::File(_) => None,
            To::Stream(stream) => Some(stream.fd.as_fd()),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        match &mut self.to {
            To::File(file) => file.write_all(bytes)?,
            To::Stream(stream) => {
                stream.held.extend_from_slice(bytes);
                if stream.held.len() >= BUFFER {
                    stream.send()?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::File(file) => file.flush(),
            To::Stream(stream) => stream.send(),
        }
    }
}

impl Stream {
    /// Writes all, as fast as the reader takes it, and holds nothing back any more.
    fn send(&mut self) -> io::Result<()> {
        let sent = self.write_all();
        self.held.clear();
        sent
    }

    /// A recording that is to end waits for a stalled reader no longer than [`PATIENCE`], and for a slow one no longer than
    /// [`REST`].
    fn write_all(&mut self) -> io::Result<()> {
        let mut rest = &self.held[..];
        let mut moved = Instant::now();
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        while !rest.is_empty() {
            if self.hub.is_stopped() {
                let since = self.ends.get_or_insert_with(Instant::now);
                if moved.elapsed() > PATIENCE || since.elapsed() > REST {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            let mut ready = [PollFd::new(&self.fd, PollFlags::OUT)];
            match poll(&mut ready, Some(&tick)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(errno.into()),
            }
            match rustix::io::write(&self.fd, &rest[..rest.len().min(self.chunk)]) {
                Ok(n) => {
                    rest = &rest[n..];
                    moved = Instant::now();
                }
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}
