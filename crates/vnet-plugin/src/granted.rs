//! What the operator must grant: timers, frames of the plugin's own, random numbers.

use core::time::Duration;

use crate::imports;

/// Has the host call the `timer` function of the attribute once, after some time, with this id and the time it is then.
///
/// A timer of the same id is moved. The earliest it comes is 50 µs later, between two batches; there are at most 256. A fresh
/// instance after a fault starts without timers: set those that go on for ever in `configure`, which is called again.
///
/// The capability is `timer`.
///
/// ```
/// use core::time::Duration;
/// use vnet_plugin::{Config, Packet, Verdict, inject, plugin, timer};
///
/// const TICK: u32 = 0;
/// const EVERY: Duration = Duration::from_millis(10);
///
/// fn configure(_: &Config<'_>) -> Result<(), &'static str> {
///     timer(TICK, EVERY);
///     Ok(())
/// }
///
/// fn tick(_id: u32, _now_ns: u64) {
///     inject(0, &[0xff; 60]);
///     timer(TICK, EVERY);
/// }
///
/// /// Sends a frame every 10 ms.
/// #[plugin(gso, csum, capabilities = ["timer", "inject"], configure = configure, timer = tick)]
/// fn keepalive(_: &mut Packet) -> Verdict {
///     Verdict::Pass
/// }
/// ```
pub fn timer(id: u32, after: Duration) {
    imports::timer(id as i32, i64::try_from(after.as_nanos()).unwrap_or(i64::MAX));
}

/// Takes a timer back.
pub fn timer_off(id: u32) {
    imports::timer(id as i32, -1);
}

/// Sends a frame out by a port, as the plugin's own, behind the frames of the batch at hand.
///
/// Plugins on its way see it with [`Packet::is_injected`](crate::Packet::is_injected); this one does not. False where the port
/// does not exist, the frame is shorter than a header or too long, or 1,024 frames wait. The capability is `inject`.
pub fn inject(port: u16, frame: &[u8]) -> bool {
    imports::inject(port, frame) == 0
}

/// Returns a random number that depends on the seed of the lab, so that a run can be repeated. The capability is `random`.
#[must_use]
pub fn random() -> u64 {
    imports::random()
}
