//! This process's private sandbox: a lab with one node, for a process that may not configure the namespace it is in.
//!
//! It is made on first use, shares the file system with this process, and ends with it. A forked child has none of its own
//! until it uses one.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vnet_sandbox::{Lab, LabOptions, NodeSetup, Space, Step};

use crate::error::Error;
use crate::fork::Generation;

/// The node; the lab's own namespace holds the far ends of what stands for TAPs.
const NODE: Space = Space(1);

/// How long the processes of a sandbox may take to go.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What the sandbox is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The current namespace, which this process may not configure.
    Implied,
    /// The sandbox itself.
    ByName,
}

#[derive(Default)]
struct Place {
    lab: Option<(Generation, Arc<Lab>)>,
    announcement: Option<String>,
    announced: bool,
}

static PLACE: Mutex<Place> = Mutex::new(Place {
    lab: None,
    announcement: None,
    announced: false,
});

thread_local! {
    /// The lock on the sandbox, held by a thread that is about to fork or has just done so.
    static HELD: RefCell<Option<MutexGuard<'static, Place>>> = const { RefCell::new(None) };
}

fn lock() -> MutexGuard<'static, Place> {
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_place<T>(work: impl FnOnce(&mut Place) -> T) -> T {
    HELD.with_borrow_mut(|held| match held {
        Some(place) => work(place),
        None => work(&mut lock()),
    })
}

/// Keeps all other threads from the sandbox until [`release`].
pub(crate) fn hold() {
    HELD.with_borrow_mut(|held| {
        if held.is_none() {
            *held = Some(lock());
        }
    });
}

/// Ends [`hold`].
pub(crate) fn release() {
    HELD.take();
}

/// Forgets the sandbox of the process this one was forked from: its descriptors are closed by who forked, or stay.
pub(crate) fn forked() {
    with_place(|place| std::mem::forget(std::mem::take(place)));
}

/// Returns this process's sandbox, and makes it where there is none.
pub(crate) fn current(asked: Asked) -> Result<(Arc<Lab>, Space), Error> {
    with_place(|place| {
        match &place.lab {
            Some((born, lab)) if born.is_ours() && !lab.is_dead() => return Ok((Arc::clone(lab), NODE)),
            Some((born, _)) if born.is_ours() => {
                tracing::warn!(
                    "the helper of the sandbox was killed: what was in it is gone, and a fresh one is made"
                );
            }
            _ => {}
        }
        let (lab, space) = open("sandbox")?;
        if asked == Asked::Implied && !place.announced {
            place.announced = true;
            place.announcement = Some(format!(
                "this process lacks CAP_NET_ADMIN, so its devices and commands are in a private sandbox that ends with it \
                 (helper process {}); the namespace \"host\" is the machine's own network",
                lab.info().helper
            ));
        }
        place.lab = Some((Generation::current(), Arc::clone(&lab)));
        Ok((lab, space))
    })
}

/// Opens a lab with one node that shares the file system.
pub(crate) fn open(name: &str) -> Result<(Arc<Lab>, Space), Error> {
    let lab = Lab::open(&LabOptions {
        name: name.into(),
        rootless: None,
    })?;
    let spec = NodeSetup {
        name: name.into(),
        hostname: host_name(),
        ..NodeSetup::default()
    };
    let step = Step::Node { space: NODE.0, spec };
    lab.apply(&[step]).map_err(|failed| Error::from(failed.error))?;
    Ok((Arc::new(lab), NODE))
}

/// The machine's name, where it can be a node's.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(fits) {
        name.into()
    } else {
        "sandbox".into()
    }
}

/// Returns, once, that the sandbox was made though nobody asked for it by name, as a sentence for the user.
#[must_use]
pub fn announcement() -> Option<String> {
    with_place(|place| place.announcement.take())
}

/// Ends this process's sandbox with all devices and commands in it, and waits until it is gone. Where there is none it does
/// nothing; the next use makes a fresh one.
///
/// # Errors
/// [`Error::System`] when a process in it hangs in the kernel.
pub fn close() -> Result<(), Error> {
    match with_place(|place| place.lab.take()) {
        Some((born, lab)) if born.is_ours() => Ok(lab.close(LAST_WAIT)?),
        other => {
            std::mem::forget(other);
            Ok(())
        }
    }
}
