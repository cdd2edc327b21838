//! IGMP.

use std::string::String;

use super::{Printed, Span, add};

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;
const QUERY_V3_LEN: usize = 12;
/// A response time of 10 s, in tenths of a second: what a query says when nobody changed it.
const DEFAULT_RESPONSE: u8 = 100;

pub(super) fn print(out: &mut String, message: Span<'_>) -> Printed {
    message.need(1, "igmp")?;
    let kind = message.u8(0);
    if matches!(kind, QUERY | REPORT_V1 | REPORT_V2 | LEAVE | REPORT_V3) {
        message.need(8, "igmp")?;
    }
    let group = message.v4(4);
    match kind {
        QUERY if message.len >= QUERY_V3_LEN => {
            message.need(QUERY_V3_LEN, "igmp")?;
            out.push_str("igmp query v3");
            let sources = message.u16(10);
            if !group.is_unspecified() {
                add!(out, " [gaddr {group}");
                if sources != 0 {
                    add!(out, ", {sources} source(s)");
                }
                out.push(']');
            }
        }
        QUERY => {
            let response = message.u8(1);
            if response == 0 {
                out.push_str("igmp query v1");
            } else {
                out.push_str("igmp query v2");
                if response != DEFAULT_RESPONSE {
                    add!(out, " [max resp time {response}]");
                }
            }
            if !group.is_unspecified() {
                add!(out, " [gaddr {group}]");
            }
        }
        REPORT_V1 => add!(out, "igmp v1 report {group}"),
        REPORT_V2 => add!(out, "igmp v2 report {group}"),
        LEAVE => add!(out, "igmp leave {group}"),
        REPORT_V3 => add!(out, "igmp v3 report, {} group record(s)", message.u16(6)),
        other => add!(out, "igmp-{other}"),
    }
    Ok(())
}
