//! The TUN/TAP ioctls, one function each.

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_short, c_uint, ifreq};
use rustix::io::Errno;

use crate::error::last_errno;

type Result<T> = std::result::Result<T, Errno>;

/// Fills an `ifreq` with a name of at most 15 bytes and flags.
fn request(name: &str, flags: i32) -> ifreq {
    // SAFETY: ifreq is plain data, valid when zeroed.
    let mut req: ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in req.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // The flags are 16 bits of which IFF_TUN_EXCL is the sign.
    req.ifr_ifru.ifru_flags = flags as c_short;
    req
}

pub(super) fn set_iff(fd: BorrowedFd<'_>, name: &str, flags: i32) -> Result<()> {
    let mut req = request(name, flags);
    // SAFETY: `req` is an ifreq that outlives the call; the kernel reads and writes no more.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut req) })
}

/// `TUNSETIFINDEX`, `_IOW('T', 218, unsigned int)` (`linux/if_tun.h`), which libc does not name.
const SET_IFINDEX: libc::Ioctl = 0x4004_54da;

/// Chooses the interface's number; only before [`set_iff`] makes the interface.
pub(super) fn set_ifindex(fd: BorrowedFd<'_>, index: u32) -> Result<()> {
    let index = c_int::try_from(index).map_err(|_| Errno::INVAL)?;
    by_pointer(fd, SET_IFINDEX, index)
}

pub(super) fn get_iff(fd: BorrowedFd<'_>) -> Result<String> {
    let mut req = request("", 0);
    // SAFETY: `req` is an ifreq that outlives the call; the kernel reads and writes no more.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETIFF, &raw mut req) })?;
    Ok(req
        .ifr_name
        .iter()
        .take_while(|&&c| c != 0)
        .map(|&c| c as u8 as char)
        .collect())
}

pub(super) fn set_offload(fd: BorrowedFd<'_>, mask: c_uint) -> Result<()> {
    by_value(fd, libc::TUNSETOFFLOAD, libc::c_ulong::from(mask))
}

pub(super) fn set_persist(fd: BorrowedFd<'_>, persist: bool) -> Result<()> {
    by_value(fd, libc::TUNSETPERSIST, libc::c_ulong::from(persist))
}

pub(super) fn set_owner(fd: BorrowedFd<'_>, uid: u32) -> Result<()> {
    by_value(fd, libc::TUNSETOWNER, libc::c_ulong::from(uid))
}

pub(super) fn set_group(fd: BorrowedFd<'_>, gid: u32) -> Result<()> {
    by_value(fd, libc::TUNSETGROUP, libc::c_ulong::from(gid))
}

pub(super) fn set_vnet_hdr_size(fd: BorrowedFd<'_>, size: c_int) -> Result<()> {
    by_pointer(fd, libc::TUNSETVNETHDRSZ, size)
}

pub(super) fn set_carrier(fd: BorrowedFd<'_>, carrier: bool) -> Result<()> {
    by_pointer(fd, libc::TUNSETCARRIER, c_int::from(carrier))
}

fn by_value(fd: BorrowedFd<'_>, request: libc::Ioctl, value: libc::c_ulong) -> Result<()> {
    // SAFETY: these requests take their argument by value and touch no memory of ours.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), request, value) })
}

fn by_pointer(fd: BorrowedFd<'_>, request: libc::Ioctl, value: c_int) -> Result<()> {
    // SAFETY: these requests read one int, which outlives the call.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw const value) })
}

fn done(result: c_int) -> Result<()> {
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
