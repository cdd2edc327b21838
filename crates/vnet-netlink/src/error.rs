use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use vnet_sys::SysError;

use crate::fault;

/// A request to the kernel's network configuration failed, or was not made because
/// its arguments could not work.
///
/// It crosses a socket (serde) without losing its kind, errno or words.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum NetlinkError {
    /// There is no such interface in the namespace.
    #[error("there is no interface {name} in this network namespace")]
    NoSuchInterface {
        /// Its name, or its number after a `#`.
        name: String,
    },
    /// An interface of that name exists.
    #[error(
        "an interface named {name} exists already; take another name or delete it{}",
        said(kernel)
    )]
    Exists {
        /// The name.
        name: String,
        /// The kernel's own sentence.
        kernel: Option<String>,
    },
    /// An interface of that number exists.
    #[error(
        "cannot {what}: the interface number {number} is taken; take another or delete what has it{}",
        said(kernel)
    )]
    NumberTaken {
        /// What was to be made.
        what: String,
        /// The number.
        number: u32,
        /// The kernel's own sentence.
        kernel: Option<String>,
    },
    /// The kernel refused for want of a privilege.
    #[error("{what}: permission denied: needs {needs}; {fix}{}", said(kernel))]
    Privilege {
        /// What was attempted, and on which interface.
        what: String,
        /// The privilege that is missing.
        needs: String,
        /// What the user can do about it.
        fix: String,
        /// What the kernel answered.
        errno: i32,
        /// The kernel's own sentence.
        kernel: Option<String>,
    },
    /// The MTU is outside what the interface takes.
    #[error("{name} takes an MTU of {min} to {max} bytes, not {mtu}")]
    BadMtu {
        /// The interface.
        name: String,
        /// The MTU asked for, in bytes.
        mtu: u32,
        /// The smallest it takes.
        min: u32,
        /// The largest it takes.
        max: u32,
    },
    /// What was to get a port is no bridge.
    #[error("{name} is a {found}, not a bridge")]
    NotABridge {
        /// The interface.
        name: String,
        /// What it is.
        found: String,
    },
    /// The text is no MAC address, or the address is no interface's.
    #[error("bad MAC address {mac:?}: {reason}")]
    BadMac {
        /// The address as it was given.
        mac: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The text is no IP address with or without a prefix length.
    #[error("bad address {address:?}: {reason}")]
    BadAddress {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A number, text or size is one that no kernel takes.
    #[error("cannot {what}: {reason}")]
    BadValue {
        /// What was to be done, and to which interface.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An end of a veth pair was to be made in a namespace that is not known.
    #[error("cannot make {name}: there is no network namespace with the number {space}; make it first")]
    NoSuchSpace {
        /// The interface.
        name: String,
        /// The number of the namespace.
        space: u32,
    },
    /// There is no such route in the namespace.
    #[error("there is no route to {route} in this network namespace")]
    NoSuchRoute {
        /// The network, and what was given of gateway and interface.
        route: String,
    },
    /// The interface did not reach the state in time.
    #[error("{name} is not {wanted} after {seconds} s: its state is {state}{hint}")]
    NotInTime {
        /// The interface.
        name: String,
        /// The state waited for.
        wanted: Cow<'static, str>,
        /// How long.
        seconds: f64,
        /// The state it is in.
        state: String,
        /// What may be the cause, after a semicolon, or nothing.
        hint: Cow<'static, str>,
    },
    /// Any other refusal, in the kernel's words.
    #[error("{what}: {}{}", io::Error::from_raw_os_error(*errno), said(kernel))]
    Refused {
        /// What was attempted, and on which interface.
        what: String,
        /// What the kernel answered.
        errno: i32,
        /// The kernel's own sentence.
        kernel: Option<String>,
    },
    /// The netlink socket cannot be made or has failed.
    #[error("{what}: {source}")]
    Socket {
        /// What was attempted.
        what: String,
        /// What the kernel answered.
        #[serde(with = "fault::io_error")]
        source: io::Error,
    },
    /// A name or namespace could not be used.
    #[error(transparent)]
    Sys(
        #[from]
        #[serde(with = "fault::sys_error")]
        SysError,
    ),
}

impl NetlinkError {
    /// Returns the errno the kernel gave, or the one that fits where the check was
    /// made before the request.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NoSuchInterface { .. } => errno::NODEV,
            Self::Exists { .. } | Self::NumberTaken { .. } => errno::EXIST,
            Self::Privilege { errno, .. } | Self::Refused { errno, .. } => *errno,
            Self::BadMtu { .. }
            | Self::NotABridge { .. }
            | Self::BadMac { .. }
            | Self::BadAddress { .. }
            | Self::BadValue { .. } => errno::INVAL,
            Self::NoSuchSpace { .. } => errno::NOENT,
            Self::NoSuchRoute { .. } => errno::SRCH,
            Self::NotInTime { .. } => errno::TIMEDOUT,
            Self::Socket { source, .. } => source.raw_os_error().unwrap_or(errno::IO),
            Self::Sys(error) => error.errno(),
        }
    }

    /// Returns the kernel's own sentence, where it gave one.
    #[must_use]
    pub fn kernel_text(&self) -> Option<&str> {
        match self {
            Self::Exists { kernel, .. }
            | Self::NumberTaken { kernel, .. }
            | Self::Privilege { kernel, .. }
            | Self::Refused { kernel, .. } => kernel.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn socket(what: &str, source: io::Error) -> Self {
        Self::Socket {
            what: what.to_owned(),
            source,
        }
    }

    pub(crate) fn exists(name: &str, kernel: Option<String>) -> Self {
        Self::Exists {
            name: name.to_owned(),
            kernel,
        }
    }

    pub(crate) fn number_taken(what: &impl ToString, number: u32, kernel: Option<String>) -> Self {
        Self::NumberTaken {
            what: what.to_string(),
            number,
            kernel,
        }
    }

    /// Sorts a refusal by its errno; `what` says what was attempted and on which
    /// interface.
    pub(crate) fn refused(what: String, errno: i32, kernel: Option<String>) -> Self {
        if errno == errno::PERM || errno == errno::ACCES {
            return Self::Privilege {
                what,
                needs: "CAP_NET_ADMIN in the user namespace that owns the network namespace".to_owned(),
                fix: "run as root, or in a user namespace of your own".to_owned(),
                errno,
                kernel,
            };
        }
        Self::Refused { what, errno, kernel }
    }
}

fn said(kernel: &Option<String>) -> impl fmt::Display + use<> {
    kernel
        .as_ref()
        .map_or_else(String::new, |text| format!(": {text}"))
}

/// The errno values this crate tells apart (asm-generic/errno-base.h, errno.h).
pub(crate) mod errno {
    pub(crate) const PERM: i32 = 1;
    pub(crate) const NOENT: i32 = 2;
    pub(crate) const SRCH: i32 = 3;
    pub(crate) const IO: i32 = 5;
    pub(crate) const ACCES: i32 = 13;
    pub(crate) const BUSY: i32 = 16;
    pub(crate) const EXIST: i32 = 17;
    pub(crate) const NODEV: i32 = 19;
    pub(crate) const INVAL: i32 = 22;
    pub(crate) const NOSPC: i32 = 28;
    pub(crate) const TIMEDOUT: i32 = 110;
}
