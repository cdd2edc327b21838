//! Frames of a device by hand, plugins on it, and captures of it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vnet_datapath::{Place, Recorder, StageId};
use vnet_packet::Layer;

use super::line::SLICE;
use super::{Device, Line};
use crate::attachment::{Attachment, AttachmentInner, Begun, Owner};
use crate::error::Error;
use crate::plugin::{Direction, Plugin};
use crate::recording::{Output, RecordOptions, Recording};
use crate::wire::Wire;

/// One frame or packet, and when the engine saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its octets: from the Ethernet header on at layer 2, from the IP header on at layer 3.
    pub bytes: Vec<u8>,
    /// Unix time in nanoseconds.
    pub ts_ns: u64,
    /// Whether it begins with an Ethernet header.
    pub layer: Layer,
}

impl Device {
    /// Writes one frame to the device, through its egress plugins.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the device cannot carry its length, [`Error::Gone`], [`Error::Closed`].
    pub fn send(&self, frame: &[u8]) -> Result<(), Error> {
        self.on_pipeline(|pipeline, port| Ok(pipeline.send(port, frame)?))
    }

    /// Waits up to `timeout` (`None`: for ever) and returns the next frame that the ingress plugins let through; `None` when
    /// the time is over.
    ///
    /// # Errors
    /// [`Error::Gone`] when the device vanished, [`Error::Closed`] when it is closed meanwhile, [`Error::Unsupported`] while
    /// a wire has its frames.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Option<Frame>, Error> {
        // A time beyond what the clock can express is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            let frame = self.on_sink(|pipeline| Ok(pipeline.recv(Some(slice))?))?;
            if let Some(frame) = frame {
                return Ok(Some(Frame {
                    bytes: frame.bytes,
                    ts_ns: frame.ts_ns,
                    layer: self.inner.layer,
                }));
            }
            if left.is_some_and(|left| left <= slice) {
                return Ok(None);
            }
        }
    }

    /// Returns a descriptor of its own that is readable while frames wait for [`Device::recv`]; it is never read from.
    ///
    /// # Errors
    /// As [`Device::recv`].
    pub fn event_fd(&self) -> Result<OwnedFd, Error> {
        self.on_sink(|pipeline| {
            let fd = pipeline.event_fd().ok_or_else(|| self.closed_error())?;
            fd.try_clone_to_owned()
                .map_err(|error| Error::io("cannot duplicate the event descriptor", &error))
        })
    }

    /// Puts a plugin behind those already there; see [`Device::attach_at`].
    ///
    /// # Errors
    /// [`Error::PluginRejected`] with the reason in words, [`Error::PluginTrap`], [`Error::PluginTimeout`],
    /// [`Error::NotFound`] when there is no such file.
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
        self.check_open()?;
        let plugin = plugin.numbered(self.inner.attachments.number());
        let (stage, tail) = plugin.stage(self.inner.layer, 1, self.mtu()?)?;
        let begun = Begun::new(&plugin, stage.stage(), tail);
        let stage = std::cell::Cell::new(Some(stage));
        let id: StageId = self.on_pipeline(|pipeline, port| {
            let stage = stage.take().ok_or_else(|| self.closed_error())?;
            Ok(pipeline.attach(Place::Port(port, direction.into()), stage, position)?)
        })?;
        let owner = Owner::Device(Arc::downgrade(&self.inner));
        let inner = Arc::new(AttachmentInner::new(begun, id, owner));
        plugin.attached(id);
        self.inner.attachments.add(&inner);
        Ok(Attachment { inner })
    }

    /// Writes every frame that enters or leaves to a capture file, until the recording is stopped or the device closed.
    ///
    /// The file is pcapng. Frames are recorded as they are on the wire; large frames that the device was to segment are
    /// recorded whole.
    ///
    /// # Errors
    /// [`Error::System`] when the file cannot be made.
    pub fn record(&self, path: &Path) -> Result<Recording, Error> {
        self.capture(Output::File(path.to_owned()), RecordOptions::default())
    }

    /// Copies every frame that enters or leaves to a capture, until that is stopped or the device closed.
    ///
    /// # Errors
    /// As [`Device::record`].
    pub fn capture(&self, output: Output, options: RecordOptions) -> Result<Recording, Error> {
        let path = output.path();
        let recorder = Recorder::start(output, options)?;
        let id = self.on_pipeline(|pipeline, port| Ok(pipeline.record(port, &recorder)?))?;
        recorder.seal();
        Ok(Recording::of_device(self.clone(), recorder, id, path))
    }

    /// Closes the wire that has this device's port, if one has.
    pub(super) fn leave_wire(&self) {
        let wire = match &*self.inner.line.read() {
            Line::Wired(wire, _) => wire.upgrade(),
            _ => None,
        };
        if let Some(wire) = wire {
            Wire { inner: wire }.close();
        }
    }
}

impl Frame {
    /// Returns one line in tcpdump's manner.
    #[must_use]
    pub fn summary(&self) -> String {
        vnet_packet::summary(&self.bytes, self.layer)
    }

    /// Returns the octets as `tcpdump -xx` prints them: 16 a line, in pairs, after their offset.
    #[must_use]
    pub fn hexdump(&self) -> String {
        let line = |(number, octets): (usize, &[u8])| {
            let pairs: Vec<String> = octets
                .chunks(2)
                .map(|pair| pair.iter().map(|octet| format!("{octet:02x}")).collect())
                .collect();
            format!("\t0x{:04x}:  {}", number * 16, pairs.join(" "))
        };
        self.bytes
            .chunks(16)
            .enumerate()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
