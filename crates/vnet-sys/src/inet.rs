//! What raw ICMP and TCP sockets offer beyond [`rustix`]: type filters, the hop limit of received packets, `TCP_INFO`.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::SysError;
use crate::error::last_errno;

/// `ICMP_FILTER` of `linux/icmp.h`, at level `SOL_RAW`.
const ICMP_FILTER: libc::c_int = 1;
const SOL_RAW: libc::c_int = 255;

/// `ICMPV6_FILTER` of `linux/icmpv6.h`, at level `SOL_ICMPV6`.
const ICMPV6_FILTER: libc::c_int = 1;
const SOL_ICMPV6: libc::c_int = 58;

/// Has a raw ICMP socket receive messages of these types alone; types above 31 always come.
///
/// # Errors
/// [`SysError::Os`] when the descriptor is no such socket.
pub fn only_icmp(fd: BorrowedFd<'_>, types: &[u8]) -> Result<(), SysError> {
    // A set bit keeps its type out.
    let mask = types
        .iter()
        .filter(|kind| **kind < 32)
        .fold(u32::MAX, |mask, kind| mask & !(1 << kind));
    set(fd, SOL_RAW, ICMP_FILTER, &mask)
}

/// Has a raw ICMPv6 socket receive messages of these types alone (RFC 3542 §3.2).
///
/// # Errors
/// [`SysError::Os`] when the descriptor is no such socket.
pub fn only_icmpv6(fd: BorrowedFd<'_>, types: &[u8]) -> Result<(), SysError> {
    let mut mask = [u32::MAX; 8];
    for kind in types {
        mask[usize::from(kind >> 5)] &= !(1 << (kind & 31));
    }
    set(fd, SOL_ICMPV6, ICMPV6_FILTER, &mask)
}

/// Has an IPv6 socket tell the hop limit of what it receives, for [`recv_from_v6`].
///
/// # Errors
/// [`SysError::Os`] when the descriptor is no IPv6 socket.
pub fn tell_hop_limit(fd: BorrowedFd<'_>) -> Result<(), SysError> {
    let yes: libc::c_int = 1;
    set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, &yes)
}

/// A packet received from an IPv6 socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromV6 {
    /// Its bytes that fit.
    pub len: usize,
    /// Its sender.
    pub from: SocketAddrV6,
    /// Its hop limit as it arrived, after [`tell_hop_limit`].
    pub hop_limit: Option<u8>,
}

/// Receives a packet from an IPv6 socket without waiting.
///
/// # Errors
/// `WouldBlock` when there is none; what the kernel reports about an earlier packet.
pub fn recv_from_v6(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<FromV6> {
    // Aligned as control messages are.
    let mut control = [0u64; 8];
    let mut name = libc::sockaddr_in6 {
        sin6_family: 0,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    };
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: a message header of zeros is a valid one that points nowhere.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer of `message` leads to memory of the length given beside it that outlives the call.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    Ok(FromV6 {
        len,
        from: SocketAddrV6::new(
            name.sin6_addr.s6_addr.into(),
            u16::from_be(name.sin6_port),
            name.sin6_flowinfo,
            name.sin6_scope_id,
        ),
        hop_limit: hop_limit(&message),
    })
}

fn hop_limit(message: &libc::msghdr) -> Option<u8> {
    // SAFETY: recvmsg has filled the control buffer and its length; the header is read only when it is not null.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return whole headers inside the control buffer, which is aligned.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        if level == libc::IPPROTO_IPV6 && kind == libc::IPV6_HOPLIMIT {
            // SAFETY: the kernel's hop limit message carries an int (net/ipv6/datagram.c).
            let value: libc::c_int =
                unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::c_int>()) };
            return u8::try_from(value).ok();
        }
        // SAFETY: `header` is the last header found in `message`.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// What TCP knows of a connection (`struct tcp_info`, `linux/tcp.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpState {
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: u32,
    /// Congestion window in segments.
    pub cwnd: u32,
    /// Bytes of payload of one segment.
    pub mss: u32,
}

/// Returns the state of a TCP connection.
///
/// # Errors
/// [`SysError::Os`] when the descriptor is no TCP socket.
pub fn tcp_state(fd: BorrowedFd<'_>) -> Result<TcpState, SysError> {
    // SAFETY: the structure is plain numbers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` and `len` outlive the call, and `len` is the size of `info`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(SysError::last("cannot read the state of a TCP connection"));
    }
    Ok(TcpState {
        retransmits: info.tcpi_total_retrans,
        rtt_us: info.tcpi_rtt,
        cwnd: info.tcpi_snd_cwnd,
        mss: info.tcpi_snd_mss,
    })
}

fn set<T: Copy>(fd: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> Result<(), SysError> {
    // SAFETY: `value` is plain data of the length given, and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(SysError::os("cannot set a socket option", last_errno()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn tells_the_hop_limit_of_a_datagram() {
        let Ok(receiver) = std::net::UdpSocket::bind("[::1]:0") else {
            println!("skipped: no IPv6 loopback here");
            return;
        };
        tell_hop_limit(receiver.as_fd()).unwrap();
        let sender = std::net::UdpSocket::bind("[::1]:0").unwrap();
        sender.send_to(b"seven", receiver.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 16];
        let got = recv_from_v6(receiver.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..got.len], b"seven");
        assert_eq!(u16::from(got.hop_limit.unwrap()), 64);
        assert_eq!(got.from.port(), sender.local_addr().unwrap().port());
        let none = recv_from_v6(receiver.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn tells_the_state_of_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.write_all(b"x").unwrap();
        let state = tcp_state(stream.as_fd()).unwrap();
        assert_eq!(state.retransmits, 0);
        assert!(state.mss > 500 && state.cwnd > 0, "{state:?}");
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(tcp_state(udp.as_fd()).is_err());
    }
}
