//! What the helper and the process that started it say to each other, one message
//! a packet on a SOCK_SEQPACKET pair.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use vnet_sys::process::Exit;

/// The most bytes a message has.
const MOST: usize = 512;

/// What the helper reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The command runs with this process id.
    Started(u32),
    /// A step failed with this errno, and nothing runs.
    Failed { errno: i32, stage: String },
    /// The command has ended, and so has everything it left running.
    Ended(Exit),
}

/// What the helper is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Send this signal to the command.
    Signal(i32),
    /// Kill the command and all its descendants.
    Kill,
}

impl Report {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, number, text) = match self {
            Self::Started(pid) => (b'S', i32::try_from(*pid).unwrap_or(i32::MAX), ""),
            Self::Failed { errno, stage } => (b'F', *errno, stage.as_str()),
            Self::Ended(Exit::Code(code)) => (b'C', *code, ""),
            Self::Ended(Exit::Signal(signal)) => (b'K', *signal, ""),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&number.to_ne_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.truncate(MOST);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (number, text) = rest.split_at_checked(4)?;
        let number = i32::from_ne_bytes(number.try_into().ok()?);
        match kind {
            b'S' => Some(Self::Started(u32::try_from(number).ok()?)),
            b'F' => Some(Self::Failed {
                errno: number,
                stage: String::from_utf8_lossy(text).into_owned(),
            }),
            b'C' => Some(Self::Ended(Exit::Code(number))),
            b'K' => Some(Self::Ended(Exit::Signal(number))),
            _ => None,
        }
    }
}

impl Request {
    fn encode(self) -> [u8; 4] {
        match self {
            Self::Signal(signal) => signal.to_ne_bytes(),
            Self::Kill => 0i32.to_ne_bytes(),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match i32::from_ne_bytes(bytes.try_into().ok()?) {
            0 => Some(Self::Kill),
            signal => Some(Self::Signal(signal)),
        }
    }
}

/// Sends a report; an asker that is gone wants none.
pub(crate) fn report(socket: BorrowedFd<'_>, report: &Report) {
    drop(write(socket, &report.encode()));
}

/// Sends a request; the error says that the helper is gone.
pub(crate) fn request(socket: BorrowedFd<'_>, request: Request) -> io::Result<()> {
    write(socket, &request.encode())
}

/// Takes the next report. Nothing means that the helper has closed its end.
pub(crate) fn next_report(socket: BorrowedFd<'_>, flags: RecvFlags) -> io::Result<Option<Report>> {
    let mut bytes = [0; MOST];
    let len = read(socket, &mut bytes, flags)?;
    Ok(Report::decode(&bytes[..len]))
}

/// Takes the next request. Nothing means that the asker has closed its end.
pub(crate) fn next_request(socket: BorrowedFd<'_>) -> io::Result<Option<Request>> {
    let mut bytes = [0; MOST];
    let len = read(socket, &mut bytes, RecvFlags::DONTWAIT)?;
    Ok(Request::decode(&bytes[..len]))
}

fn read(socket: BorrowedFd<'_>, bytes: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    loop {
        match recv(socket, &mut *bytes, flags) {
            Ok((_, len)) => return Ok(len),
            Err(Errno::INTR) => {}
            // A peer that died with a message unread resets the connection.
            Err(Errno::CONNRESET) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    send(socket.as_fd(), bytes, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for said in [
            Report::Started(4711),
            Report::Failed {
                errno: 2,
                stage: "cannot execute it".to_owned(),
            },
            Report::Ended(Exit::Code(3)),
            Report::Ended(Exit::Signal(9)),
        ] {
            assert_eq!(Report::decode(&said.encode()), Some(said));
        }
        for said in [Request::Kill, Request::Signal(15)] {
            assert_eq!(Request::decode(&said.encode()), Some(said));
        }
        assert_eq!(Report::decode(b""), None);
        assert_eq!(Request::decode(b""), None);
    }
}
