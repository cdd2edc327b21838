//! Reads and writes of a header and a frame in one call.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;

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
