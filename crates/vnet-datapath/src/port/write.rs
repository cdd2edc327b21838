//! Frames on their way out of a port: checked, written, counted.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use vnet_packet::Layer;
use vnet_packet::gso::Offload;
use vnet_sys::uring::Written;

use super::outbox::Pending;
use super::{Io, Port, tap};
use crate::cause::Cause;
use crate::frame::{L2_OVERHEAD, Meta};
use crate::record::{Dropper, Recordings};

impl Port {
    /// Writes the frame at `off`, using the bytes before it for the device's header.
    ///
    /// Counts the frame as sent, or its drop.
    pub(crate) fn send(
        &mut self,
        bytes: &mut [u8],
        off: usize,
        len: usize,
        meta: &Meta,
        ts_ns: u64,
        recordings: &mut Recordings,
    ) {
        recordings.leaving();
        let result = self.check(len, &meta.offload).and_then(|()| match &mut self.io {
            Io::Tap(tap) => tap.send(bytes, off, len, &meta.offload),
            Io::Packet(packet) => packet.send(bytes, off, len, &meta.offload),
            Io::Memory(memory) => memory.send(&bytes[off..off + len], &meta.offload, ts_ns),
            Io::Replay(replay) => replay.send(&bytes[off..off + len], meta, ts_ns),
            Io::Vacant => Err(Cause::Gone),
        });
        self.count(result, &bytes[off..off + len], meta, ts_ns, recordings);
    }

    /// Counts a frame that was written, or its drop.
    fn count(
        &mut self,
        result: Result<(), Cause>,
        frame: &[u8],
        meta: &Meta,
        ts_ns: u64,
        recordings: &mut Recordings,
    ) {
        match result {
            Ok(()) => {
                self.down = false;
                self.counters.tx_packets += 1;
                self.counters.tx_bytes += frame.len() as u64;
                if let Some(number) = self.recorded {
                    recordings.left(number, frame, &meta.offload, meta.serial, ts_ns);
                }
            }
            Err(cause) => {
                if matches!(cause, Cause::Down | Cause::Gone) {
                    self.fall();
                }
                self.counters.drops.add(cause);
                if let Some(number) = self.recorded {
                    let who = Dropper::Port(number);
                    recordings.dropped(who, cause, frame, &meta.offload, meta.serial, ts_ns);
                }
            }
        }
    }

    /// Tells whether frames that leave here may be written many at a time, from where they lie.
    pub(crate) fn is_batched(&self) -> bool {
        match &self.io {
            Io::Tap(_) => true,
            Io::Packet(packet) => !packet.is_bare(),
            _ => false,
        }
    }

    /// Refuses a frame as [`Port::send`] would before it writes, and counts the drop.
    pub(crate) fn admit(&mut self, len: usize, offload: &Offload) -> Result<(), Cause> {
        let Err(cause) = self.check(len, offload) else {
            return Ok(());
        };
        if cause == Cause::Gone {
            self.fall();
        }
        self.counters.drops.add(cause);
        Err(cause)
    }

    pub(super) fn is_tap(&self) -> bool {
        matches!(self.io, Io::Tap(_))
    }

    pub(super) fn tap_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.io {
            Io::Tap(tap) => Some(tap.fd()),
            _ => None,
        }
    }

    /// Counts a frame with its device's header before it that a ring has written, or writes it here.
    pub(super) fn send_headed(
        &mut self,
        frame: &Pending,
        written: Written,
        bytes: &[u8],
        recordings: &mut Recordings,
    ) {
        let Io::Tap(tap) = &mut self.io else { return };
        let result = match written {
            Some(Ok(_)) => Ok(()),
            // The kernel does not know how to write to a TAP without waiting (before Linux 5.11), or has not looked at it.
            None | Some(Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::INTR)) => {
                tap.write(bytes, frame.off, frame.len)
            }
            Some(Err(errno)) => Err(tap::write_cause(errno)),
        };
        let at = frame.off..frame.off + frame.len;
        self.count(result, &bytes[at], &frame.meta(), frame.ts_ns, recordings);
    }

    /// Writes those of `frames` that are for this port, `number`, and counts them.
    pub(super) fn send_noted(
        &mut self,
        number: usize,
        frames: &mut [Pending],
        bytes: &mut [u8],
        recordings: &mut Recordings,
    ) {
        let mut from = 0;
        loop {
            let is_ours = |p: &Pending| p.port == number && !p.is_done;
            let Some(next) = frames[from..].iter().position(is_ours) else {
                return;
            };
            from += next;
            let mut sent = 0;
            if let Io::Packet(packet) = &mut self.io {
                sent = packet.send_batch(bytes, frames[from..].iter().filter(|p| is_ours(p)));
            }
            if sent == 0 {
                // What holds this one up is found out, waited for or counted by itself.
                let one = &mut frames[from];
                one.is_done = true;
                let meta = Meta {
                    offload: one.offload,
                    ..Default::default()
                };
                self.send(bytes, one.off, one.len, &meta, one.ts_ns, recordings);
            }
            for one in frames[from..].iter_mut().filter(|p| is_ours(p)).take(sent) {
                one.is_done = true;
                let at = one.off..one.off + one.len;
                self.count(Ok(()), &bytes[at], &one.meta(), one.ts_ns, recordings);
            }
        }
    }

    /// Takes note, once, that the device is down or away.
    pub(super) fn fall(&mut self) {
        self.fell |= !self.down;
        self.down = true;
    }

    /// Enforces the MTU and the least length, which the kernel does not do for every kind of port.
    fn check(&self, len: usize, offload: &Offload) -> Result<(), Cause> {
        // A capture takes frames after its input has ended, too.
        if matches!(self.io, Io::Replay(_)) {
            return Ok(());
        }
        if self.gone {
            return Err(Cause::Gone);
        }
        let (least, overhead) = match self.info.layer {
            Layer::L2 => (14, L2_OVERHEAD),
            Layer::L3 => (20, 0),
        };
        let wire = if offload.gso_type == 0 {
            len as u64
        } else {
            u64::from(offload.gso_size) + 28
        };
        if len < least {
            Err(Cause::Runt)
        } else if wire > u64::from(self.info.mtu) + u64::from(overhead) {
            Err(Cause::TxOversize)
        } else {
            Ok(())
        }
    }
}
