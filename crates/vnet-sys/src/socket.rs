//! Socket options that neither std nor rustix has.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::error::last_errno;

/// Binds a socket to an interface by its name (SO_BINDTODEVICE, socket(7)).
///
/// # Errors
/// `ENODEV` when there is no such interface.
pub fn bind_to_device(socket: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(name.len()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the pointer and the length are those of `name`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            length,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
