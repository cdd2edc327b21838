//! Reads and writes of a header and a frame in one call.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, RawFd};

/// Returns the inode of what a descriptor names: a socket's is its own alone. `None` for a
/// number that is not open.
#[must_use]
pub fn inode(fd: RawFd) -> Option<u64> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is room for the answer; the kernel refuses a number that is not open.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat filled it, as it did not fail.
    Some(unsafe { stat.assume_init() }.st_ino)
}

/// Writes `hdr` and `frame` as one frame.
///
/// Both a TUN/TAP descriptor and a packet socket take a frame whole or not at
/// all.
///
/// # Errors
/// What `writev(2)` answers: `WouldBlock` while the device takes nothing.
pub fn writev2(fd: impl AsFd, hdr: &[u8], frame: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::writev(fd, &[IoSlice::new(hdr), IoSlice::new(frame)])?)
}

/// Reads one frame, its header into `hdr` and the rest into `frame`.
///
/// Returns the bytes of both together. A frame larger than `frame` is cut by a
/// TUN/TAP device without a word.
///
/// # Errors
/// What `readv(2)` answers: `WouldBlock` while no frame waits.
pub fn readv2(fd: impl AsFd, hdr: &mut [u8], frame: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::readv(
        fd,
        &mut [IoSliceMut::new(hdr), IoSliceMut::new(frame)],
    )?)
}
