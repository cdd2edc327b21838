//! Further frames, sent after those of the batch: answers, copies, probes.

use core::fmt;

use crate::memory;
use crate::packet::Packet;
use crate::verdict::Verdict;

/// A frame could not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendError {
    /// The ring has no free descriptor, or no batch is being judged.
    Full,
    /// The frame is longer than a slot takes.
    TooLong {
        /// Bytes of the frame.
        len: usize,
        /// Bytes that a slot takes.
        room: usize,
    },
    /// An appended frame cannot be dropped.
    Dropped,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Full => f.write_str("no free descriptor for an appended frame"),
            AppendError::TooLong { len, room } => {
                write!(
                    f,
                    "an appended frame of {len} bytes does not fit a slot of {room}"
                )
            }
            AppendError::Dropped => f.write_str("an appended frame cannot be dropped: do not append it"),
        }
    }
}

impl core::error::Error for AppendError {}

/// Sends a further frame with these bytes after the batch.
///
/// [`Verdict::Pass`] lets it go on along the chain as if it had arrived where the batch's first
/// frame did. At least as many frames can be appended as the batch has.
///
/// # Errors
/// [`AppendError`], for a verdict that drops too; nothing is sent.
pub fn append(frame: &[u8], verdict: Verdict) -> Result<(), AppendError> {
    append_with(frame.len(), verdict, |pkt| {
        for (to, from) in pkt.frame_mut().iter_mut().zip(frame) {
            *to = *from;
        }
    })
}

/// Sends a further frame of `len` bytes after the batch, zero until `fill` has written them.
///
/// # Errors
/// As [`append`]; `fill` is then not called.
pub fn append_with(len: usize, verdict: Verdict, fill: impl FnOnce(&mut Packet)) -> Result<(), AppendError> {
    if matches!(verdict, Verdict::Drop | Verdict::DropFor(_)) {
        return Err(AppendError::Dropped);
    }
    append_by(len, |_| verdict, fill)
}

/// Sends a further frame with these bytes out by a port of the switch, after the batch.
///
/// The host takes appended frames as arrived where the batch's first frame did, and refuses to send one there by
/// [`Verdict::Redirect`]; out by that port it goes by [`Verdict::Tx`].
///
/// # Errors
/// As [`append`].
pub fn append_to(port: u16, frame: &[u8]) -> Result<(), AppendError> {
    append_to_with(port, frame.len(), |pkt| pkt.frame_mut().copy_from_slice(frame))
}

/// Sends a further frame of `len` bytes out by a port of the switch, as [`append_to`] does, zero until `fill` has written them.
///
/// # Errors
/// As [`append`]; `fill` is then not called.
pub fn append_to_with(port: u16, len: usize, fill: impl FnOnce(&mut Packet)) -> Result<(), AppendError> {
    let verdict = |arrival| {
        if arrival == port {
            Verdict::Tx
        } else {
            Verdict::Redirect(port)
        }
    };
    append_by(len, verdict, fill)
}

/// Sends a further frame; `verdict` is told the port it counts as arrived on.
fn append_by(
    len: usize,
    verdict: impl FnOnce(u16) -> Verdict,
    fill: impl FnOnce(&mut Packet),
) -> Result<(), AppendError> {
    let mut memory = memory::get();
    let desc = memory.take().ok_or(AppendError::Full)?;
    // SAFETY: the descriptor lies in the ring, `take` hands each out once in a batch, and the
    // batch's own frames use others.
    let desc = unsafe { &mut *desc };
    let (_, slot_end) = memory.bounds(desc.off);
    let room = (slot_end - desc.off) as usize;
    if len > room {
        return Err(AppendError::TooLong { len, room });
    }
    memory::set(memory);
    desc.len = len as u32;
    // SAFETY: `off` is what the host wrote and `len` bytes from there end within the slot, which
    // belongs to this descriptor alone.
    let pkt = unsafe { Packet::from_desc(desc) };
    pkt.frame_mut().fill(0);
    fill(pkt);
    verdict(pkt.port()).write(&mut pkt.desc);
    Ok(())
}
