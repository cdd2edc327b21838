//! Captures that another process of the same user asks for: it gives the end of a pipe, and the connection says when it ends.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use serde::{Deserialize, Serialize};
use vnet_sys::seqpacket;

use crate::error::{Error, ErrorKind};
use crate::network::Cancel;

/// How often a capture is asked whether it has ended by itself.
const LOOK: Duration = Duration::from_millis(50);
/// How long the owner may take to arm a capture of a thousand interfaces.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the pipe: the most that an ordinary user may have (pipe(7), pipe-max-size).
const PIPE: usize = 1 << 20;

/// What another process wants captured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureRequest {
    /// A link, a node, a switch, or an interface as `node:interface`; `None` for the whole network.
    pub what: Option<String>,
    /// The words of pcap-filter(7), in which the names of nodes stand for their addresses.
    pub filter: Option<String>,
    /// Most bytes of a frame.
    pub snaplen: Option<u32>,
    /// Whether frames are in it that plugins, impairments or the engine dropped.
    pub dropped: bool,
    /// Whether each plugin and impairment is an interface of its own.
    pub stages: bool,
}

/// Begins a capture to a stream.
type Begin = dyn Fn(&CaptureRequest, OwnedFd) -> Result<vnet_lab::Recording, Error> + Send + Sync;

/// What captures of others need of the process that owns a network.
pub(crate) struct Outside(Arc<Begin>);

/// Why there is no capture, in a form that crosses to the process that asked.
#[derive(Serialize, Deserialize)]
struct Refusal {
    kind: Kind,
    what: String,
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Invalid,
    NotFound,
    Other,
}

impl Outside {
    pub(crate) fn new(
        begin: impl Fn(&CaptureRequest, OwnedFd) -> Result<vnet_lab::Recording, Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(begin))
    }

    /// For devices, which are no network.
    pub(crate) fn none(name: &str) -> Self {
        let name = name.to_owned();
        Self::new(move |_, _| {
            Err(Error::Invalid {
                what: format!("{name} is no network that could be captured"),
                hint: Some("vnet tap and vnet wire capture with --pcap FILE".into()),
            })
        })
    }

    /// Arms a capture and looks after it in a thread of its own.
    pub(crate) fn capture(
        &self,
        caller: OwnedFd,
        request: CaptureRequest,
        mut fds: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let begin = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("vnet-outside".into())
            .spawn(move || {
                let recording = match (fds.pop(), fds.len()) {
                    (Some(pipe), 0) if is_pipe(&pipe) => own(&pipe).and_then(|pipe| begin(&request, pipe)),
                    _ => Err(Error::Invalid {
                        what: "a capture is written to one pipe".into(),
                        hint: None,
                    }),
                };
                let answer = recording.as_ref().map(|_| ()).map_err(Refusal::of);
                let told = serde_json::to_vec(&answer)
                    .map_err(io::Error::from)
                    .and_then(|text| seqpacket::send(caller.as_fd(), &[IoSlice::new(&text)], &[]));
                if let Ok(recording) = recording {
                    if told.is_ok() {
                        look_after(&caller, &recording);
                    }
                    if let Err(error) = recording.stop() {
                        tracing::debug!(target: "vnet", %error, "a capture of another process is incomplete");
                    }
                }
                // Said to the caller even where a forked child holds a copy of this end.
                seqpacket::shutdown(&caller);
            })
            .map(drop)
    }
}

/// Answers what did not come whole.
pub(crate) fn refuse(caller: &OwnedFd, lacks_fd: bool) -> io::Result<()> {
    let error = if lacks_fd {
        Error::System {
            what: "the owner of the lab can open no more files than `ulimit -n` allows".into(),
            errno: None,
            hint: Some("raise it before the owner starts".into()),
        }
    } else {
        Error::Invalid {
            what: "the filter is too long".into(),
            hint: Some("give one of at most 50,000 characters".into()),
        }
    };
    let text = serde_json::to_vec(&Err::<(), _>(Refusal::of(&error)))?;
    seqpacket::send(caller.as_fd(), &[IoSlice::new(&text)], &[])
}

fn is_pipe(fd: &OwnedFd) -> bool {
    fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// Opens a pipe once more: whether that description blocks is nobody else's to say.
fn own(pipe: &OwnedFd) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    open(path, flags, Mode::empty())
        .map_err(|errno| Error::io("cannot open the pipe of a capture", &errno.into()))
}

/// Returns when the caller has gone or says so, or the capture has ended by itself.
fn look_after(caller: &OwnedFd, recording: &vnet_lab::Recording) {
    let look = Timespec::try_from(LOOK).unwrap_or_default();
    while !recording.is_over() {
        let mut ready = [PollFd::new(caller, PollFlags::IN)];
        match poll(&mut ready, Some(&look)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

impl Refusal {
    fn of(error: &Error) -> Self {
        Self {
            kind: match error.kind() {
                ErrorKind::Invalid => Kind::Invalid,
                ErrorKind::NotFound => Kind::NotFound,
                _ => Kind::Other,
            },
            what: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }

    fn error(self) -> Error {
        let Self { kind, what, hint } = self;
        match kind {
            Kind::Invalid => Error::Invalid { what, hint },
            Kind::NotFound => Error::NotFound { what, hint },
            Kind::Other => Error::System {
                what,
                errno: None,
                hint,
            },
        }
    }
}

/// A capture that another process writes to a pipe, whose end is here; dropping it ends the capture.
#[derive(Debug)]
pub struct Tapping {
    connection: OwnedFd,
    pipe: OwnedFd,
}

impl Tapping {
    /// Makes the pipe and has `ask` give its other end away.
    pub(crate) fn begin(
        ask: impl FnOnce(BorrowedFd<'_>) -> Result<OwnedFd, Error>,
        cancel: Cancel<'_>,
    ) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io("cannot begin a capture", &error);
        // Neither end blocks: the writer may take large pieces, and the reader waits for more than the pipe.
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (pipe, theirs) = pipe_with(flags).map_err(|errno| failed(errno.into()))?;
        // A user who has many has smaller ones.
        let _ = fcntl_setpipe_size(&pipe, PIPE);
        let connection = ask(theirs.as_fd())?;
        drop(theirs);
        let mut packet = vec![0; 1 << 16];
        let begun = Instant::now();
        let look = Timespec::try_from(LOOK).unwrap_or_default();
        let received = loop {
            let mut ready = [PollFd::new(&connection, PollFlags::IN)];
            match poll(&mut ready, Some(&look)) {
                Ok(0) | Err(rustix::io::Errno::INTR) if cancel() || begun.elapsed() > PATIENCE => {
                    return Err(Error::Timeout {
                        what: "the owner of the lab does not answer".into(),
                        after: begun.elapsed(),
                        partial: None,
                    });
                }
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => {
                    break seqpacket::recv(connection.as_fd(), &mut packet, true).map_err(failed)?;
                }
            }
        };
        if received.len == 0 {
            return Err(Error::Closed {
                what: "the network".into(),
            });
        }
        let answer: Result<(), Refusal> = serde_json::from_slice(&packet[..received.len])
            .map_err(|error| failed(io::Error::other(error)))?;
        answer.map_err(Refusal::error)?;
        Ok(Self { connection, pipe })
    }

    /// Returns the end of the pipe, a pcapng stream; it does not block.
    #[must_use]
    pub fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Returns what hangs up once the capture has ended and all of it is in the pipe.
    #[must_use]
    pub fn connection(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    /// Asks for the end: what came before is in the pipe, and then its end.
    pub fn stop(&self) {
        // One that has ended does not need to be told.
        let _ = seqpacket::send(self.connection.as_fd(), &[IoSlice::new(b"stop")], &[]);
    }
}
