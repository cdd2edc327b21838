//! A lab's helper: two processes.
//!
//! The **guard** is what vnet starts. It opens the lab's abstract socket, makes the lab
//! and from then on holds no privilege. It stays outside of the lab's namespaces, so it
//! knows its callers by their true user, and hands each that may come in to the lab. It
//! watches the process that opened the lab: when that is gone it kills the lab, whatever
//! the lab is doing.
//!
//! The **lab** is process 1 of a PID namespace and has the others (user, network, mount,
//! IPC, host name) of its own. It has one thread, serves one request at a time, and
//! trusts nothing a client says. When it ends, the kernel kills every process in the lab
//! and frees the namespaces with all that is in them. It ends when its client closes the
//! socket, when the client or the guard dies (`PR_SET_PDEATHSIG`, sound because the guard
//! has one thread), or when somebody kills it: so no death leaves anything.
//!
//! # What is given up, in stages
//! 1. The guard, once the lab exists: all capabilities, and the way to any other.
//! 2. The lab, once it is isolated: the capabilities that concern the machine (loading
//!    modules, setting the clock and the like), for itself and for its commands.

mod check;
mod command;
mod directory;
mod door;
mod files;
mod guard;
mod isolate;
mod node;
mod ports;
mod queries;
mod serve;
mod steps;
mod view;

use std::io;

use rustix::io::Errno;
use vnet_sys::SysError;
use vnet_sys::namespace::Kind;

use crate::SandboxError;
pub(super) use guard::main;

/// Says what failed in the lab, for the client.
fn failed(what: impl Into<String>, errno: Errno) -> SandboxError {
    SandboxError::Sys(SysError::Os {
        what: what.into(),
        source: io::Error::from(errno),
    })
}

/// As [`failed`], for what the standard library reports.
fn failed_io(what: impl Into<String>, source: io::Error) -> SandboxError {
    SandboxError::Sys(SysError::Os {
        what: what.into(),
        source,
    })
}

/// Says that a node got no namespace of a kind; the client finds the cause.
fn not_isolated(kind: Kind, node: &str, errno: Errno) -> SandboxError {
    SandboxError::Isolation {
        stage: format!("make a {} for node {node}", kind.name()),
        errno: errno.raw_os_error(),
        node: Some(node.to_owned()),
        cause: String::new(),
        fix: String::new(),
    }
}

/// Refuses what no client of ours asks for.
fn refused(what: impl Into<String>) -> SandboxError {
    SandboxError::BadArgument {
        what: what.into(),
        fix: "see the documentation of vnet_sandbox::Lab".to_owned(),
    }
}
