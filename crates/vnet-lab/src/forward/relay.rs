use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::ForwardStats;
use super::connection::{Connection, Fate};
use crate::error::LabError;
use crate::socket::Place;
use crate::sockets::{Listed, Sockets};

const WAKE: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

/// How long nobody is let in after this process ran out of descriptors.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Connections taken before the others get their turn.
const ACCEPTS: usize = 64;

/// A listening socket and the thread that carries its connections.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process it belongs to: a forked child has no such thread.
    born: u32,
}

struct Shared {
    wake: OwnedFd,
    ended: AtomicBool,
    accepted: AtomicU64,
    open: AtomicU64,
    failed: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Relay {
    pub(super) fn start(
        listener: TcpListener,
        place: Place,
        addresses: Vec<SocketAddr>,
        sockets: &Arc<Sockets>,
    ) -> Result<Self, LabError> {
        let address = listener
            .local_addr()
            .map_err(|error| LabError::os("cannot listen", error))?;
        let failed = |errno: Errno| LabError::os(format!("cannot forward {address}"), errno);
        listener
            .set_nonblocking(true)
            .map_err(|error| LabError::os(format!("cannot forward {address}"), error))?;
        let shared = Arc::new(Shared {
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(failed)?,
            ended: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        });
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed)?;
        epoll::add(&epoll, &shared.wake, EventData::new_u64(WAKE), EventFlags::IN).map_err(failed)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN).map_err(failed)?;
        let worker = Worker {
            _listed: sockets.list(&listener),
            sockets: Arc::clone(sockets),
            listener,
            place,
            addresses,
            epoll,
            shared: Arc::clone(&shared),
            connections: HashMap::new(),
            next: 0,
            paused: false,
        };
        let thread = std::thread::Builder::new()
            .name("vnet-forward".into())
            .spawn(move || worker.run())
            .map_err(|error| LabError::os(format!("cannot forward {address}"), error))?;
        Ok(Self {
            address,
            shared,
            thread: Mutex::new(Some(thread)),
            born: std::process::id(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    pub(super) fn stats(&self) -> ForwardStats {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ForwardStats {
            accepted: read(&self.shared.accepted),
            open: read(&self.shared.open),
            failed: read(&self.shared.failed),
            bytes_in: read(&self.shared.bytes_in),
            bytes_out: read(&self.shared.bytes_out),
        }
    }

    /// Ends the thread and all connections.
    pub(crate) fn close(&self) {
        if self.born != std::process::id() {
            return;
        }
        self.shared.ended.store(true, Ordering::Release);
        // A counter that is already set wakes the thread as well.
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(target: "vnet::lab", address = %self.address, "the thread of a forward panicked");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

/// The relay's thread.
struct Worker {
    listener: TcpListener,
    _listed: Listed,
    sockets: Arc<Sockets>,
    place: Place,
    addresses: Vec<SocketAddr>,
    epoll: OwnedFd,
    shared: Arc<Shared>,
    /// By number; the keys of its two ends are twice that, and one more.
    connections: HashMap<u64, Connection>,
    next: u64,
    /// The listener is not watched for a while.
    paused: bool,
}

impl Worker {
    fn run(mut self) {
        let blank = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut events = [blank; 64];
        while !self.shared.ended.load(Ordering::Acquire) {
            let wait = self.paused.then_some(PAUSE);
            let ready = match epoll::wait(&self.epoll, &mut events, wait.as_ref()) {
                Ok(ready) => ready,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    tracing::error!(target: "vnet::lab", %errno, "epoll_wait failed; a forward ends");
                    break;
                }
            };
            if self.paused && ready == 0 {
                self.listen(true);
            }
            for event in &events[..ready] {
                match event.data.u64() {
                    WAKE => {}
                    LISTENER => self.accept(),
                    key => self.go(key / 2),
                }
            }
        }
        // Copies in other processes would go on listening.
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Both);
        self.shared.ended.store(true, Ordering::Release);
        self.shared.open.store(0, Ordering::Relaxed);
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
                    ) {
                        self.listen(false);
                    }
                    return;
                }
            };
            self.shared.accepted.fetch_add(1, Ordering::Relaxed);
            // Small writes must not wait for each other (Nagle).
            if stream
                .set_nonblocking(true)
                .and_then(|()| stream.set_nodelay(true))
                .is_err()
            {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let number = self.next;
            self.next += 1;
            self.connections
                .insert(number, Connection::new(stream, number * 2, &self.sockets));
            self.shared.open.fetch_add(1, Ordering::Relaxed);
            self.go(number);
        }
    }

    /// Watches the listener, or leaves it alone for a while.
    fn listen(&mut self, on: bool) {
        let flags = if on { EventFlags::IN } else { EventFlags::empty() };
        let data = EventData::new_u64(LISTENER);
        if epoll::modify(&self.epoll, &self.listener, data, flags).is_ok() {
            self.paused = !on;
        }
    }

    fn go(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let before = (connection.inwards.carried, connection.outwards.carried);
        let fate = connection.go(&self.epoll, &self.place, &self.addresses, number * 2 + 1);
        let shared = &self.shared;
        shared
            .bytes_in
            .fetch_add(connection.inwards.carried - before.0, Ordering::Relaxed);
        shared
            .bytes_out
            .fetch_add(connection.outwards.carried - before.1, Ordering::Relaxed);
        if fate == Fate::Open {
            return;
        }
        if fate == Fate::Failed {
            shared.failed.fetch_add(1, Ordering::Relaxed);
        }
        shared.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.remove(&number);
    }
}
