//! `vnet top`: what a running lab, `vnet tap` or `vnet wire` carries just now.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::PollFlags;
use rustix::termios::tcgetwinsize;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

use crate::failure::Failure;
use crate::output;
use crate::signals::Signals;
use crate::terminal::{RawMode, is_terminal};
use crate::top::{Sort, Source, Tick, table};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Lab, or device of a `vnet tap` or `vnet wire`: its name, its pid, or name@pid [default: VNET_LAB, else the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How often to look, 1 to 10 times a second
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = every)]
    every: f64,
    /// What stands first: key `s` changes it
    #[arg(long, value_enum, value_name = "COLUMN", default_value = "rate")]
    sort: Sort,
    /// Look once, measure rates over one interval, and end
    #[arg(long)]
    once: bool,
    /// Print one JSON object a look, each on a line
    #[arg(long)]
    json: bool,
}

fn every(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=1.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds from 0.1 to 1".into()),
    }
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    let mut source = Source::find(options.name.as_deref())?;
    let mut signals = Signals::of(&[SIGINT, SIGTERM, SIGHUP, SIGWINCH])?;
    let mut tick = Tick::first(source.rows()?);
    let drawn = !options.json && !options.once && is_terminal(io::stdout());
    let screen = drawn.then(Screen::open).transpose()?;
    let mut view = View {
        options,
        sort: options.sort,
        title: source.name(),
    };
    let every = Duration::from_secs_f64(options.every);
    let mut due = Instant::now() + every;
    loop {
        if let Some(screen) = &screen {
            screen.draw(&view.text(&tick))?;
        }
        match view.wait(&mut signals, screen.is_some(), due)? {
            Heard::Nothing => {}
            Heard::Again => continue,
            Heard::End => return Ok(0),
        }
        due = (due + every).max(Instant::now());
        let rows = match source.rows() {
            Ok(rows) => rows,
            Err(error) => {
                drop(screen);
                output::note(&format!("{} has ended: {error}", view.title));
                // One look was asked for, and there was none.
                return if options.once { Err(error) } else { Ok(0) };
            }
        };
        view.title = source.name();
        tick = tick.next(rows);
        if options.json {
            let line = json!({"name": view.title, "rows": tick.json()});
            output::data(&format!("{line}\n"))?;
        } else if screen.is_none() {
            output::data(&format!("{}\n", view.text(&tick)))?;
        }
        if options.once {
            return Ok(0);
        }
    }
}

struct View<'a> {
    options: &'a Options,
    sort: Sort,
    title: String,
}

enum Heard {
    Nothing,
    /// What is shown is to be drawn again.
    Again,
    End,
}

impl View<'_> {
    fn text(&self, tick: &Tick) -> String {
        let keys = if self.options.once || !is_terminal(io::stdout()) {
            String::new()
        } else {
            format!("  by {} (s: next), q ends", self.sort)
        };
        format!("{}{keys}\n{}", self.title, table(tick, self.sort))
    }

    /// Waits until the next look is due, or a key or signal says something.
    fn wait(&mut self, signals: &mut Signals, keys: bool, due: Instant) -> Result<Heard, Failure> {
        let stdin = io::stdin();
        loop {
            let rest = due.saturating_duration_since(Instant::now());
            let keyboard = [(stdin.as_fd(), PollFlags::IN)];
            let fds = if keys && is_terminal(&stdin) {
                &keyboard[..]
            } else {
                &[]
            };
            let (signal, ready) = signals.wait_any(fds, Some(rest))?;
            match signal {
                Some(SIGWINCH) => return Ok(Heard::Again),
                // It is the way such a command ends.
                Some(_) => return Ok(Heard::End),
                None => {}
            }
            if ready.iter().any(|ready| !ready.is_empty()) {
                let mut typed = [0; 64];
                let count = rustix::io::read(&stdin, &mut typed).unwrap_or(0);
                // Nothing to read is a terminal that hung up; 3 is Ctrl-C, 4 Ctrl-D.
                if count == 0
                    || typed[..count]
                        .iter()
                        .any(|key| matches!(key, b'q' | b'Q' | 3 | 4))
                {
                    return Ok(Heard::End);
                }
                for key in &typed[..count] {
                    if *key == b's' {
                        self.sort = self.sort.next();
                    }
                }
                return Ok(Heard::Again);
            }
            if Instant::now() >= due {
                return Ok(Heard::Nothing);
            }
        }
    }
}

/// The terminal's other screen; dropping it shows again what was there before.
struct Screen {
    _raw: Option<RawMode>,
}

impl Screen {
    fn open() -> Result<Self, Failure> {
        let raw = is_terminal(io::stdin()).then(RawMode::enter).transpose()?;
        // xterm's alternate screen, and no cursor.
        output::data("\x1b[?1049h\x1b[?25l")?;
        Ok(Self { _raw: raw })
    }

    fn draw(&self, text: &str) -> Result<(), Failure> {
        let size = tcgetwinsize(io::stdout()).ok();
        let columns = size.map_or(80, |size| usize::from(size.ws_col).max(20));
        let rows = size.map_or(24, |size| usize::from(size.ws_row).max(2));
        let mut drawn = String::from("\x1b[H");
        for (number, line) in text.lines().take(rows).enumerate() {
            if number > 0 {
                drawn.push_str("\r\n");
            }
            drawn.extend(line.chars().take(columns));
            drawn.push_str("\x1b[K");
        }
        drawn.push_str("\x1b[J");
        output::data(&drawn)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        // A terminal that is gone needs nothing put back.
        let _ = out.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
    }
}
