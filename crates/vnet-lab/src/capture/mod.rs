//! Captures: what the nodes' kernels, the links and the engine see, in one file.

mod shape;
mod taps;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use vnet_datapath::{Output, RecordId, RecordOptions, Recorded, Recorder, Records, Whole};
use vnet_sandbox::SocketSpec;
use vnet_topology::Resolved;

use self::shape::Shape;
use self::taps::{Key, Of, Tap};
use crate::cancel::never;
use crate::error::LabError;
use crate::island::{At, Held, IslandInner};
use crate::network::{Live, Network};
use crate::sockets::Listed;

/// What a capture is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// A link, an interface, or a switch with all its ports.
    At(At),
    /// A host or router with the interfaces that it has and gets, or those that are named; a switch with all its ports.
    Node {
        /// Its name.
        node: String,
        /// Which interfaces; `None` for all but loopback.
        interfaces: Option<Vec<String>>,
    },
    /// All hosts, routers and switches.
    Network,
}

/// A capture in progress; dropping it ends the capture.
pub struct Recording {
    capture: Arc<Capture>,
    path: PathBuf,
}

/// A capture as its network knows it.
pub(crate) struct Capture {
    recorder: Recorder,
    what: Captured,
    /// Where it gets frames from; `None` once it ends.
    sources: Mutex<Option<Sources>>,
}

#[derive(Default)]
struct Sources {
    shape: Shape,
    /// What sockets record, with the descriptors that a forked child must not keep.
    taps: HashMap<Key, Vec<Listed>>,
    parts: Vec<Part>,
    /// The stream that is written to.
    stream: Option<Listed>,
}

/// A recording in one of the engine's parts, with the ports it is about: number, name, link.
struct Part {
    island: Arc<IslandInner>,
    id: RecordId,
    ports: Vec<(usize, String, String)>,
}

impl Network {
    /// Copies frames to a capture file or stream, as docs/captures.md says; armed when this returns. Starts the network if need
    /// be. Interfaces and links of what is captured that come later join it.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Engine`] when the file cannot be made, and as [`Network::start`].
    pub fn record(
        &self,
        what: &Captured,
        output: Output,
        options: RecordOptions,
    ) -> Result<Recording, LabError> {
        let path = output.path();
        let capture = self.inner.live(&never, |live, _| {
            let (taps, shape) = live.plan_capture(what, options.stages)?;
            let mut sources = Sources {
                shape,
                ..Sources::default()
            };
            if let Output::Stream(fd) = &output {
                sources.stream = Some(live.sockets.list(fd));
            }
            let recorder = Recorder::start(output, options)?;
            sources.listen(live, &recorder, &taps)?;
            let capture = Arc::new(Capture {
                recorder,
                what: what.clone(),
                sources: Mutex::new(Some(sources)),
            });
            for held in live.islands.values() {
                capture.arm(&live.plan, held)?;
            }
            live.captures.retain(|known| known.strong_count() > 0);
            live.captures.push(Arc::downgrade(&capture));
            Ok(capture)
        })?;
        Ok(Recording { capture, path })
    }
}

impl Recording {
    /// Returns the file that is written, `-` for a stream.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many frames the engine had no room for so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.capture.recorder.lost()
    }

    /// Tells whether it has ended, also by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.capture.recorder.is_over()
    }

    /// Ends the capture and returns how many frames are in the file, which is complete then. Doing it again returns the same.
    ///
    /// It ends by itself with the network.
    ///
    /// # Errors
    /// [`LabError::Engine`] when the file could not be written to the end.
    pub fn stop(&self) -> Result<Recorded, LabError> {
        self.capture.stop()
    }
}

impl Sources {
    /// Has sockets record what they are to, unless some do already, and those end that record what has gone.
    fn listen(&mut self, live: &Live, recorder: &Recorder, taps: &[Tap]) -> Result<(), LabError> {
        let wanted: HashSet<Key> = taps.iter().map(Tap::key).collect();
        let gone = self.taps.extract_if(|key, _| !wanted.contains(key));
        recorder.end_sockets(gone.map(|(key, _)| key).collect());
        let (mut sockets, mut armed) = (Vec::new(), Vec::new());
        for tap in taps.iter().filter(|tap| !self.taps.contains_key(&tap.key())) {
            let spec = SocketSpec {
                domain: libc::AF_PACKET,
                kind: libc::SOCK_RAW | libc::SOCK_NONBLOCK,
                protocol: 0,
                bind: None,
                device: None,
            };
            let fd = live.lab.socket(tap.space, &spec)?;
            let mut listed = vec![live.sockets.list(&fd)];
            let of = match &tap.of {
                Of::One { index, tapped } => Records::Interface(*index, tapped.borrowed()),
                Of::All { prefix, whose, there } => {
                    let asked = fd.try_clone().map_err(|error| {
                        LabError::bad(
                            format!("cannot record {prefix}: {error}"),
                            "raise the limit of open files: ulimit -n",
                        )
                    })?;
                    listed.push(live.sockets.list(&asked));
                    Records::Namespace(asked, Whole { prefix, whose, there })
                }
            };
            sockets.push((tap.key(), fd, of));
            armed.push((tap.key(), listed));
        }
        recorder.add_sockets(sockets, taps.len())?;
        self.taps.extend(armed);
        Ok(())
    }
}

impl Capture {
    /// Has the engine's part of a link or switch tell what it does, where that is of interest.
    fn arm(&self, plan: &Resolved, held: &Held) -> Result<(), LabError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.as_mut() {
            Some(sources) => sources.arm(&self.recorder, plan, held),
            None => Ok(()),
        }
    }

    /// Takes in what has come since it began, or the network last changed.
    fn join(&self, live: &Live) -> Result<(), LabError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sources) = sources.as_mut() else {
            return Ok(());
        };
        let stages = self.recorder.options().stages;
        let (taps, shape) = match live.plan_capture(&self.what, stages) {
            Ok(planned) => planned,
            // What was captured has gone.
            Err(LabError::Unknown { .. }) => (Vec::new(), Shape::default()),
            Err(error) => return Err(error),
        };
        sources.shape = shape;
        sources.parts.retain(|part| {
            let stays = live.islands.values().any(|held| part.is_in(held));
            if !stays {
                part.end();
            }
            stays
        });
        sources.listen(live, &self.recorder, &taps)?;
        for held in live.islands.values() {
            sources.arm(&self.recorder, &live.plan, held)?;
        }
        Ok(())
    }

    pub(crate) fn stop(&self) -> Result<Recorded, LabError> {
        let sources = self
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default();
        for part in &sources.parts {
            part.end();
        }
        Ok(self.recorder.finish()?)
    }
}

impl Sources {
    fn arm(&mut self, recorder: &Recorder, plan: &Resolved, held: &Held) -> Result<(), LabError> {
        let Some(mut scope) = self.shape.scope(plan, held) else {
            return Ok(());
        };
        let is_here = |part: &Part| part.is_in(held);
        // A port's number may have gone to another link.
        let is_other = |part: &Part| {
            let ports = scope.ports.iter();
            ports
                .flat_map(|port| part.ports.iter().map(move |known| (port, known)))
                .any(|(port, (number, name, link))| {
                    port.number == *number && (port.name != *name || port.link != *link)
                })
        };
        self.parts.retain(|part| {
            let stays = !is_here(part) || !is_other(part);
            if !stays {
                part.end();
            }
            stays
        });
        let armed: Vec<usize> = self
            .parts
            .iter()
            .filter(|part| is_here(part))
            .flat_map(|part| part.ports.iter().map(|(number, ..)| *number))
            .collect();
        scope.ports.retain(|port| !armed.contains(&port.number));
        if scope.ports.is_empty() {
            return Ok(());
        }
        let ports = scope.ports.iter();
        let ports = ports
            .map(|port| (port.number, port.name.clone(), port.link.clone()))
            .collect();
        let id = held
            .inner
            .with_pipeline(|pipeline| pipeline.record_scope(scope, recorder))??;
        self.parts.push(Part {
            island: Arc::clone(&held.inner),
            id,
            ports,
        });
        Ok(())
    }
}

impl Part {
    fn is_in(&self, held: &Held) -> bool {
        Arc::ptr_eq(&self.island, &held.inner)
    }

    fn end(&self) {
        // A part that has ended has said all it knows.
        let _ = self
            .island
            .with_pipeline(|pipeline| pipeline.stop_record(self.id));
    }
}

impl Live {
    /// Has all captures know of an engine's part that begins.
    pub(crate) fn arm_captures(&mut self, held: &Held) {
        for capture in self.captures.iter().filter_map(Weak::upgrade) {
            if let Err(error) = capture.arm(&self.plan, held) {
                tracing::warn!(target: "vnet::lab", %error, "a capture does not see what the engine does");
            }
        }
    }

    /// Has all captures take in what has come.
    pub(crate) fn join_captures(&mut self) {
        self.captures.retain(|known| known.strong_count() > 0);
        for capture in self.captures.iter().filter_map(Weak::upgrade) {
            if let Err(error) = capture.join(self) {
                tracing::warn!(target: "vnet::lab", %error, "a capture does not see what has come");
            }
        }
    }

    /// Completes the files of all captures.
    pub(crate) fn end_captures(&mut self) {
        for capture in self.captures.drain(..).filter_map(|capture| capture.upgrade()) {
            if let Err(error) = capture.stop() {
                tracing::warn!(target: "vnet::lab", %error, "a capture is incomplete");
            }
        }
    }
}
