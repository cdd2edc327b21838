//! Many writes in one system call (`io_uring(7)`, `linux/io_uring.h`).
//!
//! A [`WriteRing`] gives the kernel a list of writes and comes back when each is
//! done: no buffer is in the kernel's hands between two calls.
//!
//! Files may be registered with the ring, which spares the kernel a look-up for
//! each write. A registered TAP then outlives its own descriptor for as long as
//! anybody holds the ring, a forked child among them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, squeue, types};
use rustix::io::Errno;

use crate::SysError;

/// The most writes one call takes.
pub const DEPTH: usize = 64;

/// Writes of one timed run of [`WriteRing::pays`], and how many runs each way has.
const SAMPLE: usize = 32;
const SAMPLES: usize = 24;

/// How a write of a ring ended: bytes written, the kernel's refusal, or `None`
/// when the ring failed before the kernel saw the write.
pub type Written = Option<Result<usize, Errno>>;

/// What a ring writes to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An open file.
    Fd(BorrowedFd<'a>),
    /// The file of that number among those given to [`WriteRing::register`].
    Registered(u32),
}

/// A ring that only writes, used by one thread: the one that made it.
pub struct WriteRing {
    /// Nothing once the kernel refused a list: what it had not taken would be shown to it again.
    ring: Option<IoUring>,
    entries: Vec<squeue::Entry>,
}

impl std::fmt::Debug for WriteRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteRing")
    }
}

impl WriteRing {
    /// Makes a ring for the calling thread.
    ///
    /// # Errors
    /// [`SysError::Os`] where the kernel has no io_uring, where
    /// `kernel.io_uring_disabled` or a seccomp filter forbids it, or where
    /// RLIMIT_MEMLOCK or the number of open files leaves no room.
    pub fn new() -> Result<Self, SysError> {
        let depth = DEPTH as u32;
        // Completions are then posted by this thread itself, as it waits (Linux 6.1).
        let ring = IoUring::builder()
            .dontfork()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(depth)
            .or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => IoUring::builder().dontfork().build(depth),
                _ => Err(error),
            })
            .map_err(|source| SysError::Os {
                what: "cannot make an io_uring".to_owned(),
                source,
            })?;
        Ok(Self {
            ring: Some(ring),
            entries: Vec::with_capacity(DEPTH),
        })
    }

    /// Registers files, which writes then name by their place in the list.
    ///
    /// # Errors
    /// What the kernel answered; `EBUSY` when files are registered already.
    pub fn register(&mut self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let ring = self.ring.as_ref().ok_or(Errno::BADF)?;
        let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
        ring.submitter().register_files(&numbers)
    }

    /// Writes up to [`DEPTH`] buffers, in order, without waiting for room in any
    /// file, and says in the same places of `results` how each write ended.
    ///
    /// It allocates nothing.
    ///
    /// # Errors
    /// What the kernel answered when it did not take the list. Writes it has not
    /// seen are `None` in `results`; the ring is of no more use.
    pub fn write<'a>(
        &mut self,
        writes: impl Iterator<Item = (Target<'a>, &'a [u8])>,
        results: &mut [Written; DEPTH],
    ) -> io::Result<()> {
        *results = [None; DEPTH];
        let Some(mut ring) = self.ring.take() else {
            return Err(Errno::BADF.into());
        };
        // Collected first: were `writes` to panic half-way, the ring would keep pointers.
        self.entries.clear();
        for (i, (target, bytes)) in writes.take(DEPTH).enumerate() {
            let len = u32::try_from(bytes.len()).map_err(|_| Errno::INVAL)?;
            let write = match target {
                Target::Fd(fd) => opcode::Write::new(types::Fd(fd.as_raw_fd()), bytes.as_ptr(), len),
                Target::Registered(at) => opcode::Write::new(types::Fixed(at), bytes.as_ptr(), len),
            };
            let entry = write.rw_flags(libc::RWF_NOWAIT).build();
            self.entries.push(entry.user_data(i as u64));
        }
        let count = self.entries.len();
        // SAFETY: descriptors and buffers are borrowed for 'a, which outlasts this call, and this
        // call does not return before each write is done: RWF_NOWAIT lets none be put off, and
        // every completion is awaited. Where the kernel refuses the list, the ring is dropped with what
        // it had not taken. A write only reads its buffer.
        unsafe { ring.submission().push_multiple(&self.entries) }.map_err(|_| Errno::BUSY)?;
        let mut done = 0;
        while done < count {
            let outcome = ring.submit_and_wait(count - done);
            let before = done;
            for completion in ring.completion() {
                let written = completion.result();
                if let Some(result) = results.get_mut(completion.user_data() as usize) {
                    *result = Some(match usize::try_from(written) {
                        Ok(bytes) => Ok(bytes),
                        Err(_) => Err(Errno::from_raw_os_error(-written)),
                    });
                    done += 1;
                }
            }
            match outcome {
                Err(error) if error.raw_os_error() != Some(libc::EINTR) => {
                    return Err(error);
                }
                Ok(0) if done == before => {
                    return Err(Errno::IO.into());
                }
                _ => {}
            }
        }
        self.ring = Some(ring);
        Ok(())
    }

    /// Tells whether a list of writes costs less here than as many calls of
    /// `write(2)`, by timing both on /dev/null; it takes about a millisecond.
    ///
    /// Where a system call is cheap (no mitigations in the kernel) it may not.
    /// Where there is no /dev/null, or the ring fails, it does not.
    pub fn pays(&mut self) -> bool {
        let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null") else {
            return false;
        };
        let fd = std::os::fd::AsFd::as_fd(&null);
        let bytes = [0u8; 64];
        let mut results = [None; DEPTH];
        let (mut by_ring, mut by_call) = (Duration::MAX, Duration::MAX);
        for _ in 0..SAMPLES {
            let start = Instant::now();
            let list = std::iter::repeat_n((Target::Fd(fd), &bytes[..]), SAMPLE);
            if self.write(list, &mut results).is_err() || results[SAMPLE - 1] != Some(Ok(bytes.len())) {
                return false;
            }
            by_ring = by_ring.min(start.elapsed());
            let start = Instant::now();
            for _ in 0..SAMPLE {
                let _ = rustix::io::write(fd, &bytes);
            }
            by_call = by_call.min(start.elapsed());
        }
        by_ring < by_call
    }
}
