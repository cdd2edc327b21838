//! Whether the interface behind a packet socket has its carrier (`linux/ethtool.h`, `ETHTOOL_GLINK`).

use std::os::fd::{AsFd, AsRawFd};

use rustix::net::netdevice::index_to_name;

use super::PacketSocket;

/// `ETHTOOL_GLINK`, `linux/ethtool.h`.
const ETHTOOL_GLINK: u32 = 0xa;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

impl PacketSocket {
    /// Tells whether what is at the other end of the interface's cable is up: of a veth, its peer.
    ///
    /// It is right at once, where `IFF_RUNNING` follows up to a second later. True where the kernel does not say, as of an
    /// interface that was deleted.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        let Ok(name) = index_to_name(self.as_fd(), self.ifindex()) else {
            return true;
        };
        let mut value = Value {
            cmd: ETHTOOL_GLINK,
            data: 1,
        };
        // SAFETY: ifreq is plain data, valid when zeroed.
        let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
        let room = req.ifr_name.len() - 1;
        for (to, from) in req.ifr_name.iter_mut().zip(name.bytes().take(room)) {
            *to = from as libc::c_char;
        }
        req.ifr_ifru.ifru_data = (&raw mut value).cast();
        // SAFETY: `req` and the value it points to outlive the call; the kernel writes one struct ethtool_value, which Value is.
        let asked = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::SIOCETHTOOL, &raw mut req) };
        asked < 0 || value.data != 0
    }
}
