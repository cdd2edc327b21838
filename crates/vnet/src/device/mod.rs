//! A device: an interface vnet opened, whoever made it.

mod describe;
mod frames;
mod life;
mod line;
mod link;

use std::fmt;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use vnet_datapath::{Pipeline, Port};
use vnet_packet::Layer;
use vnet_sandbox::Namespace;
use vnet_sys::NetNs;

pub use frames::Frame;
pub(crate) use life::Life;
pub(crate) use line::{Line, Source, both, packet_options};
pub use link::{DeviceState, DeviceStats, KernelStats};

use crate::attachment::Attachments;
use crate::error::Error;
use crate::events::Scope;
use crate::fork::Generation;

/// Says how a device came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Made by [`Tap`](crate::Tap).
    Tap,
    /// Made by [`Tun`](crate::Tun).
    Tun,
    /// One end of a pair made by [`Veth`](crate::Veth).
    Veth,
    /// Made by [`Bridge`](crate::Bridge).
    Bridge,
    /// Made by somebody else and opened by [`open`](crate::open).
    Existing,
}

/// Says how the engine reads and writes a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// It owns the TUN/TAP descriptor: the frames are moved, not copied.
    Tap,
    /// A packet socket: on the interface itself, of whose frames it sees a copy, or, in place of a TUN/TAP descriptor, on the
    /// other end of a veth, to which the frames are moved.
    Packet,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Tap => "tap",
            DeviceKind::Tun => "tun",
            DeviceKind::Veth => "veth",
            DeviceKind::Bridge => "bridge",
            DeviceKind::Existing => "existing",
        })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Tap => "tap",
            Backend::Packet => "packet",
        })
    }
}

/// An interface vnet opened. Clones are handles to the same device; it is released by [`Device::close`], or with the last handle.
#[derive(Clone)]
pub struct Device {
    pub(crate) inner: Arc<Inner>,
}

/// What a device is made of.
pub(crate) struct Inner {
    pub name: String,
    pub index: u32,
    pub kind: DeviceKind,
    pub backend: Backend,
    pub layer: Layer,
    /// `None` once it is closed: it holds descriptors.
    namespace: Mutex<Option<Arc<Namespace>>>,
    /// Where it lives, in words.
    pub place: String,
    /// Who makes frames move just now. Lock order: the lines of devices by address, then the line of a wire.
    pub line: line::Lock,
    pub attachments: Attachments,
    pub scope: Scope,
    /// The network it is in, and what it is called there.
    network: OnceLock<(Scope, String)>,
    /// Descriptor that keeps the device or its frames, for [`Device::fds`]; -1 when there is none.
    pub held: AtomicI32,
    /// How long whoever moves its frames looks for more of them before it sleeps.
    busy_poll_ns: AtomicU64,
    pub life: Arc<Life>,
    pub born: Generation,
}

impl Inner {
    /// Returns what its events say they happened on, and whose they are.
    pub(crate) fn known_as(&self) -> (String, [Scope; 2]) {
        match self.network.get() {
            Some((network, place)) => (place.clone(), [self.scope, *network]),
            None => (self.name.clone(), [self.scope; 2]),
        }
    }
}

impl Device {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            name,
            index,
            kind,
            layer,
            namespace,
            place,
            backend,
            source,
            held,
            life,
        } = parts;
        Self {
            inner: Arc::new(Inner {
                name,
                index,
                kind,
                backend,
                layer,
                namespace: Mutex::new(Some(namespace)),
                place,
                line: line::Lock::new(Line::Idle(source)),
                attachments: Attachments::default(),
                scope: Scope::next(),
                network: OnceLock::new(),
                held: AtomicI32::new(held.unwrap_or(-1)),
                busy_poll_ns: AtomicU64::new(0),
                life,
                born: Generation::current(),
            }),
        }
    }

    /// Returns the interface name, 1 to 15 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the interface index in its namespace.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.inner.index
    }

    /// Returns whose events [`next_events`](crate::next_events) is asked for to get those of this device and its plugins.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.inner.scope
    }

    /// Takes note of the network it is in, whose events its own are, too, and of what it is called there: `h1:tap0`.
    pub fn belong(&self, network: Scope, place: String) {
        // It is in one network for as long as it lives.
        let _ = self.inner.network.set((network, place));
    }

    /// Returns how it came to be.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        self.inner.kind
    }

    /// Returns how the engine reads and writes it.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Returns whether it carries Ethernet frames or bare IP packets.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.inner.layer
    }

    /// Returns where it lives, such as `host` or `/run/netns/blue`.
    #[must_use]
    pub fn netns(&self) -> &str {
        &self.inner.place
    }

    /// Returns whether it was closed, or belongs to the process this one was forked from.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.inner.born.is_ours()
            || self.inner.life.is_over()
            || matches!(*self.inner.line.read(), Line::Closed)
    }

    /// Returns the descriptors whose copies in a forked child would keep the device alive, without taking a lock.
    #[must_use]
    pub fn fds(&self) -> Vec<RawFd> {
        let held = self.inner.held.load(Ordering::Relaxed);
        (held >= 0).then_some(held).into_iter().collect()
    }

    /// Releases the device; one that vnet made is removed, unless it is persistent. Doing it again does nothing.
    ///
    /// A [`Wire`](crate::Wire) it belongs to is closed first and the other device carries on alone.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel refuses to remove a veth pair or a bridge.
    pub fn close(&self) -> Result<(), Error> {
        if !self.inner.born.is_ours() {
            return Ok(());
        }
        self.leave_wire();
        let line = {
            let mut line = self.inner.line.write();
            if let Line::Sink(pipeline) = &*line {
                self.inner.attachments.end(pipeline);
            }
            std::mem::replace(&mut *line, Line::Closed)
        };
        // Ends the worker and closes the descriptors, with no lock held.
        drop(line);
        self.inner.held.store(-1, Ordering::Relaxed);
        drop(self.lock_namespace().take());
        self.inner.life.end()
    }

    /// Has whoever moves its frames look for more of them that long before it sleeps.
    pub(crate) fn polled(self, time: Duration) -> Self {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.inner.busy_poll_ns.store(ns, Ordering::Relaxed);
        self
    }

    /// Returns how long whoever moves its frames looks for more of them before it sleeps.
    pub(crate) fn busy_poll(&self) -> Duration {
        Duration::from_nanos(self.inner.busy_poll_ns.load(Ordering::Relaxed))
    }

    /// Makes a pipeline of its own for its port.
    pub(crate) fn sink(&self, port: Port) -> Result<Pipeline, Error> {
        let pipeline = Pipeline::sink(port)?;
        pipeline.set_busy_poll(self.busy_poll())?;
        Ok(pipeline)
    }

    /// Asks something of the namespace it lives in; one thread at a time, because the kernel answers EBUSY to a second list
    /// asked for on one netlink socket.
    pub(crate) fn in_namespace<T, E: Into<Error>>(
        &self,
        ask: impl FnOnce(&Namespace) -> Result<T, E>,
    ) -> Result<T, Error> {
        self.inner.born.check(&self.to_string())?;
        match &*self.lock_namespace() {
            Some(namespace) => ask(namespace).map_err(Into::into),
            None => Err(self.closed_error()),
        }
    }

    /// Returns the namespace it lives in, to be compared with others.
    pub(crate) fn netns_handle(&self) -> Result<NetNs, Error> {
        self.in_namespace(|namespace| Ok::<_, Error>(namespace.netns().clone()))
    }

    fn lock_namespace(&self) -> MutexGuard<'_, Option<Arc<Namespace>>> {
        self.inner
            .namespace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when the device is closed.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn check_open(&self) -> Result<(), Error> {
        self.inner.born.check(&self.to_string())?;
        if self.is_closed() {
            Err(self.closed_error())
        } else {
            Ok(())
        }
    }

    pub(crate) fn closed_error(&self) -> Error {
        Error::Closed {
            what: self.to_string(),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}", self.inner.name)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let line = std::mem::replace(self.line.get_mut(), Line::Closed);
        if self.born.is_ours() {
            drop(line);
        } else {
            // Its worker does not exist in this process: waiting for it would never end.
            std::mem::forget(line);
        }
    }
}

/// What a constructor gives to [`Device::new`].
pub(crate) struct Parts {
    pub name: String,
    pub index: u32,
    pub kind: DeviceKind,
    pub layer: Layer,
    pub namespace: Arc<Namespace>,
    pub place: String,
    pub backend: Backend,
    pub source: Source,
    pub held: Option<RawFd>,
    pub life: Arc<Life>,
}
