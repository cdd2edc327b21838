use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, ioctl_tiocsctty, kill_process_group, setrlimit, setsid,
};
use vnet_sys::namespace::{self, Kind};
use vnet_sys::process::{self, Exit, Process, Program};

use super::directory::{Directory, Mounts};
use super::node::{Nodes, no_such};
use super::{failed_io, refused};
use crate::SandboxError;
use crate::lab::message::SpawnRequest;
use crate::protocol::Report;

/// How long killed processes may take to go before they are left to the kernel.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long a process may take to become its program.
const START: Duration = Duration::from_secs(5);

/// The stage of a process that does not say which it is at.
const LATE: u8 = 0;

/// Who started a command: the lab's client is 0, callers of its socket have numbers of
/// their own.
pub(super) type Caller = u64;

/// The commands of a lab that run.
#[derive(Debug, Default)]
pub(super) struct Commands {
    running: BTreeMap<u32, Running>,
}

#[derive(Debug)]
struct Running {
    space: u32,
    caller: Caller,
    /// Brings the report of its end to whoever waits for it.
    status: OwnedFd,
}

/// A command that has been started.
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    pub(super) status: OwnedFd,
}

/// The steps between the fork and the program.
#[derive(Clone, Copy)]
enum Stage {
    Enter = 1,
    Directory,
    Streams,
    Terminal,
    Execute,
}

impl Commands {
    /// Starts a command in a space.
    pub(super) fn start(
        &mut self,
        nodes: &mut Nodes,
        space: u32,
        caller: Caller,
        request: SpawnRequest,
        fds: &[OwnedFd],
    ) -> Result<Started, SandboxError> {
        let (streams, outside) = match fds {
            [stdin, stdout, stderr] => ([stdin, stdout, stderr], None),
            [stdin, stdout, stderr, directory] => ([stdin, stdout, stderr], Some(directory.as_fd())),
            _ => return Err(refused("a command has three streams and at most a directory")),
        };
        let argv: Vec<OsString> = request.argv.into_iter().map(Into::into).collect();
        let env: Vec<(OsString, OsString)> = request
            .env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let shown = argv
            .first()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let not_started = |stage: String, errno: Errno| SandboxError::NotStarted {
            command: shown.clone(),
            stage,
            source: errno.into(),
        };
        let program = Program::new(
            argv.iter().map(OsString::as_os_str),
            env.iter()
                .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
        )
        .map_err(|e| not_started("cannot execute it".to_owned(), e))?;
        let path = PathBuf::from(OsString::from(request.directory));

        nodes.prepare(space)?;
        let net = nodes.net(space).ok_or_else(|| no_such(space))?;
        let view = nodes.view(space).ok_or_else(|| no_such(space))?;
        let private_dirs = nodes
            .nodes
            .get(&space)
            .map_or(&[][..], |node| node.setup.private_dirs.as_slice());
        let child = Child {
            net,
            uts: view.uts.as_fd(),
            mounts: Mounts {
                lab: nodes.lab.view.mount.as_fd(),
                node: view.mount.as_fd(),
                private_dirs,
            },
            directory: Directory {
                path: &path,
                outside,
                explicit: request.explicit,
            },
            streams: streams.map(AsFd::as_fd),
            terminal: request.terminal,
            limit: nodes.lab.limit,
            program: &program,
        };
        let (process, told) =
            launch(&child).map_err(|e| failed_io(format!("cannot start a process for {shown}"), e))?;
        if let Some((stage, errno)) = told {
            if stage != LATE {
                // It has ended, or is about to; nobody else reaps it.
                drop(process.wait(None));
            }
            return Err(not_started(stage_name(stage, &path.display().to_string()), errno));
        }
        let (reader, writer) = io::pipe().map_err(|e| {
            drop(process.signal(9));
            failed_io(format!("cannot make a pipe for {shown}"), e)
        })?;
        let pid = process.pid();
        let pidfd = process.into_fd();
        self.running.insert(
            pid,
            Running {
                space,
                caller,
                status: writer.into(),
            },
        );
        Ok(Started {
            pid,
            pidfd,
            status: reader.into(),
        })
    }

    /// Reaps what has ended and reports commands.
    pub(super) fn reap(&mut self) {
        // Errors: interrupted, or no child is left.
        while let Ok(Some((pid, exit))) = process::reap() {
            self.ended(pid, exit);
        }
    }

    fn ended(&mut self, pid: u32, exit: Exit) {
        if let Some(command) = self.running.remove(&pid) {
            // Nobody may wait for it any more.
            drop(fs::File::from(command.status).write_all(&Report::Ended(exit).encode()));
        }
    }

    /// Signals the process group of a command that `caller` has started.
    pub(super) fn signal(&self, caller: Caller, pid: u32, signal: i32) -> Result<(), SandboxError> {
        let signal =
            Signal::from_named_raw(signal).ok_or_else(|| refused(format!("{signal} is no signal")))?;
        match self.running.get(&pid) {
            Some(command) if caller == 0 || command.caller == caller => {
                kill_group(pid, signal);
                Ok(())
            }
            // It has ended.
            _ => Ok(()),
        }
    }

    /// Kills the commands of a caller that is gone, with their process groups.
    pub(super) fn kill_caller(&self, caller: Caller) {
        for (pid, command) in &self.running {
            if command.caller == caller {
                kill_group(*pid, Signal::KILL);
            }
        }
    }

    /// Kills the commands of a space and, as far as /proc shows them, all else in it.
    pub(super) fn kill_space(&mut self, space: u32, nodes: &Nodes) {
        for (pid, command) in &self.running {
            if command.space == space {
                kill_group(*pid, Signal::KILL);
            }
        }
        // Without a fresh /proc its numbers mean processes of the machine.
        let inode = nodes
            .net(space)
            .filter(|_| nodes.lab.fresh_proc)
            .and_then(|net| rustix::fs::fstat(net).ok())
            .map(|stat| stat.st_ino);
        let deadline = Instant::now() + LAST_WAIT;
        while let Some(inode) = inode
            && Instant::now() < deadline
        {
            let inside = process::all().into_iter().filter(|process| {
                process.pid != 1
                    && process.state != 'Z'
                    && fs::metadata(format!("/proc/{}/ns/net", process.pid))
                        .is_ok_and(|ns| ns.st_ino() == inode)
            });
            let killed = inside.map(|process| kill(process.pid)).count();
            self.reap();
            if killed == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Returns how many commands run in a space.
    pub(super) fn count(&self, space: u32) -> usize {
        self.running
            .values()
            .filter(|command| command.space == space)
            .count()
    }

    /// Kills everything in the lab and reports the commands.
    pub(super) fn end(&mut self) {
        let deadline = Instant::now() + LAST_WAIT;
        while Instant::now() < deadline {
            // No process but this one.
            if process::kill_all().is_err() && self.running.is_empty() {
                return;
            }
            match process::reap() {
                Ok(Some((pid, exit))) => self.ended(pid, exit),
                Ok(None) => std::thread::sleep(Duration::from_micros(200)),
                Err(Errno::INTR) => {}
                // No child is left, and every orphan would be one.
                Err(_) => return,
            }
        }
    }
}

fn kill_group(pid: u32, signal: Signal) {
    // The group's number is its leader's, which has not been reaped.
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process_group(group, signal).ok();
    }
}

fn kill(pid: u32) {
    if let Ok(pidfd) = process::open(pid) {
        // One that has ended meanwhile needs no signal.
        drop(process::send(pidfd.as_fd(), 9));
    }
}

/// All that a child process needs to become a command.
struct Child<'a> {
    net: BorrowedFd<'a>,
    uts: BorrowedFd<'a>,
    mounts: Mounts<'a>,
    directory: Directory<'a>,
    streams: [BorrowedFd<'a>; 3],
    terminal: bool,
    limit: Rlimit,
    program: &'a Program,
}

/// Forks, and waits until the child has become the program or says which step failed.
fn launch(child: &Child<'_>) -> io::Result<(Process, Option<(u8, Errno)>)> {
    let (mut reader, mut writer) = io::pipe()?;
    let process = process::fork(&[], || {
        let (stage, errno) = child.become_program();
        let mut told = vec![stage as u8];
        told.extend_from_slice(&errno.raw_os_error().to_ne_bytes());
        // The parent waits for it, or is dead.
        drop(writer.write_all(&told));
        127
    })?;
    drop(writer);
    // A directory or a program on a server that does not answer must not stop the lab.
    if !process::readable(reader.as_fd(), Some(START)).map_err(|e| io::Error::from_raw_os_error(e.errno()))? {
        // It is reaped when the kernel lets go of it.
        drop(process.signal(9));
        return Ok((process, Some((LATE, Errno::TIMEDOUT))));
    }
    let mut told = Vec::new();
    // The program's start closes the child's end.
    reader.read_to_end(&mut told)?;
    let failure = match told.as_slice() {
        [stage, errno @ ..] => {
            let errno = errno
                .try_into()
                .map_or(Errno::IO.raw_os_error(), i32::from_ne_bytes);
            Some((*stage, Errno::from_raw_os_error(errno)))
        }
        [] => None,
    };
    Ok((process, failure))
}

impl Child<'_> {
    /// Becomes the program in its space; it returns the step that failed.
    fn become_program(&self) -> (Stage, Errno) {
        let enter = || -> Result<(), Errno> {
            namespace::enter(self.net, Kind::Net)?;
            namespace::enter(self.mounts.node, Kind::Mount)?;
            namespace::enter(self.uts, Kind::Uts)?;
            setsid()?;
            setrlimit(Resource::Nofile, self.limit)
        };
        if let Err(errno) = enter() {
            return (Stage::Enter, errno);
        }
        if let Err(errno) = self.directory.change(&self.mounts) {
            return (Stage::Directory, errno);
        }
        let [stdin, stdout, stderr] = self.streams;
        let streams = rustix::stdio::dup2_stdin(stdin)
            .and_then(|()| rustix::stdio::dup2_stdout(stdout))
            .and_then(|()| rustix::stdio::dup2_stderr(stderr));
        if let Err(errno) = streams {
            return (Stage::Streams, errno);
        }
        if self.terminal
            && let Err(errno) = ioctl_tiocsctty(stdin)
        {
            return (Stage::Terminal, errno);
        }
        let error = self.program.exec();
        (Stage::Execute, Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

fn stage_name(stage: u8, directory: &str) -> String {
    if stage == LATE {
        format!(
            "neither the program nor directory {directory} answers within {} s",
            START.as_secs()
        )
    } else if stage == Stage::Enter as u8 {
        "cannot enter the node".to_owned()
    } else if stage == Stage::Directory as u8 {
        format!("cannot change to directory {directory}")
    } else if stage == Stage::Streams as u8 {
        "cannot set up its streams".to_owned()
    } else if stage == Stage::Terminal as u8 {
        "cannot give it its terminal".to_owned()
    } else {
        "cannot execute it".to_owned()
    }
}
