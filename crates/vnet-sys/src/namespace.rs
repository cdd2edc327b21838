//! The namespaces of this process: made, entered, and held by descriptors
//! (namespaces(7), user_namespaces(7)).
//!
//! All of this changes the calling *thread*, and is for processes that have only one.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::error::last_errno;

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Users, groups and capabilities.
    User,
    /// Interfaces, addresses, routes, sockets.
    Net,
    /// Mounts.
    Mount,
    /// Process ids; a process gets into one when it is made.
    Pid,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// The host name.
    Uts,
}

impl Kind {
    /// Returns its name in a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user namespace",
            Self::Net => "network namespace",
            Self::Mount => "mount namespace",
            Self::Pid => "process namespace",
            Self::Ipc => "IPC namespace",
            Self::Uts => "host name namespace",
        }
    }

    /// The bit of clone(2) and unshare(2).
    pub(crate) fn flag(self) -> libc::c_int {
        match self {
            Self::User => libc::CLONE_NEWUSER,
            Self::Net => libc::CLONE_NEWNET,
            Self::Mount => libc::CLONE_NEWNS,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Uts => libc::CLONE_NEWUTS,
        }
    }

    fn kind(self) -> LinkNameSpaceType {
        match self {
            Self::User => LinkNameSpaceType::User,
            Self::Net => LinkNameSpaceType::Network,
            Self::Mount => LinkNameSpaceType::Mount,
            Self::Pid => LinkNameSpaceType::ProcessID,
            Self::Ipc => LinkNameSpaceType::InterProcessCommunication,
            Self::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        }
    }

    /// Returns the name the kernel's files have for it: that of its file below
    /// `/proc/<pid>/ns`, and a part of that of its limit in /proc/sys/user.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Net => "net",
            Self::Mount => "mnt",
            Self::Pid => "pid",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
        }
    }
}

/// Moves this process into a fresh namespace.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `ENOSPC` at a limit of /proc/sys/user, `EINVAL` for
/// a kind this kernel does not have.
pub fn make(kind: Kind) -> Result<(), Errno> {
    let flag = UnshareFlags::from_bits_retain(kind.flag().cast_unsigned());
    // SAFETY: none of these flags unshares the descriptor table, which is the one thing
    // `unshare_unsafe` asks to be careful about.
    unsafe { rustix::thread::unshare_unsafe(flag) }
}

/// Moves this process into a namespace that is open.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN over it, `EINVAL` when it is of another kind.
pub fn enter(namespace: BorrowedFd<'_>, kind: Kind) -> Result<(), Errno> {
    move_into_link_name_space(namespace, Some(kind.kind()))
}

/// Opens the namespace this process is in, which lives as long as the descriptor.
///
/// # Errors
/// `ENOENT` when /proc is not mounted.
pub fn own(kind: Kind) -> Result<OwnedFd, Errno> {
    rustix::fs::open(
        format!("/proc/self/ns/{}", kind.file()),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Maps one user and one group of the namespace above to themselves, in the user
/// namespace this process has been made in.
///
/// Who may map just himself may not change his list of groups any more.
///
/// # Errors
/// What the files of /proc/self answer: `EPERM` when a security policy forbids it.
pub fn map_to_itself(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Sets the host name of the namespace this process is in.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `EINVAL` for more than 64 bytes.
pub fn set_hostname(name: &str) -> Result<(), Errno> {
    // SAFETY: the pointer and the length are those of `name`, which outlives the call.
    let result = unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Tells whether the calling thread is the only one of this process.
#[must_use]
pub fn has_one_thread() -> bool {
    // unshare(2): these flags change nothing in a process with one thread, and are
    // refused in any other.
    // SAFETY: nothing is unshared.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return true;
    }
    // A seccomp filter may refuse the call whatever it is for.
    last_errno() != Errno::INVAL && fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}
