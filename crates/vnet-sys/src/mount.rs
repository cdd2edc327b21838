use std::ffi::CStr;

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::SysError;
use crate::error::last_errno;

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
    // SAFETY: NEWNS leaves the descriptor table shared, which is the one thing
    // `unshare_unsafe` asks to be careful about.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
        .map_err(|e| SysError::privileged("cannot make a mount namespace", needs, e))?;
    // What is mounted here must not show outside; what is mounted outside still shows here.
    mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE)
        .map_err(|e| SysError::privileged("cannot make the mounts private", needs, e))?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(Some(c"sysfs"), c"/sys", Some(c"sysfs"), flags)
        .map_err(|e| SysError::privileged("cannot mount sysfs on /sys", needs, e))
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
) -> Result<(), Errno> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a C string that outlives the call; no data is passed.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            std::ptr::null(),
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
