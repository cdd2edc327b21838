//! The helper's side: a process between vnet and what must not outlive it.
//!
//! It is started for one thing: to run one command (`run`), to be a lab (`lab`, module
//! `lab`), or to delete what vnet leaves in a namespace (`keep`). In each it has one
//! thread and may therefore fork. Descriptor 3 is a socket to the process that started
//! it and descriptor 4 a pidfd of that process: when either says that the process is
//! gone, the helper ends what it is there for, and itself. The pidfd matters because a
//! forked child of that process holds the socket open; the socket matters because the
//! process may let go and live on.
//!
//! # Commands
//! The helper of a command kills it and everything that descends from it. Who kills the
//! helper itself kills the command with it (`PR_SET_PDEATHSIG`, sound here because the
//! helper has one thread), but not what the command has started. Nor can an ordinary
//! user's helper kill what runs as another user.
//!
//! # Terminals
//! Helper and command stay in the process group they were started in. So a command
//! run from a terminal's foreground is in the foreground: it may read from the
//! terminal, and Ctrl-C and Ctrl-Z reach it as if vnet were not there. The helper
//! ignores those signals, since it must be able to run when its parent dies: it is
//! neither interrupted nor stopped. SIGTERM sent to the helper is passed on to the
//! command. The helper of a lab is in a session of its own, which no terminal reaches.

mod lab;
mod serve;
mod tree;

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// What the helper is started for: a lab.
pub(crate) const LAB: &str = "lab";
/// What the helper is started for: deleting what is left in a namespace.
const KEEP: &str = "keep";

/// Descriptor of the socket to the process that started the helper.
pub(crate) const CONTROL: i32 = 3;
/// Descriptor of a pidfd of that process.
pub(crate) const PARENT: i32 = 4;
/// Descriptor of the network namespace, with `--netns`.
pub(crate) const NETNS: i32 = 5;

const USAGE: &str = "vnet-helper is started by vnet and is of no use on its own\n\
    usage: vnet-helper run [--netns] [--cwd DIR] -- PROGRAM [ARGUMENT]...\n\
    \x20      vnet-helper lab\n\
    \x20      vnet-helper keep\n";

/// Runs the helper with the arguments after its name, and returns its exit code: in the
/// case of a command the command's own, or 128 and the number of the signal that killed
/// it.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    match args.as_slice() {
        [word] if word == LAB => lab::main(),
        [word] if word == KEEP => crate::device::keep(),
        _ => serve::main(args.into_iter()),
    }
}

/// What the helper is started for.
#[derive(Debug, PartialEq, Eq)]
struct Task {
    netns: bool,
    cwd: Option<OsString>,
    argv: Vec<OsString>,
}

/// Returns the arguments of a helper that deletes what is left.
pub(crate) fn keep_arguments() -> [OsString; 1] {
    [KEEP.into()]
}

/// Writes a task as the helper's arguments.
pub(crate) fn arguments(netns: bool, cwd: Option<&Path>, argv: &[OsString]) -> Vec<OsString> {
    let mut args = vec![OsString::from("run")];
    if netns {
        args.push("--netns".into());
    }
    if let Some(cwd) = cwd {
        args.push("--cwd".into());
        args.push(cwd.into());
    }
    args.push("--".into());
    args.extend_from_slice(argv);
    args
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Task> {
    if args.next()? != "run" {
        return None;
    }
    let mut task = Task {
        netns: false,
        cwd: None,
        argv: Vec::new(),
    };
    loop {
        let word = args.next()?;
        if word == OsStr::new("--netns") {
            task.netns = true;
        } else if word == OsStr::new("--cwd") {
            task.cwd = Some(args.next()?);
        } else if word == OsStr::new("--") {
            task.argv = args.collect();
            return (!task.argv.is_empty()).then_some(task);
        } else {
            return None;
        }
    }
}

/// Waits until the process that started the helper says something; nothing when it is
/// gone. A child it has forked may hold its end of the socket open.
pub(crate) fn wait_for(control: BorrowedFd<'_>, parent: BorrowedFd<'_>) -> Option<()> {
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(control, PollFlags::IN),
            PollFd::from_borrowed_fd(parent, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) if !fds[1].revents().is_empty() => return None,
            Ok(_) if !fds[0].revents().is_empty() => return Some(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_understood_as_it_was_written() {
        let argv = vec![
            OsString::from("sh"),
            OsString::from("--"),
            OsString::from("--netns"),
        ];
        for (netns, cwd) in [(false, None), (true, Some(Path::new("/tmp/a b")))] {
            let task = Task {
                netns,
                cwd: cwd.map(Into::into),
                argv: argv.clone(),
            };
            assert_eq!(parse(arguments(netns, cwd, &argv).into_iter()), Some(task));
        }
        assert_eq!(parse(["run", "--"].map(OsString::from).into_iter()), None);
        assert_eq!(parse(["--help"].map(OsString::from).into_iter()), None);
    }
}
