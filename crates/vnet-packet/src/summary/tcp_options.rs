//! TCP's options.

use std::string::String;

use super::add;
use crate::bytes::{get_u16, get_u32};

mod kind {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMP: u8 = 8;
    pub const FAST_OPEN: u8 = 34;
}

/// Prints the options in brackets; returns false where one is damaged, which ends the line.
pub(super) fn print(out: &mut String, mut options: &[u8]) -> bool {
    out.push_str(", options [");
    let mut first = true;
    while let [kind, rest @ ..] = options {
        if !first {
            out.push(',');
        }
        match *kind {
            kind::END => {
                out.push_str("eol");
                break;
            }
            kind::NOP => {
                out.push_str("nop");
                options = rest;
            }
            kind => {
                let Some(used) = print_one(out, kind, options) else {
                    out.push_str(if first { "[bad opt]" } else { "[bad opt]]" });
                    return false;
                };
                options = options.get(2 + used..).unwrap_or_default();
            }
        }
        first = false;
    }
    out.push(']');
    true
}

/// Prints the first of these options and returns how many bytes of data it has: those of its
/// kind, where that fixes them, whatever its length field says. `None` where they are not there.
fn print_one(out: &mut String, kind: u8, options: &[u8]) -> Option<usize> {
    let len = usize::from(*options.get(1)?);
    let data = options.get(2..len)?;
    let rest = &options[2..];
    let used = match kind {
        kind::MSS => {
            out.push_str("mss");
            add!(out, " {}", get_u16(rest.get(..2)?, 0));
            2
        }
        kind::WINDOW_SCALE => {
            out.push_str("wscale");
            add!(out, " {}", rest.first()?);
            1
        }
        kind::SACK_PERMITTED => {
            out.push_str("sackOK");
            0
        }
        kind::SACK if !data.len().is_multiple_of(8) => {
            out.push_str("sack invalid sack");
            data.len()
        }
        kind::SACK => {
            add!(out, "sack {} ", data.len() / 8);
            for block in data.chunks(8) {
                add!(out, "{{{}:{}}}", get_u32(block, 0), get_u32(block, 4));
            }
            data.len()
        }
        kind::TIMESTAMP => {
            out.push_str("TS");
            let stamps = rest.get(..8)?;
            add!(out, " val {} ecr {}", get_u32(stamps, 0), get_u32(stamps, 4));
            8
        }
        kind::FAST_OPEN if data.is_empty() => {
            out.push_str("tfo  cookiereq");
            0
        }
        kind::FAST_OPEN => {
            out.push_str("tfo  cookie ");
            put_hex(out, data);
            data.len()
        }
        other => {
            add!(out, "unknown-{other}");
            if !data.is_empty() {
                out.push_str(" 0x");
                put_hex(out, data);
            }
            data.len()
        }
    };
    if used != data.len() {
        add!(out, "[len {len}]");
    }
    Some(used)
}

fn put_hex(out: &mut String, data: &[u8]) {
    for byte in data {
        add!(out, "{byte:02x}");
    }
}
