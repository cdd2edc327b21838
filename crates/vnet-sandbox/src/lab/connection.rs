use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use vnet_sys::seqpacket;

use super::message::{GREETING, Reply, Request, SignalRequest, VERSION};
use super::packets::{self, Fds, Inbox};
use crate::SandboxError;

/// The client's end of a socket to a lab's helper: one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    lab: String,
    inbox: Mutex<Inbox>,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, lab: &str) -> Self {
        Self {
            socket,
            lab: lab.to_owned(),
            inbox: Mutex::new(Inbox::default()),
        }
    }

    /// Says which version this side speaks.
    pub(crate) fn greet(&self) -> Result<(), SandboxError> {
        greet(self.socket.as_fd()).map_err(|e| self.broken(&e))
    }

    /// Checks which version the other side speaks.
    pub(crate) fn greeted(&self) -> Result<(), SandboxError> {
        match greeted(self.socket.as_fd()) {
            Ok(Some(VERSION)) => Ok(()),
            Ok(Some(theirs)) => Err(SandboxError::OtherVersion {
                lab: self.lab.clone(),
                theirs,
                ours: VERSION,
            }),
            Ok(None) => Err(self.closed()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Makes a request and waits for its answer.
    pub(crate) fn ask(
        &self,
        request: &impl Serialize,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>), SandboxError> {
        match self.exchange(request, fds)? {
            (Reply::Failed(fault), _) => Err(fault.into()),
            (reply, Ok(fds)) => Ok((reply, fds)),
            (reply, Err(no_room)) => {
                if let Reply::Spawned { pid } = reply {
                    // Nobody could wait for it or end it.
                    let kill = Request::Signal(SignalRequest { pid, signal: 9 });
                    drop(self.exchange::<Reply>(&kill, &[]));
                }
                Err(no_room.of("this process"))
            }
        }
    }

    /// Sends any message and waits for any answer.
    pub(crate) fn exchange<T: serde::de::DeserializeOwned>(
        &self,
        request: &impl Serialize,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(T, Fds), SandboxError> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        packets::send(self.socket.as_fd(), request, fds).map_err(|e| self.broken(&e))?;
        match inbox.next(self.socket.as_fd()) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.closed()),
            Err(error) => {
                // Question and answer would not match any more.
                self.end();
                Err(self.broken(&error))
            }
        }
    }

    /// Says that nothing more will be asked; a request under way fails.
    pub(crate) fn end(&self) {
        seqpacket::shutdown(&self.socket);
    }

    /// The answer to another question came.
    pub(crate) fn confused(&self) -> SandboxError {
        self.end();
        self.broken(&io::Error::from(io::ErrorKind::InvalidData))
    }

    fn closed(&self) -> SandboxError {
        SandboxError::LabClosed {
            lab: self.lab.clone(),
        }
    }

    fn broken(&self, error: &io::Error) -> SandboxError {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => {
                self.closed()
            }
            _ => SandboxError::Sys(vnet_sys::SysError::Os {
                what: format!("cannot talk to the helper of lab {}", self.lab),
                source: error.raw_os_error().map_or_else(
                    || io::Error::new(error.kind(), error.to_string()),
                    io::Error::from_raw_os_error,
                ),
            }),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Says which version this side speaks.
pub(crate) fn greet(socket: BorrowedFd<'_>) -> io::Result<()> {
    let version = VERSION.to_le_bytes();
    seqpacket::send(socket, &[IoSlice::new(GREETING), IoSlice::new(&version)], &[])
}

/// Waits for the other side's greeting and returns its version; nothing when the other
/// side is closed or says something else.
pub(crate) fn greeted(socket: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let mut buffer = [0; GREETING.len() + 4];
    let packet = seqpacket::recv(socket, &mut buffer, true)?;
    let said = &buffer[..packet.len];
    Ok(said
        .strip_prefix(GREETING)
        .and_then(|version| version.try_into().ok())
        .map(u32::from_le_bytes))
}
