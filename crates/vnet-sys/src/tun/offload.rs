use std::ops::{BitAnd, BitOr};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::ioctl;
use crate::SysError;

/// What the reader of a device can finish itself (`TUN_F_*`, `linux/if_tun.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadMask(pub u32);

impl OffloadMask {
    /// Every frame comes whole, at most MTU sized and with its checksum.
    pub const NONE: Self = Self(0);
    /// Checksums may be partial.
    pub const CSUM: Self = Self(libc::TUN_F_CSUM);
    /// TCP over IPv4 may come as super-frames.
    pub const TSO4: Self = Self(libc::TUN_F_TSO4);
    /// TCP over IPv6 may come as super-frames.
    pub const TSO6: Self = Self(libc::TUN_F_TSO6);
    /// Super-frames may have the ECN bits set.
    pub const TSO_ECN: Self = Self(libc::TUN_F_TSO_ECN);
    /// UDP over IPv4 may come as super-frames; the kernel takes it only with USO6.
    pub const USO4: Self = Self(libc::TUN_F_USO4);
    /// UDP over IPv6 may come as super-frames; the kernel takes it only with USO4.
    pub const USO6: Self = Self(libc::TUN_F_USO6);
    /// Checksums and TCP, which kernels before 6.2 take as well.
    pub const TCP: Self = Self(0x0f);
    /// Checksums, TCP and UDP.
    pub const ALL: Self = Self(0x6f);

    /// Tells whether all bits of `other` are in this mask.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for OffloadMask {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for OffloadMask {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Sets what the kernel may leave undone in the frames it hands over, and returns
/// what it granted.
///
/// Where the kernel refuses the mask whole, the part of it in
/// [`OffloadMask::TCP`], then in [`OffloadMask::CSUM`] is tried. Frames queued
/// before the call keep the form they have.
///
/// # Errors
/// [`SysError::Os`] when not even the last is taken.
pub fn set_offload(fd: BorrowedFd<'_>, mask: OffloadMask) -> Result<OffloadMask, SysError> {
    let mut refused = Errno::INVAL;
    for attempt in [mask, mask & OffloadMask::TCP, mask & OffloadMask::CSUM] {
        match ioctl::set_offload(fd, attempt.0) {
            Ok(()) => return Ok(attempt),
            Err(Errno::INVAL) => {}
            Err(e) => {
                refused = e;
                break;
            }
        }
    }
    Err(SysError::os(
        format!(
            "cannot set the offloads {:#x} of descriptor {}",
            mask.0,
            fd.as_raw_fd()
        ),
        refused,
    ))
}
