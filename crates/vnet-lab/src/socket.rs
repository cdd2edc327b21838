//! Sockets in nodes.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;
use vnet_sandbox::{Lab, SocketSpec, Space};

use crate::cancel::{Cancel, LOOK};
use crate::error::LabError;

/// A node's own view of the network: where its sockets are opened.
#[derive(Clone)]
pub(crate) struct Place {
    pub lab: std::sync::Arc<Lab>,
    pub space: Space,
    pub node: String,
}

impl Place {
    /// Opens a socket in the node, non-blocking.
    pub(crate) fn socket(
        &self,
        domain: i32,
        kind: i32,
        protocol: i32,
        bind: Option<SocketAddr>,
    ) -> Result<OwnedFd, LabError> {
        Ok(self.lab.socket(
            self.space,
            &SocketSpec {
                domain,
                kind: kind | libc::SOCK_NONBLOCK,
                protocol,
                bind,
                device: None,
            },
        )?)
    }

    /// Opens a stream socket in the node and begins to connect it.
    pub(crate) fn begin_connect(&self, to: SocketAddr) -> Result<OwnedFd, LabError> {
        let fd = self.socket(domain(to.ip()), libc::SOCK_STREAM, 0, None)?;
        match rustix::net::connect(&fd, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
            Err(errno) => Err(self.refused(to, errno)),
        }
    }

    /// Opens a connected stream socket in the node.
    pub(crate) fn connect(
        &self,
        to: SocketAddr,
        timeout: Duration,
        cancel: Cancel<'_>,
    ) -> Result<OwnedFd, LabError> {
        let fd = self.begin_connect(to)?;
        let deadline = Instant::now() + timeout;
        while !wait(&fd, PollFlags::OUT, LOOK)? {
            if cancel() {
                return Err(LabError::Cancelled {
                    what: format!("connecting from {} to {to}", self.node),
                });
            }
            if Instant::now() >= deadline {
                return Err(self.refused(to, Errno::TIMEDOUT));
            }
        }
        match sockopt::socket_error(&fd) {
            Ok(Ok(())) => Ok(fd),
            Ok(Err(errno)) | Err(errno) => Err(self.refused(to, errno)),
        }
    }

    pub(crate) fn refused(&self, to: SocketAddr, errno: Errno) -> LabError {
        LabError::os(format!("cannot connect from {} to {to}", self.node), errno)
    }
}

/// The address family of an address, for socket(2).
pub(crate) fn domain(ip: IpAddr) -> i32 {
    match ip {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    }
}

/// A time after another, as late as a year where it is later than there is a time for.
pub(crate) fn later(time: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    time.checked_add(by).unwrap_or_else(|| time + YEAR)
}

/// Waits until a descriptor is ready, at most `timeout`.
pub(crate) fn wait(fd: impl AsFd, flags: PollFlags, timeout: Duration) -> Result<bool, LabError> {
    let wait = timespec(timeout);
    match poll(&mut [PollFd::new(&fd, flags)], Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(LabError::os("cannot wait for a socket", errno)),
    }
}

pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
