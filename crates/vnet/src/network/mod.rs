//! Networks: hosts, switches, routers and links in a private lab that leaves nothing behind.

mod begin;
mod configure;
mod declare;
mod file;
mod filter;
mod link;
mod measure;
mod node;
mod place;
mod port;
mod process;
mod state;
mod stream;

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use vnet_sandbox::{LabEntry, labs};
use vnet_topology::Spec;

pub use declare::{LinkOptions, NodeOptions, nanoseconds, pools, routing};
pub use filter::capture_filter;
pub use link::Link;
pub use node::Node;
pub(crate) use place::words;
pub use port::Transport;
pub use process::{Popen, Process};
pub use state::{GraphFormat, NodeInterface};
pub use stream::{Pipes, Stream};

use crate::attachment::Attachments;
use crate::error::Error;
use crate::events::Scope;
use crate::fork::Generation;
use crate::numbers::NumbersDoor;
use crate::outside::Outside;

/// Asked at least every 50 ms by whatever waits: true ends the wait with [`Error::System`] and `EINTR`.
pub type Cancel<'a> = &'a dyn Fn() -> bool;

/// A [`Cancel`] that never ends a wait.
#[must_use]
pub fn never() -> bool {
    false
}

/// How long the processes of a closed network may take to be gone.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A network in a private lab: an ordinary user may make one, and nothing of it outlives this process.
///
/// What is declared before [`Network::start`], or before the first use that starts it, is made then, whole or not at all;
/// what is declared later is made at once. Clones are handles to the same network; it is closed by [`Network::close`], or
/// with the last handle.
///
/// ```no_run
/// use vnet::{Direction, LinkOptions, Network, NetworkSpec, NodeKind, NodeOptions, PingOptions, Plugin, never};
///
/// # fn main() -> Result<(), vnet::Error> {
/// let net = Network::new(NetworkSpec::default(), None)?;
/// for name in ["h1", "h2"] {
///     net.add_node(NodeOptions::default().declare(name, NodeKind::Host)?)?;
/// }
/// let link = net.add_link(LinkOptions::default().declare("h1", "h2")?)?;
/// let count = link.attach(&Plugin::new("count"), Direction::Both, None)?; // the first use starts it
/// let report = net.node("h1")?.ping("h2", &PingOptions::default(), &never)?;
/// println!("{} of {} answered, {} packets", report.received, report.sent, count.stats()?.packets_in);
/// net.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Network {
    pub(crate) inner: Arc<NetworkInner>,
}

pub(crate) struct NetworkInner {
    pub lab: vnet_lab::Network,
    /// Directory of the lab file, which the plugin files that it names are relative to.
    directory: Option<PathBuf>,
    /// Held while the plugins and commands of the declaration are begun.
    beginning: Mutex<()>,
    begun: AtomicBool,
    /// Descriptors whose copies in a forked child would keep the lab; written once, valid while `holding`.
    fds: OnceLock<Vec<RawFd>>,
    holding: AtomicBool,
    pub attachments: Attachments,
    pub scope: Scope,
    /// Tells other processes its numbers while it runs.
    door: Mutex<Option<NumbersDoor>>,
    /// Commands started by hand or by the declaration: they live until the network is closed, whoever forgets the handle.
    processes: Mutex<Vec<Process>>,
    pub born: Generation,
}

impl Network {
    /// Declares a network; `rootless` of `None` uses a user namespace where this process is not privileged. Makes nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the declaration cannot be.
    pub fn new(spec: Spec, rootless: Option<bool>) -> Result<Self, Error> {
        Self::of(spec, rootless, None)
    }

    fn of(spec: Spec, rootless: Option<bool>, directory: Option<PathBuf>) -> Result<Self, Error> {
        let lab = vnet_lab::Network::new(vnet_lab::NetworkOptions {
            spec,
            rootless,
            directory: directory.clone(),
        })?;
        Ok(Self {
            inner: Arc::new(NetworkInner {
                lab,
                directory,
                beginning: Mutex::new(()),
                begun: AtomicBool::new(false),
                fds: OnceLock::new(),
                holding: AtomicBool::new(false),
                attachments: Attachments::default(),
                scope: Scope::next(),
                door: Mutex::default(),
                processes: Mutex::new(Vec::new()),
                born: Generation::current(),
            }),
        })
    }

    /// Returns whose events [`next_events`](crate::next_events) is asked for to get those of its plugins.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.inner.scope
    }

    /// Returns the lab's name.
    #[must_use]
    pub fn name(&self) -> String {
        if self.inner.born.is_ours() {
            self.inner.lab.name()
        } else {
            "lab".into()
        }
    }

    /// Returns the seed of everything random in it: the declared one, or one that was drawn for it.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn seed(&self) -> Result<u64, Error> {
        Ok(self.ours()?.seed())
    }

    /// Returns the declaration as it is just now.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn spec(&self) -> Result<Spec, Error> {
        Ok(self.ours()?.spec())
    }

    /// Makes everything that is declared; does nothing where that is done already. The first use of a node or link does it too.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::Unsupported`] or [`Error::System`] with the cause and the fix where no lab can be made;
    /// [`Error::NotFound`] and [`Error::PluginRejected`] for plugins of the declaration. All that was made is undone.
    pub fn start(&self, cancel: Cancel<'_>) -> Result<(), Error> {
        let lab = self.ours()?;
        if self.inner.begun.load(Ordering::Acquire) && !lab.is_closed() {
            return Ok(());
        }
        let _one = self
            .inner
            .beginning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lab.start(cancel)?;
        if self.inner.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut descriptors = lab.lab()?.descriptors();
        descriptors.extend(self.open_door()?);
        self.inner.fds.get_or_init(|| descriptors);
        self.inner.holding.store(true, Ordering::Release);
        if let Err(error) = self.begin() {
            self.close()?;
            return Err(error);
        }
        self.inner.begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Lets other processes of this user ask for its numbers; returns the descriptor.
    fn open_door(&self) -> Result<Option<RawFd>, Error> {
        let lab = self.inner.lab.lab()?;
        let info = lab.info();
        let Some(entry) = info
            .exec_socket
            .as_deref()
            .and_then(|socket| socket.split('/').nth(2)?.parse().ok())
        else {
            return Ok(None);
        };
        // Whoever asks from outside does not keep it.
        let network = Arc::downgrade(&self.inner);
        let network = move || match network.upgrade() {
            Some(inner) => Ok(Network { inner }),
            None => Err(Error::Closed {
                what: "the network".into(),
            }),
        };
        let asked = network.clone();
        let outside = Outside::new(move |request, pipe| asked()?.capture_for(request, pipe));
        let door = NumbersDoor::of(
            entry,
            &self.name(),
            Box::new(move || network()?.rows(true)),
            outside,
        );
        let fd = door.as_ref().map(NumbersDoor::fd);
        *self.inner.door.lock().unwrap_or_else(PoisonError::into_inner) = door;
        Ok(fd)
    }

    /// Returns whether it was started and is not closed.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.inner.born.is_ours() && self.inner.lab.is_started()
    }

    /// Returns whether it was closed, or belongs to the process this one was forked from.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.inner.born.is_ours() || self.inner.lab.is_closed()
    }

    /// Ends every command in it, takes it down and waits until it is gone. Doing it again does nothing.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the kernel has not finished after 5 s; it goes on.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }

    /// Returns whether its lab has a user namespace of its own, without which root made it. Starts it.
    ///
    /// # Errors
    /// As [`Network::start`].
    pub fn is_rootless(&self) -> Result<bool, Error> {
        Ok(self.live()?.lab()?.info().rootless)
    }

    /// Fails when the helper of a started network was killed, which ended everything in it.
    ///
    /// # Errors
    /// [`Error::Closed`] then, and when the network is closed.
    pub fn check_alive(&self) -> Result<(), Error> {
        let lab = self.ours()?;
        if lab.is_closed() || lab.is_started() && lab.lab()?.is_dead() {
            return Err(Error::Closed {
                what: self.to_string(),
            });
        }
        Ok(())
    }

    /// Returns where commands from outside this process may enter its lab; `None` where the kernel has no place for that. Starts
    /// it.
    ///
    /// # Errors
    /// As [`Network::start`].
    pub fn entry(&self) -> Result<Option<LabEntry>, Error> {
        let lab = self.live()?.lab()?;
        let socket = lab.info().exec_socket.as_deref();
        Ok(labs()
            .into_iter()
            .find(|entry| Some(entry.socket.as_str()) == socket))
    }

    /// Returns descriptors whose copies in a forked child would keep the lab, its interfaces or forwarded ports alive, without
    /// taking a lock.
    #[must_use]
    pub fn fds(&self) -> Vec<RawFd> {
        let mut fds = self.inner.lab.sockets();
        if self.inner.holding.load(Ordering::Acquire) {
            fds.extend(self.inner.fds.get().into_iter().flatten());
        }
        fds
    }

    /// Returns the lab, started.
    pub(crate) fn live(&self) -> Result<&vnet_lab::Network, Error> {
        self.start(&never)?;
        Ok(&self.inner.lab)
    }

    /// Returns the lab as it is, unless this process only inherited it.
    pub(crate) fn ours(&self) -> Result<&vnet_lab::Network, Error> {
        self.inner.born.check("a network")?;
        Ok(&self.inner.lab)
    }

    /// Keeps a command until the network is closed, and forgets those that have ended.
    pub(crate) fn keep(&self, process: Process) {
        let mut processes = self.inner.processes();
        processes.retain(|process| !process.has_ended());
        processes.push(process);
    }
}

impl NetworkInner {
    fn processes(&self) -> std::sync::MutexGuard<'_, Vec<Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> Result<(), Error> {
        if !self.born.is_ours() {
            return Ok(());
        }
        self.holding.store(false, Ordering::Release);
        drop(self.door.lock().unwrap_or_else(PoisonError::into_inner).take());
        let answer = self.lab.close(LAST_WAIT);
        self.attachments.clear();
        let ended = std::mem::take(&mut *self.processes());
        drop(ended);
        Ok(answer?)
    }
}

impl Drop for NetworkInner {
    fn drop(&mut self) {
        if !self.born.is_ours() {
            // What it is made of is the parent's: a handle that is never dropped keeps it from being taken down here.
            std::mem::forget(self.lab.clone());
            std::mem::forget(self.door.get_mut().unwrap_or_else(PoisonError::into_inner).take());
            std::mem::forget(std::mem::take(
                self.processes.get_mut().unwrap_or_else(PoisonError::into_inner),
            ));
        } else if let Err(error) = self.close() {
            tracing::error!("network {}: {error}", self.lab.name());
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network {}", self.name())
    }
}
