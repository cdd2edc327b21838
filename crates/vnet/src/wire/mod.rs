//! Forwarding between two devices.

mod lines;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lines::Impaired;
use vnet_datapath::{Pipeline, PipelineStats, Place, Port, StageId};
use vnet_packet::Layer;

use crate::attachment::{Attachment, AttachmentInner, Attachments, Begun, Owner};
use crate::device::{Device, Line, Source, both};
use crate::error::Error;
use crate::events::Scope;
use crate::fork::Generation;
use crate::plugin::{Direction, Plugin};

/// Forwards every frame between two devices, both ways, through a chain of plugins.
///
/// It has the frames of both devices: what is attached to them goes on, [`Device::send`] goes on, [`Device::recv`] is refused.
/// Closing it, or dropping its last handle, gives the devices back with what is attached to them. Closing a device closes its
/// wire first.
#[derive(Clone)]
pub struct Wire {
    pub(crate) inner: Arc<WireInner>,
}

pub(crate) struct WireInner {
    a: Device,
    b: Device,
    pub(crate) attachments: Attachments,
    pub(crate) scope: Scope,
    /// Taken before the pipeline.
    impaired: Mutex<Impaired>,
    pipeline: RwLock<Option<Pipeline>>,
    born: Generation,
}

impl Wire {
    /// Joins two devices.
    ///
    /// # Errors
    /// [`Error::Busy`] when one is in another wire, [`Error::Invalid`] when both are the same or carry different layers,
    /// [`Error::Gone`], [`Error::Closed`].
    pub fn new(a: &Device, b: &Device) -> Result<Self, Error> {
        let wire = Self::held(a, b)?;
        wire.start()?;
        Ok(wire)
    }

    /// Joins two devices without forwarding anything before [`Wire::start`], so that no frame passes before the plugins
    /// are attached and the impairments set; until then the kernel queues what arrives.
    ///
    /// # Errors
    /// As [`Wire::new`].
    pub fn held(a: &Device, b: &Device) -> Result<Self, Error> {
        Self::seeded(a, b, vnet_lab::any_seed())
    }

    /// Joins two devices as [`Wire::held`], with a seed of everything random in its impairments.
    ///
    /// # Errors
    /// As [`Wire::new`].
    pub fn seeded(a: &Device, b: &Device, seed: u64) -> Result<Self, Error> {
        if Arc::ptr_eq(&a.inner, &b.inner) {
            return Err(Error::Invalid {
                what: format!("a wire joins two devices, and {a} is one"),
                hint: None,
            });
        }
        if a.layer() != b.layer() {
            return Err(Error::Invalid {
                what: format!("{a} carries {} and {b} {}", frames(a), frames(b)),
                hint: Some("join two Ethernet devices, or two TUN devices".into()),
            });
        }
        a.check_open()?;
        b.check_open()?;
        let (mut line_a, mut line_b) = both(&a.inner, &b.inner);
        for (device, line) in [(a, &*line_a), (b, &*line_b)] {
            match line {
                Line::Wired(wire, _) if wire.strong_count() > 0 => {
                    return Err(Error::Busy {
                        name: device.name().into(),
                        owner: Some("another wire".into()),
                    });
                }
                Line::Closed | Line::Wired(..) => return Err(device.closed_error()),
                Line::Idle(_) | Line::Sink(_) => {}
            }
        }
        let port_a = release(a, &mut line_a)?;
        let port_b = match release(b, &mut line_b) {
            Ok(port) => port,
            Err(error) => {
                give_back(a, &mut line_a, port_a);
                return Err(error);
            }
        };
        let pipeline = Pipeline::wire_held(port_a, port_b)?;
        pipeline.set_busy_poll(a.busy_poll().max(b.busy_poll()))?;
        let wire = Arc::new(WireInner {
            a: a.clone(),
            b: b.clone(),
            attachments: Attachments::default(),
            scope: Scope::next(),
            impaired: Impaired::new(seed),
            pipeline: RwLock::new(Some(pipeline)),
            born: Generation::current(),
        });
        *line_a = Line::Wired(Arc::downgrade(&wire), 0);
        *line_b = Line::Wired(Arc::downgrade(&wire), 1);
        Ok(Self { inner: wire })
    }

    /// Returns the two devices; frames from the first to the second are ingress.
    #[must_use]
    pub fn devices(&self) -> (&Device, &Device) {
        (&self.inner.a, &self.inner.b)
    }

    /// Begins to forward; does nothing where that is done already.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn start(&self) -> Result<(), Error> {
        self.inner.on_pipeline(|pipeline| Ok(pipeline.start()?))
    }

    /// Puts a plugin behind those already there; one instance judges both directions with [`Direction::Both`].
    ///
    /// # Errors
    /// As [`Device::attach`].
    pub fn attach(&self, plugin: &Plugin, direction: Direction) -> Result<Attachment, Error> {
        self.attach_at(plugin, direction, None)
    }

    /// Puts a plugin at a position from 0 among those already there; `None`, or a number beyond them, is the end.
    ///
    /// # Errors
    /// As [`Device::attach`].
    pub fn attach_at(
        &self,
        plugin: &Plugin,
        direction: Direction,
        position: Option<usize>,
    ) -> Result<Attachment, Error> {
        let (layer, ports, mtu) = self.inner.fit()?;
        let plugin = plugin.numbered(self.inner.attachments.number());
        let (stage, tail) = plugin.stage(layer, ports, mtu)?;
        let begun = Begun::new(&plugin, stage.stage(), tail);
        let stage = std::cell::Cell::new(Some(stage));
        let id: StageId = self.inner.on_pipeline(|pipeline| {
            let stage = stage.take().ok_or_else(|| self.inner.closed_error())?;
            Ok(pipeline.attach(Place::Wire(direction.into()), stage, position)?)
        })?;
        let owner = Owner::Wire(Arc::downgrade(&self.inner));
        let inner = Arc::new(AttachmentInner::new(begun, id, owner));
        plugin.attached(id);
        self.inner.attachments.add(&inner);
        Ok(Attachment { inner })
    }

    /// Returns the counters of both devices and of all plugins.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn stats(&self) -> Result<PipelineStats, Error> {
        self.inner.on_pipeline(|pipeline| Ok(pipeline.stats()?))
    }

    /// Returns whose events [`next_events`](crate::next_events) is asked for to get those of its plugins.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.inner.scope
    }

    /// Returns whether it was closed, by itself or with one of its devices.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.inner.born.is_ours() || self.inner.read().is_none()
    }

    /// Ends the forwarding and gives the devices back. Doing it again does nothing.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl WireInner {
    /// Returns what a stage must fit: layer, number of ports, and MTU as it is just now.
    pub(crate) fn fit(&self) -> Result<(Layer, u16, u32), Error> {
        let mtu = self.a.mtu()?.max(self.b.mtu()?);
        Ok((self.a.layer(), 2, mtu))
    }

    pub(crate) fn on_pipeline<T>(&self, use_it: impl Fn(&Pipeline) -> Result<T, Error>) -> Result<T, Error> {
        self.born.check(&self.to_string())?;
        match &*self.read() {
            Some(pipeline) => use_it(pipeline),
            None => Err(self.closed_error()),
        }
    }

    fn close(&self) {
        if !self.born.is_ours() {
            return;
        }
        let (mut line_a, mut line_b) = both(&self.a.inner, &self.b.inner);
        let Some(pipeline) = self
            .pipeline
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        self.end_lines(&pipeline);
        self.attachments.end(&pipeline);
        let ports = pipeline
            .into_parts()
            .map(|parts| parts.ports)
            .unwrap_or_else(|error| {
                tracing::error!("{self}: {error}; its devices are closed");
                Vec::new()
            });
        let mut ports = ports.into_iter();
        for (device, line) in [(&self.a, &mut *line_a), (&self.b, &mut *line_b)] {
            match ports.next() {
                Some(port) => give_back(device, line, port),
                None => *line = Line::Closed,
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Option<Pipeline>> {
        self.pipeline.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_error(&self) -> Error {
        Error::Closed {
            what: self.to_string(),
        }
    }
}

impl std::fmt::Display for WireInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the wire between {} and {}", self.a.name(), self.b.name())
    }
}

impl Drop for WireInner {
    fn drop(&mut self) {
        if self.born.is_ours() {
            self.close();
        } else {
            std::mem::forget(
                self.pipeline
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            );
        }
    }
}

fn frames(device: &Device) -> &'static str {
    match device.layer() {
        vnet_packet::Layer::L2 => "Ethernet frames",
        vnet_packet::Layer::L3 => "bare IP packets",
    }
}

/// Takes the port out of a line, ending the device's own pipeline.
fn release(device: &Device, line: &mut Line) -> Result<Port, Error> {
    if let Line::Sink(_) = line {
        let Line::Sink(pipeline) = std::mem::replace(line, Line::Closed) else {
            return Err(device.closed_error());
        };
        return pipeline
            .into_parts()?
            .ports
            .into_iter()
            .next()
            .ok_or_else(|| device.closed_error());
    }
    device.take_port(line)
}

/// Puts a port back: into a pipeline of its own where plugins or a recording are at work, else aside until frames are wanted.
fn give_back(device: &Device, line: &mut Line, port: Port) {
    *line = if device.inner.attachments.is_empty() && !port.is_recorded() {
        Line::Idle(Source::Port(Box::new(Mutex::new(port))))
    } else {
        match device.sink(port) {
            Ok(pipeline) => Line::Sink(pipeline),
            Err(error) => {
                tracing::error!("{device} is closed, because its frames cannot be carried on: {error}");
                Line::Closed
            }
        }
    };
}
