//! The handle of a recording.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};
use vnet_packet::Layer;
use vnet_sys::{PacketRing, RingOptions, Shown};

use super::hub::Hub;
use super::options::{Output, RecordOptions, Recorded};
use super::sheet::Sheet;
use super::source::Source;
use super::tap::{Finder, Tap, View};
use super::writer::Scribe;
use crate::capture::refuse;
use crate::error::EngineError;

/// Bytes of all the rings of one recording together, and the least and most of one.
const RINGS: usize = 64 << 20;
const RING_LEAST: usize = 256 << 10;
const RING_MOST: usize = 16 << 20;

/// The same where the last frames are kept in memory, for which a burst may be lost, and all of them together and the most of
/// one.
const SMALL_RINGS: usize = 8 << 20;
const SMALL_RING_MOST: usize = 1 << 20;

/// What is seen of a frame at least, so that a filter finds the headers of those that are cut shorter.
const SEEN: u32 = 2048;

/// After how many milliseconds the kernel hands over frames that do not fill a block.
const RETIRE_MS: u32 = 10;

/// The same where somebody reads along; the kernel has a timer for each ring, so not where there are many.
const LIVE_RETIRE_MS: u32 = 4;
const FEW: usize = 32;

/// Copies frames of any number of sources to one file or stream, in the order of their times, from a thread of its own.
///
/// Sources are ports of pipelines ([`Pipeline::record`](crate::Pipeline::record)) and interfaces of network namespaces
/// ([`Recorder::add_sockets`]). Dropping it ends the recording.
pub struct Recorder {
    hub: Arc<Hub>,
    options: RecordOptions,
    /// It is kept in memory and nowhere else.
    is_memory: bool,
    /// For messages.
    path: PathBuf,
    /// The process its writer runs in: a forked child has none.
    born: u32,
    state: Mutex<State>,
}

/// An interface that a socket records.
#[derive(Clone, Copy, Debug)]
pub struct Tapped<'a> {
    /// The interface of the file.
    pub name: &'a str,
    /// The same in words.
    pub description: &'a str,
    /// What its frames begin with.
    pub layer: Layer,
    /// Which frames are recorded.
    pub shown: Shown,
    /// The socket is at the far side of the interface: what goes out there comes in here.
    pub is_far: bool,
}

/// What a socket records.
#[derive(Debug)]
pub enum Records<'a> {
    /// An interface, by the kernel's number.
    Interface(u32, Tapped<'a>),
    /// All interfaces of a namespace but loopback, those that are made later, too. The second socket there is asked for names; it may
    /// be the same.
    Namespace(OwnedFd, Whole<'a>),
}

/// A network namespace that a socket records.
#[derive(Clone, Debug)]
pub struct Whole<'a> {
    /// What the names of its interfaces in the file begin with.
    pub prefix: &'a str,
    /// Whose they are, in words.
    pub whose: &'a str,
    /// Those that the file knows from the start: number, name, and what its frames begin with.
    pub there: &'a [(u32, String, Layer)],
}

/// A socket that is to be armed.
struct Unarmed {
    key: u64,
    fd: OwnedFd,
    ifindex: u32,
    shown: Shown,
    view: View,
}

/// How many threads make and end the sockets of one recording.
pub(super) const THREADS: usize = 16;

enum State {
    Runs(JoinHandle<Result<Recorded, String>>),
    Ended(Result<Recorded, String>),
}

impl Recorder {
    /// Creates the file and starts its writer.
    ///
    /// # Errors
    /// [`EngineError::Capture`].
    pub fn start(output: Output, options: RecordOptions) -> Result<Self, EngineError> {
        let (path, is_memory) = (output.path(), matches!(output, Output::Memory(_)));
        let is_single = path.extension().is_some_and(|e| e == "pcap");
        if is_single && (options.stages || options.dropped) {
            return Err(refuse(
                &path,
                "a .pcap file has no place for what became of frames; name it .pcapng",
            ));
        }
        let ready = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(|e| refuse(&path, format!("cannot make an event descriptor: {e}")))?;
        let hub = Arc::new(Hub::new(ready, is_single, matches!(output, Output::Stream(_))));
        let sheet = Sheet::new(output, &options, &hub)?;
        let scribe = Scribe::new(Arc::clone(&hub), sheet, options.filter.clone());
        let writer = std::thread::Builder::new()
            .name("vnet-record".into())
            .spawn(move || scribe.run())
            .map_err(|e| refuse(&path, format!("cannot start its writer: {e}")))?;
        Ok(Self {
            hub,
            options,
            is_memory,
            path,
            born: std::process::id(),
            state: Mutex::new(State::Runs(writer)),
        })
    }

    /// Returns what it takes.
    #[must_use]
    pub fn options(&self) -> &RecordOptions {
        &self.options
    }

    /// Records by packet sockets of protocol 0, which are some of `of` in all, each with a key of the caller's; armed when this
    /// returns.
    ///
    /// # Errors
    /// [`EngineError::Capture`]; none of them records then for long.
    pub fn add_sockets(
        &self,
        sockets: Vec<(u64, OwnedFd, Records<'_>)>,
        of: usize,
    ) -> Result<(), EngineError> {
        let keys: Vec<u64> = sockets.iter().map(|(key, ..)| *key).collect();
        let added = self.add_all(sockets, of);
        if added.is_err() {
            self.end_sockets(keys);
        }
        added
    }

    /// Has sockets end, by their keys; what came before is in the recording, and so is what it lost.
    pub fn end_sockets(&self, keys: Vec<u64>) {
        self.hub.inbox().ended_taps.extend(keys);
        self.hub.wake();
    }

    fn add_all(&self, sockets: Vec<(u64, OwnedFd, Records<'_>)>, of: usize) -> Result<(), EngineError> {
        let views = sockets
            .into_iter()
            .map(|(key, fd, records)| {
                let (ifindex, shown, view) = self.view(records)?;
                let unarmed = Unarmed {
                    key,
                    fd,
                    ifindex,
                    shown,
                    view,
                };
                Ok(unarmed)
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
        // The kernel waits for all processors to let go of each socket: many wait together.
        let share = views.len().div_ceil(THREADS).max(1);
        let mut views = views.into_iter();
        std::thread::scope(|scope| {
            let mut arming = Vec::new();
            while views.len() > 0 {
                let some: Vec<_> = views.by_ref().take(share).collect();
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || self.arm(some, of));
                arming.push(thread.map_err(|e| refuse(&self.path, format!("cannot arm it: {e}")))?);
            }
            arming.into_iter().try_for_each(|thread| {
                let broken = |_| Err(refuse(&self.path, "a thread that arms it panicked"));
                thread.join().unwrap_or_else(broken)
            })
        })?;
        self.hub.wake();
        Ok(())
    }

    /// Declares what a socket records.
    fn view(&self, records: Records<'_>) -> Result<(u32, Shown, View), EngineError> {
        match records {
            Records::Interface(ifindex, what) => {
                let interface = self.interface(what.name, what.description, what.layer)?;
                let view = View::One {
                    interface,
                    layer: what.layer,
                    is_far: what.is_far,
                };
                Ok((ifindex, what.shown, view))
            }
            Records::Namespace(socket, whole) => {
                let mut finder = Finder {
                    socket,
                    prefix: whole.prefix.to_owned(),
                    whose: whole.whose.to_owned(),
                    known: HashMap::new(),
                };
                for (index, name, layer) in whole.there {
                    let number = self.interface(&finder.name(name), &finder.description(name), *layer)?;
                    finder.known.insert(*index, Some((number, *layer)));
                }
                Ok((0, Shown::Both, View::All(finder)))
            }
        }
    }

    fn arm(&self, sockets: Vec<Unarmed>, of: usize) -> Result<(), EngineError> {
        for socket in sockets {
            let ring = self.ring(socket.fd, socket.ifindex, socket.shown, of)?;
            self.hub
                .inbox()
                .taps
                .push(Tap::new(socket.key, ring, socket.view));
        }
        Ok(())
    }

    fn ring(&self, fd: OwnedFd, ifindex: u32, shown: Shown, of: usize) -> Result<PacketRing, EngineError> {
        let retire_ms = if self.hub.is_live && of <= FEW {
            LIVE_RETIRE_MS
        } else {
            RETIRE_MS
        };
        self.hub.widen(retire_ms);
        let of = of.max(1);
        let bytes = if self.is_memory {
            (SMALL_RINGS / of).min(SMALL_RING_MOST)
        } else {
            (RINGS / of).clamp(RING_LEAST, RING_MOST)
        };
        let options = RingOptions {
            bytes,
            retire_ms,
            shown,
            snaplen: self.options.snaplen.map(|most| most.max(SEEN)),
        };
        PacketRing::arm(fd, ifindex, options).map_err(|e| refuse(&self.path, e.to_string()))
    }

    pub(crate) fn source(&self) -> Source {
        Source::new(&self.hub, self.is_memory)
    }

    pub(crate) fn interface(&self, name: &str, description: &str, layer: Layer) -> Result<u16, EngineError> {
        self.hub.interface(name, description, layer).ok_or_else(|| {
            let why = match self.hub.is_single {
                true => "a .pcap file cannot tell ports apart; name it .pcapng",
                false => "it has more interfaces than a file can have",
            };
            refuse(&self.path, why)
        })
    }

    /// Says that no source comes any more: the recording ends by itself after the last one.
    pub fn seal(&self) {
        self.hub.inbox().is_sealed = true;
        self.hub.wake();
    }

    /// Returns how many frames there was no room for so far; the kernel is asked for its share once a second.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.hub
            .interfaces()
            .list
            .iter()
            .map(|interface| interface.lost)
            .sum()
    }

    /// Tells whether the recording has ended, also by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.hub.ended.load(Ordering::Acquire)
    }

    /// Writes what came before this call, completes the file and says what it holds. Doing it again returns the same.
    ///
    /// # Errors
    /// [`EngineError::Capture`] when not all could be written.
    pub fn finish(&self) -> Result<Recorded, EngineError> {
        if self.born != std::process::id() {
            return Err(refuse(
                &self.path,
                "it belongs to the process that this one was forked from",
            ));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.hub.stop.store(true, Ordering::Release);
        self.hub.wake();
        let before = std::mem::replace(&mut *state, State::Ended(Ok(Recorded::default())));
        let ended = match before {
            State::Runs(writer) => writer
                .join()
                .unwrap_or_else(|_| Err("its writer panicked".into())),
            State::Ended(ended) => ended,
        };
        *state = State::Ended(ended.clone());
        ended.map_err(|why| refuse(&self.path, why))
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.born != std::process::id() {
            return;
        }
        if let Err(why) = self.finish() {
            tracing::error!(target: "vnet::engine", path = %self.path.display(), %why, "the recording is incomplete");
        }
    }
}
