use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::Access;
use vnet_sys::process::{self, Spawn};
use vnet_sys::{SysError, caps, seqpacket};

use super::message::{Open, Opened};
use super::{Connection, Lab, isolation_error};
use crate::{SandboxError, helper, helper_path};

/// The most bytes the name of a lab or a node has.
pub(crate) const NAME_MAX: usize = 63;

/// How a lab is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabOptions {
    /// Its name: letters, digits, `.`, `_` and `-`, at most 63 bytes. Several labs may
    /// have one name.
    pub name: String,
    /// Whether it lies in a user namespace of its own; by default exactly when this
    /// process may not make network namespaces without one.
    pub rootless: Option<bool>,
}

/// What a lab is and what the kernel granted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabInfo {
    /// Its name.
    pub name: String,
    /// Whether it lies in a user namespace of its own.
    pub rootless: bool,
    /// The process id of its helper.
    pub helper: u32,
    /// Whether its /proc shows its own processes; where the kernel forbids that
    /// (containers that cover parts of /proc), it shows those of the machine.
    pub fresh_proc: bool,
    /// Whether each node's /sys shows its own interfaces rather than the machine's.
    pub fresh_sysfs: bool,
    /// Whether nodes can have the lab's /etc/hosts; not where the machine has none
    /// that it could be put over.
    pub own_hosts: bool,
    /// The abstract socket that [`labs`](crate::labs) finds it by; nothing where the
    /// kernel gave none.
    pub exec_socket: Option<String>,
}

impl Lab {
    /// Opens an empty lab: a network namespace with nothing but a loopback interface
    /// that is up, and PID, mount, IPC and host name namespaces.
    ///
    /// # Errors
    /// [`SandboxError::Isolation`] with cause and fix when the kernel or its
    /// configuration refuses a namespace; [`SandboxError::NoHelper`].
    pub fn open(options: &LabOptions) -> Result<Self, SandboxError> {
        check_name("lab", &options.name)?;
        let rootless = options.rootless.unwrap_or_else(|| !caps::may_make_networks());
        let path = helper_path();
        rustix::fs::access(&path, Access::EXEC_OK).map_err(|e| SandboxError::NoHelper {
            path: path.clone(),
            source: e.into(),
        })?;
        let (ours, theirs) = seqpacket::pair().map_err(|source| SysError::Os {
            what: format!("cannot open lab {}", options.name),
            source,
        })?;
        let own = process::open(std::process::id())?;
        let process = process::spawn(&Spawn {
            program: &path,
            args: &[helper::LAB.into()],
            env: Some(&[]),
            fds: &[(theirs.as_fd(), helper::CONTROL), (own.as_fd(), helper::PARENT)],
            new_session: true,
        })
        .map_err(|error| match error {
            SysError::Os { source, .. } => SandboxError::NoHelper { path, source },
            other => other.into(),
        })?;
        // The helper's end is the helper's alone from here on: its death is then seen.
        drop(theirs);

        let connection = Connection::new(ours, &options.name);
        let opened = connection.greet().and_then(|()| {
            connection.greeted()?;
            let open = Open {
                name: options.name.clone(),
                rootless,
            };
            Ok(connection.exchange::<Opened>(&open, &[])?.0)
        });
        let failed = |error| {
            connection.end();
            drop(process.wait(None));
            Err(error)
        };
        match opened {
            Ok(Opened::Lab(facts)) => Ok(Self {
                info: LabInfo {
                    name: options.name.clone(),
                    rootless,
                    helper: process.pid(),
                    fresh_proc: facts.fresh_proc,
                    fresh_sysfs: facts.fresh_sysfs,
                    own_hosts: facts.own_hosts,
                    exec_socket: facts.exec_socket,
                },
                connection: Arc::new(connection),
                helper: process,
                starter: std::process::id(),
            }),
            Ok(Opened::Failed { stage, errno }) => failed(isolation_error(stage, errno, rootless, None)),
            Err(error) => failed(error),
        }
    }
}

/// Refuses what cannot name a lab, a node or a host.
pub(crate) fn check_name(of: &str, name: &str) -> Result<(), SandboxError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(fits) {
        return Ok(());
    }
    Err(SandboxError::BadArgument {
        what: format!("{name:?} cannot name a {of}"),
        fix: format!("use 1 to {NAME_MAX} letters, digits, `.`, `_` and `-`"),
    })
}
