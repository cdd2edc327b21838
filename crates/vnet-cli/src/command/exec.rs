//! `vnet exec`: a command in a node of a lab that runs.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::PollFlags;
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use vnet::{Child, ExecRequest, Exit, LabEntry, Stdio};

use crate::failure::Failure;
use crate::labs;
use crate::signals::{Signals, Woken};
use crate::terminal::{self, Pty, RawMode};

/// What is read from the command's terminal at once.
const CHUNK: usize = 16 * 1024;
/// How long output that was written before the command ended is looked for.
const DRAIN: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Lab: its name, its pid, or name@pid, as `vnet ls` shows them [default: VNET_LAB, else the only one that runs]
    #[arg(long, value_name = "NAME")]
    lab: Option<String>,
    /// Host or router to run it in
    node: String,
    /// Command to run [default: SHELL, else /bin/sh]; vnet ends with its exit code
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    let lab = labs::find(options.lab.as_deref())?;
    let description = lab.describe().map_err(vnet::Error::from)?;
    labs::check_node(&description, &options.node)?;
    let request = ExecRequest {
        argv: argv(options),
        env: Some(environment(&lab)),
        ..ExecRequest::default()
    };
    if terminal::is_terminal(io::stdin()) {
        on_terminal(&lab, &options.node, request)
    } else {
        beside(&lab, &options.node, request)
    }
}

fn argv(options: &Options) -> Vec<OsString> {
    if !options.command.is_empty() {
        return options.command.clone();
    }
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    vec![shell.unwrap_or_else(|| "/bin/sh".into())]
}

fn environment(lab: &LabEntry) -> Vec<(OsString, OsString)> {
    env::vars_os()
        .filter(|(name, _)| name != labs::VARIABLE)
        .chain([(labs::VARIABLE.into(), labs::full_name(lab).into())])
        .collect()
}

fn start(lab: &LabEntry, node: &str, request: ExecRequest) -> Result<Child, Failure> {
    let child = lab.exec(node, request);
    child.map_err(|error| Failure::not_run(error.into()))
}

/// Runs it on the caller's own streams, and passes signals on.
fn beside(lab: &LabEntry, node: &str, request: ExecRequest) -> Result<i32, Failure> {
    let mut signals = Signals::of(&[SIGINT, SIGTERM, SIGHUP])?;
    let child = start(lab, node, request)?;
    let mut last = None;
    loop {
        match signals.wait(Some(child.as_fd()), None)? {
            Woken::Signal(signal) if last.is_none() => {
                last = Some(signal);
                child.signal(signal).map_err(vnet::Error::from)?;
            }
            // Whoever asks twice does not want to wait.
            Woken::Signal(signal) => {
                child.kill();
                return Ok(128 + signal);
            }
            Woken::Readable => return code(&child),
            Woken::TimedOut => {}
        }
    }
}

fn code(child: &Child) -> Result<i32, Failure> {
    match child.wait(None).map_err(vnet::Error::from)? {
        Some(Exit::Code(code)) => Ok(code),
        Some(Exit::Signal(signal)) => Ok(128 + signal),
        None => Err(Failure::check(
            "the command ended, but its exit code cannot be had",
            None,
        )),
    }
}

/// Runs it on a terminal of its own that stands for the caller's; a stream that leads elsewhere keeps leading there.
fn on_terminal(lab: &LabEntry, node: &str, mut request: ExecRequest) -> Result<i32, Failure> {
    let mut signals = Signals::of(&[SIGINT, SIGTERM, SIGHUP, SIGWINCH])?;
    let Pty { ours, theirs } = Pty::open()?;
    let copy = |is_terminal: bool| -> Result<Stdio, Failure> {
        if !is_terminal {
            return Ok(Stdio::Inherit);
        }
        theirs.try_clone().map(Stdio::Fd).map_err(|source| Failure::Os {
            what: "duplicate a descriptor",
            source,
        })
    };
    request.stdout = copy(terminal::is_terminal(io::stdout()))?;
    request.stderr = copy(terminal::is_terminal(io::stderr()))?;
    request.stdin = Stdio::Fd(theirs);
    request.tty = true;
    let child = start(lab, node, request)?;
    let raw = RawMode::enter()?;
    let outcome = Relay {
        ours,
        child: &child,
        typed: Vec::new(),
        can_type: true,
        can_read: true,
    }
    .run(&mut signals);
    drop(raw);
    outcome
}

/// Moves what is typed to the command and what it writes to the terminal.
struct Relay<'a> {
    ours: OwnedFd,
    child: &'a Child,
    /// What was typed and has not been taken.
    typed: Vec<u8>,
    can_type: bool,
    can_read: bool,
}

impl Relay<'_> {
    fn run(&mut self, signals: &mut Signals) -> Result<i32, Failure> {
        loop {
            let (signal, ready) = self.wait(signals)?;
            match signal {
                Some(SIGWINCH) => terminal::resize(self.ours.as_fd()),
                // The terminal is gone, or somebody ends this process: what runs on the terminal goes too.
                Some(signal) => {
                    self.child.kill();
                    return Ok(128 + signal);
                }
                None => {}
            }
            let [ended, screen, keyboard] = ready;
            if !screen.is_empty() {
                self.write_typed()?;
                self.show()?;
            }
            if !keyboard.is_empty() {
                self.read_typed()?;
            }
            if !ended.is_empty() {
                self.drain(signals)?;
                return code(self.child);
            }
        }
    }

    /// Waits for the command's end, its terminal, and the keyboard.
    fn wait(&self, signals: &mut Signals) -> Result<(Option<i32>, [PollFlags; 3]), Failure> {
        let mut screen = PollFlags::empty();
        screen.set(PollFlags::IN, self.can_read);
        screen.set(PollFlags::OUT, !self.typed.is_empty());
        let stdin = io::stdin();
        let mut fds = vec![(self.child.as_fd(), PollFlags::IN)];
        let mut at = [Some(0), None, None];
        // A terminal that hung up would be ready for ever.
        if self.can_read {
            at[1] = Some(fds.len());
            fds.push((self.ours.as_fd(), screen));
        }
        if self.can_type && self.typed.is_empty() {
            at[2] = Some(fds.len());
            fds.push((stdin.as_fd(), PollFlags::IN));
        }
        let (signal, ready) = signals.wait_any(&fds, None)?;
        Ok((signal, at.map(|at| at.map_or(PollFlags::empty(), |at| ready[at]))))
    }

    fn read_typed(&mut self) -> Result<(), Failure> {
        let mut bytes = [0; 1024];
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(0) | Err(Errno::IO) => self.can_type = false,
            Ok(count) => self.typed.extend_from_slice(&bytes[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(failed("read from the terminal", errno)),
        }
        self.write_typed()
    }

    fn write_typed(&mut self) -> Result<(), Failure> {
        while !self.typed.is_empty() {
            match rustix::io::write(&self.ours, &self.typed) {
                Ok(count) => drop(self.typed.drain(..count)),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                // Nobody reads it any more.
                Err(Errno::IO) => self.typed.clear(),
                Err(errno) => return Err(failed("write to the command's terminal", errno)),
            }
        }
        Ok(())
    }

    /// Writes what the command wrote to the terminal; returns whether there was any.
    fn show(&mut self) -> Result<bool, Failure> {
        let mut bytes = [0; CHUNK];
        match rustix::io::read(&self.ours, &mut bytes) {
            Ok(count) if count > 0 => {
                crate::output::bytes(&bytes[..count])?;
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            // Every process that had it has closed it.
            Ok(_) | Err(Errno::IO) => {
                self.can_read = false;
                Ok(false)
            }
            Err(errno) => Err(failed("read from the command's terminal", errno)),
        }
    }

    /// Shows what was written before the end, but does not wait for what the command left running.
    fn drain(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let until = Instant::now() + DRAIN;
        while self.can_read && Instant::now() < until {
            if !self.show()? {
                let ready = [(self.ours.as_fd(), PollFlags::IN)];
                let (_, found) = signals.wait_any(&ready, Some(Duration::ZERO))?;
                if found[0].is_empty() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn failed(what: &'static str, errno: Errno) -> Failure {
    Failure::Os {
        what,
        source: errno.into(),
    }
}
