//! A plugin at work on a device or a wire.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use vnet_datapath::{Pipeline, StageId};
use vnet_lab::{At, Island};
use vnet_packet::Layer;
use vnet_runtime::{Module, Stage, StageStats};

use crate::device::{Device, Inner};
use crate::error::Error;
use crate::events::{self, Scope, Subject};
use crate::fork::Generation;
use crate::logs::{LogRecord, LogTail};
use crate::network::{NetworkInner, words};
use crate::plugin::Plugin;
use crate::watch::WatchInner;
use crate::wire::WireInner;

/// A plugin at work; it stays there when the handle is dropped, until it is detached or what it is on closed.
#[derive(Clone)]
pub struct Attachment {
    pub(crate) inner: Arc<AttachmentInner>,
}

pub(crate) struct AttachmentInner {
    pub(crate) id: StageId,
    pub(crate) scope: Scope,
    owner: Owner,
    pub(crate) tail: Arc<LogTail>,
    /// Whose events are kept as long as this lives.
    subject: Arc<Mutex<Subject>>,
    versions: Mutex<Versions>,
    /// Held by who swaps; with several, in the order of their scopes.
    pub(crate) swapping: Mutex<()>,
    watch: Mutex<Option<Arc<WatchInner>>>,
    /// Counters at the end, once it has ended. Never locked while a line is waited for.
    last: Mutex<Option<StageStats>>,
    /// Held by who detaches.
    detaching: Mutex<()>,
    reordered: AtomicBool,
    born: Generation,
}

/// A plugin as it was asked for, and its module.
#[derive(Clone)]
pub(crate) struct Version {
    pub plugin: Plugin,
    pub module: Module,
}

/// What was put to work here.
pub(crate) struct Versions {
    pub now: Version,
    /// The one before the last swap.
    pub before: Option<Version>,
}

/// What is known of a stage before it goes to its pipeline.
pub(crate) struct Begun {
    version: Version,
    tail: Arc<LogTail>,
    events: vnet_runtime::EventReader,
}

impl Begun {
    pub(crate) fn new(plugin: &Plugin, stage: &Stage, tail: Arc<LogTail>) -> Self {
        Self {
            version: Version {
                plugin: plugin.clone(),
                module: stage.module().clone(),
            },
            tail,
            events: stage.events(),
        }
    }
}

/// Whose pipeline the plugin is in.
pub(crate) enum Owner {
    Device(Weak<Inner>),
    Wire(Weak<WireInner>),
    Network {
        network: Weak<NetworkInner>,
        island: Island,
        /// Where on the network.
        at: At,
    },
}

impl Owner {
    /// Returns what it is in words, and whose events those of the plugin are, too.
    fn subject(&self) -> (String, [Scope; 2]) {
        let gone = || (String::new(), [Scope::next(); 2]);
        match self {
            Owner::Device(device) => device.upgrade().map_or_else(gone, |device| device.known_as()),
            Owner::Wire(wire) => wire
                .upgrade()
                .map_or_else(gone, |wire| (wire.to_string(), [wire.scope; 2])),
            Owner::Network { network, at, .. } => {
                let scope = network
                    .upgrade()
                    .map_or_else(Scope::next, |network| network.scope);
                (words(at), [scope; 2])
            }
        }
    }

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
            drop(last);
            events::end(&attachment.subject);
        }
    }

    /// Returns those of a network, each with its place.
    pub(crate) fn placed(&self) -> Vec<(String, Attachment)> {
        let located = self.located().into_iter();
        located.map(|(at, attachment)| (words(&at), attachment)).collect()
    }

    /// Returns those of a network, each with where it is.
    pub(crate) fn located(&self) -> Vec<(At, Attachment)> {
        let located = |attachment: &Arc<AttachmentInner>| match &attachment.owner {
            Owner::Network { at, island, .. } if !island.has_ended(attachment.id) => {
                let inner = Arc::clone(attachment);
                Some((at.clone(), Attachment { inner }))
            }
            _ => None,
        };
        self.list().iter().filter_map(located).collect()
    }

    /// Forgets all of them; what they were in keeps their last counters.
    pub(crate) fn clear(&self) {
        for attachment in std::mem::take(&mut *self.list()) {
            events::end(&attachment.subject);
        }
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
    pub fn name(&self) -> String {
        self.inner.name()
    }

    /// Returns whose events [`next_events`](crate::next_events) is asked for to get this one's.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.inner.scope
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
                events::end(&self.inner.subject);
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
    pub(crate) fn new(begun: Begun, id: StageId, owner: Owner) -> Self {
        let Begun {
            version,
            tail,
            events,
        } = begun;
        let (place, [on, within]) = owner.subject();
        let scope = Scope::next();
        let subject = Arc::new(Mutex::new(Subject {
            plugin: Some(version.module.name().to_owned()),
            place,
            scopes: [scope, on, within],
        }));
        events::follow(&subject, events);
        Self {
            id,
            scope,
            owner,
            tail,
            subject,
            versions: Mutex::new(Versions {
                now: version,
                before: None,
            }),
            swapping: Mutex::new(()),
            watch: Mutex::new(None),
            last: Mutex::new(None),
            detaching: Mutex::new(()),
            reordered: AtomicBool::new(false),
            born: Generation::current(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.versions().now.module.name().to_owned()
    }

    pub(crate) fn versions(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that another version is at work.
    pub(crate) fn begin_version(&self, version: Version) {
        let name = version.module.name().to_owned();
        let mut versions = self.versions();
        let before = std::mem::replace(&mut versions.now, version);
        versions.before = Some(before);
        self.subject.lock().unwrap_or_else(PoisonError::into_inner).plugin = Some(name);
    }

    /// Returns what its events are kept under.
    pub(crate) fn subject(&self) -> Subject {
        self.subject
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes note of the file that is watched for it; returns the one before.
    pub(crate) fn watched(&self, watch: Arc<WatchInner>) -> Option<Arc<WatchInner>> {
        self.watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(watch)
    }

    /// Returns what a stage in its place must fit: layer, number of ports, and MTU as it is just now.
    pub(crate) fn fit(&self) -> Result<(Layer, u16, u32), Error> {
        match &self.owner {
            Owner::Device(device) => {
                let inner = device.upgrade().ok_or_else(|| self.ended())?;
                let device = Device { inner };
                device.check_open()?;
                Ok((device.layer(), 1, device.mtu()?))
            }
            Owner::Wire(wire) => wire.upgrade().ok_or_else(|| self.ended())?.fit(),
            Owner::Network { network, at, .. } => {
                self.check_ours()?;
                let network = network.upgrade().ok_or_else(|| self.ended())?;
                let fit = network.lab.fit(at)?;
                Ok((fit.layer, fit.ports, fit.mtu))
            }
        }
    }

    fn ended(&self) -> Error {
        Error::Closed {
            what: format!("what plugin {} was attached to", self.name()),
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
        events::end(&self.subject);
        Ok(stats)
    }

    fn check_ours(&self) -> Result<(), Error> {
        self.born
            .check(&format!("the network plugin {} is in", self.name()))
    }

    fn last(&self) -> MutexGuard<'_, Option<StageStats>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on_pipeline<T>(
        &self,
        use_it: impl Fn(&Pipeline, StageId) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let ended = || self.ended();
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
            Owner::Network { island, .. } => {
                self.check_ours()?;
                island.with_pipeline(|pipeline| use_it(pipeline, self.id))?
            }
        }
    }
}

impl Drop for AttachmentInner {
    fn drop(&mut self) {
        events::end(&self.subject);
    }
}
