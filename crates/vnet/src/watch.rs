//! A plugin file that is swapped in whenever it is saved.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::attachment::{Attachment, AttachmentInner};
use crate::error::Error;
use crate::events;
use crate::notice::{Heard, Notices};
use crate::plugin::Plugin;

/// Time between two looks at a file that is changing; one that looks the same twice is whole.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two looks where the kernel tells of changes: it does not tell of those made on another machine.
const CALM: Duration = Duration::from_secs(1);
/// A file that somebody has written and keeps open counts as whole after this time without a change.
const KEPT_OPEN: Duration = Duration::from_secs(5);

/// A file that is watched for a plugin, until it is stopped or the plugin detached; dropping it changes nothing.
#[derive(Clone)]
pub struct Watch {
    inner: Arc<WatchInner>,
}

pub(crate) struct WatchInner {
    path: PathBuf,
    stopped: AtomicBool,
    /// Readable once it is stopped.
    wake: OwnedFd,
    swaps: AtomicU64,
    refusals: AtomicU64,
    refused: Mutex<Option<String>>,
}

/// What tells one save of a file from the next.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        Some(Self {
            inode: data.ino(),
            size: data.size(),
            changed: (data.mtime(), data.mtime_nsec()),
        })
    }
}

impl Attachment {
    /// Swaps the plugin whenever a file is saved, its own when `path` is `None`, with the options it has; state is carried.
    ///
    /// What is refused is logged, and the plugin before stays at work. It ends with the attachment; another watch ends it too.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the plugin is no file and none is named, [`Error::NotFound`], [`Error::System`].
    pub fn watch(&self, path: Option<&Path>) -> Result<Watch, Error> {
        self.check_swappable()?;
        let path = match path {
            Some(path) => path.to_owned(),
            None => self.plugin().file().ok_or_else(|| Error::Invalid {
                what: format!(
                    "plugin {} is not a file, so there is nothing to watch",
                    self.name()
                ),
                hint: Some("name the file that is built".into()),
            })?,
        };
        let Some(seen) = Look::at(&path) else {
            return Err(Error::NotFound {
                what: format!("plugin file {} does not exist", path.display()),
                hint: None,
            });
        };
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(|errno| Error::io("cannot make an event descriptor", &errno.into()))?;
        let inner = Arc::new(WatchInner {
            path,
            stopped: AtomicBool::new(false),
            wake,
            swaps: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            refused: Mutex::new(None),
        });
        let (watched, watch) = (Arc::downgrade(&self.inner), Arc::clone(&inner));
        std::thread::Builder::new()
            .name("vnet-watch".into())
            .spawn(move || look_on(&watched, &watch, seen))
            .map_err(|error| Error::io("cannot start the thread that watches a file", &error))?;
        if let Some(before) = self.inner.watched(Arc::clone(&inner)) {
            before.stop();
        }
        Ok(Watch { inner })
    }
}

impl Watch {
    /// Returns the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Ends it. A swap that is under way is finished.
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// Returns how often the file was swapped in, and how often it was refused.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Acquire);
        (load(&self.inner.swaps), load(&self.inner.refusals))
    }

    /// Returns why the file as it is was refused; `None` once it was swapped in.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.inner
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn look_on(watched: &Weak<AttachmentInner>, watch: &WatchInner, mut done: Look) {
    let mut notices = Notices::of(&watch.path);
    if notices.is_none() {
        tracing::debug!(target: "vnet::plugin", "{} is looked at every 50 ms: no inotify", watch.path.display());
    }
    let (mut last, mut since) = (Some(done), Instant::now());
    let (mut is_settling, mut is_written) = (false, false);
    loop {
        let heard = match &notices {
            Some(notices) => notices.wait(&watch.wake, if is_settling { LOOK } else { CALM }),
            None => {
                // An interruption is a short wait.
                let _ = poll(
                    &mut [PollFd::new(&watch.wake, PollFlags::IN)],
                    Timespec::try_from(LOOK).ok().as_ref(),
                );
                Heard::default()
            }
        };
        let Some(inner) = watched.upgrade() else { return };
        let attachment = Attachment { inner };
        if watch.stopped.load(Ordering::Relaxed) || attachment.is_detached() {
            return;
        }
        if heard.moved {
            notices = notices.and_then(|mut notices| notices.renew(&watch.path).map(|()| notices));
        }
        is_written = heard.written || (is_written && !heard.saved);
        let now = Look::at(&watch.path);
        if now != last {
            since = Instant::now();
        }
        // One that is being written looks different each time, or has not been closed; one that is being replaced may be away.
        let is_whole = match is_written {
            true => since.elapsed() >= KEPT_OPEN,
            false => heard.saved || now == last,
        };
        last = now;
        let changed = now.filter(|now| *now != done);
        is_settling = changed.is_some() && !is_whole && !is_written;
        if let Some(now) = changed.filter(|_| is_whole) {
            done = now;
            is_written = false;
            watch.try_it(&attachment);
        }
    }
}

impl WatchInner {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn try_it(&self, attachment: &Attachment) {
        let source = self.path.display().to_string();
        let plugin = Plugin {
            source,
            bytes: None,
            ..attachment.plugin()
        };
        let refused = attachment.swap(&plugin, true).err();
        let text = refused.as_ref().map(|error| {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{error}{hint}; the plugin before stays at work")
        });
        if let Some(text) = &text {
            tracing::warn!(target: "vnet::plugin", "{} is not swapped in: {text}", self.path.display());
            let subject = attachment.inner.subject();
            events::report(&subject, "refused", text.clone(), Duration::ZERO);
        }
        let count = if text.is_some() {
            &self.refusals
        } else {
            &self.swaps
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = text;
        count.fetch_add(1, Ordering::Release);
    }
}
