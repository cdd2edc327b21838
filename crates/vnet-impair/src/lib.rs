//! Link impairments in virtual time: delay, loss, rate, queues, with the fate of every frame seeded.
//!
//! An [`Impairment`] is one direction of a link as a user declares it, in the words and units of
//! netem (tc-netem(8), tc(8)). Made [`Ready`], it is run by a [`Line`], which takes frames, holds
//! them, and hands them over when their time has come. A line does no I/O, has no clock and no
//! thread: its user says what time it is, so a line runs in a packet engine, in a replay of a
//! capture and in a test alike, and needs nothing of the kernel's.
//!
//! ```
//! use vnet_impair::{Given, Impairment, Line, Outcome, key};
//!
//! let mut link = Impairment::default();
//! link.set("delay", Some(Given::Text("10ms")))?;
//! link.set("loss", Some(Given::Text("20%")))?;
//! link.set("rate", Some(Given::Text("1mbit")))?;
//! let ready = link.ready(&mut |path| std::fs::read_to_string(path))?;
//!
//! // Five frames of 125 bytes at once: each takes 1 ms on the line, and 10 ms on the wire.
//! let mut line = Line::new(key(6, "h1-s1", "a-b"), ready, 0);
//! for frame in 0..5 {
//!     line.offer(0, 125u32, frame).expect("the queue has room");
//! }
//! let mut arrivals = Vec::new();
//! while let Some(now) = line.next() {
//!     line.poll(now, &mut |outcome| match outcome {
//!         Outcome::Out { frame, .. } => arrivals.push((frame, now / 1_000_000)),
//!         Outcome::Dropped { .. } => {}
//!     });
//! }
//! // The same frame is lost in every run; it has used the line all the same.
//! assert_eq!(arrivals, [(0, 11), (2, 13), (3, 14), (4, 15)]);
//! assert_eq!(line.stats(20_000_000).lost, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A frame's way
//!
//! 1. It arrives, is counted, and its **fate** is drawn: whether it is lost, doubled, damaged or
//!    overtakes, and how long it takes. Frame `n` has block `n` of a ChaCha8 stream to itself, and
//!    each kind of chance its own place in it. So frame `n` meets the same fate in every run with
//!    one [`key`], at any pace, and under every other setting.
//! 2. With a `rate` or a `trace` it may have to wait in the **queue**, which drops its tail or is
//!    kept short by CoDel (RFC 8289).
//! 3. It goes on the line: at a **rate** it takes the time of its bits, where a `burst` lets an
//!    idle line be ahead (a token bucket); with a **trace** (mahimahi's format) it uses up
//!    opportunities of 1,504 bytes, and those that come when nothing waits are lost.
//! 4. It is on the wire: there it may be **lost**, having used the line; have one bit **flipped**,
//!    be **duplicated**, and is **delayed**, unless `reorder` lets it overtake.
//!
//! # Where this is not netem
//!
//! - Correlation leaves the chance as it is: neighbours are tied by a Gaussian copula. netem blends
//!   random numbers, which bends the chance, and lets its `loss 1% 50%` lose next to nothing.
//! - `normal`, `pareto` and `paretonormal` have mean 0 and the jitter as standard deviation,
//!   exactly; netem's own tables of the last two have not. A user's table is taken as it is.
//! - `queue` bounds what waits for the rate and not what is on the wire, so a long delay needs no
//!   larger queue.
//! - `gap` counts arrivals, also of frames that are lost.
#![forbid(unsafe_code)]

mod declare;
mod error;
mod fate;
mod key;
mod line;
mod measure;
mod ready;
mod units;

pub use declare::{Chance, Discipline, Distribution, Given, Impairment, Limit, Loss, Rate, ReadError};
pub use error::ImpairError;
pub use key::key;
pub use line::{Dropped, Line, Outcome, Size};
pub use measure::{DelayStats, LineStats, LossBursts, QueueSample, QueueStats, Spread};
pub use ready::Ready;
pub use units::{size, time, time_text};
