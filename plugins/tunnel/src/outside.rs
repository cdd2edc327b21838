//! Frames from the outside: datagrams of the other endpoint, and neighbours.

use vnet_plugin::checksum::{fold, sum};
use vnet_plugin::datagram::pseudo;
use vnet_plugin::wire::{MacAddr, Udp, ether_type, ip_protocol};
use vnet_plugin::{Flow, Packet, Verdict, neighbor};

use crate::settings::Settings;
use crate::{
    ANSWERED, DECAPSULATED, ETHERNET, HAS_VNI, MALFORMED, NO_ROOM, OUTSIDE, RUNT, TAGGED, UDP, VXLAN, WRONG_PEER,
    WRONG_VNI,
};

/// Takes a frame out of its datagram, or answers for this endpoint's address; nothing else gets in.
pub fn receive(pkt: &mut Packet, settings: &mut Settings) -> Verdict {
    let Some(flow) = pkt.flow() else {
        return neighbors(pkt, settings);
    };
    let ours = flow.dst == settings.local
        && flow.protocol == ip_protocol::UDP
        && flow.ports.is_some_and(|(_, to)| to == settings.port);
    if !ours {
        return neighbors(pkt, settings);
    }
    if flow.src != settings.remote {
        return Verdict::DropFor(WRONG_PEER);
    }
    match open(pkt, &flow, settings) {
        Ok(()) => {
            DECAPSULATED.increment();
            Verdict::Pass
        }
        Err(reason) => Verdict::DropFor(reason),
    }
}

fn open(pkt: &mut Packet, flow: &Flow, settings: &Settings) -> Result<(), u16> {
    let at = flow.l4_at.filter(|_| !flow.fragment).ok_or(MALFORMED)?;
    let datagram = pkt.frame().get(at..flow.end).unwrap_or_default();
    let udp = Udp::new_checked(datagram).map_err(|_| MALFORMED)?;
    let len = usize::from(udp.len());
    let datagram = datagram.get(..len).ok_or(MALFORMED)?;
    // None is right too, over IPv6 as well (RFC 6936); a wrong one is not (RFC 7348, section 5).
    let partial = pkt.csum_partial();
    if udp.checksum() != 0 && !partial && fold(pseudo(flow.src, flow.dst, len) + sum(datagram)) != 0xffff {
        return Err(MALFORMED);
    }
    let vxlan = datagram.get(UDP..).and_then(<[u8]>::first_chunk::<VXLAN>);
    let &[flags, _, _, _, a, b, c, _] = vxlan.ok_or(MALFORMED)?;
    if flags & HAS_VNI == 0 {
        return Err(MALFORMED);
    }
    let network = settings.of_vni(u32::from_be_bytes([0, a, b, c])).ok_or(WRONG_VNI)?;
    let inner = datagram.get(UDP + VXLAN..).filter(|inner| inner.len() >= ETHERNET).ok_or(RUNT)?;
    let kind = inner.get(12..14).and_then(<[u8]>::first_chunk::<2>).copied().unwrap_or([0; 2]);
    if ether_type::is_vlan(u16::from_be_bytes(kind)) && !settings.keep_tags {
        return Err(TAGGED);
    }
    pkt.set_len(at + len).map_err(|_| NO_ROOM)?;
    pkt.pop(at + UDP + VXLAN).map_err(|_| RUNT)?;
    // What was left to finish of the datagram's sum is gone with it.
    pkt.csum_finished();
    if network.vlan != 0 {
        pkt.push_vlan(ether_type::VLAN, network.vlan).map_err(|_| NO_ROOM)?;
    }
    Ok(())
}

/// Answers for this endpoint's address, and listens to what is said of the next hop.
fn neighbors(pkt: &mut Packet, settings: &mut Settings) -> Verdict {
    if !settings.gateway_is_fixed
        && let Some((ip, mac)) = neighbor::heard(pkt)
        && ip == settings.gateway
        && mac != MacAddr::ZERO
    {
        settings.gateway_mac = mac;
    }
    // On a device's way out nothing leads back outside.
    if !pkt.is_egress() && neighbor::answer(pkt, settings.local, settings.mac) {
        ANSWERED.increment();
        return Verdict::Tx;
    }
    Verdict::DropFor(OUTSIDE)
}
