//! One recording of a pipeline.

use std::collections::HashMap;

use vnet_packet::Layer;

use super::recorder::Recorder;
use super::scope::{RecordId, Scope, ScopePort};
use super::source::Source;
use crate::error::EngineError;
use crate::forward::LineAt;
use crate::path::Home;
use crate::stage::StageId;

/// Low bits of a packet number, which tell the port it came by.
pub(super) const PORT_BITS: u32 = 16;

/// One recording of a pipeline: its own way to the writer, and what is recorded of what.
pub(crate) struct Recording {
    pub id: RecordId,
    pub(super) source: Source,
    pub(super) scope: Scope,
    /// The file's interfaces of the scope's ports.
    pub(super) ports: Vec<u16>,
    pub(super) stages: bool,
    pub(super) dropped: bool,
    /// The file's interfaces of stages, lines and the switch's decision.
    pub(super) stage_interfaces: HashMap<StageId, u16>,
    pub(super) line_interfaces: HashMap<LineAt, u16>,
    pub(super) switch_interface: Option<u16>,
    pub(super) layer: Layer,
    /// It goes with its only port from one pipeline to the next.
    pub follows: bool,
}

/// A stage and its place.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'s> {
    pub id: StageId,
    pub name: &'s str,
    pub home: Option<Home>,
}

impl Recording {
    /// Declares the interfaces of a scope.
    pub(crate) fn new(
        recorder: &Recorder,
        scope: Scope,
        layer: Layer,
        follows: bool,
    ) -> Result<Self, EngineError> {
        let options = recorder.options();
        let ports = scope
            .ports
            .iter()
            .map(|port| recorder.interface(&port.name, &port.description, layer))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            id: RecordId::next(),
            source: recorder.source(),
            ports,
            stages: options.stages,
            dropped: options.dropped,
            stage_interfaces: HashMap::new(),
            line_interfaces: HashMap::new(),
            switch_interface: None,
            layer,
            follows,
            scope,
        })
    }

    pub(super) fn port(&self, number: usize) -> Option<(&ScopePort, u16)> {
        let at = self.scope.ports.iter().position(|port| port.number == number)?;
        Some((&self.scope.ports[at], self.ports[at]))
    }

    pub(super) fn covers(&self, packet: u64) -> bool {
        let from = (packet & ((1 << PORT_BITS) - 1)) as usize;
        self.port(from).is_some()
    }

    pub(super) fn declare(&self, name: &str, description: &str) -> Option<u16> {
        self.source.hub.interface(name, description, self.layer)
    }

    /// The interface of a stage, a fresh one for the second of its name at the same place.
    pub(super) fn stage(&mut self, seat: &Seat<'_>, packet: u64) -> Option<u16> {
        let home = seat.home.filter(|home| match home {
            Home::Device(port) | Home::Link(port, _) => self.port(*port).is_some(),
            Home::Switch => self.covers(packet),
            Home::Wire => true,
        })?;
        if !self.stages {
            return None;
        }
        if let Some(known) = self.stage_interfaces.get(&seat.id) {
            return Some(*known);
        }
        let place = match home {
            Home::Wire | Home::Switch => &self.scope.whole,
            Home::Device(port) => &self.port(port)?.0.device,
            Home::Link(port, _) => &self.port(port)?.0.link,
        };
        let name = seat.name;
        let at = (1..).find_map(|n| {
            let full = match n {
                1 => format!("{place}/{name}"),
                n => format!("{place}/{name}#{n}"),
            };
            let interface = self.declare(&full, &format!("plugin {name} at {place}"));
            // Without room for one more the search is over, too.
            let is_free = interface.is_none_or(|i| !self.stage_interfaces.values().any(|used| *used == i));
            is_free.then_some(interface)
        })??;
        self.stage_interfaces.insert(seat.id, at);
        Some(at)
    }

    pub(super) fn line_name(&self, at: LineAt) -> Option<(String, &'static str)> {
        let (number, is_from) = match at {
            LineAt::From(port) => (port, true),
            LineAt::To(port) => (port, false),
        };
        let (port, _) = self.port(number)?;
        let way = if port.is_first == is_from { "a>b" } else { "b>a" };
        Some((port.link.clone(), way))
    }

    pub(super) fn line(&mut self, at: LineAt) -> Option<u16> {
        if let Some(known) = self.line_interfaces.get(&at) {
            return Some(*known);
        }
        let (link, way) = self.line_name(at)?;
        let interface = self.declare(
            &format!("{link}/{way}"),
            &format!("impairments of link {link}, {way}"),
        )?;
        self.line_interfaces.insert(at, interface);
        Some(interface)
    }

    pub(super) fn switch(&mut self) -> Option<u16> {
        if self.switch_interface.is_none() {
            let whole = &self.scope.whole;
            self.switch_interface = self.declare(
                &format!("{whole}/switch"),
                &format!("the decision of switch {whole}"),
            );
        }
        self.switch_interface
    }

    /// Has the file end with what is to be said of a port.
    pub(super) fn note(&self, port: usize, ts_ns: u64, text: &str) {
        if let Some((_, interface)) = self.port(port) {
            self.source.hub.note(interface, ts_ns, text.to_owned());
        }
    }

    pub(crate) fn port_numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.scope.ports.iter().map(|port| port.number)
    }

    /// Has its only port be another one.
    pub(super) fn renumber(&mut self, number: usize) {
        if let Some(port) = self.scope.ports.first_mut() {
            port.number = number;
        }
        self.line_interfaces.clear();
    }
}
