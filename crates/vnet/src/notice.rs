//! The kernel's word that a file was saved: inotify on the directories it may lie in.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// What was heard of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// It was closed by who wrote it, moved to its place, or linked there.
    pub saved: bool,
    /// Somebody writes it, and has not closed it since.
    pub written: bool,
    /// One of its directories, or a link to it, is another now: what is listened to has to be chosen again.
    pub moved: bool,
}

/// Listens to the directory of a file, and to the one around it; where the file is a link, also to those of its target.
pub(crate) struct Notices {
    inotify: OwnedFd,
    places: Vec<Place>,
}

/// A directory that is listened to, for one name in it.
struct Place {
    watch: i32,
    name: OsString,
    /// Whether the name is the file's, and not that of a directory.
    is_file: bool,
}

impl Notices {
    /// Begins to listen; `None` where the kernel gives nothing to listen with, such as beyond the user's limit of instances.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        let mut notices = Self {
            inotify,
            places: Vec::new(),
        };
        notices.renew(file)?;
        Some(notices)
    }

    /// Chooses again what it listens to, and goes on listening meanwhile; `None` as [`Notices::of`].
    pub(crate) fn renew(&mut self, file: &Path) -> Option<()> {
        self.places.clear();
        let file = std::path::absolute(file).ok()?;
        let target = file.canonicalize().ok().filter(|target| *target != file);
        for path in std::iter::once(file).chain(target) {
            self.listen(&path)?;
        }
        Some(())
    }

    fn listen(&mut self, file: &Path) -> Option<()> {
        let saved = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::MODIFY;
        let own = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        // The first of its directories that is there, and the one around it, in which another may take its place.
        let mut path = file.to_owned();
        let mut heard = 0;
        while heard < 2
            && let (Some(directory), Some(name)) = (path.parent().map(PathBuf::from), path.file_name())
        {
            // What one inode is listened to for grows with each name in it.
            let flags = saved | own | WatchFlags::MASK_ADD | WatchFlags::ONLYDIR;
            match inotify::add_watch(&self.inotify, &directory, flags) {
                Ok(watch) => {
                    heard += 1;
                    let (name, is_file) = (name.to_owned(), path == file);
                    self.places.push(Place { watch, name, is_file });
                }
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS) => {}
                Err(_) => return None,
            }
            path = directory;
        }
        (heard > 0).then_some(())
    }

    /// Waits up to `timeout` for something, or for `wake` to be readable; returns all that was heard.
    pub(crate) fn wait(&self, wake: &OwnedFd, timeout: Duration) -> Heard {
        let mut ready = [
            PollFd::new(&self.inotify, PollFlags::IN),
            PollFd::new(wake, PollFlags::IN),
        ];
        // An interruption is a short wait.
        let _ = poll(&mut ready, Timespec::try_from(timeout).ok().as_ref());
        let mut heard = Heard::default();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            self.note(&mut heard, event.wd(), event.events(), name);
        }
        heard
    }

    fn note(&self, heard: &mut Heard, watch: i32, events: ReadFlags, name: Option<&OsStr>) {
        let gone =
            ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::QUEUE_OVERFLOW;
        heard.moved |= events.intersects(gone);
        for place in &self.places {
            if place.watch != watch || name != Some(&*place.name) {
                continue;
            }
            // Whatever takes the name of a directory, or of a link, has to be looked into.
            let is_new = events.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            heard.moved |= is_new;
            if !place.is_file {
                continue;
            }
            if events.contains(ReadFlags::MODIFY) {
                (heard.written, heard.saved) = (true, false);
            }
            if events.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
                (heard.written, heard.saved) = (false, true);
            }
        }
    }
}
