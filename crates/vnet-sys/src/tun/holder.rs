use std::fmt;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::netns::{self, NetNs};

/// The process that holds a TUN/TAP descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command, as `/proc/<pid>/comm` has it.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == std::process::id() {
            write!(f, "this process ({}, {})", self.pid, self.command)
        } else {
            write!(f, "process {} ({})", self.pid, self.command)
        }
    }
}

/// Finds who holds the TUN/TAP device `name` of the calling thread's network
/// namespace, as far as /proc shows: an ordinary user sees only its own processes.
///
/// The kernel prints `iff:\t<name>` in the fdinfo of each attached descriptor
/// (drivers/net/tun.c, `tun_chr_show_fdinfo`), but not its namespace. That is
/// asked of the descriptor itself where this process may copy it, and taken from
/// the holder's own namespace otherwise.
#[must_use]
pub fn holder(name: &str) -> Option<Holder> {
    let here = NetNs::current().ok()?;
    let needle = format!("iff:\t{name}");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ended meanwhile, or one of another user, has nothing to show.
        let Ok(infos) = fs::read_dir(entry.path().join("fdinfo")) else {
            continue;
        };
        for info in infos.flatten() {
            let matches =
                fs::read_to_string(info.path()).is_ok_and(|text| text.lines().any(|line| line == needle));
            let fd = info.file_name().to_str().and_then(|n| n.parse::<i32>().ok());
            if let (true, Some(fd)) = (matches, fd)
                && namespace_of(pid, fd).is_none_or(|ns| ns.same_as(&here))
            {
                let command = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                return Some(Holder {
                    pid,
                    command: command.trim_end().to_owned(),
                });
            }
        }
    }
    None
}

fn namespace_of(pid: u32, fd: i32) -> Option<NetNs> {
    of_descriptor(pid, fd).or_else(|| netns::of_process(pid))
}

fn of_descriptor(pid: u32, fd: i32) -> Option<NetNs> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let copy = pidfd_getfd(process, fd, PidfdGetfdFlags::empty()).ok()?;
    // SAFETY: TUNGETDEVNETNS takes no argument and answers a descriptor of ours, close-on-exec.
    let ns = unsafe { libc::ioctl(copy.as_raw_fd(), libc::TUNGETDEVNETNS) };
    if ns < 0 {
        return None;
    }
    // SAFETY: the kernel has just made `ns` for this process and nobody else owns it.
    NetNs::from_fd(unsafe { OwnedFd::from_raw_fd(ns) }).ok()
}
