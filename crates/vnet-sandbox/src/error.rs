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
    /// The kernel or its configuration refuses to isolate a lab, or a node of one.
    #[error("cannot {stage}: {}: {cause}; {fix}", io::Error::from_raw_os_error(*errno))]
    Isolation {
        /// The step that failed, such as `make a user namespace`.
        stage: String,
        /// What the kernel answered.
        errno: i32,
        /// The node it is about, where it is not about the lab as a whole.
        node: Option<String>,
        /// Why, as far as this machine's settings tell.
        cause: String,
        /// What to do.
        fix: String,
    },
    /// The lab has ended: it was closed, or its helper was killed.
    #[error("the lab {lab} has ended; open another")]
    LabClosed {
        /// Its name.
        lab: String,
    },
    /// The helper executable is of another version than this library.
    #[error(
        "the helper of lab {lab} speaks version {theirs} of the protocol, this vnet version {ours}; install vnet again and restart what runs"
    )]
    OtherVersion {
        /// The lab.
        lab: String,
        /// The helper's version.
        theirs: u32,
        /// The version of this library.
        ours: u32,
    },
    /// A process of a closed lab does not end.
    #[error(
        "the lab {lab} still runs {seconds} s after it was closed: a process below its helper {helper} hangs in the kernel; wait for it or end what it waits for"
    )]
    StillRunning {
        /// The lab.
        lab: String,
        /// The helper's process id.
        helper: u32,
        /// How long was waited.
        seconds: f64,
    },
    /// A lab has no node of that name.
    #[error("the lab {lab} has no node {node}; it has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    NoSuchNode {
        /// The lab.
        lab: String,
        /// The name asked for.
        node: String,
        /// The names it has.
        known: Vec<String>,
    },
    /// The lab has no node there any more: it was removed.
    #[error("there is no network namespace with the number {space}: its node was removed")]
    NoSuchSpace {
        /// The number of the node's [`Space`](crate::Space).
        space: u32,
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
            Self::Isolation { errno, .. } => *errno,
            Self::LabClosed { .. } => 32,
            Self::OtherVersion { .. } => 71,
            Self::StillRunning { .. } => 110,
            Self::NoSuchNode { .. } | Self::NoSuchSpace { .. } => 2,
            Self::Netlink(error) => error.errno(),
            Self::Sys(error) => error.errno(),
        }
    }

    /// Tells whether a privilege is missing.
    #[must_use]
    pub fn is_privilege(&self) -> bool {
        matches!(
            self,
            Self::Isolation { .. }
                | Self::Sys(SysError::Privilege { .. })
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
