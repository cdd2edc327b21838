//! Socket options and addresses that neither std nor rustix has.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::error::last_errno;
use crate::packet;

/// Binds a packet socket to an interface, from which it then receives the frames of one Ethernet protocol (ETH_P_ALL: of
/// all; 0: none) and on which it sends (packet(7)). The protocol is a plain number, not in network order.
///
/// # Errors
/// `ENODEV` when there is no such interface.
pub fn bind_packet(socket: BorrowedFd<'_>, ifindex: u32, protocol: u16) -> Result<(), Errno> {
    packet::bind(
        socket,
        i32::try_from(ifindex).map_err(|_| Errno::NODEV)?,
        protocol,
    )
}

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
