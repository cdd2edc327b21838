//! What must be removed from the kernel when a device ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vnet_netlink::Interface;
use vnet_sandbox::Namespace;

use crate::error::Error;
use crate::fork::Generation;

/// What of a device is ours to remove: nothing where it is somebody else's, persistent, or vanishes with its descriptor;
/// of a veth pair either end.
pub(crate) type Owned = Option<(Arc<Namespace>, Box<Interface>)>;

/// The life of an interface in the kernel; the two ends of a veth pair share one.
pub(crate) struct Life {
    owned: Mutex<Owned>,
    over: AtomicBool,
    born: Generation,
}

impl Life {
    pub(crate) fn new(owned: Owned) -> Arc<Self> {
        Arc::new(Self {
            owned: Mutex::new(owned),
            over: AtomicBool::new(false),
            born: Generation::current(),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Removes what is ours, once.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if !self.born.is_ours() {
            return Ok(());
        }
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((namespace, interface)) = owned else {
            return Ok(());
        };
        self.over.store(true, Ordering::Release);
        Ok(namespace.release(&interface)?)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{error}");
        }
    }
}
