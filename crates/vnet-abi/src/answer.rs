//! The integer that a simple-form plugin's `vnet_on_packet` returns.
//!
//! Bits 0-7 are the verdict, bits 8-23 the out port (REDIRECT) or the reason (DROP), bits 24-30
//! are zero. A negative answer is the plugin's own error.

/// Returns the answer that carries a verdict with its out port or reason.
#[must_use]
pub const fn pack(verdict: u8, argument: u16) -> i32 {
    verdict as i32 | (argument as i32) << 8
}

/// Returns verdict and argument, or `None` where the answer is negative or sets a bit of 24-30.
#[must_use]
pub const fn unpack(answer: i32) -> Option<(u8, u16)> {
    if answer as u32 > 0x00ff_ffff {
        return None;
    }
    Some((answer as u8, (answer >> 8) as u16))
}
