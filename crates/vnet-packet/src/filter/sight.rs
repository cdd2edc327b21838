//! What a filter needs to know of a frame.

use core::net::IpAddr;

use crate::bytes::get_u16;
use crate::wire::{Arp, Ethernet, MacAddr, Vlan, ether_type};
use crate::{Flow, Layer};

/// Most tags that are looked through, as by [`Flow`].
const TAGS_MAX: usize = 2;

/// A frame's headers, read once for all of a filter's tests.
pub(super) struct Sight<'f> {
    pub frame: &'f [u8],
    /// Bytes of the frame before it was cut.
    pub wire_len: usize,
    /// Destination and source on Ethernet.
    pub ethernet: Option<(MacAddr, MacAddr)>,
    pub vids: [Option<u16>; TAGS_MAX],
    /// The Ethernet type behind the tags, or what the IP version says it would be.
    pub kind: Option<u16>,
    pub flow: Option<Flow>,
    /// Sender and target of ARP or of reverse ARP.
    pub arp: Option<(IpAddr, IpAddr)>,
}

impl<'f> Sight<'f> {
    pub fn of(frame: &'f [u8], wire_len: usize, layer: Layer) -> Sight<'f> {
        let mut sight = Sight {
            frame,
            wire_len,
            ethernet: None,
            vids: [None; TAGS_MAX],
            kind: None,
            flow: Flow::parse(frame, layer),
            arp: None,
        };
        match layer {
            Layer::L2 => sight.read_ethernet(),
            Layer::L3 => {
                sight.kind = match frame.first().map(|first| first >> 4) {
                    Some(4) => Some(ether_type::IPV4),
                    Some(6) => Some(ether_type::IPV6),
                    _ => None,
                }
            }
        }
        sight
    }

    fn read_ethernet(&mut self) {
        let Ok(ethernet) = Ethernet::new_checked(self.frame) else {
            return;
        };
        self.ethernet = Some((ethernet.dst(), ethernet.src()));
        let (mut kind, mut at) = (ethernet.ether_type(), Ethernet::<&[u8]>::HEADER_LEN);
        for vid in &mut self.vids {
            if !ether_type::is_vlan(kind) || at + Vlan::<&[u8]>::HEADER_LEN > self.frame.len() {
                break;
            }
            *vid = Some(get_u16(self.frame, at) & 0x0fff);
            kind = get_u16(self.frame, at + 2);
            at += Vlan::<&[u8]>::HEADER_LEN;
        }
        self.kind = Some(kind);
        if matches!(kind, ether_type::ARP | REVERSE_ARP) {
            self.arp = Arp::new_checked(&self.frame[at..])
                .ok()
                .map(|arp| (arp.sender_ip().into(), arp.target_ip().into()));
        }
    }
}

const REVERSE_ARP: u16 = 0x8035;
