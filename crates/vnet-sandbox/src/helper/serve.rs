use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vnet_sys::process::{self, Exec, Exit, SignalFd, Signals};
use vnet_sys::{NetNs, SysError, private_sysfs};

use super::{Task, parse, tree, usage};
use crate::protocol::{self, Report, Request};

// Signal numbers are the same on all machines vnet runs on (asm-generic/signal.h).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGKILL: i32 = 9;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;

/// What is received instead of acted upon.
const HELD: &[i32] = &[
    SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU,
];

/// How long killed descendants may take to go, those that hang in the kernel among
/// them.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The exit code when the command could not be started, as a shell's.
const NOT_STARTED: u8 = 127;

/// Runs a command and returns its exit code, or 128 and the number of the signal that
/// killed it.
pub(super) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(task) = parse(args) else { return usage() };
    let Ok(mut fds) = process::take_inherited(if task.netns { 3 } else { 2 }) else {
        return usage();
    };
    let netns = if task.netns { fds.pop() } else { None };
    let (Some(parent), Some(control)) = (fds.pop(), fds.pop()) else {
        return usage();
    };
    match start(&task, netns) {
        Ok((signals, command)) => {
            protocol::report(control.as_fd(), &Report::Started(command));
            let exit = Helper {
                control,
                parent,
                signals,
                command,
            }
            .serve();
            ExitCode::from(u8::try_from(exit.shell_code()).unwrap_or(u8::MAX))
        }
        Err(Failure { stage, errno }) => {
            protocol::report(control.as_fd(), &Report::Failed { errno, stage });
            ExitCode::from(NOT_STARTED)
        }
    }
}

struct Failure {
    stage: String,
    errno: i32,
}

impl Failure {
    fn new(stage: String, error: &io::Error) -> Self {
        Self {
            stage,
            errno: error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error()),
        }
    }
}

impl From<SysError> for Failure {
    fn from(error: SysError) -> Self {
        let errno = error.errno();
        let stage = match error {
            SysError::Os { what, .. } | SysError::Privilege { what, .. } => what,
            other => other.to_string(),
        };
        Self { stage, errno }
    }
}

fn start(task: &Task, netns: Option<OwnedFd>) -> Result<(SignalFd, u32), Failure> {
    process::become_subreaper()?;
    let signals = SignalFd::new(Signals(HELD))?;
    if let Some(fd) = netns {
        enter(&NetNs::from_fd(fd)?)?;
    }
    if let Some(cwd) = &task.cwd {
        std::env::set_current_dir(cwd)
            .map_err(|e| Failure::new(format!("cannot change to directory {}", cwd.display()), &e))?;
    }
    let command = process::exec(Exec { argv: &task.argv })
        .map_err(|e| Failure::new("cannot execute it".to_owned(), &e))?;
    // From here on only the command holds its pipes and its directory.
    process::discard_stdio()?;
    std::env::set_current_dir("/").map_err(|e| Failure::new("cannot leave the directory".to_owned(), &e))?;
    Ok((signals, command))
}

fn enter(ns: &NetNs) -> Result<(), Failure> {
    if NetNs::current()?.same_as(ns) {
        return Ok(());
    }
    ns.enter()?;
    // Containers forbid a fresh sysfs; /sys/class/net then shows another namespace's devices and
    // everything else works.
    drop(private_sysfs());
    Ok(())
}

struct Helper {
    control: OwnedFd,
    parent: OwnedFd,
    signals: SignalFd,
    command: u32,
}

/// Why the helper stops serving.
enum End {
    /// The command has ended.
    Command(Exit),
    /// It is to be killed: by request, or because nobody wants it any more.
    Kill,
}

impl Helper {
    fn serve(&self) -> Exit {
        let end = loop {
            if let Some(end) = self.next() {
                break end;
            }
        };
        let deadline = Instant::now() + LAST_WAIT;
        let mut exit = match end {
            End::Command(exit) => exit,
            End::Kill => Exit::Signal(SIGKILL),
        };
        while !self.killed(&mut exit) && Instant::now() < deadline {
            // A child that dies raises SIGCHLD; a grandchild that becomes ours does not.
            self.wait_for_child(Duration::from_millis(5));
        }
        protocol::report(self.control.as_fd(), &Report::Ended(exit));
        exit
    }

    /// Kills what is left and reaps what has died; tells whether nothing is left.
    fn killed(&self, exit: &mut Exit) -> bool {
        tree::kill_descendants();
        loop {
            match process::reap() {
                Ok(Some((pid, ended))) if pid == self.command => *exit = ended,
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return false,
                // ECHILD: no child is left, and every orphan would be one.
                Err(_) => return true,
            }
        }
    }

    fn wait_for_child(&self, time: Duration) {
        let mut fds = [PollFd::new(&self.signals, PollFlags::IN)];
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        // Waking early costs nothing: the caller looks again.
        let _ = poll(&mut fds, Some(&time));
        while self.signals.next().is_some() {}
    }

    /// Waits for something to happen and deals with it.
    fn next(&self) -> Option<End> {
        let mut fds = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.parent, PollFlags::IN),
            PollFd::new(&self.control, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return None,
            // Without poll the parent's death would go unseen.
            Err(_) => return Some(End::Kill),
        }
        let [signals, parent, control] = fds.map(|fd| !fd.revents().is_empty());
        if parent {
            return Some(End::Kill);
        }
        if control && let Some(end) = self.answer() {
            return Some(end);
        }
        if signals { self.take_signals() } else { None }
    }

    fn answer(&self) -> Option<End> {
        match protocol::next_request(self.control.as_fd()) {
            Ok(Some(Request::Signal(signal))) => {
                self.pass_on(signal);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Asked to, or nobody is there to ask.
            Ok(Some(Request::Kill) | None) | Err(_) => Some(End::Kill),
        }
    }

    fn take_signals(&self) -> Option<End> {
        while let Some(signal) = self.signals.next() {
            match signal {
                SIGCHLD => {
                    while let Ok(Some((pid, exit))) = process::reap() {
                        if pid == self.command {
                            return Some(End::Command(exit));
                        }
                    }
                }
                SIGTERM | SIGUSR1 | SIGUSR2 => self.pass_on(signal),
                // A terminal sends the rest to the command by itself.
                _ => {}
            }
        }
        None
    }

    /// The command is a child that is not reaped yet, so its number is its own.
    fn pass_on(&self, signal: i32) {
        if let Ok(command) = process::open(self.command) {
            drop(process::send(command.as_fd(), signal));
        }
    }
}
