//! Messages of any length on a socket that carries packets.
//!
//! Each packet begins with one byte: 1 when more of the message follows, 0 when it is
//! the last. Descriptors come with the first packet.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vnet_sys::{SysError, seqpacket};

use crate::SandboxError;

const LAST: [u8; 1] = [0];
const MORE: [u8; 1] = [1];

/// The most bytes of a message in one packet, which the socket buffers of every
/// kernel hold.
const PART: usize = 64 << 10;

/// The most bytes a message has.
pub(crate) const MOST: usize = 32 << 20;

/// Sends one message, waiting where the other end has no room.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send_by(message, fds, |packet, fds| seqpacket::send(socket, packet, fds))
}

/// Sends one message on a non-blocking socket, waiting at most `limit` where the other end
/// has no room.
///
/// # Errors
/// `WouldBlock` when the time is over; a part of the message may have been sent.
pub(crate) fn send_within(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
    limit: Duration,
) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    send_by(message, fds, |packet, fds| {
        loop {
            match seqpacket::send(socket, packet, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                    wait_for_room(socket, deadline)?;
                }
                outcome => return outcome,
            }
        }
    })
}

fn wait_for_room(socket: BorrowedFd<'_>, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    };
    match poll(
        &mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)],
        Some(&left),
    ) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn send_by(
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
    mut send: impl FnMut(&[IoSlice<'_>], &[BorrowedFd<'_>]) -> io::Result<()>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut fds = fds;
    let mut rest = bytes.as_slice();
    loop {
        let (part, after) = rest.split_at(rest.len().min(PART));
        let head = if after.is_empty() { &LAST } else { &MORE };
        send(&[IoSlice::new(head), IoSlice::new(part)], fds)?;
        if after.is_empty() {
            return Ok(());
        }
        (rest, fds) = (after, &[]);
    }
}

/// A message as it comes in.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    lost_fds: bool,
}

/// What one packet brought.
#[derive(Debug)]
pub(crate) enum Arrival<T> {
    /// The end of a message.
    Message(T, Vec<OwnedFd>),
    /// The end of one whose descriptors this process has no room for.
    WithoutFds(T),
    /// A part of one, or nothing where it did not wait.
    Part,
    /// The other end is closed.
    End,
}

/// This process may not have the descriptors that came with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// The descriptors that came with a message.
pub(crate) type Fds = Result<Vec<OwnedFd>, NoRoom>;

impl NoRoom {
    /// Names the limit of `who`, this process.
    pub(crate) fn of(self, who: &str) -> SandboxError {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        SandboxError::Sys(SysError::Os {
            what: format!(
                "{who} has as many descriptors open as it may, RLIMIT_NOFILE is {limit}; close some or raise `ulimit -n`"
            ),
            source: Errno::MFILE.into(),
        })
    }
}

impl Inbox {
    /// Takes the next packet.
    ///
    /// # Errors
    /// `InvalidData` for what is no message: after that nothing more is understood.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        socket: BorrowedFd<'_>,
        wait: bool,
    ) -> io::Result<Arrival<T>> {
        let mut buffer = vec![0; PART + 1];
        let packet = match seqpacket::recv(socket, &mut buffer, wait) {
            Ok(packet) => packet,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Arrival::Part),
            Err(error) => return Err(error),
        };
        let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let Some((&head, part)) = buffer[..packet.len].split_first() else {
            return Ok(Arrival::End);
        };
        if packet.cut || self.bytes.len() + part.len() > MOST {
            return refused("the message is too large");
        }
        self.bytes.extend_from_slice(part);
        self.fds.extend(packet.fds);
        self.lost_fds |= packet.lost_fds;
        if self.fds.len() > seqpacket::MOST_FDS {
            return refused("the message has too many descriptors");
        }
        match [head] {
            MORE => Ok(Arrival::Part),
            LAST => {
                let bytes = std::mem::take(&mut self.bytes);
                let fds = std::mem::take(&mut self.fds);
                let message = serde_json::from_slice(&bytes)?;
                if std::mem::take(&mut self.lost_fds) {
                    return Ok(Arrival::WithoutFds(message));
                }
                Ok(Arrival::Message(message, fds))
            }
            _ => refused("the packet is none of a message"),
        }
    }

    /// Waits for a whole message; nothing when the other end is closed. Its descriptors are
    /// an error of their own, after which the next message is understood as well.
    pub(crate) fn next<T: DeserializeOwned>(
        &mut self,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Option<(T, Fds)>> {
        loop {
            match self.take(socket, true)? {
                Arrival::Message(message, fds) => return Ok(Some((message, Ok(fds)))),
                Arrival::WithoutFds(message) => return Ok(Some((message, Err(NoRoom)))),
                Arrival::Part => {}
                Arrival::End => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_message_longer_than_a_packet_comes_whole_with_its_descriptors() {
        let (a, b) = seqpacket::pair().unwrap();
        let text = "0123456789".repeat(3 * PART / 10);
        let sent = text.clone();
        let (_reader, writer) = io::pipe().unwrap();
        let sender = std::thread::spawn(move || {
            send(a.as_fd(), &sent, &[writer.as_fd()]).unwrap();
            send(a.as_fd(), &"second", &[]).unwrap();
        });
        let mut inbox = Inbox::default();
        let (received, fds) = inbox.next::<String>(b.as_fd()).unwrap().unwrap();
        assert!(received == text && fds.unwrap().len() == 1);
        let (received, fds) = inbox.next::<String>(b.as_fd()).unwrap().unwrap();
        assert!(received == "second" && fds.unwrap().is_empty());
        sender.join().unwrap();
        assert!(inbox.next::<String>(b.as_fd()).unwrap().is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        for packet in [&b"\x02\"x\""[..], b"\0{", b"\0", b"\0\"x\" y"] {
            let (a, b) = seqpacket::pair().unwrap();
            seqpacket::send(a.as_fd(), &[IoSlice::new(packet)], &[]).unwrap();
            let error = Inbox::default().next::<String>(b.as_fd()).unwrap_err();
            // serde_json calls what is cut off an unexpected end.
            assert!(
                matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ),
                "{error:?}"
            );
        }
    }
}
