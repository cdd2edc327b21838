use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use vnet_sys::{SysError, seqpacket};

use super::message::{DoorRequest, Reply};
use super::{Connection, spawn};
use crate::{Child, Command, SandboxError, Stdio};

/// How long a lab may take to let the callers before this one in.
const FULL: Duration = Duration::from_secs(1);

/// A running lab, of this process or another of the same user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabEntry {
    /// Its name.
    pub name: String,
    /// The process id of its helper.
    pub pid: u32,
    /// Its abstract socket.
    pub socket: String,
}

/// What a running lab says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabDescription {
    /// Its name.
    pub name: String,
    /// Whether it lies in a user namespace of its own.
    pub rootless: bool,
    /// Its nodes, in the order of their numbers.
    pub nodes: Vec<LabNode>,
}

/// A node of a running lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabNode {
    /// Its name.
    pub name: String,
    /// Its number.
    pub space: u32,
    /// How many commands run in it.
    pub commands: usize,
}

/// A command for a node of a running lab.
#[derive(Debug, Default)]
pub struct ExecRequest {
    /// The program, searched in PATH, and its arguments.
    pub argv: Vec<OsString>,
    /// Its whole environment, or the caller's.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// Whether its standard input, one end of a pseudo-terminal, becomes its
    /// controlling terminal.
    pub tty: bool,
    /// Its standard input.
    pub stdin: Stdio,
    /// Its standard output.
    pub stdout: Stdio,
    /// Its standard error.
    pub stderr: Stdio,
}

/// Returns the running labs of this user that the network namespace of this process
/// can reach.
#[must_use]
pub fn labs() -> Vec<LabEntry> {
    let uid = rustix::process::geteuid().as_raw();
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let deadline = Instant::now() + FULL;
    let mut found: Vec<_> = sockets
        .lines()
        .filter_map(|line| entry(line, uid))
        // Everybody may take any name.
        .filter(|entry| entry.call(deadline).is_ok_and(|(_, owner)| owner == Some(uid)))
        .collect();
    found.sort_by(|a, b| (&a.name, a.pid).cmp(&(&b.name, b.pid)));
    found
}

/// Reads a line such as `0000: 00000002 00000000 00010000 0005 01 4711 @vnet/0/7/lab`;
/// 00010000 marks a listener.
fn entry(line: &str, uid: u32) -> Option<LabEntry> {
    let mut fields = line.split_ascii_whitespace();
    let listens = fields.nth(3)? == "00010000";
    let socket = fields.nth(3)?.strip_prefix('@')?;
    let mut words = socket.split('/');
    if !listens || words.next()? != "vnet" || words.next()?.parse() != Ok(uid) {
        return None;
    }
    let pid = words.next()?.parse().ok()?;
    let name = words.next()?.to_owned();
    words.next().is_none().then(|| LabEntry {
        name,
        pid,
        socket: socket.to_owned(),
    })
}

impl LabEntry {
    /// Asks the lab what it is.
    ///
    /// # Errors
    /// [`SandboxError::LabClosed`] when it has ended or refuses this user.
    pub fn describe(&self) -> Result<LabDescription, SandboxError> {
        let connection = self.connect()?;
        match connection.ask(&DoorRequest::Describe, &[])? {
            (Reply::Description(description), _) => Ok(description),
            _ => Err(connection.confused()),
        }
    }

    /// Starts a command in a node, found by its name, in the caller's directory.
    ///
    /// The command is killed when the [`Child`] is dropped or this process dies.
    ///
    /// # Errors
    /// [`SandboxError::NoSuchNode`], and those of [`Lab::spawn`](crate::Lab::spawn).
    pub fn exec(&self, node: &str, request: ExecRequest) -> Result<Child, SandboxError> {
        let connection = Arc::new(self.connect()?);
        let command = Command {
            argv: request.argv,
            env: request.env,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            ..Command::default()
        };
        let make = |command| DoorRequest::Exec {
            node: node.to_owned(),
            command,
        };
        spawn::spawn(&connection, &command, request.tty, make)
    }

    /// Connects to whoever listens, and returns whose process that is.
    fn call(&self, deadline: Instant) -> io::Result<(OwnedFd, Option<u32>)> {
        loop {
            match seqpacket::connect_abstract(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                outcome => {
                    let socket = outcome?;
                    let owner = seqpacket::peer_uid(&socket)?;
                    return Ok((socket, owner));
                }
            }
        }
    }

    fn connect(&self) -> Result<Connection, SandboxError> {
        let closed = || SandboxError::LabClosed {
            lab: self.name.clone(),
        };
        let (socket, owner) = self
            .call(Instant::now() + FULL)
            .map_err(|source| match source.kind() {
                io::ErrorKind::ConnectionRefused => closed(),
                _ => SandboxError::Sys(SysError::Os {
                    what: format!("cannot reach lab {}", self.name),
                    source,
                }),
            })?;
        // Anybody else would be handed this user's environment and streams.
        if owner != Some(0) && owner != Some(rustix::process::geteuid().as_raw()) {
            return Err(closed());
        }
        let connection = Connection::new(socket, &self.name);
        connection.greet()?;
        connection.greeted()?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listening_socket_of_this_user_is_a_lab() {
        let line = |name: &str| format!("0000000000000000: 00000002 00000000 00010000 0005 01 4711 {name}");
        let found = entry(&line("@vnet/1000/17/my-lab"), 1000).unwrap();
        assert_eq!((found.name.as_str(), found.pid), ("my-lab", 17));
        assert_eq!(found.socket, "vnet/1000/17/my-lab");
        for other in [
            "@vnet/1001/17/my-lab",
            "@vnet/1000/x/my-lab",
            "@vnet/1000/17/my/lab",
            "@vnet/1000/17",
            "/tmp/vnet/1000/17/lab",
            "",
        ] {
            assert_eq!(entry(&line(other), 1000), None, "{other}");
        }
        let connected = line("@vnet/1000/17/my-lab").replace("00010000", "00000000");
        assert_eq!(entry(&connected, 1000), None);
        assert_eq!(
            entry("Num RefCount Protocol Flags Type St Inode Path", 1000),
            None
        );
    }
}
