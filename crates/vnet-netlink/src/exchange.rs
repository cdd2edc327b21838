use std::fmt;
use std::io;

use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::{NetlinkError, extack};

/// Bytes of the longest answer: the kernel puts at most this into one message of a
/// listing (`netlink_dump`, net/netlink/af_netlink.c).
const ANSWER_MAX: usize = 32 * 1024;
/// Asks for the length of the whole message, also where it does not fit
/// (`linux/socket.h`).
const MSG_TRUNC: i32 = 0x20;
/// How often a listing is asked for while its objects keep coming and going; then the
/// last is taken as it is.
const ATTEMPTS: usize = 10;
/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// A blocking rtnetlink socket: one request, then all its answers.
pub(crate) struct Exchange {
    socket: Socket,
    sequence: u32,
    out: Vec<u8>,
    answer: Vec<u8>,
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The socket failed, or what it answered is not to be understood.
    Socket(io::Error),
    /// The kernel's errno and sentence.
    Refused(i32, Option<String>),
}

impl Failure {
    /// Says what was attempted.
    pub(crate) fn into_error(self, what: &str) -> NetlinkError {
        match self {
            Self::Socket(source) => NetlinkError::socket(what, source),
            Self::Refused(errno, kernel) => NetlinkError::refused(what.to_owned(), errno, kernel),
        }
    }
}

impl Exchange {
    /// Opens a socket in the calling thread's namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        // The kernel then heeds what the header of a listing's request asks for.
        socket.set_netlink_get_strict_chk(true)?;
        Ok(Self {
            socket,
            sequence: 0,
            out: Vec::with_capacity(1024),
            answer: Vec::with_capacity(ANSWER_MAX),
        })
    }

    /// Makes one request and hands what it brings to `each`, until it is acknowledged,
    /// refused or at its end. Returns whether that is all: a listing during which things
    /// came or went may lack some.
    pub(crate) fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<bool, Failure> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        self.out.clear();
        self.out.resize(request.buffer_len(), 0);
        request.serialize(&mut self.out);
        self.send()?;
        let mut whole = true;
        loop {
            self.receive()?;
            let mut rest = self.answer.as_slice();
            while let Some((one, tail)) = split(rest) {
                rest = tail;
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(one).map_err(|e| {
                    Failure::Socket(io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
                })?;
                // What is left of an earlier request that failed half-way.
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                whole &= answer.header.flags & NLM_F_DUMP_INTR == 0;
                match answer.payload {
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        let kernel = extack::message(answer.header.flags, &error.header);
                        return Err(Failure::Refused(error.raw_code().abs(), kernel));
                    }
                    // Code 0 is the acknowledgement.
                    NetlinkPayload::Error(_) => return Ok(whole),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(Failure::Refused(done.code.abs(), None));
                    }
                    NetlinkPayload::Done(_) => return Ok(whole),
                    NetlinkPayload::InnerMessage(inner) => {
                        each(inner);
                        // A single answer, which nothing follows.
                        if flags & NLM_F_DUMP == 0 && answer.header.flags & NLM_F_MULTIPART == 0 {
                            return Ok(whole);
                        }
                    }
                    NetlinkPayload::Overrun(_) => {
                        return Err(Failure::Socket(io::ErrorKind::InvalidData.into()));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Asks for all objects of a kind, and again while some come or go meanwhile.
    pub(crate) fn list(
        &mut self,
        request: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Failure> {
        let mut found = Vec::new();
        for _ in 0..ATTEMPTS {
            found.clear();
            if self.request(request.clone(), NLM_F_DUMP, |answer| found.push(answer))? {
                break;
            }
        }
        Ok(found)
    }

    fn send(&self) -> Result<(), Failure> {
        loop {
            match self.socket.send(&self.out, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Socket(error)),
            }
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        loop {
            self.answer.clear();
            match self.socket.recv(&mut self.answer, MSG_TRUNC) {
                Ok(len) if len > self.answer.len() => {
                    return Err(Failure::Socket(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the kernel's answer has {len} bytes, more than the {ANSWER_MAX} expected"),
                    )));
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Socket(error)),
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// Cuts the first message off; nothing where there is none, or none whole.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    if len < HEADER {
        return None;
    }
    let one = bytes.get(..len)?;
    Some((one, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}
