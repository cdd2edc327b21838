mod exchange;
mod line;
mod record;
mod switch;

#[cfg(test)]
mod shared;

use std::os::fd::BorrowedFd;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use vnet_packet::Layer;
use vnet_runtime::{Stage, StageStats};

use crate::callout::{Home, Seated};
use crate::carried::{Bell, Carried, Job};
use crate::error::EngineError;
use crate::forward::{Forwarder, Place};
use crate::frame::L2_OVERHEAD;
use crate::path::{End, Shape};
use crate::pool::{self, Place as Seat};
use crate::port::{Port, PortInfo};
use crate::ring::{FrameSender, Tag, ring};
use crate::sink::{Received, SinkReceiver, SinkSender, Taken, sink};
use crate::stage::{Direction, StageBox, StageId};
use crate::stats::PipelineStats;
use crate::worker::{Message, Serial};

pub use exchange::{Exchanged, Replacement};
pub use switch::SWITCH_STAGE_PORTS;

/// Bytes of frames that may wait to be sent.
const SENDS: usize = 1 << 20;

/// How long `send` waits for room in its queue.
const SEND_WAIT: Duration = Duration::from_secs(1);

/// Ports and plugins, carried by a worker thread that owns them entirely.
///
/// A process has at most as many workers as it may use processors. A pipeline joins the one that carries the fewest, so
/// that it has one to itself while there are enough; they take turns there, and a panic in one ends that one alone.
///
/// The handle is `Send` and `Sync`; every method may be called from any thread while frames flow. Dropping it ends the
/// pipeline and closes the devices, and the last one on a worker ends the thread.
pub struct Pipeline {
    /// For messages: the first port, or the switch.
    name: String,
    shape: Shape,
    /// The ports by number; `None` for one that was taken out. Never locked by the worker.
    infos: RwLock<Vec<Option<PortInfo>>>,
    serial: Serial,
    seat: Seat,
    sends: Mutex<FrameSender>,
    bell: Arc<Bell>,
    sink: Option<SinkReceiver>,
    /// Whether the worker was told to give it back.
    has_left: bool,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.name)
            .field("ports", &*self.infos())
            .finish_non_exhaustive()
    }
}

/// What a stopped pipeline leaves: the ports, with what was attached to each, and the final numbers.
#[derive(Debug)]
pub struct Parts {
    /// The ports it still had, in order. Stages attached to a port are still on it.
    pub ports: Vec<Port>,
    /// The numbers of the whole pipeline at its end; stages that were on the wire are among them.
    pub stats: PipelineStats,
}

impl Pipeline {
    /// Starts a pipeline over one port whose frames go to a receive queue of 4 MiB.
    ///
    /// # Errors
    /// [`EngineError::Os`] when the kernel gives no descriptor or thread.
    pub fn sink(port: Port) -> Result<Self, EngineError> {
        let (tx, rx) = sink().map_err(|source| EngineError::Os {
            what: "make an event descriptor",
            port: port.info.name.clone(),
            source,
        })?;
        let name = port.info.name.clone();
        let pipeline = Self::prepare(name, Shape::Lone(End::Sink), vec![port], Some((tx, rx)))?;
        pipeline.start()?;
        Ok(pipeline)
    }

    /// Starts a pipeline that carries frames both ways between two ports.
    ///
    /// # Errors
    /// As [`Pipeline::wire_held`] and [`Pipeline::start`].
    pub fn wire(a: Port, b: Port) -> Result<Self, EngineError> {
        let pipeline = Self::wire_held(a, b)?;
        pipeline.start()?;
        Ok(pipeline)
    }

    /// Makes a pipeline between two ports that reads no frame before [`Pipeline::start`], so that none passes before
    /// its plugins are attached.
    ///
    /// # Errors
    /// [`EngineError::LayersDiffer`] for Ethernet on one side and bare IP on the other, [`EngineError::Os`].
    pub fn wire_held(a: Port, b: Port) -> Result<Self, EngineError> {
        if a.info.layer != b.info.layer {
            return Err(EngineError::LayersDiffer {
                a: a.info.name.clone(),
                b: b.info.name.clone(),
            });
        }
        Self::prepare(a.info.name.clone(), Shape::Wire, vec![a, b], None)
    }

    /// Begins to read the ports; does nothing where they are read already.
    ///
    /// # Errors
    /// [`EngineError::Os`], [`EngineError::Ended`].
    pub fn start(&self) -> Result<(), EngineError> {
        self.ask(Carried::begin)?.map_err(|errno| EngineError::Os {
            what: "watch the descriptor",
            port: self.name.clone(),
            source: errno.into(),
        })
    }

    fn prepare(
        name: String,
        shape: Shape,
        ports: Vec<Port>,
        sink: Option<(SinkSender, SinkReceiver)>,
    ) -> Result<Self, EngineError> {
        let refuse = |what, source| EngineError::Os {
            what,
            port: name.clone(),
            source,
        };
        let (sink_sender, sink) = sink.unzip();
        let infos = ports.iter().map(|port| Some(port.info.clone())).collect();
        let layer = ports.first().map_or(Layer::L2, |port| port.info.layer);
        let mut forwarder = Forwarder::new(ports, shape, layer, sink_sender);
        let seat = pool::enter().map_err(|e| refuse("start a worker thread", e))?;
        let (sends, send_queue) = ring(SENDS);
        let bell = Arc::new(Bell::default());
        let serial = pool::next_serial();
        forwarder.settle_in(Home {
            mailbox: Arc::clone(seat.mailbox()),
            serial,
        });
        let carried = Carried::new(
            forwarder,
            send_queue,
            Arc::clone(&bell),
            Arc::clone(seat.mailbox()),
        );
        let pipeline = Self {
            name,
            shape,
            infos: RwLock::new(infos),
            serial,
            seat,
            sends: Mutex::new(sends),
            bell,
            sink,
            has_left: false,
        };
        pipeline.tell(Message::Join(serial, Box::new(carried)))?;
        Ok(pipeline)
    }

    fn ended(&self) -> EngineError {
        EngineError::Ended {
            port: self.name.clone(),
        }
    }

    fn infos(&self) -> RwLockReadGuard<'_, Vec<Option<PortInfo>>> {
        self.infos.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, message: Message) -> Result<(), EngineError> {
        if self.seat.mailbox().tell(message) {
            Ok(())
        } else {
            Err(self.ended())
        }
    }

    /// Has the worker do something between two batches and waits for the answer.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Carried) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |worker| {
            // The asker may have gone; then nobody wants the answer.
            let _ = reply.send(job(worker));
        });
        self.tell(Message::Work(self.serial, job))?;
        answer.recv().map_err(|_| self.ended())
    }

    /// Looks at what is known of a port.
    fn on_info<T>(&self, port: usize, look: impl FnOnce(&PortInfo) -> T) -> Result<T, EngineError> {
        let infos = self.infos();
        let info = infos.get(port).and_then(Option::as_ref);
        info.map(look)
            .ok_or_else(|| self.no_place(format!("port {port}")))
    }

    fn no_place(&self, place: String) -> EngineError {
        EngineError::NoSuchPlace {
            port: self.name.clone(),
            place,
        }
    }

    /// Tells the pipeline that a port's device has another MTU now: it holds for frames that leave from here on.
    ///
    /// Stages whose buffers it does not fit stay; longer frames are then dropped there as `oversize`.
    ///
    /// # Errors
    /// [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn set_mtu(&self, port: usize, mtu: u32) -> Result<(), EngineError> {
        {
            let mut infos = self.infos.write().unwrap_or_else(PoisonError::into_inner);
            match infos.get_mut(port) {
                Some(Some(info)) => info.mtu = mtu,
                _ => return Err(self.no_place(format!("port {port}"))),
            }
        }
        self.ask(move |worker| worker.forwarder.ports[port].set_mtu(mtu))
    }

    /// Puts a stage into a chain, at `position` or at the end, between two batches.
    ///
    /// # Errors
    /// [`EngineError::NoSuchPlace`], [`EngineError::PluginTooSmall`], [`EngineError::Ended`].
    pub fn attach(
        &self,
        place: Place,
        stage: impl Into<Seated>,
        position: Option<usize>,
    ) -> Result<StageId, EngineError> {
        let seated = stage.into();
        let stage = &seated.stage;
        // Held until the stage is in, so that no port comes or goes meanwhile.
        let infos = self.infos();
        let is_switch = self.shape == Shape::Switch;
        let is_port = |port: usize| matches!(infos.get(port), Some(Some(_)));
        let direction = match place {
            Place::Port(port, direction) if is_port(port) => direction,
            Place::Wire(direction) if self.shape == Shape::Wire => direction,
            Place::Link(port, direction, _) if is_switch && is_port(port) => direction,
            Place::Switch(Direction::Ingress | Direction::Both) if is_switch => Direction::Ingress,
            _ => return Err(self.no_place(format!("{place:?}"))),
        };
        let concerned = match place {
            Place::Port(port, _) | Place::Link(port, ..) if is_switch => &infos[port..=port],
            _ => &infos[..],
        };
        let max = stage.traits().max_frame;
        for info in concerned.iter().flatten() {
            check_fit(stage.name(), max, info)?;
        }
        let stage = StageBox::new(seated, direction);
        self.ask(move |worker| worker.forwarder.attach(place, stage, position))
    }

    /// Takes a stage out between two batches and returns its last numbers.
    ///
    /// # Errors
    /// [`EngineError::NoSuchStage`], [`EngineError::Ended`].
    pub fn detach(&self, id: StageId) -> Result<StageStats, EngineError> {
        // The instance is dropped here, on the caller's thread.
        let stage = self.ask(move |worker| worker.forwarder.detach(id))?;
        stage.map(|s| s.stats()).ok_or_else(|| self.no_stage())
    }

    fn no_stage(&self) -> EngineError {
        EngineError::NoSuchStage {
            port: self.name.clone(),
        }
    }

    /// Returns the numbers of one stage.
    ///
    /// # Errors
    /// [`EngineError::NoSuchStage`], [`EngineError::Ended`].
    pub fn stage_stats(&self, id: StageId) -> Result<StageStats, EngineError> {
        self.ask(move |worker| worker.forwarder.stage(id).map(StageBox::stats))?
            .ok_or_else(|| self.no_stage())
    }

    /// Does something with a stage on the worker, between two batches, and returns the answer. Frames wait meanwhile.
    ///
    /// # Errors
    /// [`EngineError::NoSuchStage`], [`EngineError::Ended`].
    pub fn on_stage<T: Send + 'static>(
        &self,
        id: StageId,
        job: impl FnOnce(&mut Stage) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        self.ask(move |worker| worker.forwarder.stage_mut(id).map(|s| job(&mut s.stage)))?
            .ok_or_else(|| self.no_stage())
    }

    /// Returns the numbers of the whole pipeline.
    ///
    /// # Errors
    /// [`EngineError::Ended`].
    pub fn stats(&self) -> Result<PipelineStats, EngineError> {
        self.ask(Carried::stats)
    }

    /// Returns the CPU time the worker has used for this pipeline: all of it for one that has a worker to itself, else its part
    /// of the thread's in proportion to the time it was at work.
    ///
    /// # Errors
    /// [`EngineError::Ended`].
    pub fn cpu_time(&self) -> Result<Duration, EngineError> {
        self.ask(|worker| Duration::from_nanos(worker.cpu_ns))
    }

    /// Tells whether a port's device was deleted.
    ///
    /// # Errors
    /// [`EngineError::Ended`].
    pub fn is_gone(&self, port: usize) -> Result<bool, EngineError> {
        self.ask(move |worker| worker.forwarder.ports.get(port).is_some_and(Port::is_gone))
    }

    /// Sends a frame out by a port, through the stages attached to its egress.
    ///
    /// Returns when the frame is queued. What becomes of it then is in the counters.
    ///
    /// # Errors
    /// [`EngineError::BadFrame`] for a frame that the port's link layer or MTU does not allow,
    /// [`EngineError::QueueFull`] after one second without room, [`EngineError::Ended`].
    pub fn send(&self, port: usize, frame: &[u8]) -> Result<(), EngineError> {
        self.on_info(port, |info| info.check(frame))??;
        let tag = Tag {
            port: port as u16,
            ..Tag::default()
        };
        let start = Instant::now();
        loop {
            let queued = {
                let mut sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
                if sends.is_abandoned() {
                    return Err(self.ended());
                }
                sends.push(&tag, frame)
            };
            if self.bell.ring() {
                self.tell(Message::Sends(self.serial))?;
            }
            if queued {
                return Ok(());
            }
            if start.elapsed() > SEND_WAIT {
                let waited_ms = SEND_WAIT.as_millis() as u64;
                let port = self.on_info(port, |info| info.name.clone())?;
                return Err(EngineError::QueueFull { port, waited_ms });
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Takes the oldest frame the chain let through, waiting at most `timeout` (for ever when `None`).
    ///
    /// # Errors
    /// [`EngineError::Gone`] once the device was deleted and every frame is taken, [`EngineError::Ended`] for a wire.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Option<Received>, EngineError> {
        let sink = self.sink.as_ref().ok_or_else(|| self.ended())?;
        let port = || self.name.clone();
        match sink.recv(timeout) {
            Ok(Taken::Frame(frame)) => Ok(Some(frame)),
            Ok(Taken::TimedOut) => Ok(None),
            Ok(Taken::Ended) => Err(EngineError::Gone { port: port() }),
            Err(source) => Err(EngineError::Os {
                what: "wait for a frame",
                port: port(),
                source,
            }),
        }
    }

    /// Returns a descriptor that polls readable while frames wait; `None` for a wire.
    #[must_use]
    pub fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        self.sink.as_ref().map(SinkReceiver::fd)
    }

    /// Ends the pipeline and gives everything back.
    ///
    /// # Errors
    /// [`EngineError::Ended`] when it had panicked; the devices are then closed.
    pub fn into_parts(mut self) -> Result<Parts, EngineError> {
        self.stop().ok_or_else(|| self.ended())
    }

    fn stop(&mut self) -> Option<Parts> {
        if std::mem::replace(&mut self.has_left, true) {
            return None;
        }
        let (to, back) = sync_channel(1);
        self.tell(Message::Leave(self.serial, to)).ok()?;
        let mut carried = back.recv().ok()?;
        let stats = carried.stats();
        Some(Parts {
            ports: carried.forwarder.into_ports(),
            stats,
        })
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

fn check_fit(plugin: &str, max: u32, port: &PortInfo) -> Result<(), EngineError> {
    let need = port.mtu + if port.layer == Layer::L2 { L2_OVERHEAD } else { 0 };
    if max < need {
        return Err(EngineError::PluginTooSmall {
            plugin: plugin.to_owned(),
            port: port.name.clone(),
            max,
            need,
        });
    }
    Ok(())
}
