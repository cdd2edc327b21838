//! ARP requests (RFC 826).

use vnet_plugin::Packet;
use vnet_plugin::wire::arp_operation;

use crate::settings::Settings;
use crate::{Link, link};

/// Turns an ARP request into its reply; `None`, and nothing changed, where it is not to be answered.
pub fn answer(pkt: &mut Packet, settings: &Settings) -> Option<()> {
    let Link { own, asker } = link(pkt, settings)?;
    let mut arp = pkt.arp_mut()?;
    let (sender, target) = (arp.sender_ip(), arp.target_ip());
    let asks = arp.is_ethernet_ipv4() && arp.operation() == arp_operation::REQUEST;
    let claims = sender == target || settings.any() && sender.is_unspecified();
    if !asks || claims || !settings.owns_v4(target) {
        return None;
    }
    arp.set_operation(arp_operation::REPLY);
    arp.set_target_mac(arp.sender_mac());
    arp.set_target_ip(sender);
    arp.set_sender_mac(own);
    arp.set_sender_ip(target);
    let mut eth = pkt.eth_mut()?;
    eth.set_dst(asker);
    eth.set_src(own);
    Some(())
}
