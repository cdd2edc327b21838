//! DHCP.

use std::string::String;

use super::{Printed, Span, add};

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const CLIENT_MAC: usize = 28;

pub(super) fn print(out: &mut String, message: Span<'_>) -> Printed {
    out.push_str("BOOTP/DHCP, ");
    message.need(1, "bootp")?;
    match message.u8(0) {
        REQUEST => {
            out.push_str("Request");
            message.need(3, "bootp")?;
            if message.u8(1) == ETHERNET && message.u8(2) == 6 {
                message.need(CLIENT_MAC + 6, "bootp")?;
                add!(out, " from {}", message.mac(CLIENT_MAC));
            }
        }
        REPLY => {
            out.push_str("Reply");
            message.need(3, "bootp")?;
        }
        other => add!(out, "unknown (0x{other:02x})"),
    }
    add!(out, ", length {}", message.len);
    Ok(())
}
