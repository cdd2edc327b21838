//! The file at hand, and the next.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use vnet_packet::Layer;
use vnet_packet::pcap::{CaptureError, Crossing, Linktype, Statistics, Writer};

use super::hub::{Hub, Interface};
use super::memory::{Memory, Remembered};
use super::options::{Output, RecordOptions};
use super::output::Out;
use super::rotate::{Rotate, numbered};
use crate::capture::{SNAPLEN, refuse};
use crate::error::EngineError;

/// What a recording is written on: one file, several in a row, a stream, or memory.
pub(crate) struct Sheet {
    path: Option<PathBuf>,
    memory: Option<Memory>,
    /// The names of the interfaces, as far as memory needed them.
    names: Vec<(Arc<str>, Layer)>,
    hub: Arc<Hub>,
    options: RecordOptions,
    /// Made, but without a header yet, which in a pcap file says what its interface is.
    blank: Option<Out>,
    out: Option<Writer<Out>>,
    counts: Vec<Count>,
    /// How many interfaces the file at hand knows.
    known: usize,
    begun: Instant,
    number: u32,
    files: VecDeque<PathBuf>,
    pub frames: u64,
    /// The last frame of a file may get a comment, and nobody knows which it is before the end.
    last: Option<Last>,
}

/// What was written of an interface.
#[derive(Clone, Copy, Default)]
struct Count {
    received: u64,
    last_ns: u64,
}

/// One frame as it is written.
pub(crate) struct Last {
    pub at: Crossing,
    pub ts_ns: u64,
    pub frame: Vec<u8>,
    pub wire_len: u32,
    pub comment: String,
}

impl Sheet {
    pub(crate) fn new(output: Output, options: &RecordOptions, hub: &Arc<Hub>) -> Result<Self, EngineError> {
        let mut sheet = Self {
            path: None,
            memory: None,
            names: Vec::new(),
            hub: Arc::clone(hub),
            options: options.clone(),
            blank: None,
            out: None,
            counts: Vec::new(),
            known: 0,
            begun: Instant::now(),
            number: 0,
            files: VecDeque::new(),
            frames: 0,
            last: None,
        };
        match output {
            Output::File(path) => {
                sheet.path = Some(path.clone());
                sheet.open(&path)?;
            }
            Output::Stream(fd) => sheet.blank = Some(Out::stream(fd, Arc::clone(hub))),
            Output::Memory(memory) => sheet.memory = Some(memory),
        }
        Ok(sheet)
    }

    /// Begins the next file of a name.
    fn open(&mut self, path: &Path) -> Result<(), EngineError> {
        self.number += 1;
        let path = match self.options.rotate {
            Some(_) => numbered(path, self.number),
            None => path.to_owned(),
        };
        let file = File::create(&path).map_err(|e| refuse(&path, format!("cannot create it: {e}")))?;
        self.blank = Some(Out::file(file));
        self.begun = Instant::now();
        self.files.push_back(path);
        while self
            .options
            .keep
            .is_some_and(|keep| self.files.len() > keep.max(1))
        {
            if let Some(oldest) = self.files.pop_front() {
                let _ = std::fs::remove_file(oldest);
            }
        }
        self.known = 0;
        Ok(())
    }

    /// The descriptor that is written to, where it is a stream.
    pub(crate) fn stream(&self) -> Option<BorrowedFd<'_>> {
        let out = self.out.as_ref().map(Writer::get_ref).or(self.blank.as_ref());
        out.and_then(Out::as_stream)
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.iter().cloned().collect()
    }

    /// Counts a frame that came on an interface, whether it is written or not.
    pub(crate) fn received(&mut self, interface: u16, frames: u64) {
        self.count(interface.into()).received += frames;
    }

    fn count(&mut self, interface: usize) -> &mut Count {
        if self.counts.len() <= interface {
            self.counts.resize(interface + 1, Count::default());
        }
        &mut self.counts[interface]
    }

    /// Writes a frame.
    pub(crate) fn write(
        &mut self,
        at: Crossing,
        ts_ns: u64,
        frame: &[u8],
        wire_len: u32,
        comment: &str,
    ) -> Result<(), CaptureError> {
        let count = self.count(at.interface as usize);
        // Two sources of one interface may be a moment apart.
        let ts_ns = ts_ns.max(count.last_ns);
        count.last_ns = ts_ns;
        if self.memory.is_some() {
            self.keep(at, ts_ns, frame, wire_len, comment);
            return Ok(());
        }
        if self.path.is_none() {
            return self.put(at, ts_ns, frame, wire_len, comment);
        }
        let mut last = self.last.take().unwrap_or_else(|| Last {
            at,
            ts_ns,
            frame: Vec::new(),
            wire_len,
            comment: String::new(),
        });
        if !last.frame.is_empty() {
            self.put(last.at, last.ts_ns, &last.frame, last.wire_len, &last.comment)?;
        }
        (last.at, last.ts_ns, last.wire_len) = (at, ts_ns, wire_len);
        last.frame.clear();
        last.frame.extend_from_slice(frame);
        last.comment.clear();
        last.comment.push_str(comment);
        self.last = Some(last);
        Ok(())
    }

    /// Keeps a frame in memory.
    fn keep(&mut self, at: Crossing, ts_ns: u64, frame: &[u8], wire_len: u32, comment: &str) {
        let number = at.interface as usize;
        if self.names.len() <= number {
            let interfaces = self.hub.interfaces();
            let fresh = interfaces.list.iter().skip(self.names.len());
            self.names
                .extend(fresh.map(|interface| (interface.name.as_str().into(), interface.layer)));
        }
        let (Some(memory), Some((interface, layer))) = (&self.memory, self.names.get(number)) else {
            return;
        };
        let most = self.options.snaplen.map_or(usize::MAX, |most| most as usize);
        memory.keep(Remembered {
            number: 0,
            interface: Arc::clone(interface),
            layer: *layer,
            at,
            ts_ns,
            wire_len,
            frame: frame[..frame.len().min(most)].to_vec(),
            comment: comment.to_owned(),
        });
        self.frames += 1;
    }

    fn put(
        &mut self,
        at: Crossing,
        ts_ns: u64,
        frame: &[u8],
        wire_len: u32,
        comment: &str,
    ) -> Result<(), CaptureError> {
        if self.is_over() {
            self.turn_over()?;
        }
        self.describe()?;
        let Some(out) = &mut self.out else { return Ok(()) };
        let comment = (!comment.is_empty()).then_some(comment);
        out.write_at(at, ts_ns, frame, wire_len, comment)?;
        self.frames += 1;
        Ok(())
    }

    fn is_over(&self) -> bool {
        if self.path.is_none() {
            return false;
        }
        match (self.options.rotate, &self.out) {
            (Some(Rotate::Bytes(most)), Some(out)) => out.get_ref().bytes >= most,
            (Some(Rotate::Every(time)), Some(_)) => self.begun.elapsed() >= time,
            _ => false,
        }
    }

    /// Ends the file at hand and begins the next.
    fn turn_over(&mut self) -> Result<(), CaptureError> {
        self.close()?;
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        self.open(&path).map_err(|error| CaptureError::Write {
            source: std::io::Error::other(error.to_string()),
        })
    }

    /// Says which interfaces there are, to the file at hand.
    fn describe(&mut self) -> Result<(), CaptureError> {
        let snaplen = self.options.snaplen.unwrap_or(SNAPLEN);
        // Sources must not wait for what is written to.
        let fresh = {
            let interfaces = self.hub.interfaces();
            interfaces.list.get(self.known..).unwrap_or_default().to_vec()
        };
        match (self.blank.take(), fresh.first()) {
            (Some(blank), _) if !self.hub.is_single => self.out = Some(Writer::section(blank, snaplen)?),
            (Some(blank), Some(first)) => {
                self.out = Some(Writer::pcap(blank, linktype(first.layer), snaplen)?);
            }
            // A pcap file begins with what its only interface is.
            (blank, _) => self.blank = blank,
        }
        for interface in fresh {
            if let Some(out) = &mut self.out {
                out.describe_interface(linktype(interface.layer), &interface.name, &interface.description)?;
            }
            self.known += 1;
        }
        Ok(())
    }

    /// Has everything written so far reach the reader.
    pub(crate) fn flush(&mut self) -> Result<(), CaptureError> {
        // A reader of a stream learns the interfaces at once.
        self.describe()?;
        self.out.as_mut().map_or(Ok(()), Writer::flush)
    }

    /// Writes how the interfaces fared and ends the file at hand.
    fn close(&mut self) -> Result<(), CaptureError> {
        self.describe()?;
        let Some(mut out) = self.out.take() else {
            return Ok(());
        };
        let interfaces = self.hub.interfaces().list.clone();
        // Those that have come meanwhile are not in this file.
        for (number, interface) in interfaces.iter().enumerate().take(self.known) {
            let count = self.counts.get(number).copied().unwrap_or_default();
            let note = interface.note.as_ref();
            out.end_interface(&Statistics {
                interface: number as u32,
                ts_ns: note.map_or(0, |(ts_ns, _)| *ts_ns).max(count.last_ns),
                received: Some(count.received + interface.lost),
                dropped: Some(interface.lost),
                comment: note.map(|(_, text)| text.as_str()),
            })?;
        }
        out.flush()
    }

    /// Ends the recording.
    pub(crate) fn finish(&mut self) -> Result<(), CaptureError> {
        if let Some(mut last) = self.last.take().filter(|last| !last.frame.is_empty()) {
            let note = |interfaces: &[Interface]| {
                let interface = interfaces.get(last.at.interface as usize)?;
                interface.note.as_ref().map(|(_, text)| text.clone())
            };
            if let Some(text) = note(&self.hub.interfaces().list) {
                if !last.comment.is_empty() {
                    last.comment.push('\n');
                }
                last.comment.push_str(&text);
            }
            self.put(last.at, last.ts_ns, &last.frame, last.wire_len, &last.comment)?;
        }
        self.close()
    }
}

fn linktype(layer: Layer) -> Linktype {
    match layer {
        Layer::L2 => Linktype::ETHERNET,
        Layer::L3 => Linktype::RAW,
    }
}
