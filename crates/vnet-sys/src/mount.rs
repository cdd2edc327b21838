//! Mounts of this process's mount namespace (mount(2), open_tree(2), move_mount(2)).

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use crate::SysError;
use crate::error::last_errno;
use crate::namespace::{self, Kind};

/// Gives the calling process a mount namespace of its own in which /sys shows the
/// devices of its current network namespace.
///
/// sysfs shows the namespace of whoever mounted it, so a process that only changed
/// its network namespace still sees the host's devices in /sys/class/net.
///
/// # Errors
/// [`SysError::Privilege`] without CAP_SYS_ADMIN, or where the kernel forbids a
/// fresh sysfs because parts of the present one are covered (containers); nothing
/// has changed for the caller then but its mount namespace.
pub fn private_sysfs() -> Result<(), SysError> {
    let needs = "CAP_SYS_ADMIN";
    namespace::make(Kind::Mount)
        .map_err(|e| SysError::privileged("cannot make a mount namespace", needs, e))?;
    keep_from_outside().map_err(|e| SysError::privileged("cannot make the mounts private", needs, e))?;
    fresh("sysfs", Path::new("/sys"))
        .map_err(|e| SysError::privileged("cannot mount sysfs on /sys", needs, e))
}

/// Lets nothing that is mounted in this namespace show outside; what is mounted
/// outside still shows here.
///
/// # Errors
/// What `mount(2)` answers.
pub fn keep_from_outside() -> Result<(), Errno> {
    mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE, None)
}

/// Mounts the `proc` or `sysfs` of this process's namespaces.
///
/// # Errors
/// `EPERM` where parts of the present one are covered, as in containers.
pub fn fresh(kind: &str, target: &Path) -> Result<(), Errno> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let kind = c_string(Path::new(kind))?;
    mount(Some(&kind), &c_string(target)?, Some(&kind), flags, None)
}

/// Mounts an empty file system in memory, whose root has the permissions `mode`.
///
/// # Errors
/// `ENOENT` or `ENOTDIR` when `target` is no directory.
pub fn memory(target: &Path, mode: u32) -> Result<(), Errno> {
    let kind = c"tmpfs";
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let data = CString::new(format!("mode={mode:o}")).map_err(|_| Errno::INVAL)?;
    mount(Some(kind), &c_string(target)?, Some(kind), flags, Some(&data))
}

/// Copies what is mounted at and below a path of this mount namespace, for [`attach`]
/// in this one or another.
///
/// # Errors
/// `ENOENT`; `EINVAL` where the mounts are another namespace's.
pub fn copy(path: &Path) -> Result<OwnedFd, Errno> {
    copy_at(None, &c_string(path)?)
}

/// As [`copy`], from a directory that is open.
///
/// # Errors
/// As [`copy`].
pub fn copy_below(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    copy_at(Some(directory), &c_string(Path::new(name))?)
}

fn copy_at(directory: Option<BorrowedFd<'_>>, path: &CStr) -> Result<OwnedFd, Errno> {
    /// `linux/mount.h`: make a copy, and close it at exec.
    const CLONE: libc::c_int = 1;
    let flags = CLONE | libc::O_CLOEXEC | libc::AT_RECURSIVE;
    let at = directory.map_or(libc::AT_FDCWD, |fd| fd.as_raw_fd());
    // SAFETY: `path` is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, at, path.as_ptr(), flags) };
    if fd < 0 {
        return Err(last_errno());
    }
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made `fd` for this process and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a copy of mounts at a path, which may be a symbolic link to the place.
///
/// # Errors
/// `ENOENT` when there is no such place, `ENOTDIR` when one is a directory and the
/// other is not.
pub fn attach(tree: BorrowedFd<'_>, target: &Path) -> Result<(), Errno> {
    /// `MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS` (`linux/mount.h`).
    const FLAGS: libc::c_uint = 0x04 | 0x10;
    let target = c_string(target)?;
    // SAFETY: both paths are C strings that outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            FLAGS,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

fn c_string(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> Result<(), Errno> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a C string that outlives the call.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(data).cast(),
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
