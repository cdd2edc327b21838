//! Which port of a switch a station is at: the zone of a packet's destination.

use vnet_plugin::{Map, Packet};

const MOST: usize = 2_048;
const SEARCHED: usize = 32;
const AGEING_NS: u64 = 300_000_000_000;
const GRAIN_NS: u64 = 1_000_000_000;

/// By MAC address and VLAN, where a station was heard last.
pub static STATIONS: Map<8, 16, { 2 * MOST }> = Map::new();

fn key(mac: [u8; 6], pkt: &Packet) -> [u8; 8] {
    let [a, b, c, d, e, f] = mac;
    let [high, low] = pkt.vlan().map_or(0, |tag| tag.vid()).to_be_bytes();
    [a, b, c, d, e, f, high, low]
}

fn read(value: &[u8; 16]) -> (u16, u64) {
    let [low, high, _, _, _, _, _, _, seen @ ..] = *value;
    (u16::from_le_bytes([low, high]), u64::from_le_bytes(seen))
}

/// Notes where the sender is.
pub fn learn(pkt: &Packet, port: u16) {
    let (sender, now) = (pkt.eth().src(), pkt.ts_ns());
    if !sender.is_unicast() {
        return;
    }
    let key = key(sender.0, pkt);
    let known = STATIONS.get(&key).as_ref().map(read);
    if let Some((at, seen)) = known
        && at == port
        && now.saturating_sub(seen) < GRAIN_NS
    {
        return;
    }
    if known.is_none() {
        STATIONS.retain_some(SEARCHED, |_, value| now.saturating_sub(read(value).1) <= AGEING_NS);
    }
    if known.is_some() || STATIONS.len() < MOST {
        let mut value = [0; 16];
        value[..2].copy_from_slice(&port.to_le_bytes());
        value[8..].copy_from_slice(&now.to_le_bytes());
        STATIONS.insert(&key, value);
    }
}

/// Returns the port of the receiver; `None` for groups, and for a station that was not heard.
pub fn port_of_receiver(pkt: &Packet) -> Option<u16> {
    let receiver = pkt.eth().dst();
    if !receiver.is_unicast() {
        return None;
    }
    let (port, seen) = read(&STATIONS.get(&key(receiver.0, pkt))?);
    (pkt.ts_ns().saturating_sub(seen) <= AGEING_NS).then_some(port)
}
