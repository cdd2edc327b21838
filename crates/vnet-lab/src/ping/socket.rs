use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto, sockopt};
use vnet_sys::inet;

use super::icmp::kind;
use crate::error::LabError;
use crate::socket::Place;

/// A raw socket in a node for echo messages of one family.
pub(super) struct EchoSocket {
    fd: OwnedFd,
    ipv6: bool,
}

/// An ICMP message that came.
pub(super) struct Message {
    pub from: IpAddr,
    pub hop_limit: u8,
    /// Where in the buffer it is, without its IP header.
    pub at: Range<usize>,
}

/// How a socket is opened.
#[derive(Default)]
pub(super) struct EchoOptions {
    pub source: Option<IpAddr>,
    pub hop_limit: Option<u8>,
    /// Bytes of receive buffer; 0: the kernel's choice.
    pub rcvbuf: usize,
}

impl EchoSocket {
    pub(super) fn open(place: &Place, ipv6: bool, options: &EchoOptions) -> Result<Self, LabError> {
        let (domain, protocol) = if ipv6 {
            (libc::AF_INET6, libc::IPPROTO_ICMPV6)
        } else {
            (libc::AF_INET, libc::IPPROTO_ICMP)
        };
        let bind = options.source.map(|source| SocketAddr::new(source, 0));
        let fd = place.socket(domain, libc::SOCK_RAW, protocol, bind)?;
        let set = |errno| LabError::os(format!("cannot set up a ping socket in {}", place.node), errno);
        let filtered = if ipv6 {
            inet::tell_hop_limit(fd.as_fd()).and_then(|()| {
                inet::only_icmpv6(
                    fd.as_fd(),
                    &[
                        kind::UNREACHABLE_V6,
                        kind::TOO_BIG_V6,
                        kind::EXCEEDED_V6,
                        kind::REPLY_V6,
                    ],
                )
            })
        } else {
            inet::only_icmp(fd.as_fd(), &[kind::REPLY, kind::UNREACHABLE, kind::EXCEEDED])
        };
        filtered.map_err(|error| LabError::Sandbox(error.into()))?;
        if let Some(hops) = options.hop_limit {
            if ipv6 {
                sockopt::set_ipv6_unicast_hops(&fd, Some(hops)).map_err(set)?;
            } else {
                sockopt::set_ip_ttl(&fd, u32::from(hops)).map_err(set)?;
            }
        }
        if options.rcvbuf > 0 {
            sockopt::set_socket_recv_buffer_size(&fd, options.rcvbuf).map_err(set)?;
        }
        Ok(Self { fd, ipv6 })
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// Sends an ICMP message, without waiting.
    pub(super) fn send(&self, to: IpAddr, scope: u32, message: &[u8]) -> Result<(), Errno> {
        let to = match to {
            IpAddr::V4(_) => SocketAddr::new(to, 0),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope).into(),
        };
        sendto(&self.fd, message, SendFlags::DONTWAIT, &to).map(drop)
    }

    /// Takes the next message, without waiting; `None` when there is none.
    pub(super) fn recv(&self, buffer: &mut [u8]) -> Option<Message> {
        if self.ipv6 {
            let got = inet::recv_from_v6(self.fd.as_fd(), buffer).ok()?;
            return Some(Message {
                from: IpAddr::V6(*got.from.ip()),
                hop_limit: got.hop_limit.unwrap_or_default(),
                at: 0..got.len,
            });
        }
        let (len, _, from) = recvfrom(&self.fd, &mut *buffer, RecvFlags::DONTWAIT).ok()?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok())?;
        // A raw IPv4 socket shows the header too (raw(7)); what is no packet is an empty message.
        let header = buffer.first().map_or(0, |first| usize::from(first & 15) * 4);
        Some(Message {
            from: from.ip(),
            hop_limit: buffer.get(8).copied().unwrap_or_default(),
            at: header.min(len)..len,
        })
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
