use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use vnet_sys::mount;

/// What /etc/hosts says before anybody has said more.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// The files that nodes see in place of the machine's, in a file system in memory that
/// no path leads to: it is mounted below /sys.
#[derive(Debug)]
pub(super) struct Files {
    root: OwnedFd,
    own_hosts: bool,
}

impl Files {
    /// Mounts the file system, and over it a sysfs that shows this network namespace or,
    /// where the kernel forbids that, the one that was there. Tells which it was.
    pub(super) fn mount() -> Result<(Self, bool), Errno> {
        let sys = Path::new("/sys");
        let before = mount::copy(sys)?;
        mount::memory(sys, 0o755)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(sys, flags, Mode::empty())?;
        let fresh = mount::fresh("sysfs", sys).is_ok();
        if !fresh {
            mount::attach(before.as_fd(), sys)?;
        }
        let this = Self {
            root,
            own_hosts: fs::metadata("/etc/hosts").is_ok_and(|file| file.is_file()),
        };
        this.write("hosts", HOSTS)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok((this, fresh))
    }

    /// Tells whether there is an /etc/hosts that the lab's can be put over.
    pub(super) fn own_hosts(&self) -> bool {
        self.own_hosts
    }

    /// Writes a file, in place where it exists: who has it mounted sees the change.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = openat(&self.root, name, flags, Mode::from_raw_mode(0o644))?;
        // The mask of the client may hide it from daemons that change their user.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
        File::from(file).write_all(text.as_bytes())
    }

    pub(super) fn remove(&self, name: &str) {
        // One that was never written needs no removal.
        unlinkat(&self.root, name, AtFlags::empty()).ok();
    }

    /// Copies the mount of a file, for another mount namespace.
    pub(super) fn copy(&self, name: &str) -> Result<OwnedFd, Errno> {
        mount::copy_below(self.root.as_fd(), name)
    }
}
