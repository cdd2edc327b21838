use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, socket_with, sockopt};
use vnet_netlink::{Change, LinkSet, NetlinkError};
use vnet_sys::{PacketOptions, PacketSocket, check_name};

use super::serve::Server;
use super::{failed, refused};
use crate::SandboxError;
use crate::lab::SocketSpec;
use crate::lab::message::PacketRequest;

/// What the kernel answers when it has no devices of a kind.
const EOPNOTSUPP: i32 = 95;

impl Server<'_> {
    /// Opens a socket in a space.
    pub(super) fn socket(&mut self, space: u32, spec: &SocketSpec) -> Result<OwnedFd, SandboxError> {
        if let Some(device) = &spec.device {
            check_name(device)?;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = spec.kind.cast_unsigned();
        let (kind, flags) = (
            SocketType::from_raw(kind & !flags.bits()),
            SocketFlags::from_bits_truncate(kind) & flags | SocketFlags::CLOEXEC,
        );
        let family = u16::try_from(spec.domain)
            .map(AddressFamily::from_raw)
            .map_err(|_| refused(format!("{} is no address family", spec.domain)))?;
        let number = spec.protocol.cast_unsigned();
        // That of a packet socket takes effect when it is bound, so that no frame of another interface gets in.
        let on_device = spec.device.as_ref().filter(|_| family == AddressFamily::PACKET);
        let protocol = NonZeroU32::new(if on_device.is_some() { 0 } else { number }).map(Protocol::from_raw);
        self.nodes.enter(space)?;
        let what = |what: &str| format!("cannot {what} in space {space}");
        let socket =
            socket_with(family, kind, flags, protocol).map_err(|e| failed(what("open a socket"), e))?;
        if let Some(device) = &spec.device {
            let bound = if on_device.is_some() {
                // Here the protocol is in network order already, and there are no more than 16 bits of it.
                let protocol = u16::from_be(
                    u16::try_from(number)
                        .map_err(|_| refused(format!("{number} is no Ethernet protocol")))?,
                );
                name_to_index(&socket, device)
                    .and_then(|index| vnet_sys::socket::bind_packet(socket.as_fd(), index, protocol))
            } else {
                vnet_sys::socket::bind_to_device(socket.as_fd(), device)
            };
            bound.map_err(|e| failed(what(&format!("bind a socket to {device}")), e))?;
        }
        if let Some(address) = &spec.bind {
            let to = || what(&format!("bind a socket to {address}"));
            if kind == SocketType::STREAM {
                sockopt::set_socket_reuseaddr(&socket, true).map_err(|e| failed(to(), e))?;
            }
            bind(&socket, address).map_err(|e| failed(to(), e))?;
        }
        Ok(socket)
    }

    /// Opens a packet socket in a space.
    pub(super) fn packet(
        &mut self,
        space: u32,
        index: u32,
        options: PacketRequest,
    ) -> Result<OwnedFd, SandboxError> {
        self.nodes.enter(space)?;
        let options = PacketOptions {
            vnet_hdr: options.vnet_hdr,
            rcvbuf: options.rcvbuf,
            promisc: options.promisc,
            ignore_outgoing: options.ignore_outgoing,
        };
        Ok(PacketSocket::open(index, options)?.into_fd())
    }

    /// Makes a shadow device, or takes one that is there, and opens the two sockets that take a lab end over.
    pub(super) fn take_port(
        &mut self,
        lab_end: u32,
        x: u32,
        rcvbuf: usize,
    ) -> Result<[OwnedFd; 2], SandboxError> {
        let made = self.make_shadow(x)?;
        let open = || -> Result<[OwnedFd; 2], SandboxError> {
            let options = PacketOptions {
                vnet_hdr: true,
                rcvbuf,
                promisc: false,
                ignore_outgoing: true,
            };
            let rx = PacketSocket::open(x, options)?;
            let tx = PacketSocket::open_sender(lab_end)?;
            Ok([rx.into_fd(), tx.into_fd()])
        };
        open().inspect_err(|_| {
            if made {
                drop(self.drop_port(x));
            }
        })
    }

    /// Deletes a shadow device; one that is gone is no error.
    pub(super) fn drop_port(&mut self, x: u32) -> Result<(), SandboxError> {
        match self.nodes.change(0, &[&Change::Delete { index: x }]) {
            Ok(()) => Ok(()),
            Err((_, SandboxError::Netlink(NetlinkError::NoSuchInterface { .. }))) => Ok(()),
            Err((_, error)) if error.errno() == rustix::io::Errno::NODEV.raw_os_error() => Ok(()),
            Err((_, error)) => Err(error),
        }
    }

    /// Tells whether it made the device; one that is there must be a shadow device of that number.
    fn make_shadow(&mut self, x: u32) -> Result<bool, SandboxError> {
        let name = format!("x{x}");
        let ifb = Change::Ifb {
            index: x,
            name: name.clone(),
        };
        // A bridge without ports takes frames just so.
        let bridge = Change::Bridge {
            index: x,
            name,
            mac: None,
            mtu: None,
        };
        let ready = Change::Link {
            index: x,
            set: LinkSet {
                up: Some(true),
                noarp: Some(true),
                addrgen: Some(false),
                ..LinkSet::default()
            },
        };
        match self.nodes.change(0, &[if has_ifb() { &ifb } else { &bridge }]) {
            Err((
                _,
                error @ SandboxError::Netlink(NetlinkError::NumberTaken { .. } | NetlinkError::Exists { .. }),
            )) => {
                let links = self.nodes.batch(0)?.links()?;
                let left_over = links
                    .iter()
                    .any(|link| link.index == x && link.name == format!("x{x}"));
                return if left_over { Ok(false) } else { Err(error) };
            }
            Err((_, error)) if error.errno() == EOPNOTSUPP => self.nodes.change(0, &[&bridge]),
            outcome => outcome,
        }
        .map_err(|(_, error)| error)?;
        self.nodes.change(0, &[&ready]).map_err(|(_, error)| {
            drop(self.drop_port(x));
            error
        })?;
        Ok(true)
    }
}

/// Tells whether the kernel has ifb devices without loading a module, which would make two more of them in the machine's
/// own namespace (drivers/net/ifb.c).
fn has_ifb() -> bool {
    match fs::read_to_string("/proc/modules") {
        Ok(loaded) => loaded.lines().any(|module| module.starts_with("ifb ")),
        // A kernel without modules.
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
