use std::io;
use std::path::PathBuf;

use vnet_netlink::NetlinkError;
use vnet_sys::SysError;

/// A device could not be made or a command could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The name is taken, by an interface somebody holds or has made.
    #[error(
        "the interface {name} is busy: {}; close it there or take another name",
        owner.as_deref().map_or_else(|| "it exists already".to_owned(), |o| format!("{o} holds it"))
    )]
    Busy {
        /// The interface.
        name: String,
        /// The holder, where /proc or the interface's alias tells.
        owner: Option<String>,
    },
    /// The arguments contradict each other.
    #[error("{what}; {fix}")]
    BadArgument {
        /// What is wrong, and with which device.
        what: String,
        /// What to do instead.
        fix: String,
    },
    /// The helper executable is not where it should be.
    #[error(
        "the helper executable {} cannot be used: {source}; name it in the environment variable VNET_HELPER or install vnet again",
        path.display()
    )]
    NoHelper {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The command could not be started.
    #[error("cannot run {command}: {stage}: {source}")]
    NotStarted {
        /// The program.
        command: String,
        /// The step that failed, such as `cannot change to directory /x`.
        stage: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The helper ended without saying how the command did.
    #[error("the helper of {command} was killed, so how the command ended is not known")]
    HelperDied {
        /// The program.
        command: String,
    },
    /// The network configuration was refused.
    #[error(transparent)]
    Netlink(NetlinkError),
    /// A system call was refused.
    #[error(transparent)]
    Sys(SysError),
}

impl SandboxError {
    /// Returns the errno the kernel gave, or the one that fits.
    #[must_use]
    pub fn errno(&self) -> i32 {
        let of = |source: &io::Error| source.raw_os_error().unwrap_or(5);
        match self {
            Self::Busy { .. } => 16,
            Self::BadArgument { .. } => 22,
            Self::NoHelper { source, .. } | Self::NotStarted { source, .. } => of(source),
            Self::HelperDied { .. } => 5,
            Self::Netlink(error) => error.errno(),
            Self::Sys(error) => error.errno(),
        }
    }

    /// Tells whether a privilege is missing.
    #[must_use]
    pub fn is_privilege(&self) -> bool {
        matches!(
            self,
            Self::Sys(SysError::Privilege { .. })
                | Self::Netlink(
                    NetlinkError::Privilege { .. } | NetlinkError::Sys(SysError::Privilege { .. })
                )
        )
    }
}

impl From<SysError> for SandboxError {
    fn from(error: SysError) -> Self {
        match error {
            SysError::Busy { name, owner } => Self::Busy { name, owner },
            other => Self::Sys(other),
        }
    }
}

impl From<NetlinkError> for SandboxError {
    fn from(error: NetlinkError) -> Self {
        match error {
            NetlinkError::Sys(error) => error.into(),
            other => Self::Netlink(other),
        }
    }
}
