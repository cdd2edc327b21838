//! An error on its way through a socket: the kind, the errno and the kernel's text stay what they were.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vnet_netlink::NetlinkError;
use vnet_sys::SysError;

use crate::SandboxError;

/// What [`SandboxError`] says, as the helper and its client send it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Fault {
    Busy {
        name: String,
        owner: Option<String>,
    },
    BadArgument {
        what: String,
        fix: String,
    },
    NotStarted {
        command: String,
        stage: String,
        errno: i32,
    },
    HelperDied {
        command: String,
    },
    /// Cause and fix are found by who reads it: it knows the machine's own settings.
    Isolation {
        stage: String,
        errno: i32,
        node: Option<String>,
    },
    NoSuchNode {
        lab: String,
        node: String,
        known: Vec<String>,
    },
    NoSuchSpace {
        space: u32,
    },
    Netlink(NetlinkError),
    Sys(SysFault),
}

/// What [`SysError`] says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum SysFault {
    MissingDevice {
        path: PathBuf,
        reason: String,
        fix: String,
        errno: i32,
    },
    Privilege {
        what: String,
        needs: String,
        fix: String,
        errno: i32,
    },
    WrongKind {
        name: String,
        found: String,
        wanted: String,
    },
    BadName {
        name: String,
        reason: String,
    },
    NotANamespace {
        what: String,
        fix: String,
    },
    Os {
        what: String,
        errno: i32,
    },
}

impl From<SandboxError> for Fault {
    fn from(error: SandboxError) -> Self {
        let errno = error.errno();
        match error {
            SandboxError::Busy { name, owner } => Self::Busy { name, owner },
            SandboxError::BadArgument { what, fix } => Self::BadArgument { what, fix },
            SandboxError::NotStarted { command, stage, .. } => Self::NotStarted {
                command,
                stage,
                errno,
            },
            SandboxError::HelperDied { command } => Self::HelperDied { command },
            SandboxError::Isolation {
                stage, errno, node, ..
            } => Self::Isolation { stage, errno, node },
            SandboxError::NoSuchNode { lab, node, known } => Self::NoSuchNode { lab, node, known },
            SandboxError::NoSuchSpace { space } => Self::NoSuchSpace { space },
            SandboxError::Netlink(NetlinkError::Sys(error)) | SandboxError::Sys(error) => sys(error),
            SandboxError::Netlink(error) => Self::Netlink(error),
            other => Self::Sys(SysFault::Os {
                what: other.to_string(),
                errno,
            }),
        }
    }
}

fn sys(error: SysError) -> Fault {
    let (errno, shown) = (error.errno(), error.to_string());
    Fault::Sys(match error {
        SysError::Busy { name, owner } => return Fault::Busy { name, owner },
        SysError::MissingDevice {
            path,
            reason,
            fix,
            errno,
        } => SysFault::MissingDevice {
            path,
            reason: reason.into(),
            fix,
            errno,
        },
        SysError::Privilege {
            what,
            needs,
            fix,
            errno,
        } => SysFault::Privilege {
            what,
            needs,
            fix,
            errno,
        },
        SysError::WrongKind { name, found, wanted } => SysFault::WrongKind { name, found, wanted },
        SysError::BadName { name, reason } => SysFault::BadName { name, reason },
        SysError::NotANamespace { what, fix } => SysFault::NotANamespace { what, fix },
        SysError::Os { what, .. } => SysFault::Os { what, errno },
        _ => SysFault::Os { what: shown, errno },
    })
}

impl From<Fault> for SandboxError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy { name, owner } => Self::Busy { name, owner },
            Fault::BadArgument { what, fix } => Self::BadArgument { what, fix },
            Fault::NotStarted {
                command,
                stage,
                errno,
            } => Self::NotStarted {
                command,
                stage,
                source: io::Error::from_raw_os_error(errno),
            },
            Fault::HelperDied { command } => Self::HelperDied { command },
            // A lab asks only for what it is allowed, so what fails are limits.
            Fault::Isolation { stage, errno, node } => crate::lab::isolation_error(stage, errno, true, node),
            Fault::NoSuchNode { lab, node, known } => Self::NoSuchNode { lab, node, known },
            Fault::NoSuchSpace { space } => Self::NoSuchSpace { space },
            Fault::Netlink(error) => Self::Netlink(error),
            Fault::Sys(fault) => Self::Sys(fault.into()),
        }
    }
}

impl From<SysFault> for SysError {
    fn from(fault: SysFault) -> Self {
        match fault {
            SysFault::MissingDevice {
                path,
                reason,
                fix,
                errno,
            } => Self::MissingDevice {
                path,
                reason: reason.into(),
                fix,
                errno,
            },
            SysFault::Privilege {
                what,
                needs,
                fix,
                errno,
            } => Self::Privilege {
                what,
                needs,
                fix,
                errno,
            },
            SysFault::WrongKind { name, found, wanted } => Self::WrongKind { name, found, wanted },
            SysFault::BadName { name, reason } => Self::BadName { name, reason },
            SysFault::NotANamespace { what, fix } => Self::NotANamespace { what, fix },
            SysFault::Os { what, errno } => Self::Os {
                what,
                source: io::Error::from_raw_os_error(errno),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_at_the_other_end() {
        let errors = || {
            let name = || "tap0".to_owned();
            vec![
                SandboxError::Busy {
                    name: name(),
                    owner: Some("process 7 (qemu)".into()),
                },
                SandboxError::BadArgument {
                    what: name(),
                    fix: "another".into(),
                },
                SandboxError::NotStarted {
                    command: "x".into(),
                    stage: "cannot execute it".into(),
                    source: io::Error::from_raw_os_error(2),
                },
                SandboxError::Netlink(NetlinkError::Refused {
                    what: "cannot set up tap0".into(),
                    errno: 95,
                    kernel: Some("the kernel's own words".into()),
                }),
                SandboxError::Netlink(NetlinkError::BadMtu {
                    name: name(),
                    mtu: 1,
                    min: 68,
                    max: 65521,
                }),
                SandboxError::NoSuchSpace { space: 3 },
                SandboxError::Netlink(NetlinkError::NoSuchInterface { name: name() }),
                SandboxError::Sys(SysError::MissingDevice {
                    path: "/dev/net/tun".into(),
                    reason: "the TUN/TAP device node does not exist".into(),
                    fix: "mknod".into(),
                    errno: 2,
                }),
                SandboxError::Sys(SysError::Privilege {
                    what: "cannot open it".into(),
                    needs: "permission".into(),
                    fix: "ask".into(),
                    errno: 13,
                }),
            ]
        };
        for (before, error) in errors().into_iter().zip(errors()) {
            let fault = Fault::from(error);
            let sent = serde_json::to_string(&fault).unwrap();
            let after = SandboxError::from(serde_json::from_str::<Fault>(&sent).unwrap());
            assert_eq!(after.to_string(), before.to_string());
            assert_eq!(
                (after.errno(), after.is_privilege()),
                (before.errno(), before.is_privilege())
            );
            assert_eq!(
                std::mem::discriminant(&after),
                std::mem::discriminant(&before),
                "{before:?}"
            );
        }
    }
}
