use std::fs::File;
use std::io::BufWriter;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use vnet_packet::gso::Offload;
use vnet_packet::{Layer, checksum, pcap};

use crate::capture::{create, refuse};
use crate::error::EngineError;
use crate::port::PortInfo;
use crate::ring::{FrameReceiver, FrameSender, Tag, ring};

/// Bytes that may wait for the disk.
const QUEUE: usize = 16 << 20;

/// Copies a port's frames to a capture file: the worker queues them, a thread of its own writes.
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
}

/// What a finished recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Frames in the file.
    pub frames: u64,
    /// Frames that came faster than the disk took them.
    pub lost: u64,
}

impl Recorder {
    /// Creates the file and starts its writer.
    pub(crate) fn start(path: &Path, port: &PortInfo) -> Result<Self, EngineError> {
        let linktype = match port.layer {
            Layer::L2 => pcap::Linktype::ETHERNET,
            Layer::L3 => pcap::Linktype::RAW,
        };
        let out = create(path, linktype, &port.name)?;
        let ready = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(|e| refuse(path, format!("cannot make an event descriptor: {e}")))?;
        let (queue, frames) = ring(QUEUE);
        let shared = Arc::new(Shared {
            ready,
            ended: AtomicBool::new(false),
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

    pub(crate) fn record(&mut self, frame: &[u8], offload: &Offload, ts_ns: u64) {
        let tag = Tag {
            ts_ns,
            port: 0,
            offload: *offload,
        };
        if !self.queue.as_mut().is_some_and(|q| q.push(&tag, frame)) {
            self.lost += 1;
        }
        let _ = rustix::io::write(&self.shared.ready, &1u64.to_ne_bytes());
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
            out.write(tag.ts_ns, &frame, frame.len() as u32, None)
                .map_err(|e| e.to_string())?;
            written += 1;
        }
        if ended {
            out.flush().map_err(|e| e.to_string())?;
            return Ok(written);
        }
        let _ = poll(&mut [PollFd::new(&shared.ready, PollFlags::IN)], None);
    }
}
