use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// A system call failed, or was not made because its arguments could not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysError {
    /// The device node is missing or has no driver behind it.
    #[error("{}: {reason}; {fix}", path.display())]
    MissingDevice {
        /// The node that was looked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: Cow<'static, str>,
        /// What the user can do about it.
        fix: String,
        /// What the kernel answered.
        errno: i32,
    },
    /// The kernel refused for want of a privilege.
    #[error("{what}: permission denied: needs {needs}; {fix}")]
    Privilege {
        /// What was attempted, and on which thing.
        what: String,
        /// The privilege that is missing.
        needs: String,
        /// What the user can do about it.
        fix: String,
        /// What the kernel answered.
        errno: i32,
    },
    /// Somebody else holds the interface.
    #[error(
        "the interface {name} is busy: {}; close it there or take another name",
        owner.as_deref().map_or_else(|| "another process holds it".to_owned(), |o| format!("{o} holds it"))
    )]
    Busy {
        /// The interface.
        name: String,
        /// The holder as `process <pid> (<command>)`, where /proc tells.
        owner: Option<String>,
    },
    /// An interface of that name exists and is of another kind than asked for.
    #[error("the interface {name} exists and is {found}, not {wanted}; take another name or delete it")]
    WrongKind {
        /// The interface.
        name: String,
        /// What it is.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The name cannot be an interface name.
    #[error("bad interface name {name:?}: {reason}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// Why the kernel would refuse it.
        reason: String,
    },
    /// The file is not a network namespace.
    #[error("{what} is not a network namespace; {fix}")]
    NotANamespace {
        /// The path or descriptor.
        what: String,
        /// What would be one.
        fix: String,
    },
    /// Any other refusal, in the kernel's words.
    #[error("{what}: {source}")]
    Os {
        /// What was attempted, and on which thing.
        what: String,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl SysError {
    /// Returns the errno the kernel gave, or the one that fits where the check
    /// was made before the call.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::MissingDevice { errno, .. } | Self::Privilege { errno, .. } => *errno,
            Self::Busy { .. } => Errno::BUSY.raw_os_error(),
            Self::WrongKind { .. } | Self::BadName { .. } | Self::NotANamespace { .. } => {
                Errno::INVAL.raw_os_error()
            }
            Self::Os { source, .. } => source.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
        }
    }

    /// Returns what the user can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::MissingDevice { fix, .. }
            | Self::Privilege { fix, .. }
            | Self::NotANamespace { fix, .. } => Some(fix),
            _ => None,
        }
    }

    pub(crate) fn os(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os {
            what: what.into(),
            source: source.into(),
        }
    }

    /// Names the last errno of the calling thread.
    pub(crate) fn last(what: impl Into<String>) -> Self {
        Self::os(what, io::Error::last_os_error())
    }

    /// Tells a refusal for want of CAP_NET_ADMIN or CAP_SYS_ADMIN from the rest.
    pub(crate) fn privileged(what: impl Into<String>, needs: &str, errno: Errno) -> Self {
        if errno == Errno::PERM || errno == Errno::ACCESS {
            Self::Privilege {
                what: what.into(),
                needs: needs.to_owned(),
                fix: "run as root, or in a user namespace of your own".to_owned(),
                errno: errno.raw_os_error(),
            }
        } else {
            Self::os(what, errno)
        }
    }
}

impl From<io::Error> for SysError {
    fn from(source: io::Error) -> Self {
        Self::Os {
            what: "system call".to_owned(),
            source,
        }
    }
}

/// Returns the errno that the last libc call of this thread left.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
