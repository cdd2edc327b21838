//! UDP.

use core::fmt;
use std::string::String;

use super::ip::Ends;
use super::{Printed, Span, Stop, add, dhcp, dns, ntp};

const HEADER_LEN: usize = 8;

mod port {
    pub const DNS: u16 = 53;
    pub const DHCP_SERVER: u16 = 67;
    pub const DHCP_CLIENT: u16 = 68;
    pub const NTP: u16 = 123;
    pub const MDNS: u16 = 5353;
}

pub(super) fn print<S: fmt::Display, D: fmt::Display>(
    out: &mut String,
    datagram: Span<'_>,
    ends: &Ends<S, D>,
    fragmented: bool,
) -> Printed {
    if datagram.bytes.len() < 4 {
        ends.without_ports(out);
        return Err(Stop::Cut("udp"));
    }
    let (src, dst) = (datagram.u16(0), datagram.u16(2));
    ends.with_ports(out, src, dst);
    if datagram.len < HEADER_LEN {
        add!(out, "truncated-udp {}", datagram.len);
        return Ok(());
    }
    datagram.need(HEADER_LEN, "udp")?;
    let announced = usize::from(datagram.u16(4));
    let Some(payload_len) = announced.checked_sub(HEADER_LEN) else {
        add!(out, "truncated-udplength {announced}");
        return Ok(());
    };
    let mut payload = datagram.skip(HEADER_LEN);
    if payload_len < payload.len {
        payload = payload.announced(payload_len);
    }
    let either = |port| src == port || dst == port;
    if either(port::DNS) {
        dns::print(out, payload, false)
    } else if either(port::DHCP_SERVER) || either(port::DHCP_CLIENT) {
        dhcp::print(out, payload)
    } else if either(port::NTP) {
        ntp::print(out, payload)
    } else if either(port::MDNS) {
        dns::print(out, payload, true)
    } else if payload_len > payload.len && !fragmented {
        add!(out, "UDP, bad length {payload_len} > {}", payload.len);
        Ok(())
    } else {
        add!(out, "UDP, length {payload_len}");
        Ok(())
    }
}
