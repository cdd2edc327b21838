//! The directory a command starts in.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, fstat, stat};
use rustix::io::Errno;
use rustix::process::{chdir, fchdir};
use vnet_sys::mount;
use vnet_sys::namespace::{self, Kind};

/// Where, in a private directory, the machine's own one shows when a command starts in
/// it.
const OUTSIDE: &str = ".outside";

/// A directory as the client names it.
pub(super) struct Directory<'a> {
    pub(super) path: &'a Path,
    /// The client's directory of that path, where it has one.
    pub(super) outside: Option<BorrowedFd<'a>>,
    /// Whether it was asked for by its path, rather than being just where the client is.
    pub(super) explicit: bool,
}

/// The mounts of the lab and of the node whose command this process will be.
pub(super) struct Mounts<'a> {
    pub(super) lab: BorrowedFd<'a>,
    pub(super) node: BorrowedFd<'a>,
    pub(super) private_dirs: &'a [PathBuf],
}

impl Directory<'_> {
    /// Changes to it; this process is in the node's mount namespace and does what it will
    /// before it becomes the command.
    ///
    /// Where a private directory covers the client's, the client's is mounted into the
    /// node: a program in a directory that its root does not lead to has no working
    /// directory it could name.
    pub(super) fn change(&self, mounts: &Mounts<'_>) -> Result<(), Errno> {
        let Some(outside) = self.outside else {
            return chdir(self.path);
        };
        let wanted = Identity::of(outside)?;
        let here = Identity::at(self.path);
        if here == Some(wanted) || (here.is_some() && self.explicit) {
            return chdir(self.path);
        }
        let covered = mounts.private_dirs.iter().find(|dir| self.path.starts_with(dir));
        if let Some(dir) = covered
            && let Ok(place) = show(self.path, dir, here.is_some(), wanted, mounts)
            && Identity::at(&place) == Some(wanted)
        {
            return chdir(&place);
        }
        // No path leads to it here, but what lies in it can be used.
        fchdir(outside)
    }
}

/// Mounts the machine's `path` into the node, below the private directory `dir` that
/// covers it, and returns where.
///
/// It is the same path, unless the node has something of its own there: then the
/// machine's whole `dir` shows at [`OUTSIDE`].
fn show(
    path: &Path,
    dir: &Path,
    taken: bool,
    wanted: Identity,
    mounts: &Mounts<'_>,
) -> Result<PathBuf, Errno> {
    let (source, target, place) = if taken {
        let target = dir.join(OUTSIDE);
        let place = path
            .strip_prefix(dir)
            .map_or_else(|_| target.clone(), |rest| target.join(rest));
        (dir, target, place)
    } else {
        (path, path.to_owned(), path.to_owned())
    };
    if Identity::at(&place) == Some(wanted) {
        return Ok(place);
    }
    namespace::enter(mounts.lab, Kind::Mount)?;
    let tree = mount::copy(source);
    namespace::enter(mounts.node, Kind::Mount)?;
    make_below(dir, &target)?;
    mount::attach(tree?.as_fd(), &target)?;
    Ok(place)
}

/// Makes a directory and those above it, on from `dir`; a symbolic link, which may lead
/// out of what is the node's own, is not followed.
fn make_below(dir: &Path, target: &Path) -> Result<(), Errno> {
    let mut place = dir.to_owned();
    for part in target.strip_prefix(dir).map_err(|_| Errno::INVAL)? {
        place.push(part);
        match rustix::fs::mkdir(&place, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = rustix::fs::lstat(&place)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    return Err(Errno::NOTDIR);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// What tells one directory from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let stat = fstat(fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        Ok(Self(stat.st_dev, stat.st_ino))
    }

    fn at(path: &Path) -> Option<Self> {
        stat(path).ok().map(|stat| Self(stat.st_dev, stat.st_ino))
    }
}
