mod door;

use vnet_packet::Layer;
use vnet_runtime::{Fate, Frames, StageStats};

use crate::cause::{Cause, Causes};
use crate::frame::{Accepts, Arrival, BATCH, FRAME_MAX, Got, HEADROOM, Landing, Meta, SPILL};
use crate::offload;
use crate::path::{End, Hop, Path, Places, arriving, leaving};
use crate::port::{Counters, Port};
use crate::sink::SinkSender;
use crate::stage::{Direction, StageBox, StageId};
use crate::turn::Turns;

/// Distance of the slots of the worker's own arena.
const STRIDE: usize = (HEADROOM + FRAME_MAX + 64).next_multiple_of(64);

/// Reads of one port before the others get their turn.
const ROUNDS: usize = 8;

/// A frame's own data as it goes from one place to the next.
#[derive(Clone, Copy)]
pub(crate) struct Parcel {
    pub meta: Meta,
    pub mark: u32,
    pub ts_ns: u64,
}

/// Frames that were made or ended inside a pipeline, so that its counters add up.
#[derive(Clone, Default, Debug)]
pub(crate) struct Ledger {
    /// Frames handed in by `send`.
    pub sent_in: u64,
    /// Frames appended by plugins.
    pub appended: u64,
    /// Frames added by software segmentation, beyond the one each was cut from.
    pub segmented: u64,
    /// Frames dropped by plugins or at their doors.
    pub stage_drops: u64,
    /// Frames delivered to the receive queue.
    pub delivered: u64,
    /// Frames the engine dropped outside any port.
    pub drops: Causes,
    /// Reads that brought at least one frame.
    pub batches: u64,
}

/// Ports, stages and the paths between them: everything that happens to a frame, without threads or waiting.
pub(crate) struct Forwarder {
    pub ports: Vec<Port>,
    pub ledger: Ledger,
    stages: Vec<Option<Box<StageBox>>>,
    places: Places,
    paths: Vec<Path>,
    sole_end: End,
    layer: Layer,
    sink: Option<SinkSender>,
    own: Own,
    spill: Vec<u8>,
    scratch: Vec<u8>,
    turns: Turns,
}

/// The worker's own arena, for ports whose first stage cannot be read into directly.
#[derive(Default)]
struct Own {
    bytes: Vec<u8>,
    frames: Frames,
    metas: Vec<Meta>,
}

/// A place in a pipeline where a stage can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At one port, by index, in the given direction.
    Port(usize, Direction),
    /// Between the two ports of a wire.
    Wire(Direction),
}

impl Forwarder {
    /// Takes the ports with what is attached to them. A lone port's frames go to `sole_end`.
    pub(crate) fn new(mut ports: Vec<Port>, sole_end: End, sink: Option<SinkSender>) -> Self {
        let mut places = Places::default();
        let mut stages = Vec::new();
        for (index, port) in ports.iter_mut().enumerate() {
            // A pipeline's numbers add up only when all of them begin with it.
            port.counters = Counters::default();
            for stage in port.attached.drain(..) {
                places.device[index].push((stages.len(), stage.direction));
                stages.push(Some(stage));
            }
        }
        let layer = ports[0].info.layer;
        let mut forwarder = Self {
            ports,
            ledger: Ledger::default(),
            stages,
            places,
            paths: Vec::new(),
            sole_end,
            layer,
            sink,
            own: Own {
                bytes: vec![0; STRIDE * BATCH],
                frames: Frames::with_capacity(BATCH),
                metas: Vec::with_capacity(BATCH),
            },
            spill: vec![0; SPILL],
            scratch: vec![0; HEADROOM + FRAME_MAX],
            turns: Turns::new(),
        };
        forwarder.rebuild();
        forwarder
    }

    /// Gives the ports back with their own stages; what was attached to the wire ends here.
    pub(crate) fn into_ports(mut self) -> Vec<Port> {
        for (index, list) in self.places.device.iter().enumerate() {
            for &(stage, _) in list {
                if let Some(stage) = self.stages[stage].take() {
                    self.ports[index].attached.push(stage);
                }
            }
        }
        self.ports
    }

    /// Adds a stage at `position` of its place, or at the end.
    pub(crate) fn attach(&mut self, place: Place, stage: Box<StageBox>, position: Option<usize>) -> StageId {
        let id = stage.id;
        let direction = stage.direction;
        let index = self.stages.iter().position(Option::is_none).unwrap_or_else(|| {
            self.stages.push(None);
            self.stages.len() - 1
        });
        self.stages[index] = Some(stage);
        let list = match place {
            Place::Port(port, _) => &mut self.places.device[port],
            Place::Wire(_) => &mut self.places.wire,
        };
        let at = position.unwrap_or(list.len()).min(list.len());
        list.insert(at, (index, direction));
        self.rebuild();
        id
    }

    /// Takes a stage out again.
    pub(crate) fn detach(&mut self, id: StageId) -> Option<Box<StageBox>> {
        let index = self.index(id)?;
        let stage = self.stages[index].take();
        for list in self.places.device.iter_mut().chain([&mut self.places.wire]) {
            list.retain(|(stage, _)| *stage != index);
        }
        self.rebuild();
        stage
    }

    pub(crate) fn stage(&self, id: StageId) -> Option<&StageBox> {
        self.stages.iter().flatten().find(|s| s.id == id).map(|s| &**s)
    }

    pub(crate) fn all_stats(&self) -> Vec<StageStats> {
        self.stages.iter().flatten().map(|s| s.stats()).collect()
    }

    fn index(&self, id: StageId) -> Option<usize> {
        self.stages
            .iter()
            .position(|s| s.as_ref().is_some_and(|s| s.id == id))
    }

    /// Recomputes the paths and asks each device for what its whole path takes.
    fn rebuild(&mut self) {
        let layer_flag = if self.layer == Layer::L3 {
            vnet_abi::flags::L3
        } else {
            0
        };
        self.paths = self.places.paths(self.ports.len(), self.sole_end, layer_flag);
        for port in 0..self.ports.len() {
            let path = &self.paths[arriving(port)];
            let end = match path.end {
                End::Port(q) => self.ports[q].accepts(),
                End::Sink => Accepts::NONE,
            };
            let all = path
                .hops
                .iter()
                .filter_map(|hop| self.stages[hop.stage].as_ref())
                .fold(end, |sum, stage| sum.and(stage.accepts));
            self.ports[port].negotiate(all);
        }
    }

    /// Carries what waits at a port; true when the port may have more.
    pub(crate) fn pump(&mut self, port: usize, now: u64) -> bool {
        let path = arriving(port);
        let mut more = true;
        for _ in 0..ROUNDS {
            more = match self.paths[path].hops.first().copied() {
                Some(hop) if self.reads_in_place(port, hop) => self.pump_in_place(port, path, hop, now),
                _ => self.pump_through_own(port, path, now),
            };
            self.settle_turns();
            if !more {
                break;
            }
        }
        if let Some(sink) = &mut self.sink {
            sink.ring();
            if self.ports[port].gone {
                sink.end();
            }
        }
        more
    }

    fn reads_in_place(&self, port: usize, hop: Hop) -> bool {
        self.stages[hop.stage]
            .as_ref()
            .is_some_and(|s| self.ports[port].reads_in_place(s.accepts))
    }

    /// Reads straight into the first stage's memory.
    fn pump_in_place(&mut self, port: usize, path: usize, hop: Hop, now: u64) -> bool {
        loop {
            let Some(stage) = self.stages[hop.stage].as_mut() else {
                return false;
            };
            let StageBox {
                stage,
                frames,
                metas,
                stride,
                slots,
                max_frame,
                accepts,
                ..
            } = &mut **stage;
            let mut landing = Landing {
                bytes: stage.arena().bytes,
                stride: *stride,
                slots: *slots,
                max_frame: *max_frame,
                accepts: *accepts,
                arrival: Arrival {
                    port: hop.port,
                    flags: hop.flags,
                    ts_ns: now,
                },
                frames,
                metas,
            };
            match self.ports[port].recv(&mut landing, &mut self.spill) {
                Got::Spilled { at, len, meta } => {
                    let mut spill = std::mem::take(&mut self.spill);
                    self.step(
                        path,
                        0,
                        &mut spill,
                        at,
                        len,
                        Parcel {
                            meta,
                            mark: 0,
                            ts_ns: now,
                        },
                    );
                    self.spill = spill;
                    if self.stages[hop.stage].as_ref().is_some_and(|s| s.is_full()) {
                        self.flush(path);
                        return true;
                    }
                }
                got => {
                    self.flush(path);
                    return matches!(got, Got::Full);
                }
            }
        }
    }

    /// Reads into the worker's own arena and carries each frame on from there.
    fn pump_through_own(&mut self, port: usize, path: usize, now: u64) -> bool {
        let mut own = std::mem::take(&mut self.own);
        let mut landing = Landing {
            bytes: &mut own.bytes,
            stride: STRIDE,
            slots: BATCH,
            max_frame: FRAME_MAX,
            accepts: Accepts::ALL,
            arrival: Arrival {
                port: port as u16,
                flags: 0,
                ts_ns: now,
            },
            frames: &mut own.frames,
            metas: &mut own.metas,
        };
        let got = self.ports[port].recv(&mut landing, &mut self.spill);
        if !own.metas.is_empty() {
            self.ledger.batches += 1;
        }
        for (frame, meta) in own.frames.as_slice().iter().zip(&own.metas) {
            let parcel = Parcel {
                meta: *meta,
                mark: 0,
                ts_ns: frame.ts_ns,
            };
            self.step(
                path,
                0,
                &mut own.bytes,
                frame.off as usize,
                frame.len as usize,
                parcel,
            );
        }
        own.frames.clear();
        own.metas.clear();
        self.own = own;
        if let Got::Spilled { .. } = got {
            // Longer than any slot: only a port that ignores its own limits gets here.
            self.ports[port].counters.drops.add(Cause::Oversize);
        }
        self.flush(path);
        matches!(got, Got::Full | Got::Spilled { .. })
    }

    /// Sends a frame out by a port, through what is attached to leaving frames there.
    ///
    /// `read` fills the buffer it is given with the frame's `len` bytes.
    pub(crate) fn send(&mut self, port: usize, len: usize, read: &mut dyn FnMut(&mut [u8]), now: u64) {
        self.ledger.sent_in += 1;
        if len > FRAME_MAX {
            self.ledger.drops.add(Cause::Oversize);
            return;
        }
        let mut own = std::mem::take(&mut self.own);
        read(&mut own.bytes[HEADROOM..HEADROOM + len]);
        let parcel = Parcel {
            meta: Meta::default(),
            mark: 0,
            ts_ns: now,
        };
        self.step(leaving(port), 0, &mut own.bytes, HEADROOM, len, parcel);
        self.own = own;
    }

    /// Counts a port as gone, so that what is sent there is dropped under that name.
    pub(crate) fn lose(&mut self, port: usize) {
        self.ports[port].gone = true;
        if let Some(sink) = &mut self.sink {
            sink.end();
        }
    }

    /// Finishes what `send` began.
    pub(crate) fn flush_sent(&mut self, port: usize) {
        self.flush(leaving(port));
        self.settle_turns();
    }

    /// Runs every stage of a path that has frames waiting, first to last.
    fn flush(&mut self, path: usize) {
        for k in 0..self.paths[path].hops.len() {
            self.run(path, k);
        }
    }

    /// Runs one stage on the frames in its arena and carries each on.
    fn run(&mut self, path: usize, k: usize) {
        let hop = self.paths[path].hops[k];
        let Some(mut stage) = self.stages[hop.stage].take() else {
            return;
        };
        if !stage.metas.is_empty() {
            if k == 0 {
                self.ledger.batches += 1;
            }
            let StageBox {
                stage: plugin,
                frames,
                metas,
                ..
            } = &mut *stage;
            for (frame, meta) in frames.as_slice().iter().zip(metas.iter_mut()) {
                meta.off = frame.off;
                meta.len = frame.len;
            }
            plugin.run(frames);
            let bytes = plugin.arena().bytes;
            for (i, frame) in frames.as_slice().iter().enumerate() {
                let mut meta = metas.get(i).copied().unwrap_or(Meta {
                    off: frame.off,
                    ..Meta::default()
                });
                self.ledger.appended += u64::from(frame.appended);
                let (off, len) = (frame.off as usize, frame.len as usize);
                if !matches!(frame.fate, Fate::Drop(_)) {
                    offload::settle(bytes, frame, &mut meta, self.layer);
                }
                let parcel = Parcel {
                    meta,
                    mark: frame.mark,
                    ts_ns: frame.ts_ns,
                };
                match frame.fate {
                    Fate::Pass | Fate::Unset => self.step(path, k + 1, bytes, off, len, parcel),
                    Fate::Tx => self.turn(hop, hop.device, bytes, off, len, parcel),
                    Fate::Redirect(_) if hop.on_wire => {
                        self.turn(hop, 1 - hop.device, bytes, off, len, parcel);
                    }
                    Fate::Redirect(_) => self.ledger.drops.add(Cause::NoPort),
                    Fate::Drop(_) => self.ledger.stage_drops += 1,
                }
            }
            stage.clear();
        }
        self.stages[hop.stage] = Some(stage);
    }

    /// Sends a frame out by a port a stage chose, through that port's own leaving stages.
    fn turn(&mut self, hop: Hop, port: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let is_leaving = hop.flags & vnet_abi::flags::EGRESS != 0;
        if is_leaving
            || self.paths[leaving(port)]
                .hops
                .iter()
                .all(|other| other.stage == hop.stage)
        {
            return self.emit(port, bytes, off, len, parcel);
        }
        let meta = Meta {
            sent_by: Some(hop.stage),
            ..parcel.meta
        };
        let parcel = Parcel { meta, ..parcel };
        if !self.turns.push(port, &bytes[off..off + len], parcel) {
            self.ledger.drops.add(Cause::TurnFull);
        }
    }

    fn settle_turns(&mut self) {
        if self.turns.list.is_empty() {
            return;
        }
        let mut turns = std::mem::take(&mut self.turns);
        for turn in &turns.list {
            self.step(
                leaving(turn.port),
                0,
                &mut turns.bytes,
                turn.off,
                turn.len,
                turn.parcel,
            );
        }
        for port in 0..self.ports.len() {
            self.flush(leaving(port));
        }
        turns.clear();
        self.turns = turns;
    }
}
