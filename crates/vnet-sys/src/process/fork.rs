use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use libc::{c_char, c_int};
use rustix::io::Errno;

use super::{Process, signals};
use crate::error::last_errno;
use crate::namespace::{self, Kind};

/// How long a thread that has been joined may take to be gone.
const THREAD_END: Duration = Duration::from_millis(100);

/// The exit code of a child that panicked, as Rust's.
const PANICKED: u8 = 101;

/// Makes a child process that runs `child` and exits with what it returns, each of the
/// `fresh` kinds of namespace being its own. In a fresh PID namespace it is process 1.
///
/// Only a process with one thread may fork: a lock another thread holds would be held
/// in the child for ever.
///
/// # Errors
/// `EPERM` when the namespaces are refused, `ENOSPC` at a limit of /proc/sys/user,
/// `EAGAIN` at a limit of processes, `EBUSY` in a process with more threads.
pub fn fork(fresh: &[Kind], child: impl FnOnce() -> u8) -> Result<Process, Errno> {
    alone()?;
    let flags = fresh
        .iter()
        .fold(libc::CLONE_PIDFD | libc::SIGCHLD, |flags, kind| {
            flags | kind.flag()
        });
    let mut pidfd: c_int = -1;
    // SAFETY: without CLONE_VM this is fork(2): the child goes on on a copy of this stack. The
    // process has one thread, so no lock is held by somebody who does not exist in the child.
    // The kernel writes the pidfd where the third argument points, on every machine.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, &raw mut pidfd, 0usize, 0usize) };
    if pid < 0 {
        return Err(last_errno());
    }
    if pid == 0 {
        // Unwinding further would run the parent's code in the child.
        let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(PANICKED);
        // SAFETY: it ends this process without running what the parent has registered.
        unsafe { libc::_exit(c_int::from(code)) };
    }
    // SAFETY: the kernel has just made the descriptor for this process and nobody else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = u32::try_from(pid).map_err(|_| Errno::SRCH)?;
    Ok(Process { pid, pidfd })
}

/// A thread that was joined is still counted for an instant.
fn alone() -> Result<(), Errno> {
    let deadline = Instant::now() + THREAD_END;
    while !namespace::has_one_thread() {
        if Instant::now() > deadline {
            return Err(Errno::BUSY);
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// A program with its arguments and environment, made ready before a fork.
#[derive(Debug)]
pub struct Program {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// Makes a program ready.
    ///
    /// # Errors
    /// `EINVAL` without a name, with a NUL byte in a word or a `=` in a variable's name.
    pub fn new<'a>(
        argv: impl IntoIterator<Item = &'a OsStr>,
        env: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> Result<Self, Errno> {
        let word = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
        let argv = argv
            .into_iter()
            .map(|text| word(text.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut variables = Vec::new();
        for (name, value) in env {
            if name.is_empty() || name.as_bytes()[1..].contains(&b'=') {
                return Err(Errno::INVAL);
            }
            variables.push(word(&[name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        if argv.first().is_none_or(|name| name.is_empty()) {
            return Err(Errno::NOENT);
        }
        Ok(Self { argv, env: variables })
    }

    /// Becomes the program, searched in the PATH of its own environment, with every
    /// signal's default action and none blocked. It returns only when that fails.
    ///
    /// Only for a child of [`fork`]: it changes the environment of the process.
    pub fn exec(&self) -> io::Error {
        let argv = pointers(&self.argv);
        let env = pointers(&self.env);
        signals::reset_all();
        // SAFETY: both arrays end with a null pointer and, with the strings they point to,
        // outlive the call. This process has one thread, so nobody else reads `environ`; it
        // points to `env` only until the call has failed.
        unsafe {
            let before = environ;
            environ = env.as_ptr();
            libc::execvp(argv[0], argv.as_ptr());
            let error = io::Error::last_os_error();
            environ = before;
            self.missing(error)
        }
    }

    /// A directory of PATH that may not be searched makes execvp(3) say that permission
    /// is denied, where the truth is that there is no such program.
    fn missing(&self, error: io::Error) -> io::Error {
        let name = Path::new(OsStr::from_bytes(self.argv[0].as_bytes()));
        if error.kind() != io::ErrorKind::PermissionDenied || name.components().nth(1).is_some() {
            return error;
        }
        let path = self
            .env
            .iter()
            .find_map(|text| text.as_bytes().strip_prefix(b"PATH="));
        let found = path.is_none_or(|path| {
            path.split(|b| *b == b':')
                .any(|dir| Path::new(OsStr::from_bytes(dir)).join(name).is_file())
        });
        if found { error } else { Errno::NOENT.into() }
    }
}

unsafe extern "C" {
    /// The environment of this process (environ(7)).
    static mut environ: *const *const c_char;
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // The test's own thread is not the only one.
        assert_eq!(fork(&[], || 0).unwrap_err(), Errno::BUSY);
    }

    #[test]
    fn words_that_no_program_can_be_given_are_refused() {
        fn word(text: &str) -> &OsStr {
            OsStr::new(text)
        }
        let of = |argv: &[&str], env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, value)| (word(name), word(value)));
            Program::new(argv.iter().map(|text| word(text)), env).map(drop)
        };
        assert_eq!(of(&["sh", "-c", "true"], &[("A", "b=c"), ("=C:", "d")]), Ok(()));
        assert_eq!(of(&[], &[]), Err(Errno::NOENT));
        assert_eq!(of(&[""], &[]), Err(Errno::NOENT));
        assert_eq!(of(&["a\0b"], &[]), Err(Errno::INVAL));
        for (name, value) in [("", "x"), ("A=B", "x"), ("A", "x\0y")] {
            assert_eq!(of(&["sh"], &[(name, value)]), Err(Errno::INVAL), "{name:?}");
        }
    }
}
