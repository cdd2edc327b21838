use vnet_netlink::Interface;
use vnet_sys::{PacketOptions, PacketSocket};

use super::request::{DeviceReply, DeviceRequest};
use crate::{Namespace, SandboxError};

impl Namespace {
    /// Opens an existing interface of this namespace as a packet socket.
    ///
    /// The socket sees a copy of the interface's frames: what it does not forward is
    /// not thereby lost.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`] when there is no such interface,
    /// [`SandboxError::Sys`] without CAP_NET_RAW.
    pub fn packet_port(
        &self,
        name: &str,
        options: PacketOptions,
    ) -> Result<(PacketSocket, Interface), SandboxError> {
        let request = DeviceRequest::Packet {
            name: name.to_owned(),
            options,
        };
        let (reply, mut fds) = self.ask(&request)?;
        let (DeviceReply::Link(interface), Some(fd)) = (reply, fds.pop()) else {
            return Err(self.misunderstood());
        };
        let socket = PacketSocket::from_fd(fd, interface.index, options.vnet_hdr);
        Ok((socket, *interface))
    }
}
