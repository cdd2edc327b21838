//! One frame in the guest's ring.

use crate::bytes::{get_u16, get_u32, get_u64, put};
use crate::limits::DESC_SIZE;

/// A descriptor: one frame, what the host says of it and what the guest answers (`vn_desc` in C).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Desc {
    /// Address of the frame's first byte in linear memory. Both sides write it.
    pub off: u32,
    /// Bytes of the frame. Both sides write it.
    pub len: u32,
    /// Bytes from the `off` the host wrote to the slot's end. Host to guest.
    pub cap: u32,
    /// [`verdict`](crate::verdict). The host writes UNSET before each call.
    pub verdict: u8,
    /// Zero.
    pub pad: u8,
    /// [`flags`](crate::flags).
    pub flags: u16,
    /// Arrival port. Host to guest.
    pub port: u16,
    /// Port that REDIRECT sends to. Guest to host.
    pub out_port: u16,
    /// Payload bytes of each segment of a super-frame, without headers. Host to guest.
    pub gso_size: u16,
    /// Reason code of DROP. Guest to host.
    pub reason: u16,
    /// A number carried along the chain. Both sides write it.
    pub mark: u32,
    /// Delay asked for with the flag DELAY, in microseconds. Guest to host.
    pub delay_us: u32,
    /// Arrival time on the lab's clock, in nanoseconds. Host to guest.
    pub ts_ns: u64,
}

impl Desc {
    /// Reads a descriptor as it lies in guest memory; nothing is checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; DESC_SIZE]) -> Desc {
        Desc {
            off: get_u32(bytes, 0),
            len: get_u32(bytes, 4),
            cap: get_u32(bytes, 8),
            verdict: bytes[12],
            pad: bytes[13],
            flags: get_u16(bytes, 14),
            port: get_u16(bytes, 16),
            out_port: get_u16(bytes, 18),
            gso_size: get_u16(bytes, 20),
            reason: get_u16(bytes, 22),
            mark: get_u32(bytes, 24),
            delay_us: get_u32(bytes, 28),
            ts_ns: get_u64(bytes, 32),
        }
    }

    /// Returns the descriptor as it lies in guest memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; DESC_SIZE] {
        let mut bytes = [0; DESC_SIZE];
        put(&mut bytes, 0, &self.off.to_le_bytes());
        put(&mut bytes, 4, &self.len.to_le_bytes());
        put(&mut bytes, 8, &self.cap.to_le_bytes());
        bytes[12] = self.verdict;
        bytes[13] = self.pad;
        put(&mut bytes, 14, &self.flags.to_le_bytes());
        put(&mut bytes, 16, &self.port.to_le_bytes());
        put(&mut bytes, 18, &self.out_port.to_le_bytes());
        put(&mut bytes, 20, &self.gso_size.to_le_bytes());
        put(&mut bytes, 22, &self.reason.to_le_bytes());
        put(&mut bytes, 24, &self.mark.to_le_bytes());
        put(&mut bytes, 28, &self.delay_us.to_le_bytes());
        put(&mut bytes, 32, &self.ts_ns.to_le_bytes());
        bytes
    }
}
