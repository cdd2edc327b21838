//! Recordings: of one port, and of several in one file.

use std::path::Path;

use super::Pipeline;
use crate::carried::Carried;
use crate::error::EngineError;
use crate::port::PortInfo;
use crate::record::{Interface, Note, RecordId, Recorded, Recorder};

impl Pipeline {
    /// Copies every frame that crosses a port, as it arrives and as it leaves, to a pcapng file.
    ///
    /// It goes with the port from one pipeline to the next.
    ///
    /// # Errors
    /// [`EngineError::Capture`], [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn record(&self, port: usize, path: &Path) -> Result<(), EngineError> {
        let interface = self.on_info(port, |info| interface(info, &info.name))?;
        let recorder = Recorder::start(path, &[interface])?;
        let before = self.ask(move |worker| worker.forwarder.ports[port].recorder.replace(recorder))?;
        drop(before);
        Ok(())
    }

    /// Ends a recording and tells how many frames it holds; `None` when there was none.
    ///
    /// # Errors
    /// [`EngineError::Capture`] when the file could not be written, [`EngineError::Ended`].
    pub fn stop_recording(&self, port: usize) -> Result<Option<Recorded>, EngineError> {
        let recorder = self.ask(move |worker| {
            let recorder = worker
                .forwarder
                .ports
                .get_mut(port)
                .and_then(|p| p.recorder.take())?;
            recorder.set_notes(notes(worker, &[(0, port)]));
            Some(recorder)
        })?;
        recorder.map(Recorder::finish).transpose()
    }

    /// Copies every frame that crosses some ports to one pcapng file: each port is an interface under the name given, and
    /// each frame says whether it came in or went out there.
    ///
    /// Any number of recordings may run. One ends with [`Pipeline::stop_record`], or with the pipeline.
    ///
    /// # Errors
    /// [`EngineError::Capture`] also for no port and for a `.pcap` file of several, [`EngineError::NoSuchPlace`],
    /// [`EngineError::Ended`].
    pub fn record_many(&self, ports: &[(usize, String)], path: &Path) -> Result<RecordId, EngineError> {
        // Held until the ports are recorded, so that none goes meanwhile.
        let infos = self.infos();
        let mut numbers = Vec::with_capacity(ports.len());
        let mut interfaces = Vec::with_capacity(ports.len());
        for (port, name) in ports {
            let info = infos.get(*port).and_then(Option::as_ref);
            let info = info.ok_or_else(|| self.no_place(format!("port {port}")))?;
            numbers.push(*port);
            interfaces.push(interface(info, name));
        }
        let recorder = Recorder::start(path, &interfaces)?;
        let id = RecordId::next();
        self.ask(move |worker| {
            let forwarder = &mut worker.forwarder;
            for (port, tap) in numbers.into_iter().zip(forwarder.recordings.add(id, recorder)) {
                forwarder.ports[port].recorded.push(tap);
            }
        })?;
        Ok(id)
    }

    /// Ends a recording of several ports and tells how many frames it holds.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRecording`], [`EngineError::Capture`] when the file could not be written,
    /// [`EngineError::Ended`].
    pub fn stop_record(&self, id: RecordId) -> Result<Recorded, EngineError> {
        let recorder = self.ask(move |worker| {
            let interfaces = worker
                .forwarder
                .recordings
                .interfaces(id, &worker.forwarder.ports);
            let notes = notes(worker, &interfaces);
            let forwarder = &mut worker.forwarder;
            let recorder = forwarder.recordings.remove(id, &mut forwarder.ports)?;
            recorder.set_notes(notes);
            Some(recorder)
        })?;
        recorder
            .ok_or_else(|| EngineError::NoSuchRecording {
                port: self.name.clone(),
            })?
            .finish()
    }
}

/// What a capture says of the impaired links at its ports.
fn notes(worker: &mut Carried, interfaces: &[(u16, usize)]) -> Vec<Note> {
    let ts_ns = worker.now();
    let note = |(interface, port): &(u16, usize)| {
        let text = worker.forwarder.line_note(*port, ts_ns)?;
        Some(Note {
            interface: *interface,
            ts_ns,
            text,
        })
    };
    interfaces.iter().filter_map(note).collect()
}

fn interface(info: &PortInfo, name: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        layer: info.layer,
    }
}
