//! Recordings of what passes a pipeline.

use vnet_packet::pcap;

use super::Pipeline;
use crate::error::EngineError;
use crate::record::{RecordId, Recorder, Recording, Scope, ScopePort};

impl Pipeline {
    /// Records every frame that crosses a port, as it arrives and as it leaves, under the port's name.
    ///
    /// It goes with the port from one pipeline to the next.
    ///
    /// # Errors
    /// [`EngineError::Capture`], [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn record(&self, port: usize, to: &Recorder) -> Result<RecordId, EngineError> {
        let name = self.on_info(port, |info| info.name.clone())?;
        let port = ScopePort {
            number: port,
            description: format!("device {name}"),
            device: name.clone(),
            link: name.clone(),
            is_first: true,
            arriving: true,
            leaving: Some(pcap::Direction::Outbound),
            name: name.clone(),
        };
        let scope = Scope {
            whole: name,
            ports: vec![port],
            names: Vec::new(),
        };
        self.add_recording(to, scope, true)
    }

    /// Records the part of a pipeline that a scope names, until [`Pipeline::stop_record`] or the pipeline's end.
    ///
    /// Any number of recordings may run.
    ///
    /// # Errors
    /// As [`Pipeline::record`].
    pub fn record_scope(&self, scope: Scope, to: &Recorder) -> Result<RecordId, EngineError> {
        self.add_recording(to, scope, false)
    }

    fn add_recording(&self, to: &Recorder, scope: Scope, follows: bool) -> Result<RecordId, EngineError> {
        // Held until the ports are recorded, so that none goes meanwhile.
        let infos = self.infos();
        let mut layer = None;
        for port in &scope.ports {
            let info = infos.get(port.number).and_then(Option::as_ref);
            let info = info.ok_or_else(|| self.no_place(format!("port {}", port.number)))?;
            layer = Some(info.layer);
        }
        let layer = layer.ok_or_else(|| self.no_place("a recording of no port".to_owned()))?;
        let recording = Recording::new(to, scope, layer, follows)?;
        let id = recording.id;
        self.ask(move |worker| {
            let forwarder = &mut worker.forwarder;
            forwarder.recordings.add(recording, forwarder.clock);
            forwarder.recordings.mark(&mut forwarder.ports);
        })?;
        Ok(id)
    }

    /// Has a recording get nothing more from this pipeline; false when it got nothing from it.
    ///
    /// # Errors
    /// [`EngineError::Ended`].
    pub fn stop_record(&self, id: RecordId) -> Result<bool, EngineError> {
        self.ask(move |worker| {
            let now = worker.now();
            let forwarder = &mut worker.forwarder;
            forwarder.now = forwarder.now.max(now);
            forwarder.note_recordings();
            let ended = forwarder.recordings.remove(id);
            forwarder.recordings.mark(&mut forwarder.ports);
            ended.is_some()
        })
    }
}
