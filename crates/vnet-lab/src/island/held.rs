use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use vnet_datapath::{Pipeline, Port, PortInfo, StageId};
use vnet_netlink::{Change, Into};
use vnet_packet::Layer;
use vnet_sandbox::{Lab, Space, Step};

use super::{IslandInner, Key, Swap};
use crate::error::LabError;
use crate::numbers::Numbers;
use crate::plan::SwitchPort;
use crate::sockets::{Listed, Sockets};

/// Priority of the redirect that leads to the engine; it goes before the one that joins a link.
const TAKEN: u16 = 1;

/// Bytes of receive buffer of each port; the kernel gives no more than `net.core.rmem_max` to an ordinary user.
const RECEIVE: usize = 4 << 20;

/// A port is given back when nothing came for this long, or after [`LIMIT`] in any case.
const IDLE: Duration = Duration::from_micros(200);
const LIMIT: Duration = Duration::from_millis(200);

/// What a redirect had in hand when it was deleted has reached the engine's queue after this long.
const GRACE: Duration = Duration::from_millis(2);

/// With more ports than this, their counters are read once for all: reading them costs a system call for each.
const FEW: usize = 16;

/// Threads that close sockets side by side: each waits some 10 ms for the kernel (packet_release, net/packet/af_packet.c).
const CLOSERS: usize = 128;

/// An island and what is at work in it.
pub(crate) struct Held {
    pub inner: Arc<IslandInner>,
    /// The bridge of a switch.
    bridge: Option<u32>,
    ports: Vec<HeldPort>,
    users: Vec<User>,
    sockets: Arc<Sockets>,
}

/// A lab end whose frames the engine has.
struct HeldPort {
    lab_end: u32,
    shadow: u32,
    number: usize,
    /// Its sockets, which a forked child must not keep.
    _listed: [Listed; 2],
}

/// A plugin or impairment, with the lab end it ends with.
struct User {
    id: UserId,
    lab_end: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserId {
    Stage(StageId),
    /// The impairments of a link, by the number of its first interface.
    Line(u32),
}

impl Held {
    /// Makes the engine's part of a link or switch, reading, but without a frame yet: [`Held::redirect`] brings them.
    pub(crate) fn prepare(
        lab: &Lab,
        numbers: &mut Numbers,
        sockets: &Arc<Sockets>,
        key: Key,
        ends: &[SwitchPort],
    ) -> Result<Self, LabError> {
        let bridge = match &key {
            Key::Link(_) => None,
            Key::Switch(name) => Some(numbers.bridge(name)),
        };
        let (mut ports, mut held) = (Vec::new(), Vec::new());
        for end in ends {
            let shadow = numbers.next_shadow();
            match take(lab, end, shadow, sockets) {
                Ok((port, listed)) => {
                    held.push(HeldPort {
                        lab_end: end.lab_end,
                        shadow,
                        number: ports.len(),
                        _listed: listed,
                    });
                    ports.push(port);
                }
                Err(error) => {
                    close(ports);
                    numbers.spare_shadow(shadow);
                    held.iter().for_each(|port| numbers.spare_shadow(port.shadow));
                    return Err(error);
                }
            }
        }
        let shadows: Vec<u32> = held.iter().map(|port| port.shadow).collect();
        let pipeline = || -> Result<Pipeline, LabError> {
            let Some(bridge) = bridge else {
                let [a, b] = <[Port; 2]>::try_from(ports)
                    .map_err(|_| LabError::bad(format!("{key} has not two ends"), "close the network"))?;
                return Ok(Pipeline::wire_held(a, b)?);
            };
            let pipeline = Pipeline::switch_held(&key.to_string(), ports)?;
            let known = lab.fdb(bridge)?;
            let number = |index| {
                held.iter()
                    .find(|port| port.lab_end == index)
                    .map(|port| port.number)
            };
            let learnt = known
                .iter()
                .filter(|entry| !entry.is_local)
                .filter_map(|entry| Some((entry.mac.0, entry.vlan, number(entry.port)?)));
            pipeline.seed_fdb(learnt.collect())?;
            Ok(pipeline)
        };
        let made = pipeline().and_then(|pipeline| {
            pipeline.start()?;
            Ok(pipeline)
        });
        match made {
            Ok(pipeline) => Ok(Self {
                inner: IslandInner::new(key, pipeline),
                bridge,
                ports: held,
                users: Vec::new(),
                sockets: Arc::clone(sockets),
            }),
            Err(error) => {
                shadows
                    .into_iter()
                    .for_each(|shadow| numbers.spare_shadow(shadow));
                Err(error)
            }
        }
    }

    /// Has all frames come to the engine: each port in one step of its own that cannot be seen half done.
    pub(crate) fn redirect(&self, lab: &Lab) -> Result<(), LabError> {
        let steps: Vec<Step> = self.ports.iter().map(HeldPort::redirect).collect();
        lab.apply(&steps)
            .map_err(|refused| LabError::refused(self.inner.key.to_string(), refused.error))
    }

    /// Adds a port to a switch; the step that is returned brings its frames.
    pub(crate) fn take_port(
        &mut self,
        lab: &Lab,
        numbers: &mut Numbers,
        end: &SwitchPort,
    ) -> Result<Step, LabError> {
        let shadow = numbers.next_shadow();
        let added = take(lab, end, shadow, &self.sockets).and_then(|(port, listed)| {
            let number = self.inner.with_pipeline(|pipeline| pipeline.add_port(port))?;
            Ok((number?, listed))
        });
        let (number, listed) = added.inspect_err(|_| numbers.spare_shadow(shadow))?;
        let held = HeldPort {
            lab_end: end.lab_end,
            shadow,
            number,
            _listed: listed,
        };
        let step = held.redirect();
        self.ports.push(held);
        Ok(step)
    }

    /// Ends the port at a lab end that is gone, with what is attached there.
    pub(crate) fn forget_port(&mut self, numbers: &mut Numbers, lab_end: u32) {
        let Some(at) = self.ports.iter().position(|port| port.lab_end == lab_end) else {
            return;
        };
        let port = self.ports.swap_remove(at);
        // A link is nothing without one of its ends.
        let whole = matches!(self.inner.key, Key::Link(_));
        self.users.retain(|user| {
            let goes = whole || user.lab_end == Some(lab_end);
            if goes {
                keep(&self.inner, user.id);
            }
            !goes
        });
        if !whole
            && let Ok(Ok(port)) = self
                .inner
                .with_pipeline(|pipeline| pipeline.remove_port(port.number))
        {
            close(vec![port]);
        }
        numbers.spare_shadow(port.shadow);
    }

    /// Has a switch forget what it has learnt at a lab end.
    pub(crate) fn forget_learnt(&self, lab_end: u32) {
        let Some(number) = self.port(lab_end) else { return };
        let forgotten = self
            .inner
            .with_pipeline(|pipeline| pipeline.forget_learned(number));
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(target: "vnet::lab", %error, "{} may send to a link that is down", self.inner.key);
        }
    }

    /// The number of the port at a lab end.
    pub(crate) fn port(&self, lab_end: u32) -> Option<usize> {
        self.ports
            .iter()
            .find(|port| port.lab_end == lab_end)
            .map(|port| port.number)
    }

    pub(crate) fn lab_end(&self, number: usize) -> Option<u32> {
        self.ports
            .iter()
            .find(|port| port.number == number)
            .map(|port| port.lab_end)
    }

    pub(crate) fn add_user(&mut self, id: UserId, lab_end: Option<u32>) {
        self.users.push(User { id, lab_end });
    }

    pub(crate) fn remove_user(&mut self, id: UserId) {
        self.users.retain(|user| user.id != id);
    }

    pub(crate) fn has_user(&self, id: UserId) -> bool {
        self.users.iter().any(|user| user.id == id)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.users.is_empty()
    }

    /// Has the kernel carry the frames again, none lost and none twice, and ends the engine's part.
    pub(crate) fn give_back(self, lab: &Lab, numbers: &mut Numbers) -> Swap {
        if let Some(bridge) = self.bridge {
            // It has not seen where the stations are since the engine has the frames.
            attempt(lab, Change::FlushFdb { bridge });
        }
        let mut stuck = Vec::new();
        let each = self.ports.len() <= FEW;
        let mut counts = if each { Vec::new() } else { self.counts() };
        for port in &self.ports {
            self.settle(port);
            if each {
                counts.push(self.counts().get(port.number).copied().flatten());
            }
            let index = port.lab_end;
            if !attempt(lab, Change::DelRedirect { index, prio: TAKEN }) {
                stuck.push(port.shadow);
            }
        }
        thread::sleep(GRACE);
        for port in &self.ports {
            self.settle(port);
        }
        // What came after the pause was in the engine's hands when the next frame took the kernel's way.
        let last = self.counts();
        let quiet = if each {
            self.ports
                .iter()
                .zip(&counts)
                .all(|(port, before)| before.is_some() && last.get(port.number).copied().flatten() == *before)
        } else {
            !last.is_empty() && last == counts
        };
        self.end_but(numbers, &stuck);
        Swap {
            given_back: true,
            reordering_possible: !quiet,
        }
    }

    /// Waits until nothing comes by a port, or it has not stopped.
    fn settle(&self, port: &HeldPort) {
        let answer = self
            .inner
            .with_pipeline(|pipeline| pipeline.settle(port.number, IDLE, LIMIT));
        if let Ok(Err(error)) = answer {
            tracing::error!(target: "vnet::lab", %error, "{} is given back by an engine that has died", self.inner.key);
        }
    }

    /// How many frames have come by each port so far.
    fn counts(&self) -> Vec<Option<u64>> {
        match self.inner.with_pipeline(Pipeline::stats) {
            Ok(Ok(stats)) => stats.ports.iter().map(|port| Some(port.rx_packets)).collect(),
            _ => Vec::new(),
        }
    }

    /// Keeps the last numbers of all that is attached.
    pub(crate) fn keep_all(&self) {
        for user in &self.users {
            keep(&self.inner, user.id);
        }
    }

    /// Ends the engine's part at once.
    pub(crate) fn end(self, numbers: &mut Numbers) {
        self.end_but(numbers, &[]);
    }

    /// Ends the engine's part; shadows that frames may still be led to serve nobody again, who would get a stranger's.
    fn end_but(self, numbers: &mut Numbers, stuck: &[u32]) {
        let shadows = self.ports.iter().map(|port| port.shadow);
        let shadows: Vec<u32> = shadows.filter(|shadow| !stuck.contains(shadow)).collect();
        Self::end_all(vec![self]);
        shadows
            .into_iter()
            .for_each(|shadow| numbers.spare_shadow(shadow));
    }

    /// Ends the engine's parts of a lab that is gone.
    pub(crate) fn end_all(islands: Vec<Self>) {
        let mut ports = Vec::new();
        for held in islands {
            if let Some(pipeline) = held.inner.take() {
                match pipeline.into_parts() {
                    Ok(parts) => ports.extend(parts.ports),
                    Err(error) => {
                        tracing::error!(target: "vnet::lab", %error, "the engine's part of {} had ended", held.inner.key);
                    }
                }
            }
        }
        close(ports);
    }
}

impl HeldPort {
    fn redirect(&self) -> Step {
        net(Change::Redirect {
            index: self.lab_end,
            prio: TAKEN,
            to: self.shadow,
            into: Into::Ingress,
        })
    }
}

/// Keeps the last numbers of a stage, and takes it off.
fn keep(island: &IslandInner, id: UserId) {
    let kept = match id {
        UserId::Stage(id) => island
            .with_pipeline(|pipeline| pipeline.detach(id))
            .map(|stats| stats.map(|stats| island.keep(id, stats))),
        // They end with their link.
        UserId::Line(_) => return,
    };
    if let Ok(Err(error)) = kept {
        tracing::error!(target: "vnet::lab", %error, "the last numbers of a plugin on {} are lost", island.key);
    }
}

/// Opens the two sockets of a port; it gets no frame before its redirect.
fn take(
    lab: &Lab,
    end: &SwitchPort,
    shadow: u32,
    sockets: &Arc<Sockets>,
) -> Result<(Port, [Listed; 2]), LabError> {
    let taken = lab
        .take_port(end.lab_end, shadow, RECEIVE)
        .map_err(|error| LabError::refused(format!("link {}", end.link), error))?;
    let info = PortInfo {
        name: end.neighbour.clone(),
        layer: Layer::L2,
        mtu: end.mtu,
    };
    let listed = [sockets.list(&taken.rx), sockets.list(&taken.tx)];
    let port = Port::pair(taken.rx, taken.tx, info);
    Ok((if end.big_tcp { port.big() } else { port }, listed))
}

/// Closes ports side by side.
fn close(mut ports: Vec<Port>) {
    let share = ports.len().div_ceil(CLOSERS).max(1);
    thread::scope(|scope| {
        while ports.len() > share {
            let part = ports.split_off(ports.len() - share);
            scope.spawn(move || drop(part));
        }
        drop(ports);
    });
}

/// Does it, or finds that there is nothing left to do it to; false when neither is so.
fn attempt(lab: &Lab, change: Change) -> bool {
    let Err(refused) = lab.apply(&[net(change)]) else {
        return true;
    };
    let gone = [Errno::NOENT, Errno::NODEV].map(Errno::raw_os_error);
    if gone.contains(&refused.error.errno()) {
        return true;
    }
    tracing::warn!(target: "vnet::lab", error = %refused, "a link may stay with an engine that has ended");
    false
}

fn net(change: Change) -> Step {
    Step::Net {
        space: Space::LAB.0,
        change,
    }
}
