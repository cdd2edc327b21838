use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::{VnetHdr, vnet_hdr};

/// The most frames one call receives.
pub const BATCH: usize = 64;

/// Room for the control messages that may come, PACKET_AUXDATA and a timestamp, with their padding.
const CONTROL: usize = 128;

/// One frame to receive: the caller gives `buf`, the rest is answered.
#[derive(Debug)]
pub struct RecvSlot<'a> {
    /// Where the frame goes.
    pub buf: &'a mut [u8],
    /// Bytes of the frame in `buf`.
    pub len: usize,
    /// Bytes the frame has on the wire, without a VLAN tag that was taken out.
    pub wire_len: usize,
    /// Whether the frame did not fit: it must not be forwarded.
    pub truncated: bool,
    /// What is left to do in the frame; all zero on a socket without vnet header.
    pub hdr: VnetHdr,
    /// The VLAN tag the kernel took out, as (tag protocol id, tag control information).
    pub vlan: Option<(u16, u16)>,
    /// Whether the frame leaves the interface rather than comes in.
    pub outgoing: bool,
    /// When the frame came, by CLOCK_REALTIME in nanoseconds; only after [`stamp_arrivals`](super::PacketSocket::stamp_arrivals).
    pub stamp_ns: Option<u64>,
}

impl<'a> RecvSlot<'a> {
    /// Makes an empty slot over a buffer.
    #[must_use]
    pub fn new(buf: &'a mut [u8]) -> Self {
        Self {
            buf,
            len: 0,
            wire_len: 0,
            truncated: false,
            hdr: VnetHdr::default(),
            vlan: None,
            outgoing: false,
            stamp_ns: None,
        }
    }
}

/// What `recvmmsg(2)` and `sendmmsg(2)` want to be shown, kept so that a call allocates nothing.
///
/// Its pointers are set anew at every call and are dead between calls.
pub(super) struct Arrays {
    messages: [libc::mmsghdr; BATCH],
    parts: [[libc::iovec; 2]; BATCH],
    headers: [[u8; vnet_hdr::LEN]; BATCH],
    addresses: [libc::sockaddr_ll; BATCH],
    controls: [Control; BATCH],
}

/// A control buffer, aligned as `cmsghdr` is.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

// SAFETY: the raw pointers inside are written and used within one `recv` or `send(&mut self)` and never
// read afterwards; the rest is plain data.
unsafe impl Send for Arrays {}
// SAFETY: as above; a shared reference gives access to nothing.
unsafe impl Sync for Arrays {}

impl std::fmt::Debug for Arrays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arrays")
    }
}

impl Arrays {
    pub(super) fn new() -> Box<Self> {
        // SAFETY: every field is plain C data or bytes, valid when zeroed.
        unsafe { Box::new(mem::zeroed()) }
    }

    pub(super) fn recv(
        &mut self,
        fd: BorrowedFd<'_>,
        vnet_hdr: bool,
        slots: &mut [RecvSlot<'_>],
    ) -> io::Result<usize> {
        let wanted = slots.len().min(BATCH);
        for (i, slot) in slots.iter_mut().take(wanted).enumerate() {
            self.point(i, vnet_hdr, slot);
        }
        // MSG_TRUNC makes msg_len the frame's own length where the buffer was too small.
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: the first `wanted` messages point to arrays of self and to the slots' buffers,
        // all borrowed mutably until this call returns, with their true lengths.
        let received = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.messages.as_mut_ptr(),
                wanted as libc::c_uint,
                flags,
                ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            return Err(io::Error::last_os_error());
        };
        for (i, slot) in slots.iter_mut().take(received).enumerate() {
            self.answer(i, vnet_hdr, slot);
        }
        Ok(received)
    }

    /// Sends frames, at most [`BATCH`], each with its header; returns how many went out, from the first on.
    pub(super) fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        vnet_hdr: bool,
        frames: impl Iterator<Item = (VnetHdr, &'a [u8])>,
    ) -> io::Result<usize> {
        let mut count = 0;
        for (i, (header, frame)) in frames.take(BATCH).enumerate() {
            self.headers[i] = header.to_bytes();
            self.parts[i] = [
                libc::iovec {
                    iov_base: self.headers[i].as_mut_ptr().cast(),
                    iov_len: if vnet_hdr { vnet_hdr::LEN } else { 0 },
                },
                libc::iovec {
                    iov_base: frame.as_ptr().cast_mut().cast(),
                    iov_len: frame.len(),
                },
            ];
            let message = &mut self.messages[i];
            message.msg_len = 0;
            // SAFETY: a msghdr is plain C data, valid when zeroed.
            message.msg_hdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_iov = self.parts[i].as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
            count = i + 1;
        }
        // SAFETY: the first `count` messages point to arrays of self and to frames that are borrowed
        // until this call returns, with their true lengths; sending only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                self.messages.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn point(&mut self, i: usize, vnet_hdr: bool, slot: &mut RecvSlot<'_>) {
        let header = if vnet_hdr { vnet_hdr::LEN } else { 0 };
        self.parts[i] = [
            libc::iovec {
                iov_base: self.headers[i].as_mut_ptr().cast(),
                iov_len: header,
            },
            libc::iovec {
                iov_base: slot.buf.as_mut_ptr().cast(),
                iov_len: slot.buf.len(),
            },
        ];
        let message = &mut self.messages[i];
        message.msg_len = 0;
        message.msg_hdr.msg_name = (&raw mut self.addresses[i]).cast();
        message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        message.msg_hdr.msg_iov = self.parts[i].as_mut_ptr();
        message.msg_hdr.msg_iovlen = 2;
        message.msg_hdr.msg_control = self.controls[i].0.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = CONTROL as _;
        message.msg_hdr.msg_flags = 0;
    }

    fn answer(&self, i: usize, vnet_hdr: bool, slot: &mut RecvSlot<'_>) {
        let message = &self.messages[i];
        let header = if vnet_hdr { vnet_hdr::LEN } else { 0 };
        slot.wire_len = (message.msg_len as usize).saturating_sub(header);
        slot.len = slot.wire_len.min(slot.buf.len());
        slot.truncated = slot.wire_len > slot.buf.len();
        slot.hdr = if vnet_hdr {
            VnetHdr::from_bytes(&self.headers[i])
        } else {
            VnetHdr::default()
        };
        slot.outgoing = self.addresses[i].sll_pkttype == libc::PACKET_OUTGOING;
        slot.vlan = None;
        slot.stamp_ns = None;
        let message = &self.messages[i].msg_hdr;
        // SAFETY: msg_control points to our control buffer, of which the kernel has filled
        // msg_controllen bytes with whole control messages.
        let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
        while !at.is_null() {
            // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR answer null or a header within the buffer.
            let header = unsafe { &*at };
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                    // SAFETY: the data of a PACKET_AUXDATA message is one tpacket_auxdata.
                    let aux: libc::tpacket_auxdata =
                        unsafe { ptr::read_unaligned(libc::CMSG_DATA(at).cast()) };
                    slot.vlan = vlan(&aux);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    // SAFETY: the data of a SCM_TIMESTAMPNS message is one timespec.
                    let stamp: libc::timespec = unsafe { ptr::read_unaligned(libc::CMSG_DATA(at).cast()) };
                    slot.stamp_ns = nanoseconds(stamp);
                }
                _ => {}
            }
            // SAFETY: `at` is a header within the buffer `message` describes.
            at = unsafe { libc::CMSG_NXTHDR(message, at) };
        }
    }
}

fn nanoseconds(stamp: libc::timespec) -> Option<u64> {
    let seconds = u64::try_from(stamp.tv_sec).ok()?.checked_mul(1_000_000_000)?;
    seconds.checked_add(u64::try_from(stamp.tv_nsec).ok()?)
}

fn vlan(aux: &libc::tpacket_auxdata) -> Option<(u16, u16)> {
    if aux.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let tpid = if aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 {
        libc::ETH_P_8021Q as u16
    } else {
        aux.tp_vlan_tpid
    };
    Some((tpid, aux.tp_vlan_tci))
}
