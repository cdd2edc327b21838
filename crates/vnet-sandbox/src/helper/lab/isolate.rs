use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vnet_sys::namespace::{self, Kind};
use vnet_sys::{caps, mount};

use super::files::Files;
use super::view::View;
use crate::lab::message::{Facts, IN_CHROOT, Open};

/// How long to wait for the kernel to free the namespaces of labs that have ended: it
/// does so in the background, and counts them until then.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// A stage of the isolation that failed.
pub(super) struct Stage {
    /// After "cannot".
    pub(super) what: String,
    pub(super) errno: Errno,
}

impl Stage {
    pub(super) fn new(what: impl Into<String>, errno: Errno) -> Self {
        Self {
            what: what.into(),
            errno,
        }
    }
}

/// A lab that is isolated and empty.
pub(super) struct Isolated {
    pub(super) facts: Facts,
    pub(super) lab: Own,
}

/// What the lab itself is.
pub(super) struct Own {
    pub(super) net: OwnedFd,
    pub(super) view: View,
    pub(super) files: Files,
    pub(super) fresh_proc: bool,
    pub(super) fresh_sysfs: bool,
    /// How many descriptors a command may have.
    pub(super) limit: Rlimit,
}

/// Moves this process into namespaces of its own and gives up what a lab never needs.
///
/// It is process 1 of a PID namespace, and in a rootless lab has just been made in a user
/// namespace; `user` is the user and group of the one above.
pub(super) fn isolate(open: &Open, user: (u32, u32)) -> Result<Isolated, Stage> {
    if open.rootless {
        namespace::map_to_itself(user.0, user.1).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Stage::new("map the user into a user namespace", errno)
        })?;
    }
    // Mounts first: whatever comes after may mount.
    make(Kind::Mount)?;
    mount::keep_from_outside().map_err(|e| Stage::new("make the mounts private", e))?;
    refuse_changed_root()?;
    for kind in [Kind::Uts, Kind::Ipc, Kind::Net] {
        make(kind)?;
    }
    let fresh_proc = mount::fresh("proc", Path::new("/proc")).is_ok();
    let (files, fresh_sysfs) = Files::mount().map_err(|e| Stage::new("mount a file system in memory", e))?;
    let limit = raise_descriptors();
    caps::restrict_to_lab(open.rootless).map_err(|e| Stage::new("give up capabilities", e))?;

    let own =
        |kind: Kind| namespace::own(kind).map_err(|e| Stage::new(format!("hold the {}", kind.name()), e));
    let facts = Facts {
        fresh_proc,
        fresh_sysfs,
        own_hosts: files.own_hosts(),
        exec_socket: None,
    };
    let lab = Own {
        net: own(Kind::Net)?,
        view: View {
            mount: own(Kind::Mount)?,
            uts: own(Kind::Uts)?,
        },
        files,
        fresh_proc,
        fresh_sysfs,
        limit,
    };
    Ok(Isolated { facts, lab })
}

/// Who enters a mount namespace gets its root directory, which is not that of a process in
/// a chroot: the lab's commands would leave the chroot.
fn refuse_changed_root() -> Result<(), Stage> {
    let root = || rustix::fs::stat("/").map(|root| (root.st_dev, root.st_ino));
    let moved = || -> Result<bool, Errno> {
        let before = root()?;
        namespace::enter(namespace::own(Kind::Mount)?.as_fd(), Kind::Mount)?;
        Ok(root()? != before)
    };
    match moved() {
        Ok(false) => Ok(()),
        Ok(true) => Err(Stage::new(IN_CHROOT, Errno::PERM)),
        Err(errno) => Err(Stage::new("enter its own mount namespace", errno)),
    }
}

fn make(kind: Kind) -> Result<(), Stage> {
    patiently(&[kind], || namespace::make(kind)).map_err(|e| Stage::new(format!("make a {}", kind.name()), e))
}

/// Tries again while a limit on namespaces of these kinds is reached, until it cannot be
/// because of labs that have just ended.
pub(super) fn patiently<T>(
    kinds: &[Kind],
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(Errno::NOSPC | Errno::USERS) if Instant::now() < deadline && !forbidden(kinds) => {
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Tells whether one of the limits is 0, so that waiting does not help.
fn forbidden(kinds: &[Kind]) -> bool {
    kinds.iter().any(|kind| {
        let path = format!("/proc/sys/user/max_{}_namespaces", kind.file());
        std::fs::read_to_string(path).is_ok_and(|limit| limit.trim() == "0")
    })
}

/// Allows this process as many descriptors as it may have, a few for each node; returns
/// the limit as it was.
fn raise_descriptors() -> Rlimit {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Raising the first to the second is always allowed.
    setrlimit(Resource::Nofile, most).ok();
    limit
}
