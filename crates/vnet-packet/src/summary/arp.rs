//! ARP.

use std::format;
use std::string::String;

use super::{Printed, Span, Stop, add};
use crate::wire::{Arp, MacAddr, arp_operation, ether_type};

const REVERSE_REQUEST: u16 = 3;
const REVERSE_REPLY: u16 = 4;
const INVERSE_REQUEST: u16 = 8;
const INVERSE_REPLY: u16 = 9;

pub(super) fn print(out: &mut String, message: Span<'_>) -> Printed {
    let arp = Arp::new_unchecked(message.bytes);
    let (hlen, plen) = (usize::from(arp.hardware_len()), usize::from(arp.protocol_len()));
    message.need(8, "arp")?.need(8 + 2 * hlen + 2 * plen, "arp")?;
    out.push_str("ARP, ");
    if arp.protocol() != ether_type::IPV4 || plen != 4 || hlen != 6 {
        let hardware = match arp.hardware() {
            1 => "Ethernet".into(),
            6 => "TokenRing".into(),
            other => format!("Unknown Hardware ({other})"),
        };
        let protocol = match arp.protocol() {
            ether_type::IPV4 => "IPv4".into(),
            ether_type::IPV6 => "IPv6".into(),
            other => format!("Unknown Protocol (0x{other:04x})"),
        };
        add!(
            out,
            "{hardware} (len {hlen}), {protocol} (len {plen}), length {}",
            message.len
        );
        return Ok(());
    }
    Arp::new_checked(message.bytes).map_err(|_| Stop::Cut("arp"))?;
    let (smac, sip, tmac, tip) = (
        arp.sender_mac(),
        arp.sender_ip(),
        arp.target_mac(),
        arp.target_ip(),
    );
    match arp.operation() {
        arp_operation::REQUEST => {
            add!(out, "Request who-has {tip}");
            if tmac != MacAddr::ZERO {
                add!(out, " ({tmac})");
            }
            add!(out, " tell {sip}");
        }
        arp_operation::REPLY => add!(out, "Reply {sip} is-at {smac}"),
        REVERSE_REQUEST => add!(out, "Reverse Request who-is {tmac} tell {smac}"),
        REVERSE_REPLY => add!(out, "Reverse Reply {tmac} at {tip}"),
        INVERSE_REQUEST => add!(out, "Inverse Request who-is {tmac} tell {smac}"),
        INVERSE_REPLY => add!(out, "Inverse Reply {smac} at {sip}"),
        other => add!(out, "Unknown ({other})"),
    }
    add!(out, ", length {}", message.len);
    Ok(())
}
