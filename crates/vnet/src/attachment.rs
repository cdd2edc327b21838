//! A plugin at work on a device or a wire.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use vnet_datapath::{Pipeline, StageId};
use vnet_lab::Island;
use vnet_runtime::StageStats;

use crate::device::{Device, Inner};
use crate::error::Error;
use crate::fork::Generation;
use crate::logs::{LogRecord, LogTail};
use crate::network::NetworkInner;
use crate::wire::WireInner;

/// A plugin at work; it stays there when the handle is dropped, until it is detached or what it is on closed.
#[derive(Clone)]
pub struct Attachment {
    pub(crate) inner: Arc<AttachmentInner>,
}

pub(crate) struct AttachmentInner {
    name: String,
    id: StageId,
    owner: Owner,
    tail: Arc<LogTail>,
    /// Counters at the end, once it has ended. Never locked while a line is waited for.
    last: Mutex<Option<StageStats>>,
    /// Held by who detaches.
    detaching: Mutex<()>,
    reordered: AtomicBool,
    born: Generation,
}

/// Whose pipeline the plugin is in.
pub(crate) enum Owner {
    Device(Weak<Inner>),
    Wire(Weak<WireInner>),
    Network {
        network: Weak<NetworkInner>,
        island: Island,
        /// Where on the network, in words.
        place: String,
    },
}

impl Owner {
    fn forget(&self, attachment: &Arc<AttachmentInner>) {
        match self {
            Owner::Device(device) => {
                if let Some(device) = device.upgrade() {
                    device.attachments.forget(attachment);
                }
            }
            Owner::Wire(wire) => {
                if let Some(wire) = wire.upgrade() {
                    wire.attachments.forget(attachment);
                }
            }
            Owner::Network { network, .. } => {
                if let Some(network) = network.upgrade() {
                    network.attachments.forget(attachment);
                }
            }
        }
    }
}

/// The plugins at work in one place. It keeps them, so that their log lines are collected when nobody holds the handle.
#[derive(Default)]
pub(crate) struct Attachments {
    list: Mutex<Vec<Arc<AttachmentInner>>>,
    /// How many there ever were.
    numbers: AtomicU32,
}

impl Attachments {
    /// Returns the number of one that is to be added: a run that adds the same ones in the same order has the same numbers.
    pub(crate) fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add(&self, attachment: &Arc<AttachmentInner>) {
        self.list().push(Arc::clone(attachment));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// Keeps the last counters of all of them before `pipeline` ends, and forgets them.
    pub(crate) fn end(&self, pipeline: &Pipeline) {
        let list = std::mem::take(&mut *self.list());
        for attachment in list {
            let mut last = attachment.last();
            if last.is_none() {
                *last = pipeline.stage_stats(attachment.id).ok();
            }
        }
    }

    /// Returns those of a network, each with its place.
    pub(crate) fn placed(&self) -> Vec<(String, Attachment)> {
        let placed = |attachment: &Arc<AttachmentInner>| match &attachment.owner {
            Owner::Network { place, island, .. } if !island.has_ended(attachment.id) => {
                let inner = Arc::clone(attachment);
                Some((place.clone(), Attachment { inner }))
            }
            _ => None,
        };
        self.list().iter().filter_map(placed).collect()
    }

    /// Forgets all of them; what they were in keeps their last counters.
    pub(crate) fn clear(&self) {
        drop(std::mem::take(&mut *self.list()));
    }

    fn forget(&self, attachment: &Arc<AttachmentInner>) {
        self.list().retain(|known| !Arc::ptr_eq(known, attachment));
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<AttachmentInner>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachment {
    /// Returns the plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the counters; after detaching or closing, the last ones.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn stats(&self) -> Result<StageStats, Error> {
        let last = self.inner.last();
        if let Some(stats) = &*last {
            return Ok(stats.clone());
        }
        drop(last);
        if let Owner::Network { island, .. } = &self.inner.owner {
            self.inner.check_ours()?;
            return Ok(island.stage_stats(self.inner.id)?);
        }
        let answer = self
            .inner
            .on_pipeline(|pipeline, id| Ok(pipeline.stage_stats(id)?));
        // It may have ended in between.
        answer.or_else(|error| self.inner.last().clone().ok_or(error))
    }

    /// Takes the plugin off between two batches and returns its last counters. Doing it again returns the same.
    ///
    /// The last one on a link, interface or switch of a network gives it back to the kernel; nothing is lost or doubled by it.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn detach(&self) -> Result<StageStats, Error> {
        let _one = self
            .inner
            .detaching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = &*self.inner.last() {
            return Ok(stats.clone());
        }
        if let Owner::Network { network, island, .. } = &self.inner.owner {
            return self.inner.leave(network, island);
        }
        match self.inner.on_pipeline(|pipeline, id| Ok(pipeline.detach(id)?)) {
            Ok(stats) => {
                *self.inner.last() = Some(stats.clone());
                self.inner.owner.forget(&self.inner);
                Ok(stats)
            }
            // Its device or wire may have been closed in between.
            Err(error) => self.inner.last().clone().ok_or(error),
        }
    }

    /// Returns whether it was detached, or what it was on closed.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        match &self.inner.owner {
            Owner::Network { island, .. } if self.inner.check_ours().is_ok() => {
                island.has_ended(self.inner.id)
            }
            _ => self.inner.last().is_some(),
        }
    }

    /// Returns whether frames may have overtaken others when detaching gave a link, interface or switch back to the kernel.
    #[must_use]
    pub fn reordering_possible(&self) -> bool {
        self.inner.reordered.load(Ordering::Relaxed)
    }

    /// Returns the last 256 lines it logged, oldest first.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        self.inner.tail.lines()
    }
}

impl AttachmentInner {
    pub(crate) fn new(name: String, id: StageId, owner: Owner, tail: Arc<LogTail>) -> Self {
        Self {
            name,
            id,
            owner,
            tail,
            last: Mutex::new(None),
            detaching: Mutex::new(()),
            reordered: AtomicBool::new(false),
            born: Generation::current(),
        }
    }

    /// Takes it off what it is on in a network.
    fn leave(self: &Arc<Self>, network: &Weak<NetworkInner>, island: &Island) -> Result<StageStats, Error> {
        self.check_ours()?;
        let Some(network) = network.upgrade() else {
            return Ok(island.stage_stats(self.id)?);
        };
        let (stats, swap) = network.lab.detach(island, self.id)?;
        self.reordered.store(swap.reordering_possible, Ordering::Relaxed);
        *self.last() = Some(stats.clone());
        network.attachments.forget(self);
        Ok(stats)
    }

    fn check_ours(&self) -> Result<(), Error> {
        self.born
            .check(&format!("the network plugin {} is in", self.name))
    }

    fn last(&self) -> MutexGuard<'_, Option<StageStats>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on_pipeline<T>(
        &self,
        use_it: impl Fn(&Pipeline, StageId) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let ended = || Error::Closed {
            what: format!("what plugin {} was attached to", self.name),
        };
        match &self.owner {
            Owner::Device(device) => {
                let device = Device {
                    inner: device.upgrade().ok_or_else(ended)?,
                };
                let answer = device.on_present_pipeline(|pipeline, _| use_it(pipeline, self.id))?;
                answer.ok_or_else(ended)
            }
            Owner::Wire(wire) => wire
                .upgrade()
                .ok_or_else(ended)?
                .on_pipeline(|pipeline| use_it(pipeline, self.id)),
            Owner::Network { island, .. } => island.with_pipeline(|pipeline| use_it(pipeline, self.id))?,
        }
    }
}
