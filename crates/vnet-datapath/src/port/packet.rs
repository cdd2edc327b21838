use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use vnet_packet::gso::Offload;
use vnet_sys::packet::{PacketSocket, RecvSlot};

use super::Counters;
use super::bare::{Bare, ETHERNET};
use super::outbox::Pending;
use crate::cause::Cause;
use crate::clock::Clock;
use crate::frame::{BATCH, Got, HEADROOM, Landing, Meta};
use crate::offload;

const TAG: usize = 4;
const MACS: usize = 12;

/// Longest a frame is thought to have waited to be read, in nanoseconds.
const LONGEST_WAIT: u64 = 1_000_000_000;

/// Frames a read asks for while few come.
const FEW: usize = 8;

/// A packet socket bound to one interface, with a virtio-net header before each frame.
pub(crate) struct Packet {
    socket: PacketSocket,
    /// Where frames are written when that is not where they are read.
    out: Option<PacketSocket>,
    /// Set where the port carries bare packets on an interface with Ethernet headers.
    bare: Option<Bare>,
    /// Nothing was received since the interface went down, or ever: af_packet.c reports no deletion then.
    silent: bool,
    /// Set where the kernel says when each frame came: the clock on which that is wanted.
    stamped: Option<Clock>,
    /// Frames the next read asks for: each costs a little whether it comes or not.
    ask: usize,
    /// When the last stamped frame came, on the worker's clock.
    last_ns: u64,
}

impl Packet {
    pub(crate) fn new(socket: PacketSocket) -> Self {
        Self {
            socket,
            out: None,
            bare: None,
            silent: true,
            stamped: None,
            ask: FEW,
            last_ns: 0,
        }
    }

    pub(crate) fn pair(rx: PacketSocket, tx: PacketSocket) -> Self {
        Self {
            out: Some(tx),
            ..Self::new(rx)
        }
    }

    pub(crate) fn bare(socket: PacketSocket, station: [u8; 6]) -> Self {
        Self {
            bare: Some(Bare::to(station)),
            ..Self::new(socket)
        }
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.bare.is_some()
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(crate) fn has_vanished(&self) -> bool {
        index_to_name(&self.socket, self.socket.ifindex()).is_err()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has the kernel say when each frame came: a frame may wait for the worker, and a line is not to add that to its delay.
    pub(crate) fn stamp_arrivals(&mut self, clock: Option<Clock>) {
        if clock.is_some() != self.stamped.is_some()
            && let Err(error) = self.socket.stamp_arrivals(clock.is_some())
        {
            tracing::warn!(target: "vnet::engine", %error, "frames count as come when they are read");
            return;
        }
        self.stamped = clock;
        self.last_ns = 0;
    }

    pub(crate) fn recv(&mut self, landing: &mut Landing<'_>, counters: &mut Counters) -> Got {
        debug_assert!(
            landing.metas.is_empty(),
            "a packet read starts with every slot free"
        );
        let (stride, slots) = (landing.stride, landing.slots.min(self.ask));
        let received = {
            let mut rest = landing.bytes.chunks_exact_mut(stride).take(slots);
            let mut to: [RecvSlot<'_>; BATCH] = std::array::from_fn(|_| {
                RecvSlot::new(rest.next().map_or(&mut [][..], |slot| &mut slot[HEADROOM..]))
            });
            self.socket.recv_batch(&mut to[..slots]).map(|n| {
                let mut arrived = [Arrived::default(); BATCH];
                for (info, slot) in arrived.iter_mut().zip(&to[..n]) {
                    *info = Arrived {
                        len: slot.len,
                        truncated: slot.truncated,
                        vlan: slot.vlan,
                        stamp_ns: slot.stamp_ns,
                        offload: offload::from_header(&slot.hdr),
                    };
                }
                (n, arrived)
            })
        };
        let (n, arrived) = match received {
            Ok((0, _)) => return Got::Empty,
            Ok(received) => received,
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => Got::Empty,
                    // One frame whose offload the header cannot express; those behind it are fine.
                    Some(Errno::INVAL) => {
                        counters.rx_packets += 1;
                        counters.drops.add(Cause::BadOffload);
                        Got::Full
                    }
                    // af_packet.c reports ENETDOWN once, when the interface goes down, be it to be deleted or not.
                    _ if self.has_vanished() => Got::Gone,
                    _ => {
                        self.silent = true;
                        Got::Empty
                    }
                };
            }
        };
        self.silent = false;
        self.ask = (2 * n).next_power_of_two().clamp(FEW, BATCH);
        let beside = self.stamped.map(Clock::beside_realtime);
        for (i, info) in arrived[..n].iter().enumerate() {
            counters.rx_packets += 1;
            counters.rx_bytes += info.len as u64;
            if info.truncated {
                counters.drops.add(Cause::Truncated);
                continue;
            }
            let mut off = landing.next();
            let mut len = info.len;
            // Frame i belongs in slot i; only a drop before it in this read moves it.
            let read_to = i * stride + HEADROOM;
            if read_to != off {
                landing.bytes.copy_within(read_to..read_to + len, off);
            }
            let mut meta = Meta {
                offload: info.offload,
                ..Meta::default()
            };
            if let (Some(stamp), Some((now, behind))) = (info.stamp_ns, beside) {
                // A step of the wall clock must neither bring a frame from the future nor send one far back.
                let came = u64::try_from(i128::from(stamp) + behind).unwrap_or(now);
                let earliest = self.last_ns.max(now.saturating_sub(LONGEST_WAIT));
                self.last_ns = came.max(earliest).min(now);
                meta.arrived_ns = self.last_ns;
            }
            if self.bare.is_some() {
                if info.vlan.is_some() || !Bare::carries(&landing.bytes[off..off + len]) {
                    counters.drops.add(Cause::NotIp);
                    continue;
                }
                (off, len) = (off + ETHERNET, len - ETHERNET);
                counters.rx_bytes -= ETHERNET as u64;
                offload::shift(&mut meta.offload, -(ETHERNET as i32));
            } else if let Some((tpid, tci)) = info.vlan {
                if len < MACS {
                    counters.drops.add(Cause::Runt);
                    continue;
                }
                landing.bytes.copy_within(off..off + MACS, off - TAG);
                off -= TAG;
                len += TAG;
                landing.bytes[off + MACS..off + MACS + 2].copy_from_slice(&tpid.to_be_bytes());
                landing.bytes[off + MACS + 2..off + MACS + TAG].copy_from_slice(&tci.to_be_bytes());
                offload::shift(&mut meta.offload, TAG as i32);
            }
            if len > landing.max_frame {
                counters.drops.add(Cause::Oversize);
                continue;
            }
            landing.take(off, len, meta);
        }
        if n == slots { Got::Full } else { Got::Empty }
    }

    pub(crate) fn send(
        &mut self,
        bytes: &mut [u8],
        off: usize,
        len: usize,
        offload: &Offload,
    ) -> Result<(), Cause> {
        let (mut off, mut len, mut offload) = (off, len, *offload);
        if let Some(bare) = &self.bare {
            let header = bare.header(&bytes[off..off + len]).ok_or(Cause::NotIp)?;
            let start = off.checked_sub(ETHERNET).ok_or(Cause::TxError)?;
            bytes[start..off].copy_from_slice(&header);
            (off, len) = (start, len + ETHERNET);
            offload::shift(&mut offload, ETHERNET as i32);
        }
        let header = offload::to_header(&offload, len);
        let frame = &bytes[off..off + len];
        let socket = self.out.as_ref().unwrap_or(&self.socket);
        let mut waited = false;
        loop {
            let Err(error) = socket.send(&header, frame) else {
                return Ok(());
            };
            match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                Errno::INTR => {}
                Errno::AGAIN if !waited => {
                    waited = true;
                    let wait = Timespec {
                        tv_sec: 0,
                        tv_nsec: 2_000_000,
                    };
                    let _ready = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&wait));
                }
                // Past the queue (PACKET_QDISC_BYPASS) the kernel says nothing else of a node that set its end down.
                Errno::NOBUFS if !socket.has_carrier() => return Err(Cause::Down),
                errno => return Err(send_cause(errno)),
            }
        }
    }

    /// Sends frames as they are in one call; returns how many went out, from the first on.
    pub(super) fn send_batch<'a>(
        &mut self,
        bytes: &[u8],
        frames: impl Iterator<Item = &'a Pending>,
    ) -> usize {
        let frames = frames.map(|p| {
            (
                offload::to_header(&p.offload, p.len),
                &bytes[p.off..p.off + p.len],
            )
        });
        let socket = self.out.as_mut().unwrap_or(&mut self.socket);
        socket.send_batch(frames).unwrap_or(0)
    }

    pub(crate) fn take_kernel_drops(&mut self) -> u64 {
        self.socket.statistics().map_or(0, |(_, drops)| drops)
    }
}

#[derive(Clone, Copy, Default)]
struct Arrived {
    len: usize,
    truncated: bool,
    vlan: Option<(u16, u16)>,
    stamp_ns: Option<u64>,
    offload: Offload,
}

pub(super) fn send_cause(errno: Errno) -> Cause {
    match errno {
        Errno::NETDOWN => Cause::Down,
        Errno::NODEV | Errno::NXIO | Errno::BADFD => Cause::Gone,
        Errno::MSGSIZE => Cause::TxOversize,
        Errno::AGAIN | Errno::NOBUFS => Cause::TxFull,
        _ => Cause::TxError,
    }
}
