//! The owner of a lab or device serves other processes of the same user: its numbers for `vnet top`, captures for `vnet capture`.
//!
//! The engine is in the process that owns it, so that process listens on an abstract socket of its own, beside its helper's. A
//! caller asks one thing for each connection, by a packet of JSON (`Ask`). Numbers are one sample: a JSON text in packets of at
//! most 60,000 bytes, each with a first byte that is 1 where more follows. A capture has a thread of its own here and is written
//! to the pipe that came with the question; it ends with the connection. Only the same user and root are answered.

use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use vnet_sandbox::LabEntry;
use vnet_sys::seqpacket;

use super::row::Row;
use crate::error::Error;
use crate::network::Cancel;
use crate::outside::{self, CaptureRequest, Outside, Tapping};

/// What a name in the abstract namespace begins with.
const PREFIX: &str = "vnet-owner";
const CHUNK: usize = 60_000;
/// How long a caller may take to ask, and to take a packet.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a caller wants.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    Numbers,
    /// Comes with the end of a pipe that is written to.
    Capture(CaptureRequest),
}

type Sample = dyn Fn() -> Result<Vec<Row>, Error> + Send;

/// Answers callers until it is dropped.
pub struct NumbersDoor {
    listener: Arc<OwnedFd>,
}

impl NumbersDoor {
    /// Opens one for a process that owns something named `name`; `pid` is the one `vnet ls` shows for it.
    ///
    /// `None` where the kernel has no place for it, or the name is taken: numbers are then not to be had from outside.
    #[must_use]
    pub fn open(
        pid: u32,
        name: &str,
        sample: impl Fn() -> Result<Vec<Row>, Error> + Send + 'static,
    ) -> Option<Self> {
        Self::of(pid, name, Box::new(sample), Outside::none(name))
    }

    /// Opens one for a network, which can be captured, too.
    pub(crate) fn of(pid: u32, name: &str, sample: Box<Sample>, outside: Outside) -> Option<Self> {
        let address = address(geteuid().as_raw(), pid, name);
        let listener = Arc::new(seqpacket::listen_abstract(&address).ok()?);
        let mine = Arc::clone(&listener);
        std::thread::Builder::new()
            .name("vnet-numbers".into())
            .spawn(move || serve(&mine, &*sample, &outside))
            .ok()?;
        Some(Self { listener })
    }

    /// Returns its descriptor, a copy of which in a forked child would keep the name.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

impl Drop for NumbersDoor {
    fn drop(&mut self) {
        seqpacket::shutdown(&*self.listener);
    }
}

fn address(uid: u32, pid: u32, name: &str) -> String {
    format!("{PREFIX}/{uid}/{pid}/{name}")
}

fn serve(listener: &OwnedFd, sample: &Sample, outside: &Outside) {
    loop {
        let mut ready = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut ready, None) {
            // It was shut down; accepting would answer for ever that there is nobody.
            Ok(_) if ready[0].revents().contains(PollFlags::HUP) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        match seqpacket::accept(listener.as_fd()) {
            Ok(caller) => {
                // A caller that goes away in between is no concern of ours.
                let _ = answer(caller, sample, outside);
            }
            // What poll saw has gone, or a caller gave up.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => return,
            // This process can have no more descriptors just now.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn answer(caller: OwnedFd, sample: &Sample, outside: &Outside) -> io::Result<()> {
    let peer = seqpacket::peer_uid(&caller)?;
    if peer != Some(0) && peer != Some(geteuid().as_raw()) {
        return Ok(());
    }
    set_socket_timeout(&caller, Timeout::Send, Some(PATIENCE))?;
    set_socket_timeout(&caller, Timeout::Recv, Some(PATIENCE))?;
    let mut packet = vec![0; CHUNK];
    let received = seqpacket::recv(caller.as_fd(), &mut packet, true)?;
    if received.cut || received.lost_fds {
        return outside::refuse(&caller, received.lost_fds);
    }
    match serde_json::from_slice(&packet[..received.len]).map_err(io::Error::other)? {
        Ask::Numbers => tell(&caller, sample),
        Ask::Capture(request) => outside.capture(caller, request, received.fds),
    }
}

fn tell(caller: &OwnedFd, sample: &Sample) -> io::Result<()> {
    let text = match sample() {
        Ok(rows) => serde_json::to_vec(&Ok::<_, String>(rows)),
        Err(error) => serde_json::to_vec(&Err::<Vec<Row>, _>(error.to_string())),
    }
    .map_err(io::Error::other)?;
    let mut chunks = text.chunks(CHUNK).peekable();
    while let Some(chunk) = chunks.next() {
        let more = [u8::from(chunks.peek().is_some())];
        seqpacket::send(caller.as_fd(), &[IoSlice::new(&more), IoSlice::new(chunk)], &[])?;
    }
    Ok(())
}

/// A process of this user that tells its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumbersEntry {
    /// What it owns: a lab, or the devices of `vnet tap` and `vnet wire`.
    pub name: String,
    /// As `vnet ls` shows it for a lab, else its process id.
    pub pid: u32,
}

impl From<&LabEntry> for NumbersEntry {
    fn from(lab: &LabEntry) -> Self {
        Self {
            name: lab.name.clone(),
            pid: lab.pid,
        }
    }
}

impl NumbersEntry {
    /// Asks for one sample.
    ///
    /// # Errors
    /// [`Error::Closed`] when nobody of this user answers under the name, [`Error::System`].
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        let broken = |error: io::Error| Error::io("cannot read the numbers of a lab", &error);
        let socket = self.ask(&Ask::Numbers, &[])?;
        let (mut text, mut packet) = (Vec::new(), vec![0; CHUNK + 1]);
        loop {
            let received = seqpacket::recv(socket.as_fd(), &mut packet, true).map_err(broken)?;
            let Some((more, chunk)) = packet[..received.len].split_first() else {
                return Err(self.closed());
            };
            text.extend_from_slice(chunk);
            if *more == 0 {
                break;
            }
        }
        let answer: Result<Vec<Row>, String> =
            serde_json::from_slice(&text).map_err(|error| broken(io::Error::other(error)))?;
        answer.map_err(|what| Error::Closed { what })
    }

    /// Has frames of the network copied to a pipe until what is returned is stopped or dropped; armed when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Invalid`] as the owner says, [`Error::Closed`] when nobody of this user answers under the
    /// name, [`Error::Timeout`] when it does not in half a minute, or is not waited for any more, [`Error::System`].
    pub fn capture(&self, request: CaptureRequest, cancel: Cancel<'_>) -> Result<Tapping, Error> {
        Tapping::begin(|pipe| self.ask(&Ask::Capture(request), &[pipe]), cancel)
    }

    fn closed(&self) -> Error {
        Error::Closed {
            what: format!("{}@{}", self.name, self.pid),
        }
    }

    /// Asks, and returns the connection on which the answer comes.
    fn ask(&self, what: &Ask, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd, Error> {
        let uid = geteuid().as_raw();
        let socket =
            seqpacket::connect_abstract(&address(uid, self.pid, &self.name)).map_err(|_| self.closed())?;
        let owner = seqpacket::peer_uid(&socket);
        if !matches!(owner, Ok(Some(owner)) if owner == uid || owner == 0) {
            return Err(self.closed());
        }
        let failed = |error: io::Error| Error::io("cannot ask the owner of a lab", &error);
        let text = serde_json::to_vec(what).map_err(|error| failed(error.into()))?;
        // It takes its time to ask the kernel for a thousand nodes.
        set_socket_timeout(&socket, Timeout::Recv, Some(3 * PATIENCE)).map_err(|e| failed(e.into()))?;
        match seqpacket::send(socket.as_fd(), &[IoSlice::new(&text)], fds) {
            Ok(()) => Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.closed()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Returns the processes of this user that tell their numbers, and that the network namespace of this process can reach.
#[must_use]
pub fn numbers_entries() -> Vec<NumbersEntry> {
    let uid = geteuid().as_raw();
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let mut found: Vec<_> = sockets.lines().filter_map(|line| entry(line, uid)).collect();
    found.sort_by(|a, b| (&a.name, a.pid).cmp(&(&b.name, b.pid)));
    found
}

/// Reads a line such as `0000: 00000002 00000000 00010000 0005 01 4711 @vnet-owner/0/7/lab`; 00010000 marks a listener.
fn entry(line: &str, uid: u32) -> Option<NumbersEntry> {
    let mut fields = line.split_ascii_whitespace();
    let listens = fields.nth(3)? == "00010000";
    let mut words = fields.nth(3)?.strip_prefix('@')?.split('/');
    if !listens || words.next()? != PREFIX || words.next()?.parse() != Ok(uid) {
        return None;
    }
    let pid = words.next()?.parse().ok()?;
    let name = words.next()?.to_owned();
    words.next().is_none().then_some(NumbersEntry { name, pid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_gets_every_row_however_many() {
        let row = |number: u64| Row {
            kind: "link".into(),
            frames: number,
            ..Row::default()
        };
        let rows: Vec<Row> = (0..5_000).map(row).collect();
        let told = rows.clone();
        let (pid, name) = (std::process::id(), "door-test");
        let door = NumbersDoor::open(pid, name, move || Ok(told.clone())).expect("a free name");
        let entry = NumbersEntry {
            name: name.into(),
            pid,
        };
        assert!(numbers_entries().contains(&entry));
        assert_eq!(entry.rows().expect("an answer"), rows);
        drop(door);
        let mut asked = std::iter::repeat_with(|| entry.rows()).take(1_000);
        assert!(asked.any(|rows| rows.is_err()));
    }

    #[test]
    fn a_door_that_is_dropped_leaves_no_thread() {
        let threads = || {
            let tasks = fs::read_dir("/proc/self/task").expect("tasks");
            let name =
                |task: io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
            tasks
                .filter_map(name)
                .filter(|name| name.trim() == "vnet-numbers")
                .count()
        };
        for _ in 0..20 {
            drop(NumbersDoor::open(std::process::id(), "door-thread", || {
                Ok(Vec::new())
            }));
        }
        let until = std::time::Instant::now() + Duration::from_secs(20);
        // The other test has one.
        while threads() > 1 {
            assert!(
                std::time::Instant::now() < until,
                "{} threads are left",
                threads()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn only_a_listening_socket_of_this_user_counts() {
        let line = |name: &str| format!("0: 00000002 00000000 00010000 0005 01 4711 {name}");
        let found = entry(&line("@vnet-owner/1000/17/tap0"), 1000).expect("a listener");
        assert_eq!((found.name.as_str(), found.pid), ("tap0", 17));
        for other in [
            "@vnet/1000/17/lab",
            "@vnet-owner/1/17/lab",
            "@vnet-owner/1000/17/a/b",
            "",
        ] {
            assert_eq!(entry(&line(other), 1000), None, "{other}");
        }
    }
}
