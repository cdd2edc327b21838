use std::ffi::{CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use libc::{c_char, c_int};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::{Process, open};
use crate::SysError;
use crate::error::last_errno;

/// Copies of inherited descriptors are made from this number on, out of the way of
/// the numbers they get in the new process.
const ABOVE: i32 = 64;

/// Python and Rust ignore SIGPIPE, Python SIGXFSZ; a program that ignores SIGCHLD
/// cannot wait for its children.
const RESET: &[c_int] = &[libc::SIGPIPE, libc::SIGXFSZ, libc::SIGCHLD];

/// A program to start.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// The executable file; no search in PATH.
    pub program: &'a Path,
    /// The arguments after the program's own name.
    pub args: &'a [OsString],
    /// The whole environment, or the caller's.
    pub env: Option<&'a [(OsString, OsString)]>,
    /// Descriptors, and the number each has in the new process. Those not named are
    /// inherited only where they are not close-on-exec.
    pub fds: &'a [(BorrowedFd<'a>, i32)],
    /// Starts it in a session of its own, without a controlling terminal.
    pub new_session: bool,
}

/// Starts a program with posix_spawn(3), which is sound in a program with threads.
///
/// No signal is blocked in the new process. Those a language runtime ignores for
/// itself have their default action; what the caller was told to ignore, as by
/// nohup(1), stays ignored.
///
/// # Errors
/// [`SysError::Os`] naming the program.
pub fn spawn(spawn: &Spawn<'_>) -> Result<Process, SysError> {
    let what = || format!("cannot start {}", spawn.program.display());
    let os = |errno: c_int| SysError::os(what(), Errno::from_raw_os_error(errno));
    let c_string = |text: &OsStr| {
        CString::new(text.as_bytes()).map_err(|_| {
            SysError::os(
                format!("{}: an argument contains a NUL byte", what()),
                Errno::INVAL,
            )
        })
    };

    let program = c_string(spawn.program.as_os_str())?;
    let mut args = vec![program.clone()];
    for arg in spawn.args {
        args.push(c_string(arg)?);
    }
    let inherited: Vec<_>;
    let env = if let Some(env) = spawn.env {
        env
    } else {
        inherited = std::env::vars_os().collect();
        &inherited
    };
    let mut variables = Vec::with_capacity(env.len());
    for (name, value) in env {
        let mut text = name.clone();
        text.push("=");
        text.push(value);
        variables.push(c_string(&text)?);
    }

    let mut actions = Actions::new().map_err(os)?;
    let mut copies: Vec<OwnedFd> = Vec::with_capacity(spawn.fds.len());
    for (fd, number) in spawn.fds {
        let copy = fcntl_dupfd_cloexec(fd, ABOVE).map_err(|e| SysError::os(what(), e))?;
        actions.dup2(copy.as_raw_fd(), *number).map_err(os)?;
        copies.push(copy);
    }
    let attributes = Attributes::new(spawn.new_session).map_err(os)?;

    let argv = pointers(&args);
    let envp = pointers(&variables);
    let mut pid = 0;
    // SAFETY: the path is a C string, argv and envp are null-terminated arrays of C strings,
    // actions and attributes are initialised; all outlive the call.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    if result != 0 {
        return Err(os(result));
    }
    match open(pid.unsigned_abs()) {
        Ok(pidfd) => Ok(Process {
            pid: pid.unsigned_abs(),
            pidfd,
        }),
        Err(error) => {
            end(pid);
            Err(error)
        }
    }
}

/// Kills and reaps a child that cannot be held by a pidfd.
fn end(pid: libc::pid_t) {
    // SAFETY: both calls take numbers, and a null pointer where no status is wanted. The number is the child's own as long
    // as nobody has reaped it.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        while libc::waitpid(pid, ptr::null_mut(), 0) < 0 && last_errno() == Errno::INTR {}
    }
}

fn pointers(texts: &[CString]) -> Vec<*mut c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr().cast_mut())
        .chain([ptr::null_mut()])
        .collect()
}

fn check(result: c_int) -> Result<(), c_int> {
    if result == 0 { Ok(()) } else { Err(result) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> Result<Self, c_int> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `raw` is room for the object, which is initialised when the call succeeds.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised above.
        Ok(Self(unsafe { raw.assume_init() }))
    }

    fn dup2(&mut self, from: c_int, to: c_int) -> Result<(), c_int> {
        // SAFETY: the object is initialised; the numbers are copied.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: the object is initialised and not used afterwards.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new(new_session: bool) -> Result<Self, c_int> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `raw` is room for the object, which is initialised when the call succeeds.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised above.
        let mut this = Self(unsafe { raw.assume_init() });
        let mut flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        if new_session {
            flags |= c_int::from(libc::POSIX_SPAWN_SETSID);
        }
        let mut none = MaybeUninit::uninit();
        let mut reset = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the sets it is given; the attribute object is
        // initialised and copies them.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigemptyset(reset.as_mut_ptr());
            for signal in RESET {
                libc::sigaddset(reset.as_mut_ptr(), *signal);
            }
            check(libc::posix_spawnattr_setsigmask(&raw mut this.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(
                &raw mut this.0,
                reset.as_ptr(),
            ))?;
            check(libc::posix_spawnattr_setflags(
                &raw mut this.0,
                flags as libc::c_short,
            ))?;
        }
        Ok(this)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the object is initialised and not used afterwards.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
