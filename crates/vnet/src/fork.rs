//! What a forked child may still do with handles it inherited: nothing.
//!
//! Only the forking thread lives on in a child, so the workers that own the devices are gone there and their locks may be
//! held for ever. Handles remember the generation they were made in; in a child they answer [`Error::Closed`] without
//! touching a lock, and dropping them leaks memory instead of waiting for a thread that does not exist.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;
use crate::{events, logs, sandbox};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Takes the locks that the whole process shares; the thread that is about to fork calls it.
///
/// Another thread may hold one just then, and would hold it for ever in the child.
pub fn before_fork() {
    logs::hold();
    events::hold();
    sandbox::hold();
    vnet_sandbox::before_fork();
    vnet_datapath::before_fork();
}

/// Gives the locks back; the parent calls it after the fork.
pub fn after_fork() {
    vnet_datapath::after_fork();
    vnet_sandbox::after_fork();
    sandbox::release();
    events::release();
    logs::release();
}

/// Gives the locks back and marks every handle of this process as the parent's; the child calls it first thing after a fork.
///
/// The file descriptors of [`Device::fds`](crate::Device::fds) stay open until the caller closes them.
pub fn forked() {
    sandbox::forked();
    vnet_datapath::forked();
    after_fork();
    GENERATION.fetch_add(1, Ordering::SeqCst);
}

/// Remembers in which process a handle was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) fn current() -> Self {
        Self(GENERATION.load(Ordering::Relaxed))
    }

    pub(crate) fn is_ours(self) -> bool {
        self == Self::current()
    }

    pub(crate) fn check(self, what: &str) -> Result<(), Error> {
        if self.is_ours() {
            return Ok(());
        }
        Err(Error::Closed {
            what: format!("{what} belongs to the process this one was forked from: here it"),
        })
    }
}
