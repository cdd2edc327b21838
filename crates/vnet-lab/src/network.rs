use std::collections::HashMap;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vnet_sandbox::{Lab, LabOptions, Space};
use vnet_topology::{NodeKind, Resolved, Spec, resolve};

use crate::apply;
use crate::cancel::{Cancel, never};
use crate::error::LabError;
use crate::forward::Relay;
use crate::ground::Ground;
use crate::impair;
use crate::island::{Held, Key};
use crate::lines::{LinkLines, ReadyLines};
use crate::numbers::Numbers;
use crate::plan::Plan;
use crate::progress::{Audience, BUILDING, Listener, Teller};
use crate::schedule::Scheduler;
use crate::sockets::Sockets;
use crate::{forwarding, loops};

/// A network of hosts, switches, routers and links, in a private lab.
///
/// It is declared first; [`Network::start`], or the first use, makes it whole or not at all. From then on each declaration
/// takes effect at once, again whole or not at all. Closing it, or dropping its last handle, leaves nothing.
#[derive(Clone)]
pub struct Network {
    pub(crate) inner: Arc<Inner>,
}

/// What a network is made from.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// The declaration; nodes and links may be added later.
    pub spec: Spec,
    /// Whether the lab lies in a user namespace of its own; `None`: unless this process may do without.
    pub rootless: Option<bool>,
    /// What the traces and tables of impaired links are relative to; `None`: the process's own directory.
    pub directory: Option<PathBuf>,
}

pub(crate) struct Inner {
    rootless: Option<bool>,
    pub(crate) directory: Option<PathBuf>,
    /// That of everything random, drawn where none is declared.
    pub(crate) seed: u64,
    pub(crate) scheduler: Mutex<Scheduler>,
    /// The process the network belongs to: a forked child has none of its threads.
    born: u32,
    started: AtomicBool,
    closed: AtomicBool,
    sockets: Arc<Sockets>,
    pub(crate) audience: Audience,
    state: Mutex<State>,
}

/// What is declared, and what is there.
pub(crate) struct State {
    pub spec: Spec,
    /// The plan of the declaration, where it has been asked for since it changed; of a started network always.
    pub resolved: Option<Arc<Resolved>>,
    pub live: Option<Live>,
}

/// A started network.
pub(crate) struct Live {
    pub lab: Arc<Lab>,
    pub ground: Ground,
    pub numbers: Numbers,
    pub plan: Arc<Resolved>,
    pub islands: HashMap<Key, Held>,
    /// Links that have had impairments, by name.
    pub impaired: HashMap<String, LinkLines>,
    pub seed: u64,
    /// Those that were not closed, and some that were.
    pub forwards: Vec<Arc<Relay>>,
    pub sockets: Arc<Sockets>,
    /// Those that have not ended, and some that have.
    pub captures: Vec<std::sync::Weak<crate::capture::Capture>>,
}

impl Network {
    /// Takes a declaration and makes nothing yet.
    ///
    /// # Errors
    /// [`LabError::Topology`] when it cannot be as it is.
    pub fn new(mut options: NetworkOptions) -> Result<Self, LabError> {
        let resolved = resolve(&options.spec, None)?;
        // A link keeps the name it has, whatever comes and goes before it.
        for (link, resolved) in options.spec.links.iter_mut().zip(&resolved.links) {
            link.name.get_or_insert_with(|| resolved.name.clone());
        }
        Ok(Self {
            inner: Arc::new(Inner {
                rootless: options.rootless,
                directory: options.directory,
                seed: options.spec.seed.unwrap_or_else(impair::any_seed),
                scheduler: Mutex::default(),
                born: std::process::id(),
                started: AtomicBool::new(false),
                closed: AtomicBool::new(false),
                sockets: Arc::default(),
                audience: Audience::default(),
                state: Mutex::new(State {
                    spec: options.spec,
                    resolved: Some(Arc::new(resolved)),
                    live: None,
                }),
            }),
        })
    }

    /// Returns its name, `lab` where the declaration gives none.
    #[must_use]
    pub fn name(&self) -> String {
        self.inner.lock().name()
    }

    /// Returns the declaration as it is.
    #[must_use]
    pub fn spec(&self) -> Spec {
        self.inner.lock().spec.clone()
    }

    /// Returns the plan that follows from the declaration: names, addresses and routes. Nothing is started for it.
    ///
    /// # Errors
    /// [`LabError::Topology`].
    pub fn resolved(&self) -> Result<Arc<Resolved>, LabError> {
        self.inner.lock().resolved()
    }

    /// Makes everything that is declared; does nothing where that is done.
    ///
    /// # Errors
    /// [`LabError::Refused`] with the node or link that the kernel refused, [`LabError::Sandbox`] when there can be no lab,
    /// [`LabError::Cancelled`]. Nothing is left then.
    pub fn start(&self, cancel: Cancel<'_>) -> Result<(), LabError> {
        self.inner.live(cancel, |_, _| Ok(()))
    }

    /// Has somebody hear how far the start, [`Network::ping_all`] and measurements are that take longer than a second, in
    /// place of whoever did; `None`: nobody.
    pub fn on_progress(&self, listener: Option<Listener>) {
        self.inner.audience.set(listener);
    }

    /// Returns whether it was started and not closed.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.inner.started.load(Ordering::Acquire) && !self.is_closed()
    }

    /// Returns whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }

    /// Returns the numbers of the sockets by which a forked child would keep the network's interfaces and ports, without taking
    /// a lock. Those of [`Lab::descriptors`] are not among them.
    #[must_use]
    pub fn sockets(&self) -> Vec<RawFd> {
        self.inner.sockets.open()
    }

    /// Ends everything in the network and waits, at most `timeout`, until it is gone. Doing it again does nothing.
    ///
    /// # Errors
    /// [`LabError::Sandbox`] when a process of the lab hangs in the kernel.
    pub fn close(&self, timeout: Duration) -> Result<(), LabError> {
        self.inner.close(timeout)
    }

    /// Returns the lab the network lies in, starting it if need be.
    ///
    /// # Errors
    /// As [`Network::start`].
    pub fn lab(&self) -> Result<Arc<Lab>, LabError> {
        self.inner.live(&never, |live, _| Ok(Arc::clone(&live.lab)))
    }

    /// Returns the namespace of a host or router, starting the network if need be.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::BadArgument`] for a switch, and as [`Network::start`].
    pub fn space(&self, node: &str) -> Result<Space, LabError> {
        self.inner.live(&never, |live, _| live.space(node))
    }
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a network that is not closed.
    pub(crate) fn open(&self) -> Result<MutexGuard<'_, State>, LabError> {
        let state = self.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(state.closed());
        }
        Ok(state)
    }

    /// Does something with the network, starting it if need be.
    pub(crate) fn live<T>(
        self: &Arc<Self>,
        cancel: Cancel<'_>,
        use_it: impl FnOnce(&mut Live, &Spec) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        let mut state = self.open()?;
        if state.live.is_none() {
            let plan = state.resolved()?;
            let lines = self.ready(state.spec.links.iter())?;
            let mut live = Live::build(self, &state, &plan, cancel)?;
            if let Err(error) = live.impair_all(
                &lines,
                &mut self.audience.begin("impairing links", lines.len()),
                cancel,
            ) {
                if let Err(error) = live.end(LAST_WAIT) {
                    tracing::error!(target: "vnet::lab", %error, "what was made of a network did not end");
                }
                return Err(error);
            }
            loops::warn(&Resolved::default(), &plan);
            forwarding::warn(&Resolved::default(), &plan, &live.ground);
            state.live = Some(live);
            self.started.store(true, Ordering::Release);
            for link in &state.spec.links {
                if let Some(name) = &link.name {
                    self.schedule(name, &link.schedule)?;
                }
            }
        }
        let State { spec, live, .. } = &mut *state;
        let live = live.as_mut().ok_or_else(|| LabError::Closed {
            what: "the network".into(),
        })?;
        use_it(live, spec)
    }

    /// Does something that takes its time in a started network, without holding it; the network's close ends that, too.
    pub(crate) fn while_open<T>(
        &self,
        cancel: Cancel<'_>,
        work: impl FnOnce(Cancel<'_>) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        let is_closed = || self.closed.load(Ordering::Acquire);
        let done = work(&|| is_closed() || cancel());
        // Whatever it has found is that of a network in pieces.
        if is_closed() {
            return Err(self.lock().closed());
        }
        done
    }

    fn close(&self, timeout: Duration) -> Result<(), LabError> {
        let live = {
            let mut state = self.lock();
            self.closed.store(true, Ordering::Release);
            state.live.take()
        };
        self.end_schedule();
        live.map_or(Ok(()), |live| live.end(timeout))
    }
}

impl State {
    pub(crate) fn name(&self) -> String {
        self.spec.name.clone().unwrap_or_else(|| "lab".to_owned())
    }

    pub(crate) fn closed(&self) -> LabError {
        LabError::Closed {
            what: format!("network {}", self.name()),
        }
    }

    pub(crate) fn resolved(&mut self) -> Result<Arc<Resolved>, LabError> {
        if let Some(resolved) = &self.resolved {
            return Ok(Arc::clone(resolved));
        }
        let resolved = Arc::new(resolve(&self.spec, None)?);
        self.resolved = Some(Arc::clone(&resolved));
        Ok(resolved)
    }
}

impl Live {
    /// Opens a lab and makes the whole plan in it. On failure the lab ends, and with it all that was made.
    fn build(
        network: &Inner,
        state: &State,
        plan: &Arc<Resolved>,
        cancel: Cancel<'_>,
    ) -> Result<Self, LabError> {
        let lab = Arc::new(Lab::open(&LabOptions {
            name: state.name(),
            rootless: network.rootless,
        })?);
        let ground = Ground::find(&lab)?;
        let mut numbers = Numbers::default();
        numbers.check(plan)?;
        let steps = Plan::between(&Resolved::default(), plan, &state.spec, &mut numbers, &ground);
        let mut teller = network
            .audience
            .begin(BUILDING, steps.make.len() + steps.join.len());
        apply::make(&lab, &steps, &mut teller, cancel).map_err(|(_, error)| error)?;
        apply::all(&lab, &steps.join)?;
        teller.at(usize::MAX);
        let live = Self {
            lab,
            ground,
            numbers,
            plan: Arc::clone(plan),
            islands: HashMap::new(),
            impaired: HashMap::new(),
            seed: network.seed,
            forwards: Vec::new(),
            sockets: Arc::clone(&network.sockets),
            captures: Vec::new(),
        };
        live.write_hosts(steps.hosts.as_deref())?;
        Ok(live)
    }

    /// Has the engine take over every link that is impaired from the start.
    fn impair_all(
        &mut self,
        lines: &[(String, ReadyLines)],
        teller: &mut Teller,
        cancel: Cancel<'_>,
    ) -> Result<(), LabError> {
        for (done, (link, lines)) in lines.iter().enumerate() {
            teller.at(done);
            if cancel() {
                return Err(LabError::Cancelled {
                    what: BUILDING.into(),
                });
            }
            self.set_lines(link, lines)?;
        }
        Ok(())
    }

    /// Writes /etc/hosts of all nodes, where they can have one.
    pub(crate) fn write_hosts(&self, text: Option<&str>) -> Result<(), LabError> {
        match text {
            Some(text) if self.lab.info().own_hosts => Ok(self.lab.set_hosts(text)?),
            _ => Ok(()),
        }
    }

    pub(crate) fn space(&self, node: &str) -> Result<Space, LabError> {
        let kind = self.plan.node(node).map(|(_, node)| node.kind);
        match kind {
            Some(NodeKind::Switch) => Err(LabError::bad(
                format!("switch {node} runs nothing and has no addresses"),
                "use a host or router",
            )),
            Some(_) => Ok(self.numbers.space(node)),
            None => Err(unknown_node(&self.plan, node)),
        }
    }

    /// Ends the engine's parts and the lab.
    fn end(mut self, timeout: Duration) -> Result<(), LabError> {
        for relay in self.forwards.drain(..) {
            relay.close();
        }
        self.end_captures();
        let islands: Vec<Held> = self.islands.drain().map(|(_, held)| held).collect();
        for held in &islands {
            held.keep_all();
        }
        let closed = self.lab.close(timeout);
        Held::end_all(islands);
        Ok(closed?)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let live = state.live.take();
        if self.born != std::process::id() {
            // The threads that own the devices, and the schedule's, are not in this process.
            let scheduler = self.scheduler.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget((live, std::mem::take(scheduler)));
            return;
        }
        self.end_schedule();
        let Some(live) = live else { return };
        if let Err(error) = live.end(LAST_WAIT) {
            tracing::error!(target: "vnet::lab", %error, "a network was dropped and did not end");
        }
    }
}

/// How long a dropped network may take to end.
const LAST_WAIT: Duration = Duration::from_secs(5);

pub(crate) fn unknown_node(plan: &Resolved, name: &str) -> LabError {
    unknown("node", name, plan.nodes.iter().map(|node| node.name.as_str()))
}

pub(crate) fn unknown_link(plan: &Resolved, name: &str) -> LabError {
    unknown("link", name, plan.links.iter().map(|link| link.name.as_str()))
}

/// Says that there is no such thing, and which there are.
pub(crate) fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> LabError {
    LabError::Unknown {
        what: format!("{kind} {name}"),
        hint: one_of(&format!("{kind}s"), known),
    }
}

/// Names the first few of what there is.
pub(crate) fn one_of<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => format!("there are no {what}"),
        n if n <= SHOWN => format!("its {what} are {}", names.join(", ")),
        n => format!("its {n} {what} are {}, ...", names[..SHOWN].join(", ")),
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Network>();
};
