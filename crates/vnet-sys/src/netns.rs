//! Network namespaces held by a descriptor.
//!
//! A namespace lives as long as a thread is in it or a descriptor holds it; vnet
//! never writes to /run/netns. Constants: `linux/nsfs.h`, `linux/sched.h`.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::SysError;

const OWN: &str = "/proc/thread-self/ns/net";
const NEEDS: &str = "CAP_SYS_ADMIN";
const HOW_TO_NAME: &str = "name one as /run/netns/<name> or /proc/<pid>/ns/net";

/// A network namespace, kept alive by this value and its clones.
#[derive(Clone, Debug)]
pub struct NetNs {
    fd: Arc<OwnedFd>,
    /// Device and inode number, which together identify a namespace.
    id: (u64, u64),
}

impl NetNs {
    /// Returns the namespace of the calling thread.
    ///
    /// # Errors
    /// [`SysError::Os`] when /proc is not mounted.
    pub fn current() -> Result<Self, SysError> {
        Self::open(Path::new(OWN))
    }

    /// Opens the namespace at a path such as `/run/netns/blue` or
    /// `/proc/<pid>/ns/net`.
    ///
    /// # Errors
    /// [`SysError::Os`] when the file cannot be opened,
    /// [`SysError::NotANamespace`] when it is something else.
    pub fn open(path: &Path) -> Result<Self, SysError> {
        // Not std's File: its open retries nothing, but a FIFO would block without NONBLOCK.
        let fd = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
        )
        .map_err(|e| SysError::os(format!("cannot open the network namespace {}", path.display()), e))?;
        Self::check(fd, &path.display().to_string())
    }

    /// Takes a descriptor of a namespace.
    ///
    /// # Errors
    /// [`SysError::NotANamespace`] when it is a descriptor of something else.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, SysError> {
        let what = format!("file descriptor {}", fd.as_raw_fd());
        Self::check(fd, &what)
    }

    /// Makes a namespace with nothing in it but a loopback interface that is down.
    ///
    /// It is made on a thread that ends at once, so the caller stays where it is,
    /// and it has no name: the descriptor alone holds it.
    ///
    /// # Errors
    /// [`SysError::Privilege`] without CAP_SYS_ADMIN.
    pub fn create() -> Result<Self, SysError> {
        on_thread(|| {
            // SAFETY: NEWNET leaves the descriptor table of this thread shared, which is the
            // one thing `unshare_unsafe` asks to be careful about.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
                .map_err(|e| SysError::privileged("cannot make a network namespace", NEEDS, e))?;
            Self::current()
        })?
    }

    /// Runs `f` on a thread of its own that is in this namespace, and returns what
    /// it returned. The caller never changes its namespace; a panic in `f` goes on
    /// in the caller.
    ///
    /// # Errors
    /// [`SysError::Privilege`] when the namespace may not be entered.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, SysError> {
        on_thread(|| {
            self.enter()?;
            Ok(f())
        })?
    }

    /// Moves the calling thread into this namespace for the rest of its life.
    ///
    /// # Errors
    /// [`SysError::Privilege`] when the namespace may not be entered.
    pub fn enter(&self) -> Result<(), SysError> {
        // Entering asks for CAP_SYS_ADMIN even where it changes nothing.
        if self.same_as(&Self::current()?) {
            return Ok(());
        }
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|e| {
            SysError::privileged(
                format!("cannot enter the network namespace {}", self.id.1),
                NEEDS,
                e,
            )
        })
    }

    /// Returns the inode number, which `readlink /proc/<pid>/ns/net` shows.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.id.1
    }

    /// Tells whether both are one namespace.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.id == other.id
    }

    fn check(fd: OwnedFd, what: &str) -> Result<Self, SysError> {
        // SAFETY: NS_GET_NSTYPE takes no argument and changes nothing; a file that is not a
        // namespace answers ENOTTY.
        let kind = unsafe { libc::ioctl(fd.as_raw_fd(), libc::NS_GET_NSTYPE) };
        if kind != libc::CLONE_NEWNET {
            return Err(SysError::NotANamespace {
                what: what.to_owned(),
                fix: HOW_TO_NAME.to_owned(),
            });
        }
        let stat = rustix::fs::fstat(&fd).map_err(|e| SysError::os(format!("cannot stat {what}"), e))?;
        Ok(Self {
            fd: Arc::new(fd),
            id: (stat.st_dev, stat.st_ino),
        })
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl PartialEq for NetNs {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

impl Eq for NetNs {}

/// Tells in which namespace process `pid` is, as device and inode number.
pub(crate) fn of_process(pid: u32) -> Option<NetNs> {
    let file = File::open(format!("/proc/{pid}/ns/net")).ok()?;
    NetNs::from_fd(file.into()).ok()
}

/// Runs `f` on a thread of its own and hands its panic on.
fn on_thread<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, SysError> {
    thread::scope(|scope| {
        let handle = thread::Builder::new()
            .name("vnet-netns".to_owned())
            .spawn_scoped(scope, f)
            .map_err(|e| SysError::os("cannot start a thread", e))?;
        match handle.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_made_namespace_is_another_one_and_the_caller_stays() {
        let before = NetNs::current().unwrap();
        let made = NetNs::create().unwrap();
        assert!(!made.same_as(&before));
        let seen = made.run(NetNs::current).unwrap().unwrap();
        assert!(seen.same_as(&made));
        assert_eq!(seen.inode(), made.inode());
        assert!(NetNs::current().unwrap().same_as(&before));
    }

    #[test]
    fn a_plain_file_is_refused_by_name() {
        let error = NetNs::open(Path::new("/etc/passwd")).unwrap_err();
        assert!(matches!(error, SysError::NotANamespace { .. }), "{error}");
        assert!(error.to_string().contains("/etc/passwd"), "{error}");
        let other = NetNs::open(Path::new("/proc/self/ns/uts")).unwrap_err();
        assert!(matches!(other, SysError::NotANamespace { .. }), "{other}");
    }

    #[test]
    fn a_missing_path_is_named() {
        let error = NetNs::open(Path::new("/run/netns/no-such")).unwrap_err();
        assert_eq!(error.errno(), Errno::NOENT.raw_os_error());
        assert!(error.to_string().contains("/run/netns/no-such"), "{error}");
    }
}
