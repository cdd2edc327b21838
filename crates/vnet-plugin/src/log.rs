//! Lines for the host's log.

use core::fmt::{self, Write};

use vnet_abi::{LOG_MAX, log_level};

use crate::imports;

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// Something worth telling.
    Info,
    /// Something for whoever debugs the plugin.
    Debug,
}

impl Level {
    const fn code(self) -> i32 {
        match self {
            Level::Error => log_level::ERROR,
            Level::Warn => log_level::WARN,
            Level::Info => log_level::INFO,
            Level::Debug => log_level::DEBUG,
        }
    }
}

/// A line of at most [`LOG_MAX`] bytes; what is longer is cut off between two characters.
struct Line {
    bytes: [u8; LOG_MAX],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LOG_MAX - self.len;
        let mut take = text.len().min(room);
        while !text.is_char_boundary(take) {
            take -= 1;
        }
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(&text.as_bytes()[..take]) {
            *to = *from;
        }
        self.len += take;
        if take < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// Logs a text as it is.
pub(crate) fn line(level: Level, text: &str) {
    imports::log(level.code(), text);
}

/// Logs a formatted line; the macros call it.
#[doc(hidden)]
pub fn write(level: Level, args: fmt::Arguments<'_>) {
    if let Some(text) = args.as_str() {
        return line(level, text);
    }
    let mut text = Line {
        bytes: [0; LOG_MAX],
        len: 0,
    };
    // An error says that the line was cut off.
    let _ = text.write_fmt(args);
    // SAFETY: `write_str` copied whole characters only.
    line(level, unsafe {
        core::str::from_utf8_unchecked(&text.bytes[..text.len])
    });
}

/// Logs a line at a [`Level`], formatted as by `format!`; at most 1,024 bytes, and the host
/// limits the rate.
///
/// ```
/// # use vnet_plugin::{log, Level};
/// log!(Level::Info, "{} neighbours", 3);
/// ```
#[macro_export]
macro_rules! log {
    ($level:expr, $($args:tt)+) => { $crate::rt::write_log($level, ::core::format_args!($($args)+)) };
}

/// Logs an error, formatted as by `format!`.
#[macro_export]
macro_rules! error {
    ($($args:tt)+) => { $crate::log!($crate::Level::Error, $($args)+) };
}

/// Logs a warning, formatted as by `format!`.
#[macro_export]
macro_rules! warn {
    ($($args:tt)+) => { $crate::log!($crate::Level::Warn, $($args)+) };
}

/// Logs a piece of information, formatted as by `format!`.
#[macro_export]
macro_rules! info {
    ($($args:tt)+) => { $crate::log!($crate::Level::Info, $($args)+) };
}

/// Logs a line for debugging, formatted as by `format!`.
#[macro_export]
macro_rules! debug {
    ($($args:tt)+) => { $crate::log!($crate::Level::Debug, $($args)+) };
}
