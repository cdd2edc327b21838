use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use vnet_packet::gso::Offload;
use vnet_sys::tun::{self, OffloadMask};
use vnet_sys::vnet_hdr::{self, VnetHdr};

use super::Counters;
use super::packet::send_cause;
use crate::cause::Cause;
use crate::frame::{Accepts, FRAME_MAX, Got, HEADROOM, Landing, Meta, SPILL_AT};
use crate::offload;

const HDR: usize = vnet_hdr::LEN;

/// A TUN or TAP descriptor with a virtio-net header before each frame.
pub(crate) struct Tap {
    fd: OwnedFd,
    asked: Option<Accepts>,
}

impl Tap {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, asked: None }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn negotiate(&mut self, accepts: Accepts) {
        if self.asked == Some(accepts) {
            return;
        }
        let mask = match accepts {
            Accepts {
                gso: true,
                csum: true,
            } => OffloadMask::ALL,
            Accepts {
                gso: false,
                csum: true,
            } => OffloadMask::CSUM,
            Accepts { csum: false, .. } => OffloadMask::NONE,
        };
        // A refusal costs speed only: whatever still arrives is finished in software.
        if let Err(error) = tun::set_offload(self.fd.as_fd(), mask) {
            tracing::warn!(target: "vnet::engine", %error, "the device keeps its offload settings");
        }
        self.asked = Some(accepts);
    }

    pub(crate) fn recv(
        &mut self,
        landing: &mut Landing<'_>,
        spill: &mut [u8],
        counters: &mut Counters,
    ) -> Got {
        let room = landing.stride - HEADROOM;
        while !landing.is_full() {
            let off = landing.next();
            let slot = &mut landing.bytes[off - HDR..off + room];
            let (read, limit) = if room >= FRAME_MAX {
                (rustix::io::read(&self.fd, &mut *slot), HDR + room)
            } else {
                let beyond = &mut spill[SPILL_AT..];
                let limit = HDR + room + beyond.len();
                (
                    rustix::io::readv(&self.fd, &mut [IoSliceMut::new(slot), IoSliceMut::new(beyond)]),
                    limit,
                )
            };
            let n = match read {
                Ok(n) => n,
                Err(Errno::AGAIN) => return Got::Empty,
                Err(Errno::INTR) => continue,
                Err(_) => return Got::Gone,
            };
            if n < HDR {
                return Got::Gone;
            }
            let len = n - HDR;
            counters.rx_packets += 1;
            counters.rx_bytes += len as u64;
            if n >= limit {
                counters.drops.add(Cause::Truncated);
                continue;
            }
            let mut header = [0; HDR];
            header.copy_from_slice(&landing.bytes[off - HDR..off]);
            let offload = offload::from_header(&VnetHdr::from_bytes(&header));
            let meta = Meta {
                offload,
                ..Meta::default()
            };
            if len <= landing.max_frame && landing.accepts.takes(&offload) {
                landing.take(off, len, meta);
            } else {
                let inside = len.min(room);
                let at = SPILL_AT - inside;
                spill[at..SPILL_AT].copy_from_slice(&landing.bytes[off..off + inside]);
                return Got::Spilled { at, len, meta };
            }
        }
        Got::Full
    }

    pub(crate) fn send(
        &mut self,
        bytes: &mut [u8],
        off: usize,
        len: usize,
        offload: &Offload,
    ) -> Result<(), Cause> {
        head(bytes, off, len, offload);
        self.write(bytes, off, len)
    }

    /// Writes a frame that has its header.
    pub(super) fn write(&self, bytes: &[u8], off: usize, len: usize) -> Result<(), Cause> {
        let frame = with_head(bytes, off, len);
        loop {
            match rustix::io::write(&self.fd, frame) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(write_cause(errno)),
            }
        }
    }
}

/// Puts the device's header before a frame.
pub(super) fn head(bytes: &mut [u8], off: usize, len: usize, offload: &Offload) {
    bytes[off - HDR..off].copy_from_slice(&offload::to_header(offload, len).to_bytes());
}

/// The frame with the header that is before it.
pub(super) fn with_head(bytes: &[u8], off: usize, len: usize) -> &[u8] {
    &bytes[off - HDR..off + len]
}

pub(super) fn write_cause(errno: Errno) -> Cause {
    match errno {
        // drivers/net/tun.c: EIO while the interface is down, EBADFD once it was deleted.
        Errno::IO => Cause::Down,
        errno => send_cause(errno),
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // A persistent device keeps its offload settings, and who opens it next may not expect them.
        if self.asked.is_some_and(|asked| asked != Accepts::NONE) {
            let _ = tun::set_offload(self.fd.as_fd(), OffloadMask::NONE);
        }
    }
}
