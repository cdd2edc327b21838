//! Views of protocol headers over any bytes.
//!
//! A view wraps a buffer (`&[u8]`, `&mut [u8]`, an array) and reads and writes fields in place.
//! `new_checked` makes sure that the header, with its options, lies inside the buffer; every
//! accessor is then in range. `new_unchecked` checks nothing: a field beyond the buffer reads as
//! zero and writes to it do nothing. No accessor panics or allocates, whatever the bytes are.
//!
//! Setters write what they are told and leave checksums alone: see [`checksum`](crate::checksum).

mod arp;
mod ethernet;
mod icmp;
mod icmpv6;
mod ipv4;
mod ipv6;
mod mac;
mod tcp;
mod udp;
mod vlan;

pub mod ether_type;
pub mod ip_protocol;

pub use arp::{Arp, arp_operation};
pub use ethernet::Ethernet;
pub use icmp::{Icmp, icmp_type};
pub use icmpv6::{Icmpv6, icmpv6_type, ndp_option};
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;
pub use mac::{MacAddr, ParseMacError};
pub use tcp::{Tcp, tcp_flags};
pub use udp::Udp;
pub use vlan::Vlan;

use core::fmt;

/// A buffer ends before the header that was to be read from it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truncated {
    /// The header's name.
    pub header: &'static str,
    /// Bytes the header takes.
    pub needed: usize,
    /// Bytes that are there.
    pub available: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Truncated {
            header,
            needed,
            available,
        } = self;
        write!(
            f,
            "{header} header is cut short: it takes {needed} bytes and has {available}"
        )
    }
}

impl core::error::Error for Truncated {}

fn check(header: &'static str, needed: usize, available: usize) -> Result<(), Truncated> {
    if available < needed {
        return Err(Truncated {
            header,
            needed,
            available,
        });
    }
    Ok(())
}
