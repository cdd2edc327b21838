use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::message::{Reply, Request, SpawnRequest, Words};
use super::{Connection, Lab, Space};
use crate::{Child, Command, SandboxError, Stdio};

impl Lab {
    /// Starts a command in a space, in a session of its own; `command.netns` and
    /// `command.new_session` say nothing here.
    ///
    /// Dropping the [`Child`] kills the command with its process group. What it left
    /// running in sessions of their own ends with the lab.
    ///
    /// Its directory is the one of that path in the node, or, where the node has none
    /// because a private directory covers it, the caller's, which then shows in the
    /// node in the same place.
    ///
    /// # Errors
    /// [`SandboxError::NotStarted`] with the step that failed and its errno: `ENOENT`
    /// when there is no such program.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the command's descriptors are to be closed here"
    )]
    pub fn spawn(&self, space: Space, command: Command) -> Result<Child, SandboxError> {
        self.start(space, &command, false)
    }

    /// Starts a command whose controlling terminal is its standard input, one end of a
    /// pseudo-terminal; else as [`Lab::spawn`].
    ///
    /// # Errors
    /// As [`Lab::spawn`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the command's descriptors are to be closed here"
    )]
    pub fn spawn_on_terminal(&self, space: Space, command: Command) -> Result<Child, SandboxError> {
        self.start(space, &command, true)
    }

    fn start(&self, space: Space, command: &Command, terminal: bool) -> Result<Child, SandboxError> {
        let make = |command| Request::Spawn {
            space: space.0,
            command,
        };
        spawn(&self.connection, command, terminal, make)
    }
}

/// Starts a command by the request that `make` makes of it.
pub(super) fn spawn<R: serde::Serialize>(
    connection: &Arc<Connection>,
    command: &Command,
    terminal: bool,
    make: impl FnOnce(SpawnRequest) -> R,
) -> Result<Child, SandboxError> {
    let Some(program) = command.argv.first() else {
        return Err(SandboxError::BadArgument {
            what: "the command is empty".to_owned(),
            fix: "give a program and its arguments".to_owned(),
        });
    };
    let shown = program.to_string_lossy().into_owned();
    let not_started = |stage: &str, errno: Errno| SandboxError::NotStarted {
        command: shown.clone(),
        stage: stage.to_owned(),
        source: errno.into(),
    };
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| not_started("cannot open /dev/null", e))?;
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let mut fds = Vec::with_capacity(4);
    for (stream, own) in [
        (&command.stdin, stdin.as_fd()),
        (&command.stdout, stdout.as_fd()),
        (&command.stderr, stderr.as_fd()),
    ] {
        fds.push(match stream {
            Stdio::Fd(fd) => fd.as_fd(),
            // A caller whose own stream is closed has nothing to inherit.
            Stdio::Inherit if rustix::io::fcntl_getfd(own).is_ok() => own,
            Stdio::Inherit | Stdio::Null => null.as_fd(),
        });
    }
    let (path, directory) = directory(command.cwd.as_deref())
        .map_err(|e| not_started(&cannot_change(command.cwd.as_deref()), e))?;
    fds.extend(directory.as_ref().map(AsFd::as_fd));

    let words = |text: &std::ffi::OsString| Words::from(text.as_os_str());
    let env = match &command.env {
        Some(env) => env.iter().map(|(k, v)| (words(k), words(v))).collect(),
        None => std::env::vars_os().map(|(k, v)| (words(&k), words(&v))).collect(),
    };
    let request = make(SpawnRequest {
        argv: command.argv.iter().map(words).collect(),
        env,
        directory: path,
        explicit: command.cwd.is_some(),
        terminal,
    });
    let (Reply::Spawned { pid }, fds) = connection.ask(&request, &fds)? else {
        return Err(connection.confused());
    };
    let [pidfd, status] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| connection.confused())?;
    Ok(Child::in_lab(shown, pid, pidfd, status, Arc::clone(connection)))
}

fn cannot_change(cwd: Option<&Path>) -> String {
    cwd.map_or_else(
        || "cannot open the current directory".to_owned(),
        |cwd| format!("cannot change to directory {}", cwd.display()),
    )
}

/// Returns the whole path of a directory and a descriptor of it, where it exists
/// outside of the node.
fn directory(cwd: Option<&Path>) -> Result<(Words, Option<OwnedFd>), Errno> {
    let path = cwd.unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => Ok((whole_path(fd.as_fd())?, Some(fd))),
        // It may be one of the node's own.
        Err(Errno::NOENT) if path.is_absolute() => Ok((path.as_os_str().into(), None)),
        Err(errno) => Err(errno),
    }
}

fn whole_path(fd: BorrowedFd<'_>) -> Result<Words, Errno> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?;
    Ok(OsStr::new(&*path.to_string_lossy()).into())
}
