//! The MAC addresses of neighbours, and the packets that wait for one.

use core::net::IpAddr;

use vnet_plugin::wire::{Icmpv6, MacAddr, icmpv6_type, ndp_option};
use vnet_plugin::{Layer, Map, Packet, State, append_to, checksum};

const MOST: usize = 2_048;
const SEARCHED: usize = 32;
const SECOND: u64 = 1_000_000_000;
/// After this long a neighbour is asked again while it is used.
const FRESH_NS: u64 = 60 * SECOND;
/// After this long it is not used any more.
const KEPT_NS: u64 = 180 * SECOND;
/// Between two questions for the same address.
const AGAIN_NS: u64 = SECOND;
/// After this long without an answer a neighbour counts as not there.
const PATIENCE_NS: u64 = 3 * SECOND;

/// By address and port; a MAC address of zeros is not known yet. `asked` is the last question, `since` the first without an
/// answer.
pub static NEIGHBORS: Map<24, 32, { 2 * MOST }> = Map::new();

/// Packets that wait.
const WAITING: usize = 16;
const LONGEST: usize = 1_600;

static HELD: State<[Held; WAITING]> = State::new([Held::NONE; WAITING]);

/// What is known of a next hop.
pub enum Hop {
    Known(MacAddr),
    /// Known, and to be asked again.
    Stale(MacAddr),
    Unknown {
        ask: bool,
    },
    /// It has not answered for a while.
    Silent {
        ask: bool,
    },
}

#[derive(Clone, Copy)]
struct Neighbor {
    mac: MacAddr,
    seen: u64,
    asked: u64,
    since: u64,
}

impl Neighbor {
    fn read(value: &[u8; 32]) -> Neighbor {
        let word = |at: usize| {
            let bytes = value.get(at..).and_then(<[u8]>::first_chunk).copied();
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let [a, b, c, d, e, f, ..] = *value;
        Neighbor {
            mac: MacAddr([a, b, c, d, e, f]),
            seen: word(8),
            asked: word(16),
            since: word(24),
        }
    }

    fn write(self) -> [u8; 32] {
        let mut value = [0; 32];
        value[..6].copy_from_slice(&self.mac.0);
        value[8..16].copy_from_slice(&self.seen.to_le_bytes());
        value[16..24].copy_from_slice(&self.asked.to_le_bytes());
        value[24..].copy_from_slice(&self.since.to_le_bytes());
        value
    }

    fn is_in_use(&self, now: u64) -> bool {
        now.saturating_sub(self.seen.max(self.asked)) <= KEPT_NS
    }
}

fn key(ip: IpAddr, port: u16) -> [u8; 24] {
    let mapped = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut key = [0; 24];
    key[..16].copy_from_slice(&mapped.octets());
    key[16..18].copy_from_slice(&port.to_le_bytes());
    key
}

/// Returns what is known of a next hop, and notes a question that the caller is told to ask.
#[inline(always)]
pub fn find(hop: IpAddr, port: u16, now: u64) -> Hop {
    let key = key(hop, port);
    let known = NEIGHBORS.get(&key).as_ref().map(Neighbor::read);
    match known {
        Some(known) if known.mac != MacAddr::ZERO && now.saturating_sub(known.seen) <= FRESH_NS => Hop::Known(known.mac),
        _ => question(&key, known, now),
    }
}

#[inline(never)]
fn question(key: &[u8; 24], known: Option<Neighbor>, now: u64) -> Hop {
    let Some(known) = known.filter(|known| known.is_in_use(now)) else {
        NEIGHBORS.retain_some(SEARCHED, |_, value| Neighbor::read(value).is_in_use(now));
        if NEIGHBORS.len() < MOST {
            let fresh = Neighbor {
                mac: MacAddr::ZERO,
                seen: 0,
                asked: now,
                since: now,
            };
            NEIGHBORS.insert(key, fresh.write());
        }
        return Hop::Unknown { ask: true };
    };
    let ask = now.saturating_sub(known.asked) >= AGAIN_NS;
    if ask {
        let first = known.asked < known.seen;
        let asked = Neighbor {
            asked: now,
            since: if first { now } else { known.since },
            ..known
        };
        NEIGHBORS.insert(key, asked.write());
    }
    let is_known = known.mac != MacAddr::ZERO && now.saturating_sub(known.seen) <= KEPT_NS;
    match (is_known, ask) {
        (true, true) => Hop::Stale(known.mac),
        (true, false) => Hop::Known(known.mac),
        (false, ask) if now.saturating_sub(known.since) > PATIENCE_NS => Hop::Silent { ask },
        (false, ask) => Hop::Unknown { ask },
    }
}

/// Notes a neighbour's MAC address.
pub fn learn(ip: IpAddr, port: u16, mac: MacAddr, now: u64) {
    let key = key(ip, port);
    if NEIGHBORS.get(&key).is_none() {
        NEIGHBORS.retain_some(SEARCHED, |_, value| Neighbor::read(value).is_in_use(now));
        if NEIGHBORS.len() >= MOST {
            return;
        }
    }
    let heard = Neighbor {
        mac,
        seen: now,
        asked: 0,
        since: 0,
    };
    NEIGHBORS.insert(&key, heard.write());
}

/// Returns who sent a Neighbour Solicitation, where it says so.
pub fn asker(pkt: &Packet) -> Option<(IpAddr, MacAddr)> {
    let ip = pkt.ipv6()?;
    let icmp = Icmpv6::new_checked(ip.payload()).ok()?;
    let mac = icmp.lladdr(ndp_option::SOURCE_LLADDR)?;
    let asks = icmp.kind() == icmpv6_type::NEIGHBOR_SOLICITATION && !ip.src().is_unspecified();
    (asks && mac.is_unicast()).then(|| (ip.src().into(), mac))
}

/// A packet that waits for its next hop's MAC address.
#[derive(Clone, Copy)]
struct Held {
    key: [u8; 24],
    len: usize,
    at: u64,
    bytes: [u8; LONGEST],
}

impl Held {
    const NONE: Held = Held {
        key: [0; 24],
        len: 0,
        at: 0,
        bytes: [0; LONGEST],
    };
}

/// Holds a packet until its next hop is known, in place of the one that has waited longest; false for a super-frame.
pub fn hold(pkt: &mut Packet, hop: IpAddr, port: u16) -> bool {
    let (now, partial) = (pkt.ts_ns(), pkt.csum_partial());
    if pkt.gso_size().is_some() || pkt.len() > LONGEST {
        return false;
    }
    let frame = pkt.frame_mut();
    // It leaves as a frame of the router's own, whose checksum nobody finishes.
    if partial && let Some((start, offset)) = checksum::locate(frame, Layer::L2) {
        checksum::complete(frame, start, offset);
    }
    HELD.with(|held| {
        let place = held
            .iter_mut()
            .min_by_key(|held| if held.len == 0 { 0 } else { held.at.max(1) });
        let Some(place) = place else { return false };
        let Some(bytes) = place.bytes.get_mut(..frame.len()) else {
            return false;
        };
        bytes.copy_from_slice(frame);
        place.key = key(hop, port);
        place.len = frame.len();
        place.at = now;
        true
    })
}

/// Sends what waited for this neighbour.
pub fn release(ip: IpAddr, port: u16, mac: MacAddr, own: MacAddr) {
    let key = key(ip, port);
    HELD.with(|held| {
        for held in held.iter_mut().filter(|held| held.len != 0 && held.key == key) {
            if let Some(frame) = held.bytes.get_mut(..held.len) {
                frame[..6].copy_from_slice(&mac.0);
                frame[6..12].copy_from_slice(&own.0);
                if append_to(port, frame).is_err() {
                    // No descriptor is left in this batch: the neighbour's next message sends it.
                    return;
                }
                crate::FORWARDED.increment();
            }
            held.len = 0;
        }
    });
}
