//! Messages of any length on a socket that carries packets.
//!
//! Each packet begins with one byte: 1 when more of the message follows, 0 when it is
//! the last. Descriptors come with the first packet.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;
use vnet_sys::seqpacket;

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
    let bytes = serde_json::to_vec(message)?;
    let mut fds = fds;
    let mut rest = bytes.as_slice();
    loop {
        let (part, after) = rest.split_at(rest.len().min(PART));
        let head = if after.is_empty() { &LAST } else { &MORE };
        seqpacket::send(socket, &[IoSlice::new(head), IoSlice::new(part)], fds)?;
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
}

/// What one packet brought.
#[derive(Debug)]
pub(crate) enum Arrival<T> {
    /// The end of a message.
    Message(T, Vec<OwnedFd>),
    /// A part of one, or nothing where it did not wait.
    Part,
    /// The other end is closed.
    End,
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
        if self.fds.len() > seqpacket::MOST_FDS {
            return refused("the message has too many descriptors");
        }
        match [head] {
            MORE => Ok(Arrival::Part),
            LAST => {
                let bytes = std::mem::take(&mut self.bytes);
                let fds = std::mem::take(&mut self.fds);
                Ok(Arrival::Message(serde_json::from_slice(&bytes)?, fds))
            }
            _ => refused("the packet is none of a message"),
        }
    }

    /// Waits for a whole message; nothing when the other end is closed.
    pub(crate) fn next<T: DeserializeOwned>(
        &mut self,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            match self.take(socket, true)? {
                Arrival::Message(message, fds) => return Ok(Some((message, fds))),
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
        let sender = std::thread::spawn(move || {
            send(a.as_fd(), &sent, &[a.as_fd()]).unwrap();
            send(a.as_fd(), &"second", &[]).unwrap();
        });
        let mut inbox = Inbox::default();
        let (received, fds) = inbox.next::<String>(b.as_fd()).unwrap().unwrap();
        assert!(received == text && fds.len() == 1);
        let (received, fds) = inbox.next::<String>(b.as_fd()).unwrap().unwrap();
        assert!(received == "second" && fds.is_empty());
        sender.join().unwrap();
        drop(fds);
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
