//! NTP.

use std::string::String;

use super::{Printed, Span, add};

pub(super) fn print(out: &mut String, message: Span<'_>) -> Printed {
    message.need(1, "ntp")?;
    let first = message.u8(0);
    let mode = match first & 7 {
        0 => "unspecified",
        1 => "symmetric active",
        2 => "symmetric passive",
        3 => "Client",
        4 => "Server",
        5 => "Broadcast",
        6 => "Control Message",
        _ => "Reserved",
    };
    add!(out, "NTPv{}, {mode}, length {}", first >> 3 & 7, message.len);
    Ok(())
}
