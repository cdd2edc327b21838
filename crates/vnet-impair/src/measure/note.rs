//! A line's numbers in a few words, for where there is room for text only.

use std::fmt;

use super::{LineStats, Spread};
use crate::units::time_text;

/// Writes what was asked, and what became of it, on one line.
impl fmt::Display for LineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("asked")?;
        for (key, value) in &self.asked {
            write!(f, " {key} {value}")?;
        }
        write!(f, "; {} frames in, {} out", self.frames_in, self.frames_out)?;
        for (what, spread) in [
            ("delay asked", self.delay.asked),
            ("delay realised", self.delay.realised),
            ("delay error", self.delay.error),
        ] {
            if let Some(Spread { p50_ns, p99_ns, .. }) = spread {
                write!(f, "; {what} p50 {} p99 {}", time_text(p50_ns), time_text(p99_ns))?;
            }
        }
        if let Some(rate) = self.rate_realised {
            write!(f, "; rate realised {:.3} Mbit/s", rate / 1e6)?;
        }
        if let Some(loss) = self.loss_realised {
            write!(
                f,
                "; loss asked {:.3} % realised {:.3} %",
                self.loss_asked * 100.0,
                loss * 100.0
            )?;
        }
        write!(
            f,
            "; queue at most {} packets, {} bytes",
            self.queue.most_packets, self.queue.most_bytes
        )
    }
}
