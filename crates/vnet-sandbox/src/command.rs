use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use rustix::fs::{Access, Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use vnet_sys::process::{self, Spawn};
use vnet_sys::{NetNs, SysError};

use crate::protocol::{self, Report};
use crate::{Child, Namespace, SandboxError, helper};

/// Where a standard stream of a command leads.
#[derive(Debug, Default)]
pub enum Stdio {
    /// Where the caller's own leads.
    #[default]
    Inherit,
    /// To /dev/null.
    Null,
    /// To this descriptor, such as one end of a pipe.
    Fd(OwnedFd),
}

/// A command to run.
#[derive(Debug, Default)]
pub struct Command {
    /// The program, searched in PATH, and its arguments.
    pub argv: Vec<OsString>,
    /// Its whole environment, or the caller's.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// The directory it starts in, or the caller's.
    pub cwd: Option<PathBuf>,
    /// Its standard input.
    pub stdin: Stdio,
    /// Its standard output.
    pub stdout: Stdio,
    /// Its standard error.
    pub stderr: Stdio,
    /// The network namespace it runs in, or the calling thread's.
    pub netns: Option<NetNs>,
    /// Starts it in a session of its own: Ctrl-C in the caller's terminal does not
    /// reach it, and it cannot read from that terminal.
    pub new_session: bool,
}

impl Command {
    /// Describes a command with the caller's environment, directory and streams.
    pub fn new<I, S>(argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Describes a command line for `sh -c`.
    pub fn shell(line: impl Into<OsString>) -> Self {
        Self::new([OsString::from("sh"), OsString::from("-c"), line.into()])
    }
}

impl Namespace {
    /// Starts a command in this namespace; see [`spawn`], and in a lab
    /// [`Lab::spawn`](crate::Lab::spawn).
    ///
    /// # Errors
    /// As those.
    pub fn spawn(&self, mut command: Command) -> Result<Child, SandboxError> {
        if let Some((lab, space)) = self.lab() {
            return lab.spawn(space, command);
        }
        command.netns = Some(self.netns().clone());
        spawn(command)
    }
}

static HELPER: RwLock<Option<PathBuf>> = RwLock::new(None);

/// Says where the helper executable is, for a program that is not beside it.
pub fn set_helper_path(path: PathBuf) {
    *HELPER.write().unwrap_or_else(PoisonError::into_inner) = Some(path);
}

/// Returns where the helper executable is: the environment variable `VNET_HELPER`,
/// else what [`set_helper_path`] said, else `vnet-helper` beside this executable.
#[must_use]
pub fn helper_path() -> PathBuf {
    if let Some(path) = env::var_os("VNET_HELPER").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let set = HELPER.read().unwrap_or_else(PoisonError::into_inner).clone();
    set.unwrap_or_else(|| {
        env::current_exe()
            .ok()
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new("."))
            .join("vnet-helper")
    })
}

/// Starts a command below a helper process that ends it, with all its descendants,
/// when this process dies or the [`Child`] is dropped.
///
/// Helper and command stay in the caller's process group unless a new session is
/// asked for, so that a command in a terminal's foreground may read from it and
/// Ctrl-C reaches it. The command gets descriptors 0, 1 and 2 and no other.
///
/// It returns when the command runs.
///
/// # Errors
/// [`SandboxError::NotStarted`] with the step that failed, [`SandboxError::NoHelper`].
#[expect(
    clippy::needless_pass_by_value,
    reason = "the command's descriptors are to be closed here"
)]
pub fn spawn(command: Command) -> Result<Child, SandboxError> {
    let Some(program) = command.argv.first() else {
        return Err(SandboxError::BadArgument {
            what: "the command is empty".to_owned(),
            fix: "give a program and its arguments".to_owned(),
        });
    };
    let shown = program.to_string_lossy().into_owned();
    let path = helper_path();
    rustix::fs::access(&path, Access::EXEC_OK).map_err(|e| SandboxError::NoHelper {
        path: path.clone(),
        source: e.into(),
    })?;

    let os = |e| SysError::Os {
        what: format!("cannot run {shown}"),
        source: io::Error::from(e),
    };
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(os)?;
    let own = process::open(std::process::id())?;
    let null = null_for(&command).map_err(os)?;
    let mut fds: Vec<(BorrowedFd<'_>, i32)> =
        vec![(theirs.as_fd(), helper::CONTROL), (own.as_fd(), helper::PARENT)];
    if let Some(ns) = &command.netns {
        fds.push((ns.as_fd(), helper::NETNS));
    }
    for (number, stream) in [(0, &command.stdin), (1, &command.stdout), (2, &command.stderr)] {
        match (stream, &null) {
            (Stdio::Fd(fd), _) => fds.push((fd.as_fd(), number)),
            (Stdio::Null, Some(null)) => fds.push((null.as_fd(), number)),
            _ => {}
        }
    }
    let args = helper::arguments(command.netns.is_some(), command.cwd.as_deref(), &command.argv);
    let process = process::spawn(&Spawn {
        program: &path,
        args: &args,
        env: command.env.as_deref(),
        fds: &fds,
        new_session: command.new_session,
    })
    .map_err(|error| match error {
        SysError::Os { source, .. } => SandboxError::NoHelper {
            path: path.clone(),
            source,
        },
        other => other.into(),
    })?;
    // The helper's end is the helper's alone from here on: its death is then seen.
    drop(theirs);

    match protocol::next_report(ours.as_fd(), RecvFlags::empty()).map_err(|source| SysError::Os {
        what: format!("cannot hear from the helper of {shown}"),
        source,
    })? {
        Some(Report::Started(pid)) => Ok(Child::new(shown, pid, process, ours)),
        Some(Report::Failed { errno, stage }) => {
            process.wait(None).ok();
            Err(SandboxError::NotStarted {
                command: shown,
                stage,
                source: io::Error::from_raw_os_error(errno),
            })
        }
        Some(Report::Ended(_)) | None => {
            process.wait(None).ok();
            Err(SandboxError::HelperDied { command: shown })
        }
    }
}

fn null_for(command: &Command) -> rustix::io::Result<Option<OwnedFd>> {
    let wanted = [&command.stdin, &command.stdout, &command.stderr]
        .iter()
        .any(|s| matches!(s, Stdio::Null));
    if !wanted {
        return Ok(None);
    }
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Some)
}
