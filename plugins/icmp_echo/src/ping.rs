//! Echo requests (RFC 792, RFC 4443).

use vnet_plugin::Packet;
use vnet_plugin::checksum::{fold, internet, pseudo_v6, sum};
use vnet_plugin::wire::{Icmp, Icmpv6, Ipv6, icmp_type, icmpv6_type, ip_protocol};

use crate::settings::{Settings, is_station_v4, is_station_v6};
use crate::{Link, link};

const TTL: u8 = 64;
const HEADER: usize = 20;

/// Turns an echo request into its reply; `None`, and nothing changed, where it is not to be answered.
pub fn answer_v4(pkt: &mut Packet, settings: &Settings) -> Option<()> {
    let link = station(pkt, settings)?;
    let partial = pkt.csum_partial();
    let mut ip = pkt.ipv4_mut()?;
    let (src, dst) = (ip.src(), ip.dst());
    let whole = usize::from(ip.total_len()) == HEADER + ip.payload().len();
    if ip.header_len() != HEADER || !whole || ip.is_fragment() || ip.protocol() != ip_protocol::ICMP {
        return None;
    }
    if src == dst || !is_station_v4(src) || !settings.owns_v4(dst) || !ip.checksum_ok() {
        return None;
    }
    let sum_ok = partial || internet(ip.payload()) == 0;
    let mut icmp = Icmp::new_checked(ip.payload_mut()).ok()?;
    if icmp.kind() != icmp_type::ECHO_REQUEST || icmp.code() != 0 || !sum_ok {
        return None;
    }
    icmp.set_kind(icmp_type::ECHO_REPLY);
    icmp.fill_checksum();
    ip.set_src(dst);
    ip.set_dst(src);
    ip.set_ttl(TTL);
    ip.fill_checksum();
    send_back(pkt, link);
    Some(())
}

/// The same for ICMPv6.
pub fn answer_v6(pkt: &mut Packet, settings: &Settings) -> Option<()> {
    let link = station(pkt, settings)?;
    let partial = pkt.csum_partial();
    let mut ip = pkt.ipv6_mut()?;
    let (src, dst) = (ip.src(), ip.dst());
    if src == dst || !is_station_v6(src) || !settings.owns_v6(dst) || !is_right(&ip, partial) {
        return None;
    }
    let mut icmp = Icmpv6::new_checked(ip.payload_mut()).ok()?;
    if icmp.kind() != icmpv6_type::ECHO_REQUEST || icmp.code() != 0 {
        return None;
    }
    icmp.set_kind(icmpv6_type::ECHO_REPLY);
    icmp.fill_checksum(dst, src);
    ip.set_src(dst);
    ip.set_dst(src);
    ip.set_hop_limit(TTL);
    send_back(pkt, link);
    Some(())
}

/// Says whether the packet is whole, ICMPv6 without extension headers, and its checksum right.
pub fn is_right<T: AsRef<[u8]>>(ip: &Ipv6<T>, partial: bool) -> bool {
    let payload = ip.payload();
    let len = payload.len() as u32;
    let sum_ok = || fold(pseudo_v6(ip.src(), ip.dst(), ip_protocol::ICMPV6, len) + sum(payload)) == 0xffff;
    ip.next_header() == ip_protocol::ICMPV6 && u32::from(ip.payload_len()) == len && (partial || sum_ok())
}

/// The MAC addresses of an answer, or that the frame has none; `None` for a frame that is not to
/// this one station.
fn station(pkt: &Packet, settings: &Settings) -> Option<Option<Link>> {
    if pkt.is_l3() {
        return Some(None);
    }
    pkt.eth()
        .dst()
        .is_unicast()
        .then(|| link(pkt, settings))
        .flatten()
        .map(Some)
}

fn send_back(pkt: &mut Packet, link: Option<Link>) {
    pkt.csum_finished();
    if let (Some(Link { own, asker }), Some(mut eth)) = (link, pkt.eth_mut()) {
        eth.set_dst(asker);
        eth.set_src(own);
    }
}
