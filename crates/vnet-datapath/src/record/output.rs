//! Where the bytes of a recording go.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::hub::Hub;

/// Bytes held back from a file for fewer system calls.
const BUFFER: usize = 256 << 10;

/// Bytes that a pipe which is writable at all takes without blocking (PIPE_BUF).
const CHUNK: usize = 4096;

/// How long a reader may take nothing once the recording is to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file or stream that counts what it is given.
pub(crate) struct Out {
    to: To,
    pub bytes: u64,
}

enum To {
    File(BufWriter<File>),
    Stream {
        fd: OwnedFd,
        hub: Arc<Hub>,
        held: Vec<u8>,
    },
}

impl Out {
    pub(crate) fn file(file: File) -> Self {
        Self {
            to: To::File(BufWriter::with_capacity(BUFFER, file)),
            bytes: 0,
        }
    }

    pub(crate) fn stream(fd: OwnedFd, hub: Arc<Hub>) -> Self {
        let held = Vec::with_capacity(BUFFER);
        Self {
            to: To::Stream { fd, hub, held },
            bytes: 0,
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        match &mut self.to {
            To::File(file) => file.write_all(bytes)?,
            To::Stream { fd, hub, held } => {
                held.extend_from_slice(bytes);
                if held.len() >= BUFFER {
                    send(fd, hub, held)?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::File(file) => file.flush(),
            To::Stream { fd, hub, held } => send(fd, hub, held),
        }
    }
}

/// Writes all, as fast as the reader takes it; a recording that is to end waits for a stalled one no longer than [`PATIENCE`].
fn send(fd: &OwnedFd, hub: &Hub, held: &mut Vec<u8>) -> io::Result<()> {
    let mut rest = &held[..];
    let mut moved = Instant::now();
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    while !rest.is_empty() {
        // The descriptor may be shared with others who want it blocking, so it stays as it is.
        let mut ready = [PollFd::new(fd, PollFlags::OUT)];
        match poll(&mut ready, Some(&tick)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {
                if hub.is_stopped() && moved.elapsed() > PATIENCE {
                    held.clear();
                    return Err(io::ErrorKind::TimedOut.into());
                }
                continue;
            }
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        match rustix::io::write(fd, &rest[..rest.len().min(CHUNK)]) {
            Ok(n) => {
                rest = &rest[n..];
                moved = Instant::now();
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(errno) => {
                held.clear();
                return Err(errno.into());
            }
        }
    }
    held.clear();
    Ok(())
}
