//! Packet sockets: the frames of an existing interface (`linux/if_packet.h`,
//! net/packet/af_packet.c, packet(7)).
//!
//! A packet socket sees a *copy* of what an interface receives and sends. Frames
//! written to it leave the interface as if the host had sent them.

mod carrier;
mod recv;
mod ring;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType};
use rustix::net::{sendmsg, socket_with, sockopt};

use recv::Arrays;
pub use recv::{BATCH, RecvSlot};
pub use ring::{PacketRing, RingOptions, Seen, Shown};

use crate::error::last_errno;
use crate::{SysError, VnetHdr};

const NEEDS: &str = "CAP_NET_RAW in the user namespace that owns the network namespace";

/// How a packet socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketOptions {
    /// Puts a [`VnetHdr`] before every frame. Without it the kernel computes no
    /// checksums either: TCP through the socket then dies silently.
    pub vnet_hdr: bool,
    /// Bytes of receive buffer asked for; the kernel doubles what it grants, and
    /// grants at most `net.core.rmem_max` where SO_RCVBUFFORCE is not allowed.
    pub rcvbuf: usize,
    /// Receives frames addressed to other stations too.
    pub promisc: bool,
    /// Does not show the frames that leave the interface, this socket's own among them.
    pub ignore_outgoing: bool,
}

impl Default for PacketOptions {
    fn default() -> Self {
        Self {
            vnet_hdr: true,
            rcvbuf: 4 << 20,
            promisc: true,
            ignore_outgoing: true,
        }
    }
}

/// A packet socket bound to one interface.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    ifindex: u32,
    vnet_hdr: bool,
    arrays: Box<Arrays>,
}

impl PacketSocket {
    /// Opens a socket on an interface of the calling thread's network namespace.
    ///
    /// An interface that is down is taken as well: nothing comes until it is up.
    ///
    /// # Errors
    /// [`SysError::Privilege`] without CAP_NET_RAW, [`SysError::Os`] with `ENODEV`
    /// when there is no such interface.
    pub fn open(ifindex: u32, options: PacketOptions) -> Result<Self, SysError> {
        let what = || format!("cannot open a packet socket on interface {ifindex}");
        // Protocol 0 receives nothing until bind, so that no frame of another interface gets in.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map_err(|e| SysError::privileged(what(), NEEDS, e))?;
        let index = i32::try_from(ifindex).map_err(|_| SysError::os(what(), rustix::io::Errno::NODEV))?;
        let set = |option, value: libc::c_int| {
            set_packet_option(fd.as_fd(), option, &value).map_err(|e| SysError::os(what(), e))
        };
        set(libc::PACKET_AUXDATA, 1)?;
        if options.vnet_hdr {
            set(libc::PACKET_VNET_HDR, 1)?;
        }
        if options.ignore_outgoing {
            set(libc::PACKET_IGNORE_OUTGOING, 1)?;
        }
        grow_receive_buffer(fd.as_fd(), options.rcvbuf).map_err(|e| SysError::os(what(), e))?;
        bind(fd.as_fd(), index, libc::ETH_P_ALL as u16).map_err(|e| SysError::os(what(), e))?;
        if options.promisc {
            let request = libc::packet_mreq {
                mr_ifindex: index,
                mr_type: libc::PACKET_MR_PROMISC as u16,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set_packet_option(fd.as_fd(), libc::PACKET_ADD_MEMBERSHIP, &request)
                .map_err(|e| SysError::os(what(), e))?;
        }
        // Binding to an interface that is down leaves ENETDOWN for the first read.
        let _: Result<(), rustix::io::Errno> =
            sockopt::socket_error(&fd).map_err(|e| SysError::os(what(), e))?;
        Ok(Self::from_fd(fd, ifindex, options.vnet_hdr))
    }

    /// Opens a socket that sends on an interface of the calling thread's network
    /// namespace and never receives, past the interface's queueing discipline
    /// (PACKET_QDISC_BYPASS). It takes a [`VnetHdr`] before every frame.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn open_sender(ifindex: u32) -> Result<Self, SysError> {
        let what = || format!("cannot open a packet socket that sends on interface {ifindex}");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map_err(|e| SysError::privileged(what(), NEEDS, e))?;
        let index = i32::try_from(ifindex).map_err(|_| SysError::os(what(), rustix::io::Errno::NODEV))?;
        for option in [libc::PACKET_VNET_HDR, libc::PACKET_QDISC_BYPASS] {
            set_packet_option::<libc::c_int>(fd.as_fd(), option, &1).map_err(|e| SysError::os(what(), e))?;
        }
        // Protocol 0: no frame is ever copied to it.
        bind(fd.as_fd(), index, 0).map_err(|e| SysError::os(what(), e))?;
        let _: Result<(), rustix::io::Errno> =
            sockopt::socket_error(&fd).map_err(|e| SysError::os(what(), e))?;
        Ok(Self::from_fd(fd, ifindex, true))
    }

    /// Takes a packet socket another process has opened on an interface, with or
    /// without a vnet header before every frame.
    #[must_use]
    pub fn from_fd(fd: OwnedFd, ifindex: u32, vnet_hdr: bool) -> Self {
        Self {
            fd,
            ifindex,
            vnet_hdr,
            arrays: Arrays::new(),
        }
    }

    /// Gives the descriptor away.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Returns the number of the interface.
    #[must_use]
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Receives up to `slots.len()` frames, and at most [`BATCH`], without waiting.
    ///
    /// Returns how many slots were filled, from the first on. It allocates nothing.
    ///
    /// # Errors
    /// `WouldBlock` when no frame waits. `ENETDOWN` once when the interface went
    /// down; it receives again when it is up. `EINVAL` for one frame whose
    /// segmentation the header cannot express; that frame is lost. `ENODEV` or
    /// `ENXIO` when the interface is gone.
    pub fn recv_batch(&mut self, slots: &mut [RecvSlot<'_>]) -> io::Result<usize> {
        self.arrays.recv(self.fd.as_fd(), self.vnet_hdr, slots)
    }

    /// Has the kernel say with each frame when it came (SO_TIMESTAMPNS), or no longer.
    ///
    /// Frames that wait already are stamped when they are received.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn stamp_arrivals(&self, on: bool) -> Result<(), SysError> {
        let value = libc::c_int::from(on);
        // SAFETY: `value` is an integer of the length given, and outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const value).cast(),
                size_of_val(&value) as libc::socklen_t,
            )
        };
        if result < 0 {
            return Err(SysError::last("cannot have a packet socket's frames stamped"));
        }
        Ok(())
    }

    /// Sends one frame; `hdr` says what is left for the kernel to do.
    ///
    /// # Errors
    /// `WouldBlock` and `ENOBUFS` when the interface's queue is full, `EMSGSIZE`
    /// when the frame exceeds its MTU, `ENETDOWN` when it is down.
    pub fn send(&self, hdr: &VnetHdr, frame: &[u8]) -> io::Result<()> {
        let bytes = hdr.to_bytes();
        let both = [IoSlice::new(&bytes), IoSlice::new(frame)];
        let parts = if self.vnet_hdr { &both[..] } else { &both[1..] };
        sendmsg(
            &self.fd,
            parts,
            &mut SendAncillaryBuffer::default(),
            SendFlags::DONTWAIT,
        )?;
        Ok(())
    }

    /// Sends up to [`BATCH`] frames in one call, in order, each with what is left for the kernel to do.
    ///
    /// Returns how many went out, from the first on; the next call tells why the one behind them did not. It allocates
    /// nothing.
    ///
    /// # Errors
    /// As [`PacketSocket::send`], about the first frame: none was sent.
    pub fn send_batch<'a>(&mut self, frames: impl Iterator<Item = (VnetHdr, &'a [u8])>) -> io::Result<usize> {
        self.arrays.send(self.fd.as_fd(), self.vnet_hdr, frames)
    }

    /// Returns how many frames came for the socket and how many of them it had no
    /// room for, since the last call: reading sets the kernel's counters to 0.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn statistics(&self) -> Result<(u64, u64), SysError> {
        statistics(self.as_fd(), "cannot read the statistics of a packet socket")
    }

    /// Returns the bytes of receive buffer the kernel granted, doubled as it counts.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn rcvbuf(&self) -> Result<usize, SysError> {
        sockopt::socket_recv_buffer_size(&self.fd)
            .map_err(|e| SysError::os("cannot read the receive buffer size", e))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Asks past `net.core.rmem_max` first, which only real root is allowed.
fn grow_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> rustix::io::Result<()> {
    sockopt::set_socket_recv_buffer_size_force(fd, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(fd, bytes))
}

pub(crate) fn bind(fd: BorrowedFd<'_>, ifindex: i32, protocol: u16) -> rustix::io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: ifindex,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: `address` is a sockaddr_ll of the length given, and outlives the call.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Reads how many packets came for a socket and how many of them it had no room for, and sets both to 0. Those of a ring are one
/// field longer; the kernel writes as much as is asked for.
fn statistics(fd: BorrowedFd<'_>, doing: &'static str) -> Result<(u64, u64), SysError> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: `stats` and `len` outlive the call, and `len` is the size of `stats`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(SysError::last(doing));
    }
    Ok((u64::from(stats.tp_packets), u64::from(stats.tp_drops)))
}

fn set_packet_option<T: Copy>(fd: BorrowedFd<'_>, option: i32, value: &T) -> rustix::io::Result<()> {
    // SAFETY: `value` is plain data of the length given, and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
