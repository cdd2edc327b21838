use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::pipe::Pipe;
use crate::socket::Place;
use crate::sockets::{Listed, Sockets};

/// One connection: its end outside, and its end in the node.
pub(super) struct Connection {
    outside: Side,
    /// None while no address has answered.
    inside: Option<Side>,
    sockets: Arc<Sockets>,
    connected: bool,
    /// How many of the addresses were tried.
    tried: usize,
    pub inwards: Pipe,
    pub outwards: Pipe,
}

struct Side {
    stream: TcpStream,
    _listed: Listed,
    key: u64,
    /// What epoll was asked to tell.
    watched: EventFlags,
}

/// What became of a connection.
#[derive(PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Done,
    Failed,
}

impl Connection {
    pub(super) fn new(outside: TcpStream, key: u64, sockets: &Arc<Sockets>) -> Self {
        Self {
            outside: Side::new(outside, key, sockets),
            inside: None,
            sockets: Arc::clone(sockets),
            connected: false,
            tried: 0,
            inwards: Pipe::default(),
            outwards: Pipe::default(),
        }
    }

    /// Does what can be done without waiting. `key` is that of the end in the node.
    pub(super) fn go(&mut self, epoll: impl AsFd, place: &Place, addresses: &[SocketAddr], key: u64) -> Fate {
        if !self.connected && !self.connect(&epoll, place, addresses, key) {
            return self.fail(&epoll);
        }
        if self.connected {
            let Some(inside) = &self.inside else {
                return self.fail(&epoll);
            };
            let (out, inn) = (&self.outside.stream, &inside.stream);
            let carried = self
                .inwards
                .carry(out, inn)
                .and_then(|()| self.outwards.carry(inn, out));
            if carried.is_err() {
                return self.fail(&epoll);
            }
        }
        let watched = if self.inwards.is_done() && self.outwards.is_done() {
            None
        } else {
            self.watch(&epoll).ok()
        };
        match watched {
            Some(()) => Fate::Open,
            None => {
                self.unwatch(&epoll);
                Fate::Done
            }
        }
    }

    /// Goes on connecting; false when no address is left.
    fn connect(&mut self, epoll: impl AsFd, place: &Place, addresses: &[SocketAddr], key: u64) -> bool {
        if let Some(inside) = &self.inside {
            match sockopt::socket_error(&inside.stream) {
                Ok(Ok(())) if inside.stream.peer_addr().is_ok() => {
                    // Small writes must not wait for each other (Nagle).
                    let _ = inside.stream.set_nodelay(true);
                    self.connected = true;
                    return true;
                }
                // It is still under way.
                Ok(Ok(())) => return true,
                _ => {
                    if let Some(mut inside) = self.inside.take() {
                        inside.watch(&epoll, EventFlags::empty()).ok();
                    }
                }
            }
        }
        while let Some(address) = addresses.get(self.tried) {
            self.tried += 1;
            if let Ok(fd) = place.begin_connect(*address) {
                self.inside = Some(Side::new(TcpStream::from(fd), key, &self.sockets));
                return true;
            }
        }
        false
    }

    fn watch(&mut self, epoll: impl AsFd) -> Result<(), Errno> {
        let flags = |reads: bool, writes: bool| {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, reads);
            flags.set(EventFlags::OUT, writes);
            flags
        };
        let Some(inside) = &mut self.inside else {
            return Ok(());
        };
        if !self.connected {
            // A client that goes away is noticed once there is a way in.
            self.outside.watch(&epoll, EventFlags::empty())?;
            return inside.watch(&epoll, EventFlags::OUT);
        }
        self.outside
            .watch(&epoll, flags(self.inwards.wants(), self.outwards.has()))?;
        inside.watch(&epoll, flags(self.outwards.wants(), self.inwards.has()))
    }

    fn unwatch(&mut self, epoll: impl AsFd) {
        for side in std::iter::once(&mut self.outside).chain(&mut self.inside) {
            side.watch(&epoll, EventFlags::empty()).ok();
        }
    }

    /// Ends both sides as something broke: the other one is told by a reset.
    fn fail(&mut self, epoll: impl AsFd) -> Fate {
        self.unwatch(&epoll);
        for side in std::iter::once(&self.outside).chain(&self.inside) {
            let _ = sockopt::set_socket_linger(&side.stream, Some(Duration::ZERO));
        }
        Fate::Failed
    }
}

impl Side {
    fn new(stream: TcpStream, key: u64, sockets: &Arc<Sockets>) -> Self {
        Self {
            _listed: sockets.list(&stream),
            stream,
            key,
            watched: EventFlags::empty(),
        }
    }

    /// Asks epoll for these events. With none the descriptor is taken out: a connection that both ends have closed would
    /// report that for ever.
    fn watch(&mut self, epoll: impl AsFd, flags: EventFlags) -> Result<(), Errno> {
        if flags == self.watched {
            return Ok(());
        }
        let data = EventData::new_u64(self.key);
        if self.watched.is_empty() {
            epoll::add(&epoll, &self.stream, data, flags)?;
        } else if flags.is_empty() {
            epoll::delete(&epoll, &self.stream)?;
        } else {
            epoll::modify(&epoll, &self.stream, data, flags)?;
        }
        self.watched = flags;
        Ok(())
    }
}
