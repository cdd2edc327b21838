use vnet_netlink::Interface;
use vnet_sys::{PacketOptions, PacketSocket};

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
        let interface = self.netlink.link(name)?;
        let socket = self.ns.run(|| PacketSocket::open(interface.index, options))??;
        Ok((socket, interface))
    }
}
