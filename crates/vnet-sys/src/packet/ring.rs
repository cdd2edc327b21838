//! A ring of packets shared with the kernel (TPACKET_V3, Documentation/networking/packet_mmap.rst).
//!
//! Its size does not depend on `net.core.rmem_max`, so that an ordinary user's recording has room for a burst, too.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::{bind, set_packet_option, statistics};
use crate::error::last_errno;
use crate::{SysError, VnetHdr, vnet_hdr};

/// Bytes of a block, which holds whole frames only: more than the longest super-frame.
const BLOCK: usize = 256 << 10;

/// The same where memory is short: more than the longest super-frame without BIG TCP.
const SMALL_BLOCK: usize = 128 << 10;

/// The same where frames are cut to [`CUT`].
const CUT_BLOCK: usize = 16 << 10;

/// Most bytes of a frame for which small blocks do.
const CUT: u32 = 4096;

/// Bytes that the kernel counts for a frame when it checks the ring's shape; blocks are filled as frames come.
const FRAME: usize = 2048;

/// Where the address lies behind a frame's header, aligned to 16.
const ADDRESS: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(16);

/// Offsets in an address (`sockaddr_ll`).
const INTERFACE: usize = 4;
const HARDWARE: usize = 8;
const PACKET_TYPE: usize = 10;

/// What a ring shows of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What comes in and what goes out.
    Both,
    /// What comes in.
    Incoming,
    /// What goes out.
    Outgoing,
}

/// How a ring is made.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Bytes for frames that wait, rounded to blocks, at least two of 128 KiB; of 16 where there are few and frames
    /// are cut to 4096 bytes.
    pub bytes: usize,
    /// After how many milliseconds a block with frames is handed over that is not full.
    pub retire_ms: u32,
    /// Which frames.
    pub shown: Shown,
    /// Most bytes of a frame; `None` for all.
    pub snaplen: Option<u32>,
}

/// One frame in a ring.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How many it had, without a VLAN tag that was taken out.
    pub wire_len: u32,
    /// What is left to do in the frame.
    pub hdr: VnetHdr,
    /// The VLAN tag the kernel took out, as (tag protocol id, tag control information).
    pub vlan: Option<(u16, u16)>,
    /// Whether the frame leaves the interface rather than comes in.
    pub outgoing: bool,
    /// The interface.
    pub ifindex: u32,
    /// Whether the interface's frames begin with an Ethernet header (ARPHRD_ETHER and the loopback's).
    pub is_ethernet: bool,
    /// When the kernel saw it, by CLOCK_REALTIME in nanoseconds.
    pub stamp_ns: u64,
}

/// A packet socket that records one interface, or all but loopback, through a ring.
#[derive(Debug)]
pub struct PacketRing {
    fd: OwnedFd,
    map: Map,
    block: usize,
    blocks: usize,
    next: usize,
}

#[derive(Debug)]
struct Map {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone; what the kernel writes in it is read behind an acquire.
unsafe impl Send for Map {}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: these are the address and length that mmap returned, and nothing borrows from them any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

impl PacketRing {
    /// Arms a packet socket of protocol 0, as socket(2) makes it, on an interface: from here on every frame is shown. 0 are all
    /// interfaces of the socket's namespace but loopback, those that come later, too.
    ///
    /// # Errors
    /// [`SysError::Os`], with `ENODEV` when there is no such interface and `ENOMEM` when the kernel has no room for the ring.
    pub fn arm(fd: OwnedFd, ifindex: u32, options: RingOptions) -> Result<Self, SysError> {
        let what = || format!("cannot record interface {ifindex}");
        let failed = |e| SysError::os(what(), e);
        let index = i32::try_from(ifindex).map_err(|_| failed(Errno::NODEV))?;
        let set = |option, value: libc::c_int| set_packet_option(fd.as_fd(), option, &value).map_err(failed);
        set(
            libc::PACKET_VERSION,
            libc::tpacket_versions::TPACKET_V3 as libc::c_int,
        )?;
        set(libc::PACKET_VNET_HDR, 1)?;
        let block = match options.snaplen {
            Some(..=CUT) if options.bytes < 4 * BLOCK => CUT_BLOCK,
            _ if options.bytes < 4 * BLOCK => SMALL_BLOCK,
            _ => BLOCK,
        };
        let blocks = (options.bytes / block).max(2);
        let request = libc::tpacket_req3 {
            tp_block_size: block as libc::c_uint,
            tp_block_nr: blocks as libc::c_uint,
            tp_frame_size: FRAME as libc::c_uint,
            tp_frame_nr: (blocks * (block / FRAME)) as libc::c_uint,
            tp_retire_blk_tov: options.retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set_packet_option(fd.as_fd(), libc::PACKET_RX_RING, &request).map_err(failed)?;
        let map = Map::new(&fd, blocks * block).map_err(failed)?;
        let program = match ifindex {
            0 => [not_loopback(), shown(options.shown, options.snaplen)].concat(),
            _ => shown(options.shown, options.snaplen),
        };
        filter(fd.as_fd(), &program).map_err(failed)?;
        bind(fd.as_fd(), index, libc::ETH_P_ALL as u16).map_err(failed)?;
        // Binding to an interface that is down leaves ENETDOWN for the first read.
        let _: Result<(), Errno> = rustix::net::sockopt::socket_error(&fd).map_err(failed)?;
        Ok(Self {
            fd,
            map,
            block,
            blocks,
            next: 0,
        })
    }

    /// Shows what the kernel has handed over so far, oldest first, at most once round the ring; returns how many frames.
    pub fn drain(&mut self, mut show: impl FnMut(&Seen<'_>)) -> u64 {
        let mut seen = 0;
        for _ in 0..self.blocks {
            let Some(block) = self.ready() else { break };
            seen += walk(block, &mut show);
            self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.blocks;
        }
        seen
    }

    /// Takes no frame more; those in the ring stay.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn quench(&self) -> Result<(), SysError> {
        filter(self.fd.as_fd(), &[code(RET, 0, 0, 0)]).map_err(|e| SysError::os("cannot end a recording", e))
    }

    /// Returns how many frames came for the ring and how many of them it had no room for, since the last call.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn statistics(&self) -> Result<(u64, u64), SysError> {
        statistics(self.fd.as_fd(), "cannot read the statistics of a recording")
    }

    /// The first word of a block's header that both sides write: who may use it.
    fn status(&self) -> &AtomicU32 {
        let at = self.next * self.block + size_of::<u32>() * 2;
        // SAFETY: the word lies in the mapping, is aligned to 4 and lives as long as self; the kernel writes it as one.
        unsafe { AtomicU32::from_ptr(self.map.at.as_ptr().add(at).cast()) }
    }

    /// The next block, if it is ours.
    fn ready(&self) -> Option<&[u8]> {
        if self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block lies in the mapping and the kernel leaves it alone until its status says it may have it, which
        // `drain` writes when the borrow has ended.
        Some(unsafe { slice::from_raw_parts(self.map.at.as_ptr().add(self.next * self.block), self.block) })
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Map {
    fn new(fd: &OwnedFd, len: usize) -> Result<Self, Errno> {
        // SAFETY: a fresh mapping of the socket's ring, which overlaps nothing.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(last_errno());
        }
        let map = NonNull::new(at.cast())
            .map(|at| Self { at, len })
            .ok_or(Errno::NOMEM)?;
        // SAFETY: the mapping just made, whole; a forked child would keep the socket open by it.
        if unsafe { libc::madvise(at, len, libc::MADV_DONTFORK) } < 0 {
            return Err(last_errno());
        }
        Ok(map)
    }
}

/// Shows the frames of a block.
fn walk(block: &[u8], show: &mut impl FnMut(&Seen<'_>)) -> u64 {
    let count = word(block, 12).unwrap_or(0);
    let mut at = word(block, 16).unwrap_or(0) as usize;
    let mut seen = 0;
    for _ in 0..count {
        let Some(frame) = block.get(at..).and_then(read) else {
            break;
        };
        show(&frame.0);
        seen += 1;
        at += frame.1;
    }
    seen
}

/// Reads a `tpacket3_hdr` with what belongs to it, and how far behind it the next one is.
fn read(at: &[u8]) -> Option<(Seen<'_>, usize)> {
    let [next, sec, nsec, captured, wire_len, status] = [0, 4, 8, 12, 16, 20].map(|field| word(at, field));
    let mac = usize::from(half(at, 24)?);
    let (tci, tpid) = (word(at, 32)?, half(at, 36)?);
    let status = status?;
    let start = mac.checked_sub(vnet_hdr::LEN)?;
    let tpid = if status & libc::TP_STATUS_VLAN_TPID_VALID == 0 {
        libc::ETH_P_8021Q as u16
    } else {
        tpid
    };
    let seen = Seen {
        bytes: at.get(mac..)?.get(..captured? as usize)?,
        wire_len: wire_len?,
        hdr: VnetHdr::from_bytes(at.get(start..mac)?.first_chunk()?),
        vlan: (status & libc::TP_STATUS_VLAN_VALID != 0).then_some((tpid, tci as u16)),
        outgoing: *at.get(ADDRESS + PACKET_TYPE)? == libc::PACKET_OUTGOING,
        ifindex: word(at, ADDRESS + INTERFACE)?,
        is_ethernet: matches!(
            half(at, ADDRESS + HARDWARE)?,
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK
        ),
        stamp_ns: u64::from(sec?) * 1_000_000_000 + u64::from(nsec?),
    };
    Some((seen, next? as usize))
}

fn word(at: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*at.get(offset..)?.first_chunk()?))
}

fn half(at: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*at.get(offset..)?.first_chunk()?))
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RET: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn code(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// Leaves out what has crossed a loopback interface; what follows judges the rest.
fn not_loopback() -> Vec<libc::sock_filter> {
    vec![
        code(LOAD, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_HATYPE) as u32),
        code(EQUAL, 0, 1, u32::from(libc::ARPHRD_LOOPBACK)),
        code(RET, 0, 0, 0),
    ]
}

/// The kernel's filter for a direction, which says how much of a frame is taken (`linux/filter.h`).
fn shown(shown: Shown, snaplen: Option<u32>) -> Vec<libc::sock_filter> {
    let take = code(RET, 0, 0, snaplen.unwrap_or(u32::MAX));
    let leave = code(RET, 0, 0, 0);
    let (out, others) = match shown {
        Shown::Both => return vec![take],
        Shown::Incoming => (leave, take),
        Shown::Outgoing => (take, leave),
    };
    let packet_type = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    vec![
        code(LOAD, 0, 0, packet_type),
        code(EQUAL, 0, 1, u32::from(libc::PACKET_OUTGOING)),
        out,
        others,
    ]
}

fn filter(fd: BorrowedFd<'_>, program: &[libc::sock_filter]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program and what it points to outlive the call, which copies them.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
