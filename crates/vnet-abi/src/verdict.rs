//! Verdicts: what is to become of a frame.

/// The frame goes to the next stage, after the last to normal forwarding.
pub const PASS: u8 = 0;
/// The frame is dropped; a reason code may say why.
pub const DROP: u8 = 1;
/// The frame leaves the chain through a port, or through all but the arrival one.
pub const REDIRECT: u8 = 2;
/// The frame leaves the chain through the port it arrived on.
pub const TX: u8 = 3;
/// The guest has not judged the frame; after a normal return it counts as PASS.
pub const UNSET: u8 = 255;
