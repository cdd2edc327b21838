mod asked;
mod callouts;
mod chain;
mod delayed;
mod door;
mod exchange;
mod lines;
mod mark;
mod pump;
mod run;
mod scratch;
mod switch;

#[cfg(test)]
mod answered;
#[cfg(test)]
mod chained;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod exchanged;
#[cfg(test)]
mod impaired;
#[cfg(test)]
mod model;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod speed;

use std::collections::VecDeque;

use vnet_packet::Layer;
use vnet_runtime::{Injected, MapCopy, MapInfo, StageStats};

use crate::callout::Home;
use crate::cause::Causes;
use crate::clock::Clock;
use crate::deadlines::Deadlines;
use crate::fdb::Fdb;
use crate::frame::{Accepts, Meta};
use crate::path::{End, Hop, Path, Places, Shape, arriving};
use crate::port::{Counters, Port};
use crate::record::Recordings;
use crate::sink::SinkSender;
use crate::stage::{Direction, LinkSide, StageBox, StageId};
use crate::stats::PipelineStats;

pub(crate) use exchange::{Exchange, Unchanged};
pub(crate) use lines::Held;
pub use lines::LineAt;
use lines::Lines;
pub(crate) use scratch::Scratch;

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
    /// Frames appended or injected by plugins.
    pub appended: u64,
    /// Frames added by software segmentation, beyond the one each was cut from.
    pub segmented: u64,
    /// Frames added by flooding, beyond the first copy of each.
    pub flooded: u64,
    /// Frames added by lines, beyond the first copy of each.
    pub duplicated: u64,
    /// Frames whose sender found no room in the forwarding table.
    pub unlearned: u64,
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
    /// By number; one that was taken out leaves a vacant port.
    pub ports: Vec<Port>,
    pub ledger: Ledger,
    pub recordings: Recordings,
    /// What a switch has learned; empty and unused elsewhere.
    pub fdb: Option<Fdb>,
    pub lines: Lines,
    /// When the first timer of a stage, by index, comes.
    timers: Deadlines,
    /// Where stages that are judged elsewhere have their answers announced.
    home: Option<Home>,
    /// Empty between two collections of what plugins made.
    injected: Injected,
    /// Numbers of the ports that are not vacant.
    live: Vec<usize>,
    stages: Vec<Option<Box<StageBox>>>,
    /// Stages with frames waiting, in the order they got the first.
    busy: VecDeque<usize>,
    places: Places,
    paths: Vec<Path>,
    layer: Layer,
    sink: Option<SinkSender>,
    /// The time of the read or job at hand, on the pipeline's clock.
    pub now: u64,
    /// That clock, where there is a real one.
    pub clock: Option<Clock>,
    /// The worker's, while it is at work on this pipeline; empty otherwise.
    pub scratch: Scratch,
}

/// A place in a pipeline where a stage can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At one port, by index, in the given direction.
    Port(usize, Direction),
    /// Between the two ports of a wire.
    Wire(Direction),
    /// On the link that ends at a switch's port: the port, which of the link's frames, and which end of it the node is.
    ///
    /// Ingress is what came from the link's first end. A stage here sees port 0 on those frames and port 1 on the others,
    /// and never the EGRESS flag. Its PASS and REDIRECT lead on, its TX leads back where the frame came from.
    Link(usize, Direction, LinkSide),
    /// At the entrance of a switch: every frame that enters it, with the number of the port it came by.
    ///
    /// A frame is judged once, as it enters: [`Direction::Both`] means the same as ingress, and there is no egress. PASS
    /// leaves it to the switch's own forwarding.
    Switch(Direction),
}

impl Forwarder {
    /// Takes the ports with what is attached to them.
    pub(crate) fn new(ports: Vec<Port>, shape: Shape, layer: Layer, sink: Option<SinkSender>) -> Self {
        let mut forwarder = Self {
            ports: Vec::with_capacity(ports.len()),
            ledger: Ledger::default(),
            recordings: Recordings::default(),
            fdb: (shape == Shape::Switch).then(Fdb::new),
            lines: Lines::default(),
            timers: Deadlines::default(),
            home: None,
            injected: Injected::default(),
            live: Vec::with_capacity(ports.len()),
            stages: Vec::new(),
            busy: VecDeque::new(),
            places: Places::new(shape, 0),
            paths: Vec::new(),
            layer,
            sink,
            now: 0,
            clock: None,
            scratch: Scratch::default(),
        };
        for port in ports {
            forwarder.seat(port);
        }
        forwarder.recordings.mark(&mut forwarder.ports);
        forwarder.rebuild();
        forwarder.share_arenas();
        forwarder
    }

    /// Gives a port the next number and its stages their place, without paths.
    fn seat(&mut self, mut port: Port) -> usize {
        let number = self.ports.len();
        // A pipeline's numbers add up only when all of them begin with it.
        port.counters = Counters::default();
        self.places.ports.push(Default::default());
        for stage in port.attached.drain(..) {
            let direction = stage.direction;
            if let (Some(callout), Some(home)) = (&stage.callout, &self.home) {
                callout.settle_in(home);
            }
            let index = self.stages.len();
            self.stages.push(Some(stage));
            self.places.ports[number].device.push((index, direction));
        }
        self.busy.reserve(self.stages.len());
        for recording in port.recorder.drain(..) {
            self.recordings.seat(recording, number, self.clock);
        }
        self.ports.push(port);
        self.live.push(number);
        number
    }

    /// Gives the ports back with their own stages, without vacant ones; what was attached elsewhere ends here.
    pub(crate) fn into_ports(mut self) -> Vec<Port> {
        self.note_recordings();
        for port in 0..self.ports.len() {
            self.unseat(port);
        }
        self.ports.retain(|port| !port.is_vacant());
        self.ports
    }

    /// Puts a port's own stages back on it.
    fn unseat(&mut self, port: usize) {
        let following = self.recordings.unseat(port);
        self.ports[port].recorder.extend(following);
        self.ports[port].recorded = None;
        self.ports[port].stamp_arrivals(None);
        for (stage, _) in std::mem::take(&mut self.places.ports[port].device) {
            self.timers.set(stage, None);
            if let Some(mut stage) = self.stages[stage].take() {
                stage.stage.unshare_arena();
                self.ports[port].attached.push(stage);
            }
        }
    }

    /// Gives it the worker's clock.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = Some(clock);
        self.recordings.set_clock(clock);
    }

    /// Tells every recording what the lines at its ports did so far.
    pub(crate) fn note_recordings(&mut self) {
        for (id, port) in self.recordings.ports() {
            if let Some(text) = self.line_note(port, self.now) {
                self.recordings.note(id, port, self.now, &text);
            }
        }
    }

    /// Takes note of the worker that carries it.
    pub(crate) fn settle_in(&mut self, home: Home) {
        for stage in self.stages.iter().flatten() {
            if let Some(callout) = &stage.callout {
                callout.settle_in(&home);
            }
        }
        self.home = Some(home);
    }

    /// Adds a stage at `position` of its place, or at the end.
    pub(crate) fn attach(&mut self, place: Place, stage: Box<StageBox>, position: Option<usize>) -> StageId {
        let id = stage.id;
        let direction = stage.direction;
        if let (Some(callout), Some(home)) = (&stage.callout, &self.home) {
            callout.settle_in(home);
        }
        let index = self.stages.iter().position(Option::is_none).unwrap_or_else(|| {
            self.stages.push(None);
            self.stages.len() - 1
        });
        self.stages[index] = Some(stage);
        self.busy.reserve(self.stages.len());
        match place {
            Place::Port(port, _) => insert(&mut self.places.ports[port].device, position, (index, direction)),
            Place::Link(port, _, node) => insert(
                &mut self.places.ports[port].link,
                position,
                (index, direction, node),
            ),
            Place::Wire(_) => insert(&mut self.places.wire, position, (index, direction)),
            Place::Switch(_) => insert(&mut self.places.switch, position, index),
        }
        match place {
            Place::Port(port, _) | Place::Link(port, ..) if self.places.shape == Shape::Switch => {
                self.rebuild_port(port);
            }
            _ => self.rebuild(),
        }
        self.share_arenas();
        if let Some(clock) = self.clock {
            self.now = clock.now();
            self.note_asked(index, 0);
            self.settle_turns();
        }
        id
    }

    /// Takes a stage out again.
    pub(crate) fn detach(&mut self, id: StageId) -> Option<Box<StageBox>> {
        let index = self.index(id)?;
        self.flush_callout(index);
        let mut stage = self.stages[index].take()?;
        stage.stage.unshare_arena();
        self.timers.set(index, None);
        self.places.remove(index);
        self.rebuild();
        self.share_arenas();
        Some(stage)
    }

    pub(crate) fn stage(&self, id: StageId) -> Option<&StageBox> {
        self.stages.iter().flatten().find(|s| s.id == id).map(|s| &**s)
    }

    pub(crate) fn stage_mut(&mut self, id: StageId) -> Option<&mut StageBox> {
        self.stages
            .iter_mut()
            .flatten()
            .find(|s| s.id == id)
            .map(|s| &mut **s)
    }

    /// Returns the ports at which, or on whose links, a stage is; none for one of the whole pipeline.
    pub(crate) fn ports_of(&self, id: StageId) -> Option<Vec<usize>> {
        let index = self.index(id)?;
        let is_there = |(_, at): &(usize, &crate::path::AtPort)| {
            at.device.iter().any(|(stage, _)| *stage == index)
                || at.link.iter().any(|(stage, ..)| *stage == index)
        };
        let ports = self.places.ports.iter().enumerate().filter(is_there);
        Some(ports.map(|(number, _)| number).collect())
    }

    pub(crate) fn all_stats(&self) -> Vec<StageStats> {
        self.stages.iter().flatten().map(|s| s.stats()).collect()
    }

    /// Returns the sound maps of each stage.
    pub(crate) fn all_maps(&mut self) -> Vec<Vec<(MapInfo, MapCopy)>> {
        let stages = self.stages.iter_mut().flatten().map(|s| &mut s.stage);
        stages
            .map(|stage| {
                let names = stage.map_names().unwrap_or_default();
                let copies = names.iter().filter_map(|name| {
                    let info = stage.map_info(name).ok()?;
                    let copy = stage.map_copy(name, MapCopy::default()).ok()?;
                    copy.entries().is_ok().then_some((info, copy))
                });
                copies.collect()
            })
            .collect()
    }

    /// Returns the numbers, but for what only the worker knows.
    pub(crate) fn stats(&mut self) -> PipelineStats {
        let ledger = &self.ledger;
        PipelineStats {
            sent_in: ledger.sent_in,
            appended: ledger.appended,
            segmented: ledger.segmented,
            flooded: ledger.flooded,
            duplicated: ledger.duplicated,
            held: (self.lines.held() + self.asked_about()) as u64,
            unlearned: ledger.unlearned,
            stage_drops: ledger.stage_drops,
            delivered: ledger.delivered,
            drops: ledger.drops.named(),
            batches: ledger.batches,
            stages: self.all_stats(),
            ports: self.ports.iter_mut().map(Port::stats).collect(),
            ..PipelineStats::default()
        }
    }

    fn index(&self, id: StageId) -> Option<usize> {
        self.stages
            .iter()
            .position(|s| s.as_ref().is_some_and(|s| s.id == id))
    }

    /// Recomputes all paths.
    fn rebuild(&mut self) {
        for port in 0..self.ports.len() {
            self.rebuild_port(port);
        }
    }

    /// Recomputes the paths that begin at a port and asks its device for what its whole path takes.
    fn rebuild_port(&mut self, port: usize) {
        let layer_flag = if self.layer == Layer::L3 {
            vnet_abi::flags::L3
        } else {
            0
        };
        let paths = self.places.paths(port, layer_flag);
        let first = arriving(port);
        let behind = self.paths.len().min(first + paths.len());
        self.paths.splice(first..behind, paths);
        let path = &self.paths[first];
        let end = match path.end {
            End::Port(q) => self.ports[q].accepts(),
            End::Sink => Accepts::NONE,
            // Each port a switch forwards to has a door of its own.
            End::Core(_) => Accepts::ALL,
        };
        let all = path
            .hops
            .iter()
            .filter_map(|hop| match hop {
                Hop::Stage(visit) => self.stages[visit.stage].as_ref().map(|stage| stage.accepts),
                Hop::Line(line) => Some(self.lines.accepts(*line)),
            })
            .fold(end, Accepts::and);
        self.ports[port].negotiate(all);
    }

    /// Counts a port as gone, so that what is sent there is dropped under that name.
    pub(crate) fn lose(&mut self, port: usize) {
        self.ports[port].lose();
        self.forget_learned(port);
        if let Some(sink) = &mut self.sink {
            sink.end();
        }
    }
}

fn insert<T>(list: &mut Vec<T>, position: Option<usize>, item: T) {
    list.insert(position.unwrap_or(list.len()).min(list.len()), item);
}
