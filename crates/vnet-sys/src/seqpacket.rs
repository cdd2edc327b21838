//! Sockets of whole packets with descriptors beside them (unix(7), SOCK_SEQPACKET,
//! SCM_RIGHTS), and listeners without a file (the abstract namespace).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recvmsg, sendmsg, socket_with, socketpair, sockopt,
};

/// The most descriptors one packet carries.
pub const MOST_FDS: usize = 64;

/// A packet that was received.
#[derive(Debug)]
pub struct Received {
    /// Bytes of it in the buffer; 0 when the other end is closed.
    pub len: usize,
    /// The descriptors that came with it, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// Whether bytes did not fit, or more than [`MOST_FDS`] descriptors came: they are lost.
    pub cut: bool,
    /// Whether descriptors are lost because this process may have no more (`ulimit -n`).
    pub lost_fds: bool,
}

/// Makes two sockets that talk to each other.
///
/// # Errors
/// What `socketpair(2)` answers.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one packet made of `parts`, and copies of up to [`MOST_FDS`] descriptors.
///
/// It waits until the other end has room.
///
/// # Errors
/// `BrokenPipe` when the other end is closed, `EMSGSIZE` for what no buffer holds.
pub fn send(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG.into());
    }
    loop {
        match sendmsg(socket, parts, &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Receives one packet, waiting for it or not.
///
/// # Errors
/// `WouldBlock` when none is there and `wait` is false.
pub fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut flags = RecvFlags::CMSG_CLOEXEC;
    if !wait {
        flags |= RecvFlags::DONTWAIT;
    }
    let answer = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Ok(answer) => break answer,
            Err(Errno::INTR) => {}
            // A peer that died with a packet unread resets the connection.
            Err(Errno::CONNRESET) => {
                return Ok(Received {
                    len: 0,
                    fds: Vec::new(),
                    cut: false,
                    lost_fds: false,
                });
            }
            Err(errno) => return Err(errno.into()),
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let lost = answer.flags.contains(ReturnFlags::CTRUNC);
    let too_many = lost && fds.len() >= MOST_FDS;
    Ok(Received {
        len: answer.bytes,
        cut: answer.flags.contains(ReturnFlags::TRUNC) || too_many,
        lost_fds: lost && !too_many,
        fds,
    })
}

/// Listens under a name without a file, which ends with the last copy of the socket.
///
/// It is non-blocking.
///
/// # Errors
/// `AddrInUse` when somebody else has the name.
pub fn listen_abstract(name: &str) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    listen(&socket, 16)?;
    Ok(socket)
}

/// Takes the next caller of a listener.
///
/// # Errors
/// `WouldBlock` when there is none.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(accept_with(listener, SocketFlags::CLOEXEC)?)
}

/// Calls a listener by its name.
///
/// # Errors
/// `ConnectionRefused` when nobody listens under the name, `WouldBlock` when it has not
/// taken the callers before.
pub fn connect_abstract(name: &str) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}

/// Returns the user who connected the other end, or listens there, as a number of this
/// process's user namespace; nothing for one that has no number there.
///
/// # Errors
/// What `getsockopt(2)` answers.
pub fn peer_uid(socket: impl AsFd) -> io::Result<Option<u32>> {
    let uid = sockopt::socket_peercred(socket)?.uid.as_raw();
    // The kernel shows users without a number as this one, which is somebody's where it is mapped.
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid");
    let overflow = overflow.ok().and_then(|text| text.trim().parse().ok());
    if uid != overflow.unwrap_or(65534) {
        return Ok(Some(uid));
    }
    let map = std::fs::read_to_string("/proc/self/uid_map")?;
    Ok(is_mapped(&map, uid).then_some(uid))
}

/// Tells whether a uid_map (user_namespaces(7)) has the user.
fn is_mapped(map: &str, uid: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u32> = line
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        matches!(numbers.as_slice(), [first, _, count] if uid.checked_sub(*first).is_some_and(|at| at < *count))
    })
}

/// Ends a connection at both ends, whoever else holds copies of it.
pub fn shutdown(socket: impl AsFd) {
    // One that is not connected any more needs nothing.
    let _: Result<(), Errno> = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn descriptors_travel_and_the_end_is_an_empty_packet() {
        let (a, b) = pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(
            a.as_fd(),
            &[IoSlice::new(b"one"), IoSlice::new(b"two")],
            &[writer.as_fd()],
        )
        .unwrap();
        drop(writer);
        let mut buffer = [0; 16];
        let received = recv(b.as_fd(), &mut buffer, true).unwrap();
        assert_eq!(&buffer[..received.len], b"onetwo");
        rustix::io::write(&received.fds[0], b"through").unwrap();
        drop(received);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        drop(a);
        let end = recv(b.as_fd(), &mut buffer, true).unwrap();
        assert_eq!((end.len, end.fds.len(), end.cut), (0, 0, false));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), &[IoSlice::new(b"longer than that")], &[]).unwrap();
        assert!(recv(b.as_fd(), &mut [0; 4], true).unwrap().cut);
    }

    #[test]
    fn a_name_without_a_file_is_found_and_tells_its_caller() {
        let name = format!("vnet-sys test {}", std::process::id());
        assert_eq!(
            connect_abstract(&name).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let listener = listen_abstract(&name).unwrap();
        assert_eq!(
            accept(listener.as_fd()).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let caller = connect_abstract(&name).unwrap();
        let called = accept(listener.as_fd()).unwrap();
        let own = Some(rustix::process::getuid().as_raw());
        assert_eq!(peer_uid(&called).unwrap(), own);
        assert_eq!(peer_uid(&caller).unwrap(), own, "and tells who listens");
    }

    #[test]
    fn a_user_without_a_number_is_told_from_one_who_has_it() {
        assert!(is_mapped("         0          0 4294967295\n", 65534));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65534));
        assert!(is_mapped("65534 65534 1\n", 65534));
        for map in ["", "0 1000 1\n", "0 100000 65534\n", "65535 0 10\n", "0\n"] {
            assert!(!is_mapped(map, 65534), "{map:?}");
        }
    }
}
