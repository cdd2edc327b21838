//! Whether the interface behind a packet socket has its carrier (`netdevice(7)`, `SIOCGIFFLAGS`).

use std::os::fd::{AsFd, AsRawFd};

use rustix::net::netdevice::index_to_name;

use super::PacketSocket;

impl PacketSocket {
    /// Tells whether what is at the other end of the interface's cable is up: of a veth, its peer.
    ///
    /// True where the kernel does not say, as of an interface that was deleted.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        let Ok(name) = index_to_name(self.as_fd(), self.ifindex()) else {
            return true;
        };
        // SAFETY: ifreq is plain data, valid when zeroed.
        let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
        let room = req.ifr_name.len() - 1;
        for (to, from) in req.ifr_name.iter_mut().zip(name.bytes().take(room)) {
            *to = from as libc::c_char;
        }
        // SAFETY: `req` is an ifreq that outlives the call; the kernel reads its name and writes its flags.
        if unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut req) } < 0 {
            return true;
        }
        // SAFETY: the kernel has written the flags.
        let flags = unsafe { req.ifr_ifru.ifru_flags };
        i32::from(flags) & libc::IFF_RUNNING != 0
    }
}
