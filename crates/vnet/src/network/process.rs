//! Commands in a node that run beside the caller.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use vnet_sandbox::{Child, SandboxError};
use vnet_sys::process::Exit;

use super::port::{self, Transport};
use super::stream::{Pipes, Stream, copy, input, output};
use super::{Cancel, Network, NetworkInner};
use crate::command::{self, Completed};
use crate::error::Error;
use crate::netns::Netns;

/// Longest wait between two looks at what else may have happened.
const SLICE: Duration = Duration::from_millis(50);

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// How often a process group is asked whether it is empty, which nothing tells.
const LOOK: Duration = Duration::from_millis(5);

/// A command to start in a node.
#[derive(Debug, Default)]
pub struct Popen {
    /// The program, searched in PATH, and its arguments.
    pub argv: Vec<OsString>,
    /// What the user wrote, for messages.
    pub text: String,
    /// Whether signals go to its whole process group: a shell does not hand them on to what it runs.
    pub group: bool,
    /// Its whole environment, or the caller's.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// The directory it starts in, or the caller's.
    pub cwd: Option<PathBuf>,
    /// What it reads.
    pub stdin: Stream,
    /// What it writes.
    pub stdout: Stream,
    /// What it writes to standard error.
    pub stderr: Stream,
}

impl Popen {
    /// Describes a command line for `sh -c`.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            argv: vec!["/bin/sh".into(), "-c".into(), text.clone().into()],
            text,
            group: true,
            ..Self::default()
        }
    }

    /// Describes a program with its arguments.
    #[must_use]
    pub fn new(argv: Vec<OsString>) -> Self {
        let words: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).collect();
        Self {
            text: words.join(" "),
            argv,
            ..Self::default()
        }
    }
}

/// A command that runs in a node. Clones are handles to the same command; it lives until it ends, is killed, or the network
/// is closed.
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    child: Child,
    text: String,
    group: bool,
    node: String,
    /// The network keeps its commands, so they cannot keep it.
    network: Weak<NetworkInner>,
    pipes: Mutex<Pipes>,
}

/// Starts a command in a node of a lab that runs.
pub(super) fn start(network: &Network, node: &str, popen: Popen) -> Result<Process, Error> {
    if popen.argv.is_empty() {
        return Err(Error::Invalid {
            what: format!("the command for node {node} is empty"),
            hint: None,
        });
    }
    let lab = network.ours()?;
    let netns = Netns::node(lab.lab()?, lab.space(node)?, node);
    let mut pipes = Pipes::default();
    let stdin = input(popen.stdin, &mut pipes.stdin)?;
    let stdout = output(popen.stdout, &mut pipes.stdout)?;
    let stderr = match popen.stderr {
        Stream::Stdout => copy(&stdout)?,
        stream => output(stream, &mut pipes.stderr)?,
    };
    let child = command::child(
        &netns,
        vnet_sandbox::Command {
            argv: popen.argv,
            env: popen.env,
            cwd: popen.cwd,
            stdin,
            stdout,
            stderr,
            netns: None,
            new_session: true,
        },
    )?;
    let process = Process {
        inner: Arc::new(Inner {
            child,
            text: popen.text,
            group: popen.group,
            node: node.to_owned(),
            network: Arc::downgrade(&network.inner),
            pipes: Mutex::new(pipes),
        }),
    };
    network.keep(process.clone());
    Ok(process)
}

impl Process {
    /// Returns its process id as this process sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.child.pid()
    }

    /// Takes the caller's ends of its streams.
    #[must_use]
    pub fn take_pipes(&self) -> Pipes {
        let mut pipes = self.inner.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut pipes)
    }

    /// Returns its exit status, minus the number of the signal that ended it, or `None` while it runs.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn poll(&self) -> Result<Option<i32>, Error> {
        self.wait_for(Duration::ZERO)
    }

    /// Waits up to `timeout` (`None`: for ever) for its end and returns the status as [`Process::poll`]; `None` when the time
    /// is over or `cancel` said so.
    ///
    /// # Errors
    /// As [`Process::poll`].
    pub fn wait(&self, timeout: Option<Duration>, cancel: Cancel<'_>) -> Result<Option<i32>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let status = self.wait_for(left.map_or(SLICE, |left| left.min(SLICE)))?;
            if status.is_some() || left.is_some_and(|left| left.is_zero()) || cancel() {
                return Ok(status);
            }
        }
    }

    fn wait_for(&self, time: Duration) -> Result<Option<i32>, Error> {
        let exit = match self.inner.child.wait(Some(time)) {
            // Whoever ends the lab ends everything in it by SIGKILL.
            Err(SandboxError::HelperDied { .. }) => Some(Exit::Signal(9)),
            exit => exit?,
        };
        Ok(exit.map(|exit| match exit {
            Exit::Code(code) => code,
            Exit::Signal(signal) => -signal,
        }))
    }

    /// Returns whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !matches!(self.poll(), Ok(None))
    }

    /// Sends it a signal, and the whole process group of one that a shell runs; one that has ended already is no error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that is no signal.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        if self.has_ended() {
            return Ok(());
        }
        if self.inner.group {
            self.inner.child.signal_group(signal)?;
        } else {
            self.inner.child.signal(signal)?;
        }
        Ok(())
    }

    /// Ends it with its process group, also what it has left there: by SIGTERM, and by SIGKILL what is left after `grace` or
    /// when `cancel` says so.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn end(&self, grace: Duration, cancel: Cancel<'_>) -> Result<(), Error> {
        let child = &self.inner.child;
        child.signal_group(SIGTERM)?;
        let deadline = Instant::now() + grace;
        while !self.has_ended() || child.has_group() {
            if Instant::now() >= deadline || cancel() {
                child.signal_group(SIGKILL)?;
                break;
            }
            if self.wait_for(LOOK)?.is_some() {
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Kills it with its process group.
    pub fn kill(&self) {
        self.inner.child.kill();
    }

    /// Returns a descriptor of its own that is readable once it has ended.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn end_fd(&self) -> Result<OwnedFd, Error> {
        let fd = self.inner.child.as_fd().try_clone_to_owned();
        fd.map_err(|error| Error::io("cannot duplicate the descriptor of a command", &error))
    }

    /// Waits up to `timeout` until something in its node listens on a port, without connecting to it; false when `cancel` said
    /// so first.
    ///
    /// # Errors
    /// [`Error::Timeout`] when nothing does, [`Error::CommandFailed`] when the command fails before.
    pub fn wait_port(
        &self,
        port: u16,
        transport: Transport,
        timeout: Duration,
        cancel: Cancel<'_>,
    ) -> Result<bool, Error> {
        let started = Instant::now();
        loop {
            let status = self.poll()?;
            let sockets = match port::of_process(self.pid(), transport)? {
                Some(sockets) => sockets,
                // It has left its service to the background, or its own table cannot be seen from here.
                None => port::of_node(&self.node()?, transport)?,
            };
            if port::listens(&sockets, port, transport) {
                return Ok(true);
            }
            if let Some(returncode) = status.filter(|status| *status != 0) {
                return Err(self.failed(returncode, started.elapsed()));
            }
            if started.elapsed() >= timeout {
                return Err(Error::Timeout {
                    what: format!(
                        "nothing listens on {transport} port {port} of node {}",
                        self.inner.node
                    ),
                    after: timeout,
                    partial: None,
                });
            }
            if cancel() {
                return Ok(false);
            }
            // Nothing wakes whoever waits for a listener of another process.
            std::thread::sleep(port::LOOK);
        }
    }

    fn node(&self) -> Result<super::Node, Error> {
        let network = self.inner.network.upgrade().map(|inner| Network { inner });
        let closed = || Error::Closed {
            what: format!("the network of {self}"),
        };
        network.ok_or_else(closed)?.node(&self.inner.node)
    }

    fn failed(&self, returncode: i32, duration: Duration) -> Error {
        Error::CommandFailed(Box::new(Completed {
            command: self.inner.text.clone(),
            returncode,
            stdout: None,
            stderr: None,
            duration,
        }))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {:?} on node {}", self.inner.text, self.inner.node)
    }
}
