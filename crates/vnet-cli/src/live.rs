//! What is drawn over again on a terminal while a command runs: counters, and how far it has come.
//!
//! They stand below everything else that is written to standard error: who writes there has them wiped first.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::tcgetwinsize;
use vnet::{Listener, Progress, StageStats};

use crate::output::Paint;
use crate::report;
use crate::terminal::is_terminal;

/// Lines that stand on the terminal.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// The right to draw; dropping it wipes what was drawn.
pub(crate) struct Live {
    _only_here: (),
}

impl Live {
    /// Returns it where standard error is a terminal that can be drawn on.
    pub fn on_terminal() -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (is_terminal(io::stderr()) && !dumb).then_some(Self { _only_here: () })
    }

    /// Draws what the plugins have done so far, in the place of what was drawn before.
    pub fn draw(&self, stages: &[StageStats]) {
        self.say(&report::table(stages, Paint::plain()));
    }

    /// Draws a text in the place of what was drawn before.
    pub fn say(&self, text: &str) {
        // One that nobody gave a size has 0 columns.
        let size = tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0);
        let columns = size.map_or(80, |size| usize::from(size.ws_col).max(20));
        let rows = size.map_or(24, |size| usize::from(size.ws_row).max(2));
        let text = fitted(text, columns, rows - 1);
        let mut drawn = lock();
        let mut out = io::stderr().lock();
        wipe(&mut out, &mut drawn);
        // Nobody reads it where standard error is closed.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok() {
            *drawn = text.lines().count();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        wipe(&mut io::stderr().lock(), &mut lock());
    }
}

/// Returns who shows on the terminal how far something has come that takes longer than a second; nobody where there is none.
pub(crate) fn progress() -> Option<Listener> {
    let live = Live::on_terminal()?;
    Some(Arc::new(move |progress: &Progress| {
        live.say(&if progress.ended {
            String::new()
        } else {
            progress.to_string()
        });
    }))
}

/// Writes to standard error, above what is drawn.
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut drawn = lock();
        let mut out = io::stderr().lock();
        wipe(&mut out, &mut drawn);
        out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn lock() -> MutexGuard<'static, usize> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lines off the terminal and leaves the cursor where the first began.
fn wipe(out: &mut impl Write, drawn: &mut usize) {
    let lines = std::mem::take(drawn);
    if lines > 0 {
        // CSI F: up to the start of a line above; CSI J: erase from there on (ECMA-48).
        let _ = write!(out, "\x1b[{lines}F\x1b[J");
    }
}

/// Cuts a text to what stands on a terminal without a line that wraps or scrolls.
fn fitted(text: &str, columns: usize, rows: usize) -> String {
    let cut = |line: &str| line.chars().take(columns - 1).collect::<String>() + "\n";
    text.lines().take(rows).map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_the_terminal() {
        assert_eq!(
            fitted("plugin  packets\ncount  7\nthird\n", 8, 2),
            "plugin \ncount  \n"
        );
    }

    #[test]
    fn what_is_drawn_is_wiped_once() {
        let (mut out, mut drawn) = (Vec::new(), 3);
        wipe(&mut out, &mut drawn);
        wipe(&mut out, &mut drawn);
        assert_eq!(out, b"\x1b[3F\x1b[J");
    }
}
