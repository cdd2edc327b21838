//! Programs that run where the devices live.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vnet_sandbox::{Child, Stdio};
use vnet_sys::process::Exit;

use crate::error::Error;
use crate::netns::{Netns, Way};

/// How long a killed command may take to be gone.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The longest time between two looks at a command.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A command to run in a network namespace. It is killed, with everything it started, when this process dies.
#[derive(Clone, Debug)]
pub struct Command {
    argv: Vec<OsString>,
    /// What the user wrote, for messages.
    text: String,
    netns: Netns,
    env: Option<Vec<(OsString, OsString)>>,
    cwd: Option<PathBuf>,
    input: Option<Vec<u8>>,
    capture: bool,
    timeout: Option<Duration>,
}

impl Command {
    /// Runs a text by `sh -c`.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        let text = text.into();
        let argv = vec!["/bin/sh".into(), "-c".into(), text.clone().into()];
        Self {
            text,
            ..Self::of(argv)
        }
    }

    /// Runs a program with its arguments, found in PATH.
    #[must_use]
    pub fn new<I>(argv: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Self::of(argv.into_iter().map(Into::into).collect())
    }

    fn of(argv: Vec<OsString>) -> Self {
        let text = argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            argv,
            text,
            netns: Netns::Current,
            env: None,
            cwd: None,
            input: None,
            capture: true,
            timeout: None,
        }
    }

    /// Chooses the namespace.
    #[must_use]
    pub fn netns(mut self, netns: Netns) -> Self {
        self.netns = netns;
        self
    }

    /// Replaces the whole environment.
    #[must_use]
    pub fn env(mut self, env: Vec<(OsString, OsString)>) -> Self {
        self.env = Some(env);
        self
    }

    /// Chooses the working directory.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// Gives it something to read; without it standard input is empty where output is captured, else the caller's.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Leaves it the caller's standard streams instead of capturing what it writes.
    #[must_use]
    pub fn inherit(mut self) -> Self {
        self.capture = false;
        self
    }

    /// Kills it after this time; [`Running::poll`] then fails with [`Error::Timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such program, [`Error::Privilege`] when the namespace may not be entered.
    pub fn spawn(self) -> Result<Running, Error> {
        if self.argv.is_empty() {
            return Err(Error::Invalid {
                what: "the command is empty".into(),
                hint: None,
            });
        }
        let (stdin, input) = match self.input {
            Some(input) => {
                let (reader, writer) = pipe()?;
                nonblocking(writer.as_fd())?;
                (
                    Stdio::Fd(reader),
                    Some(Feed {
                        pipe: File::from(writer),
                        bytes: input,
                        sent: 0,
                    }),
                )
            }
            None if self.capture => (Stdio::Null, None),
            None => (Stdio::Inherit, None),
        };
        let (stdout, out) = Output::new(self.capture)?;
        let (stderr, err) = Output::new(self.capture)?;
        let command = vnet_sandbox::Command {
            argv: self.argv,
            env: self.env,
            cwd: self.cwd,
            stdin,
            stdout,
            stderr,
            ..vnet_sandbox::Command::default()
        };
        let child = child(&self.netns, command)?;
        Ok(Running {
            child,
            text: self.text,
            input,
            out,
            err,
            started: Instant::now(),
            timeout: self.timeout,
        })
    }

    /// Runs it to its end. A status other than 0 is no error: see [`Completed::check`].
    ///
    /// # Errors
    /// As [`Command::spawn`], and [`Error::Timeout`].
    pub fn run(self) -> Result<Completed, Error> {
        let mut running = self.spawn()?;
        loop {
            if let Some(completed) = running.poll(Duration::from_secs(3600))? {
                return Ok(completed);
            }
        }
    }
}

/// Starts a command in any namespace; what it says of the namespace itself is replaced.
pub(crate) fn child(netns: &Netns, mut command: vnet_sandbox::Command) -> Result<Child, Error> {
    match netns.way()? {
        Way::Here(ns) => {
            command.netns = Some(ns);
            Ok(vnet_sandbox::spawn(command)?)
        }
        Way::Lab(lab, space) => {
            command.netns = None;
            lab.spawn(space, command)
                .map_err(|error| Error::from(error).of(&netns.to_string()))
        }
    }
}

/// A command that runs; dropping it kills the command with everything it started.
pub struct Running {
    child: Child,
    text: String,
    input: Option<Feed>,
    out: Option<Output>,
    err: Option<Output>,
    started: Instant,
    timeout: Option<Duration>,
}

impl AsFd for Running {
    /// A pidfd, readable when the command has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}

impl Running {
    /// Returns the process id of the command.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Sends a signal to the command.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        Ok(self.child.signal(signal)?)
    }

    /// Kills the command with everything it started, and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill();
        self.child.wait(Some(LAST_WAIT))?;
        Ok(())
    }

    /// Waits up to `wait` for the end, moving what is read and written meanwhile; `None` when it still runs.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the command's own time is over: it has been killed then.
    pub fn poll(&mut self, wait: Duration) -> Result<Option<Completed>, Error> {
        let until = Instant::now().checked_add(wait);
        loop {
            self.move_bytes()?;
            if let Some(exit) = self.child.wait(Some(Duration::ZERO))? {
                // What was written before the end is in the pipes.
                self.move_bytes()?;
                return Ok(Some(self.completed(exit)));
            }
            let now = Instant::now();
            let end = self.timeout.and_then(|timeout| self.started.checked_add(timeout));
            if end.is_some_and(|end| now >= end) {
                self.kill()?;
                self.move_bytes()?;
                return Err(Error::Timeout {
                    what: format!("command {:?} did not end", self.text),
                    after: self.timeout.unwrap_or_default(),
                    partial: Some(Box::new(self.completed(Exit::Signal(9)))),
                });
            }
            if until.is_some_and(|until| now >= until) {
                return Ok(None);
            }
            let next = end.into_iter().chain(until).min();
            self.wait_ready(next.map_or(LONGEST, |next| next - now))?;
        }
    }

    fn completed(&mut self, exit: Exit) -> Completed {
        let returncode = match exit {
            Exit::Code(code) => code,
            Exit::Signal(signal) => -signal,
        };
        let take =
            |output: &mut Option<Output>| output.as_mut().map(|output| std::mem::take(&mut output.bytes));
        Completed {
            command: self.text.clone(),
            returncode,
            stdout: take(&mut self.out),
            stderr: take(&mut self.err),
            duration: self.started.elapsed(),
        }
    }

    fn move_bytes(&mut self) -> Result<(), Error> {
        if self.input.as_mut().is_some_and(|feed| !feed.write()) {
            // Closing it tells the command that there is no more.
            self.input = None;
        }
        for output in [&mut self.out, &mut self.err].into_iter().flatten() {
            output
                .read()
                .map_err(|error| Error::io("cannot read what the command wrote", &error))?;
        }
        Ok(())
    }

    fn wait_ready(&self, time: Duration) -> Result<(), Error> {
        let outputs = [&self.out, &self.err]
            .into_iter()
            .flatten()
            .filter_map(|output| output.pipe.as_ref());
        let mut fds = vec![PollFd::new(&self.child, PollFlags::IN)];
        fds.extend(outputs.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        fds.extend(
            self.input
                .iter()
                .map(|feed| PollFd::new(&feed.pipe, PollFlags::OUT)),
        );
        let timeout = Timespec::try_from(time).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::io("cannot wait for the command", &errno.into())),
        }
    }
}

/// A command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// What was run, as it was written.
    pub command: String,
    /// Exit status, or minus the number of the signal that ended it.
    pub returncode: i32,
    /// What it wrote; `None` where it was not captured.
    pub stdout: Option<Vec<u8>>,
    /// What it wrote to standard error; `None` where it was not captured.
    pub stderr: Option<Vec<u8>>,
    /// How long it ran.
    pub duration: Duration,
}

impl Completed {
    /// Returns the status as a shell shows it: 128 plus the number of the signal that ended it.
    #[must_use]
    pub fn shell_code(&self) -> i32 {
        if self.returncode < 0 {
            128 - self.returncode
        } else {
            self.returncode
        }
    }

    /// Returns itself, or the error when the status is not 0.
    ///
    /// # Errors
    /// [`Error::CommandFailed`].
    pub fn check(self) -> Result<Self, Error> {
        if self.returncode == 0 {
            Ok(self)
        } else {
            Err(Error::CommandFailed(Box::new(self)))
        }
    }
}

impl fmt::Display for Completed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (how, number) = if self.returncode < 0 {
            ("signal", -self.returncode)
        } else {
            ("status", self.returncode)
        };
        write!(f, "command {:?} ended with {how} {number}", self.command)?;
        let written = [&self.stderr, &self.stdout];
        let last = written.into_iter().flatten().find_map(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            text.lines()
                .map(str::trim)
                .rfind(|line| !line.is_empty())
                .map(str::to_owned)
        });
        last.map_or(Ok(()), |line| write!(f, ": {line}"))
    }
}

/// What is still to be written to a command.
struct Feed {
    pipe: File,
    bytes: Vec<u8>,
    sent: usize,
}

impl Feed {
    /// Writes what fits; false when nothing is left, or nobody reads any more.
    fn write(&mut self) -> bool {
        while self.sent < self.bytes.len() {
            match self.pipe.write(&self.bytes[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }
}

/// What a command has written so far.
struct Output {
    /// `None` once every writer has closed it.
    pipe: Option<File>,
    bytes: Vec<u8>,
}

impl Output {
    fn new(capture: bool) -> Result<(Stdio, Option<Self>), Error> {
        if !capture {
            return Ok((Stdio::Inherit, None));
        }
        let (reader, writer) = pipe()?;
        nonblocking(reader.as_fd())?;
        Ok((
            Stdio::Fd(writer),
            Some(Self {
                pipe: Some(File::from(reader)),
                bytes: Vec::new(),
            }),
        ))
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 1 << 16];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let (reader, writer) = io::pipe().map_err(|error| Error::io("cannot make a pipe", &error))?;
    Ok((reader.into(), writer.into()))
}

fn nonblocking(fd: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::io::ioctl_fionbio(fd, true)
        .map_err(|errno| Error::io("cannot make a pipe non-blocking", &errno.into()))
}
