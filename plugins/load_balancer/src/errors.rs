//! ICMP errors about a connection: they follow it, and so does the packet they quote. Path MTU discovery depends on it.

use core::net::IpAddr;

use vnet_plugin::wire::Ipv4;
use vnet_plugin::{End, Flow, Packet, Verdict};

use crate::settings::Settings;
use crate::table::{self, Connection, Key};
use crate::{FORWARDED, NO_NEIGHBOR, NO_SERVICE, RETURNED, send_to, service_port, set_ip};

/// Where the source address stands in an IPv4 and in an IPv6 header.
const V4_SOURCE: usize = 12;
const V6_SOURCE: usize = 8;

/// An error about what the service sent to a client: its server hears of it.
pub fn to_server(pkt: &mut Packet, quoted: &Flow, settings: &mut Settings) -> Verdict {
    let Some((service_port, client_port)) = quoted.ports.filter(|_| quoted.src == settings.address) else {
        return Verdict::DropFor(NO_SERVICE);
    };
    let key = Key {
        protocol: quoted.protocol,
        client: quoted.dst,
        client_port,
        service_port,
    };
    let found = table::find(&key, pkt.ts_ns()).and_then(|known| Some((known, settings.find(known.server, known.port)?)));
    let Some((Connection { server, port, .. }, index)) = found else {
        return Verdict::DropFor(NO_SERVICE);
    };
    if !send_to(pkt, index, settings) {
        return Verdict::DropFor(NO_NEIGHBOR);
    }
    if !settings.direct {
        set_ip(pkt, End::Destination, server);
        set_quoted(pkt, quoted, End::Source, server, port);
    }
    FORWARDED.increment();
    Verdict::Pass
}

/// An error from a server about what a client sent: it comes from the service.
pub fn to_client(pkt: &mut Packet, quoted: &Flow, settings: &Settings) -> Verdict {
    let Some((client_port, own_port)) = quoted.ports else {
        return Verdict::Pass;
    };
    let key = Key {
        protocol: quoted.protocol,
        client: quoted.src,
        client_port,
        service_port: service_port(settings, quoted.protocol, own_port),
    };
    let found = table::find(&key, pkt.ts_ns());
    if found.is_none_or(|known| known.server != quoted.dst || known.port != own_port) {
        return Verdict::Pass;
    }
    set_ip(pkt, End::Source, settings.address);
    set_quoted(pkt, quoted, End::Destination, settings.address, key.service_port);
    RETURNED.increment();
    Verdict::Pass
}

/// Rewrites one end of a quoted packet. The host recomputes the error's own checksum; that of the quoted TCP or UDP, whose
/// payload is not there to be checked, stays.
fn set_quoted(pkt: &mut Packet, quoted: &Flow, end: End, ip: IpAddr, port: u16) {
    let frame = pkt.frame_mut();
    let second = end == End::Destination;
    let at = quoted.ip_at;
    let (field, octets) = match ip {
        IpAddr::V4(_) => (at + V4_SOURCE + if second { 4 } else { 0 }, 4),
        IpAddr::V6(_) => (at + V6_SOURCE + if second { 16 } else { 0 }, 16),
    };
    let mapped = table::octets(ip);
    if let (Some(place), Some(value)) = (frame.get_mut(field..field + octets), mapped.get(16 - octets..)) {
        place.copy_from_slice(value);
    }
    let at_port = quoted.l4_at.map(|l4| l4 + if second { 2 } else { 0 });
    if let Some(place) = at_port.and_then(|at| frame.get_mut(at..at + 2)) {
        place.copy_from_slice(&port.to_be_bytes());
    }
    if ip.is_ipv4()
        && let Some(Ok(mut header)) = frame.get_mut(at..).map(Ipv4::new_checked)
    {
        header.fill_checksum();
    }
    pkt.csum_dirty();
}
