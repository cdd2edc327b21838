use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use vnet_netlink::{FdbEntry, Interface, Neighbour, NetlinkError, Route};
use vnet_sys::NetNs;

use super::message::{Reply, Request};
use super::{Lab, Space};
use crate::SandboxError;

/// How long to let the kernel work before looking again, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(10));

impl Lab {
    /// Waits until frames can pass all these interfaces of a space.
    ///
    /// After a cable is plugged in, the kernel takes up to a second to let frames pass;
    /// what is sent before may be lost.
    ///
    /// # Errors
    /// [`NetlinkError::NotInTime`] for the first that is not ready after `timeout`,
    /// [`NetlinkError::NoSuchInterface`].
    pub fn wait_ready(&self, space: Space, indexes: &[u32], timeout: Duration) -> Result<(), SandboxError> {
        let deadline = Instant::now() + timeout;
        let (mut pause, longest) = PAUSES;
        loop {
            let links = self.links(space)?;
            let mut late = None;
            for index in indexes {
                let Some(link) = links.iter().find(|link| link.index == *index) else {
                    return Err(NetlinkError::NoSuchInterface {
                        name: format!("#{index}"),
                    }
                    .into());
                };
                if !link.ready() {
                    late = Some(link);
                    break;
                }
            }
            let Some(link) = late else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(NetlinkError::NotInTime {
                    name: link.name.clone(),
                    wanted: "up".into(),
                    seconds: timeout.as_secs_f64(),
                    state: format!("{}, {}", link.state(), link.operstate),
                    hint: "".into(),
                }
                .into());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    }

    /// Returns all interfaces of a space, with their addresses and counters.
    ///
    /// # Errors
    /// [`SandboxError::BadArgument`] when there is no such space.
    pub fn links(&self, space: Space) -> Result<Vec<Interface>, SandboxError> {
        match self.connection.ask(&Request::Links { space: space.0 }, &[])? {
            (Reply::Links(links), _) => Ok(links),
            _ => Err(self.connection.confused()),
        }
    }

    /// Returns the routes of a space's main table, IPv4 and IPv6.
    ///
    /// # Errors
    /// As [`Lab::links`].
    pub fn routes(&self, space: Space) -> Result<Vec<Route>, SandboxError> {
        match self.connection.ask(&Request::Routes { space: space.0 }, &[])? {
            (Reply::Routes(routes), _) => Ok(routes),
            _ => Err(self.connection.confused()),
        }
    }

    /// Returns the neighbours a space knows, IPv4 and IPv6.
    ///
    /// # Errors
    /// As [`Lab::links`].
    pub fn neighbours(&self, space: Space) -> Result<Vec<Neighbour>, SandboxError> {
        match self
            .connection
            .ask(&Request::Neighbours { space: space.0 }, &[])?
        {
            (Reply::Neighbours(neighbours), _) => Ok(neighbours),
            _ => Err(self.connection.confused()),
        }
    }

    /// Returns what a bridge in the lab's own space has learnt.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn fdb(&self, bridge: u32) -> Result<Vec<FdbEntry>, SandboxError> {
        match self.connection.ask(&Request::Fdb { bridge }, &[])? {
            (Reply::Fdb(entries), _) => Ok(entries),
            _ => Err(self.connection.confused()),
        }
    }

    /// Returns a kernel parameter of a space's network, by its name with dots.
    ///
    /// # Errors
    /// [`SandboxError::BadArgument`] for a name that is none of the network's,
    /// [`SandboxError::Sys`] with `ENOENT` for one this kernel does not have.
    pub fn sysctl(&self, space: Space, key: &str) -> Result<String, SandboxError> {
        let request = Request::Sysctl {
            space: space.0,
            key: key.to_owned(),
        };
        match self.connection.ask(&request, &[])? {
            (Reply::Text(value), _) => Ok(value),
            _ => Err(self.connection.confused()),
        }
    }

    /// Returns the network namespace of a space. It lives on as long as somebody
    /// holds it, empty once the lab has ended.
    ///
    /// # Errors
    /// [`SandboxError::BadArgument`] when there is no such space.
    pub fn netns(&self, space: Space) -> Result<NetNs, SandboxError> {
        let fd = self.one_fd(&Request::Netns { space: space.0 })?;
        Ok(NetNs::from_fd(fd)?)
    }

    /// Makes a request that is answered by one descriptor.
    pub(super) fn one_fd(&self, request: &Request) -> Result<OwnedFd, SandboxError> {
        match self.connection.ask(request, &[])? {
            (Reply::Done, fds) => {
                let [fd] = <[OwnedFd; 1]>::try_from(fds).map_err(|_| self.connection.confused())?;
                Ok(fd)
            }
            _ => Err(self.connection.confused()),
        }
    }
}
