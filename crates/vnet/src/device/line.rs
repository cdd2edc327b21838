//! Who moves a device's frames: nobody yet, a pipeline of its own, or a wire.
//!
//! A device is quiet until somebody wants its frames: [`Device::on_pipeline`] then makes a sink pipeline. A wire takes the
//! ports of two devices with whatever is attached to them and gives them back when it is closed.
//!
//! Every use of a pipeline holds the read half of the lock, for at most [`SLICE`] at a time; who moves ports holds the write half.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use vnet_datapath::{Pipeline, Port, PortInfo};
use vnet_sys::PacketOptions;

use super::{Device, Inner};
use crate::error::Error;
use crate::events::{self, Subject};
use crate::wire::WireInner;

/// Longest time a waiting receiver keeps the line from those who want to move it.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// Bytes of socket buffer asked for; the kernel gives what rmem_max allows, and `doctor` reports it.
const RCVBUF: usize = 4 << 20;

/// How packet sockets are opened.
pub(crate) fn packet_options() -> PacketOptions {
    PacketOptions {
        rcvbuf: RCVBUF,
        ..PacketOptions::default()
    }
}

pub(crate) enum Line {
    /// Nobody has asked for frames.
    Idle(Source),
    /// The device's own pipeline.
    Sink(Pipeline),
    /// A wire has the port.
    Wired(Weak<WireInner>, usize),
    /// The device is closed.
    Closed,
}

/// What a port is made of.
pub(crate) enum Source {
    /// A TUN or TAP descriptor.
    Tun(OwnedFd),
    /// A packet socket, opened when frames are wanted.
    Socket,
    /// A port that is made already, or that a wire gave back. It may be sent between threads, not shared: hence the mutex, which nobody waits for.
    Port(Box<Mutex<Port>>),
}

/// A lock that outlives a panic of whoever held it: what it guards is replaced as a whole.
pub(crate) struct Lock(RwLock<Line>);

impl Lock {
    pub(crate) fn new(line: Line) -> Self {
        Self(RwLock::new(line))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Line> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Line> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut Line {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks the lines of two devices in the one order that everybody keeps.
pub(crate) fn both<'a>(
    a: &'a Inner,
    b: &'a Inner,
) -> (RwLockWriteGuard<'a, Line>, RwLockWriteGuard<'a, Line>) {
    if std::ptr::from_ref(a) < std::ptr::from_ref(b) {
        let first = a.line.write();
        (first, b.line.write())
    } else {
        let second = b.line.write();
        (a.line.write(), second)
    }
}

impl Device {
    /// Calls `use_it` with the pipeline that has this device's frames and the device's port number there, and makes the
    /// pipeline when there is none.
    pub(crate) fn on_pipeline<T>(
        &self,
        use_it: impl Fn(&Pipeline, usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.reach(true, &use_it)
    }

    /// Calls `use_it` with the device's own pipeline, and makes it when there is none; refused while a wire has the frames.
    pub(crate) fn on_sink<T>(&self, use_it: impl Fn(&Pipeline) -> Result<T, Error>) -> Result<T, Error> {
        self.reach(false, &|pipeline, _| use_it(pipeline))
    }

    /// Calls `use_it` with the present pipeline; `None` when there is none yet.
    pub(crate) fn on_present_pipeline<T>(
        &self,
        use_it: impl Fn(&Pipeline, usize) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.reach_present(true, &use_it)
    }

    fn reach<T>(
        &self,
        wired_too: bool,
        use_it: &impl Fn(&Pipeline, usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            if let Some(answer) = self.reach_present(wired_too, use_it)? {
                return Ok(answer);
            }
            let mut line = self.inner.line.write();
            if matches!(*line, Line::Idle(_)) {
                let port = self.take_port(&mut line)?;
                *line = Line::Sink(self.sink(port)?);
            }
        }
    }

    fn reach_present<T>(
        &self,
        wired_too: bool,
        use_it: &impl Fn(&Pipeline, usize) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.inner.born.check(&self.to_string())?;
        if self.inner.life.is_over() {
            return Err(self.closed_error());
        }
        loop {
            // Declared before the line, so dropped after it: this may be the last handle, whose end writes to the line.
            let held;
            let line = self.inner.line.read();
            match &*line {
                Line::Closed => return Err(self.closed_error()),
                Line::Idle(_) => return Ok(None),
                Line::Sink(pipeline) => return use_it(pipeline, 0).map(Some),
                Line::Wired(..) if !wired_too => {
                    return Err(Error::Unsupported {
                        what: format!("{self} is part of a wire, which has its frames"),
                        hint: Some("close the wire, or record the device instead".into()),
                    });
                }
                Line::Wired(wire, side) => {
                    held = wire.upgrade();
                    if let Some(wire) = &held {
                        return wire.on_pipeline(|pipeline| use_it(pipeline, *side)).map(Some);
                    }
                }
            }
            // The wire is just ending and gives the port back as soon as it gets the line.
            drop(line);
            std::thread::yield_now();
        }
    }

    /// Takes the port of a quiet device and leaves its line closed; after an error the line is as it was.
    pub(crate) fn take_port(&self, line: &mut Line) -> Result<Port, Error> {
        let port = self.take(line)?;
        let (place, [own, network]) = self.inner.known_as();
        let subject = Subject {
            plugin: None,
            place,
            scopes: [own, network, network],
        };
        events::watch_device(subject, port.gone_flag());
        Ok(port)
    }

    fn take(&self, line: &mut Line) -> Result<Port, Error> {
        let info = PortInfo {
            name: self.inner.name.clone(),
            layer: self.inner.layer,
            mtu: self.lookup()?.mtu,
        };
        if let Line::Idle(Source::Socket) = line {
            let (socket, _) =
                self.in_namespace(|namespace| namespace.packet_port(&self.inner.name, packet_options()))?;
            self.inner
                .held
                .store(socket.as_fd().as_raw_fd(), Ordering::Relaxed);
            *line = Line::Closed;
            return Ok(Port::packet(socket, info));
        }
        match std::mem::replace(line, Line::Closed) {
            Line::Idle(Source::Port(port)) => {
                let mut port = port.into_inner().unwrap_or_else(PoisonError::into_inner);
                port.set_mtu(info.mtu);
                Ok(port)
            }
            Line::Idle(Source::Tun(fd)) => Ok(Port::tap(fd, info)),
            other => {
                *line = other;
                Err(self.closed_error())
            }
        }
    }
}
