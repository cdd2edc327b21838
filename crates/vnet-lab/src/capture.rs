//! Captures: what the nodes' kernels, the links and the engine see, in one file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use vnet_datapath::{Output, RecordId, RecordOptions, Recorded, Recorder, Scope, ScopePort, Shown, Tapped};
use vnet_packet::{Layer, pcap};
use vnet_sandbox::{SocketSpec, Space};
use vnet_topology::{NodeKind, Resolved, ResolvedLink, Slot};

use crate::cancel::never;
use crate::error::LabError;
use crate::island::{At, Held, IslandInner, Key, Spot};
use crate::network::{Live, Network, unknown_link, unknown_node};
use crate::numbers::{in_node, lab_end};
use crate::plan::node_ends;
use crate::sockets::Listed;

/// What a capture is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// A link, an interface, or a switch with all its ports.
    At(At),
    /// A host or router with the interfaces that it has, or those that are named; a switch with all its ports.
    Node {
        /// Its name.
        node: String,
        /// Which interfaces; `None` for all but loopback.
        interfaces: Option<Vec<String>>,
    },
    /// All hosts, routers and switches.
    Network,
}

/// A capture in progress; dropping it ends the capture.
pub struct Recording {
    capture: Arc<Capture>,
    path: PathBuf,
}

/// An engine's part of the network, and the recording in it.
type Part = (Arc<IslandInner>, RecordId);

/// A capture as its network knows it.
pub(crate) struct Capture {
    recorder: Recorder,
    shape: Shape,
    /// The engine's parts that it gets frames from; `None` once it ends.
    parts: Mutex<Option<Vec<Part>>>,
    /// Its sockets, which a forked child must not keep.
    _listed: Vec<Listed>,
}

/// Which links and switch ports are captured.
#[derive(Default)]
struct Shape {
    /// Links whose own impairments and plugins are of interest.
    links: Vec<String>,
    /// Links whose deliveries the engine records, where it carries them.
    delivered: Vec<String>,
    /// Switch ports, by switch and link.
    ports: Vec<(String, String)>,
}

/// An interface to be recorded by a socket.
struct Tap {
    space: Space,
    index: u32,
    name: String,
    description: String,
    layer: Layer,
    shown: Shown,
    /// It is the far side of the interface that is meant.
    is_far: bool,
}

impl Network {
    /// Copies frames to a capture file or stream, as docs/captures.md says; armed when this returns. Starts the network if need
    /// be.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Engine`] when the file cannot be made, and as [`Network::start`].
    pub fn record(
        &self,
        what: &Captured,
        output: Output,
        options: RecordOptions,
    ) -> Result<Recording, LabError> {
        let path = output.path();
        let capture = self.inner.live(&never, |live, _| {
            let stages = options.stages;
            let (taps, shape) = live.plan_capture(what, stages)?;
            let recorder = Recorder::start(output, options)?;
            let mut listed = Vec::with_capacity(taps.len());
            for tap in &taps {
                let spec = SocketSpec {
                    domain: libc::AF_PACKET,
                    kind: libc::SOCK_RAW | libc::SOCK_NONBLOCK,
                    protocol: 0,
                    bind: None,
                    device: None,
                };
                let fd = live.lab.socket(tap.space, &spec)?;
                listed.push(live.sockets.list(&fd));
                let of = Tapped {
                    name: &tap.name,
                    description: &tap.description,
                    layer: tap.layer,
                    shown: tap.shown,
                    is_far: tap.is_far,
                };
                recorder.add_socket(fd, tap.index, &of, taps.len())?;
            }
            let capture = Arc::new(Capture {
                recorder,
                shape,
                parts: Mutex::new(Some(Vec::new())),
                _listed: listed,
            });
            for held in live.islands.values() {
                capture.arm(&live.plan, held)?;
            }
            live.captures.retain(|known| known.strong_count() > 0);
            live.captures.push(Arc::downgrade(&capture));
            Ok(capture)
        })?;
        Ok(Recording { capture, path })
    }
}

impl Recording {
    /// Returns the file that is written, `-` for a stream.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether it has ended, also by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.capture.recorder.is_over()
    }

    /// Ends the capture and returns how many frames are in the file, which is complete then. Doing it again returns the same.
    ///
    /// It ends by itself with the network.
    ///
    /// # Errors
    /// [`LabError::Engine`] when the file could not be written to the end.
    pub fn stop(&self) -> Result<Recorded, LabError> {
        self.capture.stop()
    }
}

impl Capture {
    /// Has the engine's part of a link or switch tell what it does, where that is of interest.
    fn arm(&self, plan: &Resolved, held: &Held) -> Result<(), LabError> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(parts) = parts.as_mut() else {
            return Ok(());
        };
        let Some(scope) = self.shape.scope(plan, held) else {
            return Ok(());
        };
        let id = held
            .inner
            .with_pipeline(|pipeline| pipeline.record_scope(scope, &self.recorder))??;
        parts.push((Arc::clone(&held.inner), id));
        Ok(())
    }

    pub(crate) fn stop(&self) -> Result<Recorded, LabError> {
        let parts = self
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default();
        for (island, id) in parts {
            // A part that has ended has said all it knows.
            let _ = island.with_pipeline(|pipeline| pipeline.stop_record(id));
        }
        Ok(self.recorder.finish()?)
    }
}

impl Live {
    /// Has all captures know of an engine's part that begins.
    pub(crate) fn arm_captures(&mut self, held: &Held) {
        for capture in self.captures.iter().filter_map(Weak::upgrade) {
            if let Err(error) = capture.arm(&self.plan, held) {
                tracing::warn!(target: "vnet::lab", %error, "a capture does not see what the engine does");
            }
        }
    }

    /// Completes the files of all captures.
    pub(crate) fn end_captures(&mut self) {
        for capture in self.captures.drain(..).filter_map(|capture| capture.upgrade()) {
            if let Err(error) = capture.stop() {
                tracing::warn!(target: "vnet::lab", %error, "a capture is incomplete");
            }
        }
    }

    fn plan_capture(&self, what: &Captured, stages: bool) -> Result<(Vec<Tap>, Shape), LabError> {
        let plan = &*self.plan;
        let (mut taps, mut shape) = (Vec::new(), Shape::default());
        match what {
            Captured::At(At::Link(name)) => {
                let (_, link) = plan.link(name).ok_or_else(|| unknown_link(plan, name))?;
                self.plan_link(link, stages, &mut taps, &mut shape)?;
            }
            Captured::At(at @ At::Switch(name)) => {
                Spot::find(plan, at)?;
                self.plan_switch(name, &mut taps, &mut shape);
            }
            Captured::At(At::Interface { node, interface }) => {
                self.plan_node(node, Some(std::slice::from_ref(interface)), &mut taps, &mut shape)?;
            }
            Captured::Node { node, interfaces } => {
                self.plan_node(node, interfaces.as_deref(), &mut taps, &mut shape)?;
            }
            Captured::Network => {
                for node in &plan.nodes {
                    if node.kind == NodeKind::Switch {
                        self.plan_switch(&node.name, &mut taps, &mut shape);
                        continue;
                    }
                    for at in 0..node.interfaces.len() {
                        let slot = slot(plan, &node.name, at);
                        taps.push(self.seen_by_node(slot)?);
                    }
                }
                shape.links = plan.links.iter().map(|link| link.name.clone()).collect();
            }
        }
        Ok((taps, shape))
    }

    fn plan_node(
        &self,
        name: &str,
        interfaces: Option<&[String]>,
        taps: &mut Vec<Tap>,
        shape: &mut Shape,
    ) -> Result<(), LabError> {
        let plan = &*self.plan;
        let (_, node) = plan.node(name).ok_or_else(|| unknown_node(plan, name))?;
        if node.kind == NodeKind::Switch {
            let Some(wanted) = interfaces else {
                self.plan_switch(name, taps, shape);
                return Ok(());
            };
            for wanted in wanted {
                let at = At::Interface {
                    node: name.to_owned(),
                    interface: wanted.clone(),
                };
                Spot::find(plan, &at)?;
                if let Some(at) = node.interfaces.iter().position(|known| known.name == *wanted) {
                    self.plan_port(slot(plan, name, at), taps, shape);
                }
            }
            return Ok(());
        }
        let space = self.space(name)?;
        let there = self.lab.links(space)?;
        let wanted: Vec<String> = match interfaces {
            Some(wanted) => wanted.to_vec(),
            None => there
                .iter()
                .filter(|link| link.kind.is_some())
                .map(|link| link.name.clone())
                .collect(),
        };
        for wanted in wanted {
            if let Some(at) = node.interfaces.iter().position(|known| known.name == wanted) {
                taps.push(self.seen_by_node(slot(plan, name, at))?);
                shape
                    .links
                    .push(plan.links[node.interfaces[at].link].name.clone());
                continue;
            }
            let index = self.interface(name, space, &wanted)?;
            let found = there.iter().find(|link| link.index == index);
            let is_bare = found.is_some_and(|link| link.mac.is_none() && link.name != "lo");
            taps.push(Tap {
                space,
                index,
                description: format!("interface {wanted} of {} {name}, seen by its kernel", node.kind),
                name: format!("{name}-{wanted}"),
                layer: if is_bare { Layer::L3 } else { Layer::L2 },
                shown: Shown::Both,
                is_far: false,
            });
        }
        Ok(())
    }

    fn plan_switch(&self, name: &str, taps: &mut Vec<Tap>, shape: &mut Shape) {
        let Some((_, node)) = self.plan.node(name) else {
            return;
        };
        for at in 0..node.interfaces.len() {
            self.plan_port(slot(&self.plan, name, at), taps, shape);
        }
    }

    /// A port of a switch, by the interface of the lab that is the bridge's port: it shows what comes whoever carries it, and
    /// what the bridge sends; what the engine sends there the engine itself records, past every socket.
    fn plan_port(&self, at: Slot, taps: &mut Vec<Tap>, shape: &mut Shape) {
        let plan = &*self.plan;
        let interface = plan.interface(at);
        let link = &plan.links[interface.link];
        let switch = &plan.nodes[at.node].name;
        let far = far(link, at);
        // Between two switches each has an interface of its own in the lab.
        let own = if plan.nodes[far.node].kind == NodeKind::Switch {
            at
        } else {
            far
        };
        taps.push(Tap {
            space: Space::LAB,
            index: lab_end(plan.interface(own)),
            name: name_of(plan, at),
            description: format!(
                "port {} of switch {switch}, towards {}",
                interface.name,
                name_of(plan, far)
            ),
            layer: Layer::L2,
            shown: Shown::Both,
            is_far: false,
        });
        shape.links.push(link.name.clone());
        shape.ports.push((switch.clone(), link.name.clone()));
    }

    fn plan_link(
        &self,
        link: &ResolvedLink,
        stages: bool,
        taps: &mut Vec<Tap>,
        shape: &mut Shape,
    ) -> Result<(), LabError> {
        let plan = &*self.plan;
        let ports: Vec<Slot> = [link.a, link.b]
            .into_iter()
            .filter(|slot| plan.nodes[slot.node].kind == NodeKind::Switch)
            .collect();
        shape.links.push(link.name.clone());
        if stages {
            for end in node_ends(plan, link) {
                taps.push(self.seen_by_node(end)?);
            }
        }
        // Either port of a link between switches has each frame once.
        if let Some(port) = ports.first() {
            self.plan_port(*port, taps, shape);
        } else if !stages {
            shape.delivered.push(link.name.clone());
            for end in [link.a, link.b] {
                // What the kernel takes to the node; what the engine takes there passes every socket.
                let interface = plan.interface(end);
                taps.push(Tap {
                    space: Space::LAB,
                    index: lab_end(interface),
                    name: name_of(plan, end),
                    description: format!(
                        "interface {} of {}, what link {} takes there",
                        interface.name, plan.nodes[end.node].name, link.name
                    ),
                    layer: Layer::L2,
                    shown: Shown::Outgoing,
                    is_far: true,
                });
            }
        }
        Ok(())
    }

    fn seen_by_node(&self, at: Slot) -> Result<Tap, LabError> {
        let node = &self.plan.nodes[at.node];
        let interface = self.plan.interface(at);
        Ok(Tap {
            space: self.space(&node.name)?,
            index: in_node(interface),
            name: name_of(&self.plan, at),
            description: format!(
                "interface {} of {} {}, seen by its kernel",
                interface.name, node.kind, node.name
            ),
            layer: Layer::L2,
            shown: Shown::Both,
            is_far: false,
        })
    }
}

impl Shape {
    /// What is of interest of an engine's part.
    fn scope(&self, plan: &Resolved, held: &Held) -> Option<Scope> {
        let (whole, ends) = match &held.inner.key {
            Key::Link(name) => {
                let (_, link) = plan.link(name)?;
                (name.clone(), vec![(link, link.a), (link, link.b)])
            }
            Key::Switch(name) => {
                let (_, node) = plan.node(name)?;
                let ends = node.interfaces.iter().map(|interface| {
                    let link = &plan.links[interface.link];
                    (link, near(plan, link, name))
                });
                (name.clone(), ends.collect())
            }
        };
        let mut scope = Scope {
            whole,
            ..Scope::default()
        };
        for (link, near) in ends {
            let is_switch = plan.nodes[near.node].kind == NodeKind::Switch;
            let far = far(link, near);
            let behind = if is_switch { far } else { near };
            let between = is_switch && plan.nodes[far.node].kind == NodeKind::Switch;
            let own = if is_switch && !between { far } else { near };
            let Some(number) = held.port(lab_end(plan.interface(own))) else {
                continue;
            };
            if scope.names.len() <= number {
                scope.names.resize(number + 1, String::new());
            }
            scope.names[number] = name_of(plan, near);
            let is_port = is_switch
                && self
                    .ports
                    .iter()
                    .any(|(switch, of)| *switch == plan.nodes[near.node].name && *of == link.name);
            let is_delivered = !is_switch && self.delivered.contains(&link.name);
            if !is_port && !self.links.contains(&link.name) {
                continue;
            }
            let leaving = match (is_port, is_delivered) {
                (true, _) => Some(pcap::Direction::Outbound),
                (_, true) => Some(pcap::Direction::Inbound),
                _ => None,
            };
            let seen = if is_port { near } else { behind };
            scope.ports.push(ScopePort {
                number,
                name: name_of(plan, seen),
                description: format!("{} and link {}", name_of(plan, seen), link.name),
                device: name_of(plan, behind),
                link: link.name.clone(),
                is_first: behind == link.a,
                arriving: false,
                leaving,
            });
        }
        (!scope.ports.is_empty()).then_some(scope)
    }
}

fn slot(plan: &Resolved, node: &str, interface: usize) -> Slot {
    let node = plan.node(node).map_or(0, |(at, _)| at);
    Slot { node, interface }
}

/// The name of an interface in a file.
fn name_of(plan: &Resolved, at: Slot) -> String {
    format!("{}-{}", plan.nodes[at.node].name, plan.interface(at).name)
}

fn far(link: &ResolvedLink, near: Slot) -> Slot {
    if near == link.a { link.b } else { link.a }
}

fn near(plan: &Resolved, link: &ResolvedLink, node: &str) -> Slot {
    if plan.nodes[link.a.node].name == node {
        link.a
    } else {
        link.b
    }
}
