//! The recordings of a pipeline, in its worker's hands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use vnet_impair::{Impairment, Outcome};
use vnet_packet::gso::Offload;
use vnet_packet::pcap::Direction;
use vnet_runtime::{Fate, Frame};

use super::recording::{PORT_BITS, Recording, Seat};
use super::scope::RecordId;
use super::source::Entry;
use super::words::{self, Dropper};
use crate::cause::Cause;
use crate::clock::Clock;
use crate::forward::LineAt;
use crate::frame::Meta;
use crate::path::Home;
use crate::port::Port;
use crate::stage::StageBox;

/// How often the two clocks are compared.
const COMPARE_NS: u64 = 100_000_000;

/// A frame's stay in a line.
pub(crate) struct Stay {
    entered_ns: u64,
    queue: usize,
    trail: Vec<String>,
    /// What the line was asked for when the frame came to it, which is when its fate is drawn.
    asked: Impairment,
}

/// All recordings of a pipeline, and what was decided so far about the frames under way.
#[derive(Default)]
pub(crate) struct Recordings {
    list: Vec<Recording>,
    /// Something is recorded: the one thing the packet path asks.
    is_on: bool,
    clock: Option<Clock>,
    /// What is to be taken off the pipeline's clock to get the realtime clock.
    ahead_ns: i128,
    compared_ns: u64,
    trails: HashMap<u64, Vec<String>>,
    /// The frames of the batch at hand as they were before, and where each ends.
    before: Vec<u8>,
    ends: Vec<usize>,
    before_ns: u64,
    /// When the frames at hand were given to the kernel, which may take them further before it answers.
    leaves_ns: u64,
    /// Packet numbers of frames that the stage at hand has made.
    made: Vec<u64>,
}

/// What every record of a frame has.
#[derive(Clone, Copy)]
struct What<'a> {
    direction: Option<Direction>,
    packet: u64,
    ts_ns: u64,
    offload: Offload,
    frame: &'a [u8],
    comment: &'a str,
}

impl<'a> What<'a> {
    /// A frame as it came somewhere.
    fn came(frame: &'a [u8], meta: &Meta, ts_ns: u64) -> Self {
        Self {
            direction: Some(Direction::Inbound),
            packet: meta.serial,
            ts_ns,
            offload: meta.offload,
            frame,
            comment: "",
        }
    }
}

fn put(recording: &mut Recording, interface: u16, what: &What<'_>) {
    recording.source.push(&Entry {
        interface,
        direction: what.direction,
        packet: what.packet,
        ts_ns: what.ts_ns,
        offload: what.offload,
        frame: what.frame,
        comment: what.comment,
    });
}

impl Recordings {
    /// Tells whether anything is recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = Some(clock);
        self.compared_ns = 0;
    }

    /// Takes a recording in.
    pub(crate) fn add(&mut self, recording: Recording, clock: Option<Clock>) {
        self.clock = clock;
        self.list.push(recording);
        self.is_on = true;
        self.compared_ns = 0;
    }

    /// Takes in one that follows its port.
    pub(crate) fn seat(&mut self, mut recording: Recording, number: usize, clock: Option<Clock>) {
        recording.renumber(number);
        self.add(recording, clock);
    }

    pub(crate) fn remove(&mut self, id: RecordId) -> Option<Recording> {
        let at = self.list.iter().position(|recording| recording.id == id)?;
        let recording = self.list.remove(at);
        self.is_on = !self.list.is_empty();
        Some(recording)
    }

    /// Takes those out that follow a port.
    pub(crate) fn unseat(&mut self, port: usize) -> Vec<Recording> {
        let follows = |r: &Recording| r.follows && r.port_numbers().eq([port]);
        let ids: Vec<RecordId> = self.list.iter().filter(|r| follows(r)).map(|r| r.id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Returns the recordings with their ports.
    pub(crate) fn ports(&self) -> Vec<(RecordId, usize)> {
        let ports = |r: &Recording| r.port_numbers().map(|n| (r.id, n)).collect::<Vec<_>>();
        self.list.iter().flat_map(ports).collect()
    }

    /// Says of an interface what is known of its port at the end.
    pub(crate) fn note(&mut self, id: RecordId, port: usize, now: u64, text: &str) {
        let ts_ns = self.real(now);
        if let Some(recording) = self.list.iter().find(|r| r.id == id) {
            recording.note(port, ts_ns, text);
        }
    }

    /// Forgets what was decided about frames that have left.
    pub(crate) fn settle(&mut self) {
        if self.is_on {
            self.trails.clear();
        }
    }

    /// Turns a time of the pipeline's clock into one of the realtime clock.
    fn real(&mut self, ts_ns: u64) -> u64 {
        let Some(clock) = self.clock else { return ts_ns };
        if ts_ns.abs_diff(self.compared_ns) > COMPARE_NS {
            let (now, ahead) = clock.beside_realtime();
            (self.compared_ns, self.ahead_ns) = (now, ahead);
        }
        u64::try_from(i128::from(ts_ns) - self.ahead_ns).unwrap_or(0)
    }

    fn now(&mut self, fallback: u64) -> u64 {
        let now = self.clock.map_or(fallback, Clock::now);
        self.real(now)
    }

    /// Gives a packet that came by a port its number.
    pub(crate) fn number(port: usize) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed) << PORT_BITS | port as u64
    }

    /// Records a frame that came by a port.
    pub(crate) fn arrived(&mut self, port: usize, frame: &[u8], meta: &Meta, ts_ns: u64) {
        let ts_ns = self.real(ts_ns);
        for recording in &mut self.list {
            let Some((_, interface)) = recording.port(port).filter(|(port, _)| port.arriving) else {
                continue;
            };
            put(recording, interface, &What::came(frame, meta, ts_ns));
        }
    }

    /// The name of a port, by the youngest recording that knows it: ports come and go.
    fn name(&self, port: usize) -> Option<&str> {
        let names = self.list.iter().rev().map(|recording| &recording.scope.names);
        names
            .filter_map(|names| names.get(port))
            .find(|name| !name.is_empty())
            .map(String::as_str)
    }

    /// Takes note that frames are about to be given to the kernel.
    pub(crate) fn leaving(&mut self) {
        if self.is_on {
            self.leaves_ns = self.now(0);
        }
    }

    /// Records a frame that has left by a port, with all that was decided about it.
    pub(crate) fn left(&mut self, port: usize, frame: &[u8], offload: &Offload, packet: u64, ts_ns: u64) {
        let ts_ns = if self.leaves_ns == 0 {
            self.now(ts_ns)
        } else {
            self.leaves_ns
        };
        let comment = self
            .trails
            .get(&packet)
            .map(|trail| trail.join("\n"))
            .unwrap_or_default();
        for recording in &mut self.list {
            let Some((port, interface)) = recording.port(port) else {
                continue;
            };
            let Some(direction) = port.leaving else { continue };
            let what = What {
                direction: Some(direction),
                packet,
                ts_ns,
                offload: *offload,
                frame,
                comment: &comment,
            };
            put(recording, interface, &what);
        }
    }

    /// Records a frame that ended; `said` is its last line, and who says it has an interface of its own there is `own`.
    fn ended(&mut self, what: What<'_>, said: &str, mut own: impl FnMut(&mut Recording) -> Option<u16>) {
        let mut trail = self.trails.get(&what.packet).cloned().unwrap_or_default();
        trail.push(said.to_owned());
        let whole = trail.join("\n");
        let from = (what.packet & ((1 << PORT_BITS) - 1)) as usize;
        for recording in &mut self.list {
            let (interface, comment) = match own(recording) {
                Some(interface) => (Some(interface), said),
                None if recording.dropped || recording.stages => {
                    (recording.port(from).map(|(_, interface)| interface), &*whole)
                }
                None => continue,
            };
            if let Some(interface) = interface {
                let what = What {
                    direction: None,
                    comment,
                    ..what
                };
                put(recording, interface, &what);
            }
        }
    }

    /// Records a frame that the engine itself dropped.
    pub(crate) fn dropped(
        &mut self,
        who: Dropper,
        cause: Cause,
        frame: &[u8],
        offload: &Offload,
        packet: u64,
        ts_ns: u64,
    ) {
        let ts_ns = self.now(ts_ns);
        let Some(first) = self.list.first() else { return };
        let name = match who {
            Dropper::Switch => format!("switch {}", first.scope.whole),
            Dropper::Port(port) => match self.name(port) {
                Some(name) => format!("port {name}"),
                None => format!("port {port}"),
            },
            Dropper::Engine => "engine".to_owned(),
        };
        let what = What {
            direction: None,
            packet,
            ts_ns,
            offload: *offload,
            frame,
            comment: "",
        };
        self.ended(what, &words::dropped(&name, cause), |recording| {
            let is_switch = who == Dropper::Switch && recording.stages && recording.covers(packet);
            is_switch.then(|| recording.switch()).flatten()
        });
    }

    /// Notes where the switch sends a frame.
    pub(crate) fn switched(&mut self, to: &[usize], is_flood: bool, frame: &[u8], meta: &Meta, ts_ns: u64) {
        let ts_ns = self.now(ts_ns);
        let Some(first) = self.list.first() else { return };
        let list: Vec<String> = to
            .iter()
            .map(|port| {
                self.name(*port)
                    .map_or_else(|| format!("port {port}"), str::to_owned)
            })
            .collect();
        let verb = if is_flood { "flooded to" } else { "to" };
        let line = format!("switch {}: {verb} {}", first.scope.whole, list.join(" "));
        for recording in &mut self.list {
            if !recording.stages || !recording.covers(meta.serial) {
                continue;
            }
            let Some(interface) = recording.switch() else {
                continue;
            };
            let what = What {
                comment: &line,
                ..What::came(frame, meta, ts_ns)
            };
            put(recording, interface, &what);
        }
        self.trails.entry(meta.serial).or_default().push(line);
    }

    /// Keeps the frames that a stage is about to judge as they are.
    pub(crate) fn before(&mut self, stage: &mut StageBox, now: u64) {
        self.before.clear();
        self.ends.clear();
        self.made.clear();
        self.before_ns = self.now(now);
        for meta in stage.metas.iter_mut().filter(|meta| meta.serial == 0) {
            // One that came before anything was recorded.
            meta.serial = Self::number(0);
        }
        let bytes = stage.stage.arena().bytes;
        for frame in stage.frames.as_slice() {
            let at = frame.off as usize;
            self.before.extend_from_slice(&bytes[at..at + frame.len as usize]);
            self.ends.push(self.before.len());
        }
    }

    /// Records what a stage decided.
    pub(crate) fn after(&mut self, stage: &mut StageBox, home: Option<Home>, now: u64) {
        let after_ns = self.now(now).max(self.before_ns);
        let before = std::mem::take(&mut self.before);
        let ends = std::mem::take(&mut self.ends);
        let frames: Vec<Frame> = stage.frames.as_slice().to_vec();
        let origin = stage.metas.first().map_or(0, |meta| meta.serial);
        let mut from = 0;
        for (i, frame) in frames.iter().enumerate() {
            let was = ends
                .get(i)
                .map(|end| &before[std::mem::replace(&mut from, *end)..*end]);
            let meta = stage.metas.get(i).copied();
            let packet = meta.map_or_else(
                || {
                    let made = Self::number((origin & ((1 << PORT_BITS) - 1)) as usize);
                    self.made.push(made);
                    made
                },
                |meta| meta.serial,
            );
            let offload = meta.map(|meta| meta.offload).unwrap_or_default();
            let at = frame.off as usize;
            let is = stage
                .stage
                .arena()
                .bytes
                .get(at..at + frame.len as usize)
                .unwrap_or_default()
                .to_vec();
            let line = words::verdict(&stage.stage, frame, was.is_some_and(|was| was != is));
            let is_dropped = matches!(frame.fate, Fate::Drop(_));
            let mut after = offload;
            if frame.csum_finished {
                after.needs_csum = false;
            }
            if let Some(was_at) = meta.map(|meta| meta.off) {
                crate::offload::shift(&mut after, was_at as i32 - frame.off as i32);
            }
            let what = What {
                direction: None,
                packet,
                ts_ns: after_ns,
                offload: after,
                frame: &is,
                comment: &line,
            };
            let seat = stage.seat(home);
            let seen = |recording: &mut Recording| recording.stage(&seat, packet);
            for recording in &mut self.list {
                let Some(interface) = seen(recording) else {
                    continue;
                };
                if let Some(was) = was {
                    let what = What {
                        direction: Some(Direction::Inbound),
                        ts_ns: self.before_ns,
                        offload,
                        frame: was,
                        comment: "",
                        ..what
                    };
                    put(recording, interface, &what);
                }
                if !is_dropped {
                    let what = What {
                        direction: Some(Direction::Outbound),
                        ..what
                    };
                    put(recording, interface, &what);
                }
            }
            if is_dropped {
                self.ended(what, &line, seen);
            } else {
                self.trails.entry(packet).or_default().push(line);
            }
        }
        self.before = before;
        self.ends = ends;
    }

    /// Records that a frame is given to a stage that is judged elsewhere, and keeps what was decided about it.
    pub(crate) fn asked(&mut self, seat: &Seat<'_>, frame: &[u8], meta: &mut Meta, now: u64) -> Box<Stay> {
        if meta.serial == 0 {
            // It came before anything was recorded.
            meta.serial = Self::number(0);
        }
        let ts_ns = self.now(now);
        for recording in &mut self.list {
            if let Some(interface) = recording.stage(seat, meta.serial) {
                put(recording, interface, &What::came(frame, meta, ts_ns));
            }
        }
        self.stays(meta)
    }

    /// Records what was decided elsewhere about a frame.
    pub(crate) fn answered(
        &mut self,
        seat: &Seat<'_>,
        stay: &Stay,
        (frame, meta): (&[u8], &Meta),
        now: u64,
        (fate, reason, is_rewritten): (Fate, Option<&str>, bool),
    ) {
        self.resumes(stay, meta);
        let line = words::judged(seat.name, fate, reason, is_rewritten);
        let what = What {
            direction: Some(Direction::Outbound),
            packet: meta.serial,
            ts_ns: self.now(now),
            offload: meta.offload,
            frame,
            comment: &line,
        };
        let seen = |recording: &mut Recording| recording.stage(seat, meta.serial);
        if matches!(fate, Fate::Drop(_)) {
            return self.ended(what, &line, seen);
        }
        for recording in &mut self.list {
            if let Some(interface) = seen(recording) {
                put(recording, interface, &what);
            }
        }
        self.trails.entry(meta.serial).or_default().push(line);
    }

    /// Returns the number of the n-th frame that the stage at hand has made.
    pub(crate) fn made(&self, n: usize) -> u64 {
        self.made.get(n).copied().unwrap_or(0)
    }

    /// Records that a frame enters a line, before `queue` others have left it.
    pub(crate) fn enters(
        &mut self,
        at: LineAt,
        frame: &[u8],
        meta: &Meta,
        came_ns: u64,
        queue: usize,
        asked: &Impairment,
    ) -> Box<Stay> {
        let ts_ns = self.now(came_ns);
        for recording in &mut self.list {
            if !recording.stages {
                continue;
            }
            let Some(interface) = recording.line(at) else {
                continue;
            };
            put(recording, interface, &What::came(frame, meta, ts_ns));
        }
        Box::new(Stay {
            entered_ns: came_ns,
            queue,
            trail: self.trails.get(&meta.serial).cloned().unwrap_or_default(),
            asked: asked.clone(),
        })
    }

    /// Keeps what was decided about a frame that a plugin has held.
    pub(crate) fn stays(&self, meta: &Meta) -> Box<Stay> {
        Box::new(Stay {
            entered_ns: 0,
            queue: 0,
            trail: self.trails.get(&meta.serial).cloned().unwrap_or_default(),
            asked: Impairment::default(),
        })
    }

    /// Goes on with what was decided about a frame.
    pub(crate) fn resumes(&mut self, stay: &Stay, meta: &Meta) {
        if self.is_on {
            self.trails.insert(meta.serial, stay.trail.clone());
        }
    }

    /// Records what a line did to a frame.
    pub(crate) fn through(
        &mut self,
        at: LineAt,
        stay: &Stay,
        (frame, meta): (&[u8], &Meta),
        now: u64,
        outcome: &Outcome<()>,
    ) {
        let ts_ns = self.now(now);
        let Some((link, way)) = self.list.iter().find_map(|recording| recording.line_name(at)) else {
            return;
        };
        let waited_ns = now.saturating_sub(stay.entered_ns);
        let fate = words::fate(outcome, &stay.asked, waited_ns, stay.queue);
        let line = format!("link {link} {way}: {fate}");
        self.trails.insert(meta.serial, stay.trail.clone());
        let what = What {
            direction: Some(Direction::Outbound),
            packet: meta.serial,
            ts_ns,
            offload: meta.offload,
            frame,
            comment: &line,
        };
        if matches!(outcome, Outcome::Dropped { .. }) {
            return self.ended(what, &line, |recording| {
                recording.stages.then(|| recording.line(at)).flatten()
            });
        }
        for recording in &mut self.list {
            if recording.stages
                && let Some(interface) = recording.line(at)
            {
                put(recording, interface, &what);
            }
        }
        self.trails.entry(meta.serial).or_default().push(line);
    }

    /// Has the ports' frames be seen, or no longer.
    pub(crate) fn mark(&self, ports: &mut [Port]) {
        for (number, port) in ports.iter_mut().enumerate() {
            port.recorded = self.is_on.then_some(number);
        }
    }
}
