use std::os::fd::OwnedFd;

use vnet_sys::{PacketOptions, PacketSocket};

use super::message::{PacketRequest, Reply, Request};
use super::{Lab, SocketSpec, Space, TakenPort};
use crate::SandboxError;

impl Lab {
    /// Opens a socket that lives in a space, close-on-exec.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] with what socket(2) or bind(2) answered.
    pub fn socket(&self, space: Space, spec: &SocketSpec) -> Result<OwnedFd, SandboxError> {
        self.one_fd(&Request::Socket {
            space: space.0,
            spec: spec.clone(),
        })
    }

    /// Opens a packet socket on an interface of a space.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn packet(
        &self,
        space: Space,
        index: u32,
        options: PacketOptions,
    ) -> Result<PacketSocket, SandboxError> {
        let fd = self.one_fd(&Request::Packet {
            space: space.0,
            index,
            options: PacketRequest {
                vnet_hdr: options.vnet_hdr,
                rcvbuf: options.rcvbuf,
                promisc: options.promisc,
                ignore_outgoing: options.ignore_outgoing,
            },
        })?;
        Ok(PacketSocket::from_fd(fd, index, options.vnet_hdr))
    }

    /// Makes ready to take over a lab end: makes the shadow device `x` and opens both
    /// sockets, with `rcvbuf` bytes asked for to receive. The frames still go their
    /// own way; a redirect of the lab end to the ingress of `x` takes them.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`] or [`SandboxError::Sys`]; nothing is left then.
    pub fn take_port(&self, lab_end: u32, x: u32, rcvbuf: usize) -> Result<TakenPort, SandboxError> {
        let request = Request::TakePort { lab_end, x, rcvbuf };
        let (Reply::Done, fds) = self.connection.ask(&request, &[])? else {
            return Err(self.connection.confused());
        };
        let [rx, tx] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| self.connection.confused())?;
        Ok(TakenPort {
            rx: PacketSocket::from_fd(rx, x, true),
            tx: PacketSocket::from_fd(tx, lab_end, true),
        })
    }

    /// Deletes a shadow device; one that is gone is no error.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn drop_port(&self, x: u32) -> Result<(), SandboxError> {
        self.connection.ask(&Request::DropPort { x }, &[]).map(drop)
    }
}
