//! One line about a frame, in tcpdump's manner.

mod arp;
mod dhcp;
mod dns;
mod ethernet;
mod icmp;
mod icmpv6;
mod igmp;
mod ip;
mod ipv6;
mod ntp;
mod span;
mod tcp;
mod tcp_options;
mod text;
mod udp;

use std::string::String;

use crate::Layer;
use span::Span;

/// Appends to the line; writing to a `String` cannot fail.
macro_rules! add {
    ($out:expr, $($format:tt)*) => {{
        use core::fmt::Write as _;
        let _ = write!($out, $($format)*);
    }};
}
use add;

/// Returns a line that describes a frame as `tcpdump -n -t -S` does, and the VLAN tags as its `-e`
/// does: `vlan 7, p 0, IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64`.
///
/// TCP's sequence numbers are absolute, because one frame knows nothing of its connection. Inside
/// the transport layer DNS, mDNS, DHCP, NTP and the first line of HTTP, SSH, FTP and SMTP are
/// told; anything else by its length.
#[must_use]
pub fn summary(frame: &[u8], layer: Layer) -> String {
    let mut out = String::new();
    let end = match layer {
        Layer::L2 => ethernet::print(&mut out, frame),
        Layer::L3 => ip::print_either(&mut out, Span::whole(frame)),
    };
    match end {
        Ok(()) => {}
        Err(Stop::Cut(protocol)) => add!(out, " [|{protocol}]"),
        Err(Stop::Invalid) => out.push_str(" (invalid)"),
    }
    out
}

/// Why a line ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// A protocol's bytes are not all there.
    Cut(&'static str),
    /// Fields contradict each other.
    Invalid,
}

type Printed = Result<(), Stop>;
