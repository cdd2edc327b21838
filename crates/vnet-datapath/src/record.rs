use std::fs::File;
use std::io::BufWriter;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use vnet_packet::gso::Offload;
use vnet_packet::{Layer, checksum, pcap};

use crate::capture::{create, refuse};
use crate::error::EngineError;
use crate::port::Port;
use crate::ring::{FrameReceiver, FrameSender, Tag, ring};

/// Bytes that may wait for the disk.
const QUEUE: usize = 16 << 20;

/// Most interfaces of one file.
const MOST: usize = 1 << 15;

/// Copies frames of one or more ports to a capture file: the worker queues them, a thread of its own writes.
pub(crate) struct Recorder {
    queue: Option<FrameSender>,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<Result<u64, String>>>,
    lost: u64,
    path: String,
}

struct Shared {
    ready: OwnedFd,
    ended: AtomicBool,
    notes: Mutex<Vec<Note>>,
}

/// What is to be said of an interface of a file when the recording ends.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub interface: u16,
    pub ts_ns: u64,
    pub text: String,
}

/// Names one recording for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId(u64);

impl RecordId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a finished recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Frames in the file.
    pub frames: u64,
    /// Frames that came faster than the disk took them.
    pub lost: u64,
}

/// One of the interfaces of a capture file.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub name: String,
    pub layer: Layer,
}

impl Recorder {
    /// Creates the file and starts its writer.
    pub(crate) fn start(path: &Path, interfaces: &[Interface]) -> Result<Self, EngineError> {
        let linktype = |layer| match layer {
            Layer::L2 => pcap::Linktype::ETHERNET,
            Layer::L3 => pcap::Linktype::RAW,
        };
        let Some((first, others)) = interfaces.split_first() else {
            return Err(refuse(path, "it would record nothing; name at least one port"));
        };
        if interfaces.len() > MOST {
            return Err(refuse(path, format!("it can record at most {MOST} ports")));
        }
        if !others.is_empty() && path.extension().is_some_and(|e| e == "pcap") {
            return Err(refuse(
                path,
                "a .pcap file cannot tell ports apart; name it .pcapng",
            ));
        }
        let mut out = create(path, linktype(first.layer), &first.name)?;
        for other in others {
            out.add_interface(linktype(other.layer), &other.name)
                .map_err(|e| refuse(path, e.to_string()))?;
        }
        let ready = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(|e| refuse(path, format!("cannot make an event descriptor: {e}")))?;
        let (queue, frames) = ring(QUEUE);
        let shared = Arc::new(Shared {
            ready,
            ended: AtomicBool::new(false),
            notes: Mutex::default(),
        });
        let writer = std::thread::Builder::new()
            .name("vnet-record".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || write(frames, out, &shared)
            })
            .map_err(|e| refuse(path, format!("cannot start its writer: {e}")))?;
        Ok(Self {
            queue: Some(queue),
            shared,
            writer: Some(writer),
            lost: 0,
            path: path.display().to_string(),
        })
    }

    /// Queues a copy of a frame that came or leaves by an interface of the file.
    pub(crate) fn record(
        &mut self,
        interface: u16,
        leaves: bool,
        frame: &[u8],
        offload: &Offload,
        ts_ns: u64,
    ) {
        let tag = Tag {
            ts_ns,
            port: interface << 1 | u16::from(leaves),
            offload: *offload,
        };
        if !self.queue.as_mut().is_some_and(|q| q.push(&tag, frame)) {
            self.lost += 1;
        }
        let _ = rustix::io::write(&self.shared.ready, &1u64.to_ne_bytes());
    }

    /// Has the file end with these notes.
    pub(crate) fn set_notes(&self, notes: Vec<Note>) {
        *self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner) = notes;
    }

    /// Writes what is queued and closes the file.
    pub(crate) fn finish(mut self) -> Result<Recorded, EngineError> {
        let written = self.stop().unwrap_or(Ok(0));
        match written {
            Ok(frames) => Ok(Recorded {
                frames,
                lost: self.lost,
            }),
            Err(why) => Err(EngineError::Capture {
                path: self.path.clone(),
                why,
            }),
        }
    }

    fn stop(&mut self) -> Option<Result<u64, String>> {
        self.queue = None;
        self.shared.ended.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.shared.ready, &1u64.to_ne_bytes());
        let writer = self.writer.take()?;
        Some(
            writer
                .join()
                .unwrap_or_else(|_| Err("its writer panicked".into())),
        )
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(Err(why)) = self.stop() {
            tracing::error!(target: "vnet::engine", path = %self.path, %why, "the recording is incomplete");
        }
    }
}

fn write(
    mut frames: FrameReceiver,
    mut out: pcap::Writer<BufWriter<File>>,
    shared: &Shared,
) -> Result<u64, String> {
    let mut written = 0;
    // The last frame may get a comment, and nobody knows which it is before the end.
    let mut last: Option<(pcap::Crossing, u64, Vec<u8>)> = None;
    let fail = |e: pcap::CaptureError| e.to_string();
    loop {
        let ended = shared.ended.load(Ordering::Acquire);
        let _ = rustix::io::read(&shared.ready, &mut [0u8; 8]);
        while let Some((tag, mut frame)) = frames.pop() {
            // As on the wire: a super-frame stays one frame, whose sum no receiver would see either.
            if tag.offload.needs_csum && tag.offload.gso_type == 0 {
                let (start, offset) = (
                    usize::from(tag.offload.csum_start),
                    usize::from(tag.offload.csum_offset),
                );
                checksum::complete(&mut frame, start, offset);
            }
            let crossing = pcap::Crossing {
                interface: u32::from(tag.port >> 1),
                direction: Some(if tag.port & 1 == 0 {
                    pcap::Direction::Inbound
                } else {
                    pcap::Direction::Outbound
                }),
            };
            if let Some((at, ts_ns, frame)) = last.replace((crossing, tag.ts_ns, frame)) {
                out.write_at(at, ts_ns, &frame, frame.len() as u32, None)
                    .map_err(fail)?;
            }
            written += 1;
        }
        if ended {
            let notes = shared.notes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, ts_ns, frame)) = last {
                let note = notes
                    .iter()
                    .find(|note| u32::from(note.interface) == at.interface);
                let text = note.map(|note| note.text.as_str());
                out.write_at(at, ts_ns, &frame, frame.len() as u32, text)
                    .map_err(fail)?;
            }
            for note in &*notes {
                out.comment_on(note.interface.into(), note.ts_ns, &note.text)
                    .map_err(fail)?;
            }
            out.flush().map_err(fail)?;
            return Ok(written);
        }
        let _ = poll(&mut [PollFd::new(&shared.ready, PollFlags::IN)], None);
    }
}

/// Says that a port's frames go to one interface of a recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    recording: usize,
    interface: u16,
}

/// Recordings of several ports at once, in the worker's hands.
#[derive(Default)]
pub(crate) struct Recordings(Vec<Option<(RecordId, Recorder)>>);

impl Recordings {
    /// Takes a recorder in; returns what the ports are to keep, in the order of the file's interfaces.
    pub(crate) fn add(&mut self, id: RecordId, recorder: Recorder) -> impl Iterator<Item = Tap> {
        let recording = self.0.iter().position(Option::is_none).unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[recording] = Some((id, recorder));
        (0..).map(move |interface| Tap { recording, interface })
    }

    /// Returns the interfaces of a recording and the ports that they are.
    pub(crate) fn interfaces(&self, id: RecordId, ports: &[Port]) -> Vec<(u16, usize)> {
        let Some(recording) = self.place(id) else {
            return Vec::new();
        };
        let taps = ports.iter().enumerate().flat_map(|(number, port)| {
            let ours = port.recorded.iter().filter(move |tap| tap.recording == recording);
            ours.map(move |tap| (tap.interface, number))
        });
        taps.collect()
    }

    fn place(&self, id: RecordId) -> Option<usize> {
        self.0
            .iter()
            .position(|r| r.as_ref().is_some_and(|(other, _)| *other == id))
    }

    /// Takes a recorder out; `ports` are those that may still name it.
    pub(crate) fn remove(&mut self, id: RecordId, ports: &mut [Port]) -> Option<Recorder> {
        let recording = self.place(id)?;
        for port in ports {
            port.recorded.retain(|tap| tap.recording != recording);
        }
        self.0[recording].take().map(|(_, recorder)| recorder)
    }

    pub(crate) fn record(&mut self, tap: Tap, leaves: bool, frame: &[u8], offload: &Offload, ts_ns: u64) {
        if let Some((_, recorder)) = &mut self.0[tap.recording] {
            recorder.record(tap.interface, leaves, frame, offload, ts_ns);
        }
    }
}
