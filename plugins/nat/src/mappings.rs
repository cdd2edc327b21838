//! Which inside endpoint has which port of the outside address.

use core::net::Ipv4Addr;

use vnet_plugin::Map;
use vnet_plugin::track::{Phase, Side, Standing, make_room};
use vnet_plugin::wire::tcp_flags;

use crate::settings::Settings;
use crate::{NEW_MAPPINGS, NO_PORT, TABLE_FULL};

/// Most mappings; half of the slots stay empty, so that a search ends soon.
const MAPPINGS: usize = 16_384;
const SLOTS: usize = 2 * MAPPINGS;
/// Ports that are tried before a packet is refused one.
const TRIES: u16 = 256;
/// Slots that are searched for packets whose later pieces are awaited no more, for each such packet.
const SEARCHED: usize = 64;
/// How exactly the time of the last packet is kept: most packets then change nothing.
const GRAIN_NS: u64 = 1_000_000_000;
/// Most packets whose later pieces are awaited.
const PACKETS: usize = 512;
/// How long later pieces are awaited.
const PIECES_NS: u64 = 30_000_000_000;

/// By inside endpoint; the phase is that of `vnet_plugin::track`.
pub static NAT: Map<8, 16, SLOTS> = Map::new();
/// By port of the outside address; the time is in `NAT`.
pub static PORTS: Map<4, 8, SLOTS> = Map::new();
/// Where the later pieces of a packet go.
pub static FRAGMENTS: Map<8, 16, { 2 * PACKETS }> = Map::new();

/// One end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub protocol: u8,
    pub ip: Ipv4Addr,
    pub port: u16,
}

impl Endpoint {
    /// Fills the places of forwards that are not configured.
    pub const NONE: Endpoint = Endpoint {
        protocol: 0,
        ip: Ipv4Addr::UNSPECIFIED,
        port: 0,
    };

    #[inline(always)]
    fn inside_key(&self) -> [u8; 8] {
        let [a, b, c, d] = self.ip.octets();
        let [high, low] = self.port.to_be_bytes();
        [self.protocol, 0, high, low, a, b, c, d]
    }
}

#[inline(always)]
fn port_key(protocol: u8, port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [protocol, 0, high, low]
}

/// The outside port of an inside endpoint, and what is known of the conversation.
#[derive(Clone, Copy)]
struct Mapping {
    port: u16,
    phase: Phase,
    seen: u64,
}

impl Mapping {
    #[inline(always)]
    fn read(value: &[u8; 16]) -> Mapping {
        let [high, low, phase, _, _, _, _, _, seen @ ..] = *value;
        Mapping {
            port: u16::from_be_bytes([high, low]),
            phase: Phase::from_bits(phase),
            seen: u64::from_le_bytes(seen),
        }
    }

    fn write(self) -> [u8; 16] {
        let mut value = [0; 16];
        value[..2].copy_from_slice(&self.port.to_be_bytes());
        value[2] = self.phase.bits();
        value[8..].copy_from_slice(&self.seen.to_le_bytes());
        value
    }

    #[inline(always)]
    fn is_old(&self, protocol: u8, now: u64, settings: &Settings) -> bool {
        now.saturating_sub(self.seen) > settings.timeouts.of(protocol, self.phase)
    }

    /// Notes a further packet, where that changes anything.
    #[inline(always)]
    fn note(self, key: &[u8; 8], side: Side, flags: Option<u8>, now: u64) {
        let phase = self.phase.after(side, flags);
        if phase != self.phase || now.saturating_sub(self.seen) >= GRAIN_NS {
            let mapping = Mapping {
                phase,
                seen: now,
                ..self
            };
            NAT.insert(key, mapping.write());
        }
    }
}

/// Returns the outside port of an inside endpoint that sends a packet, a fresh one where it has none.
#[inline(always)]
pub fn outward(inside: &Endpoint, flags: Option<u8>, now: u64, settings: &Settings) -> Result<u16, u16> {
    let key = inside.inside_key();
    if let Some(mapping) = NAT.get(&key).as_ref().map(Mapping::read)
        && !mapping.is_old(inside.protocol, now, settings)
    {
        mapping.note(&key, Side::Originator, flags, now);
        return Ok(mapping.port);
    }
    open(inside, flags, now, settings)
}

#[inline(never)]
fn open(inside: &Endpoint, flags: Option<u8>, now: u64, settings: &Settings) -> Result<u16, u16> {
    let key = inside.inside_key();
    forget(&key);
    if !has_room(now, settings) {
        return Err(TABLE_FULL);
    }
    let port = match settings.forward_from(inside) {
        Some(port) => {
            evict(inside, port);
            port
        }
        None => free_port(inside, now, settings).ok_or(NO_PORT)?,
    };
    let mapping = Mapping {
        port,
        phase: Phase::NEW.after(Side::Originator, flags),
        seen: now,
    };
    bind(inside, mapping);
    NEW_MAPPINGS.increment();
    Ok(port)
}

/// Says whether one more mapping fits, for which an old or an unanswered one may have to go.
fn has_room(now: u64, settings: &Settings) -> bool {
    let standing = |key: &[u8; 8], value: &[u8; 16]| {
        let mapping = Mapping::read(value);
        Standing::of(&settings.timeouts, key[0], mapping.phase, mapping.seen, now)
    };
    make_room(&NAT, MAPPINGS, standing, |key, value| {
        PORTS.remove(&port_key(key[0], Mapping::read(value).port));
    })
}

fn bind(inside: &Endpoint, mapping: Mapping) {
    let [a, b, c, d] = inside.ip.octets();
    let [high, low] = inside.port.to_be_bytes();
    NAT.insert(&inside.inside_key(), mapping.write());
    PORTS.insert(
        &port_key(inside.protocol, mapping.port),
        [a, b, c, d, high, low, 0, 0],
    );
}

/// Takes a mapping out, if there is one.
fn forget(key: &[u8; 8]) {
    if let Some(mapping) = NAT.get(key).as_ref().map(Mapping::read) {
        PORTS.remove(&port_key(key[0], mapping.port));
        NAT.remove(key);
    }
}

/// Returns a port of the outside address that nobody has: the inside one where it may be given out and is free.
fn free_port(inside: &Endpoint, now: u64, settings: &Settings) -> Option<u16> {
    let (first, last) = settings.ports;
    let size = u32::from(last - first) + 1;
    // The router's own ports are not chosen here, and so may lie below those that are given out.
    if ((first..=last).contains(&inside.port) || inside.ip == settings.address)
        && is_free(inside, inside.port, now, settings)
    {
        return Some(inside.port);
    }
    let start =
        inside.ip.to_bits().wrapping_mul(0x9e37_79b9) ^ u32::from(inside.port).wrapping_mul(0x85eb_ca6b);
    (0..u32::from(TRIES).min(size))
        .map(|step| first + ((start >> 8).wrapping_add(step) % size) as u16)
        .find(|port| is_free(inside, *port, now, settings))
}

fn is_free(inside: &Endpoint, port: u16, now: u64, settings: &Settings) -> bool {
    let outside = Endpoint { port, ..*inside };
    if settings.forward_to(&outside).is_some() {
        return false;
    }
    let Some(owner) = inside_of(&outside) else {
        return true;
    };
    let key = owner.inside_key();
    match NAT.get(&key).as_ref().map(Mapping::read) {
        Some(mapping) if mapping.port == port && !mapping.is_old(inside.protocol, now, settings) => false,
        Some(mapping) if mapping.port == port => {
            forget(&key);
            true
        }
        _ => {
            PORTS.remove(&port_key(inside.protocol, port));
            true
        }
    }
}

/// Returns the inside endpoint that a packet to a port of the outside address goes to.
///
/// A TCP connection is opened from outside through a forward alone.
#[inline(always)]
pub fn inward(outside: &Endpoint, flags: Option<u8>, now: u64, settings: &Settings) -> Option<Endpoint> {
    let opens = flags.is_some_and(|flags| flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN);
    if !opens && let Some(inside) = inside_of(outside) {
        let key = inside.inside_key();
        if let Some(mapping) = NAT.get(&key).as_ref().map(Mapping::read)
            && mapping.port == outside.port
            && !mapping.is_old(inside.protocol, now, settings)
        {
            mapping.note(&key, Side::Responder, flags, now);
            return Some(inside);
        }
    }
    forwarded(outside, flags, now, settings)
}

/// Binds the port as a forward says, if one does.
#[inline(never)]
fn forwarded(outside: &Endpoint, flags: Option<u8>, now: u64, settings: &Settings) -> Option<Endpoint> {
    let inside = settings.forward_to(outside)?;
    let known = NAT.get(&inside.inside_key()).as_ref().map(Mapping::read);
    let phase = match known.filter(|known| known.port == outside.port) {
        Some(known) => known.phase,
        None => {
            forget(&inside.inside_key());
            evict(&inside, outside.port);
            if !has_room(now, settings) {
                return None;
            }
            NEW_MAPPINGS.increment();
            Phase::NEW
        }
    };
    let mapping = Mapping {
        port: outside.port,
        phase: phase.after(Side::Responder, flags),
        seen: now,
    };
    bind(&inside, mapping);
    Some(inside)
}

/// Takes a port of the outside address from whoever has it.
fn evict(inside: &Endpoint, port: u16) {
    if let Some(owner) = inside_of(&Endpoint { port, ..*inside }) {
        forget(&owner.inside_key());
        PORTS.remove(&port_key(inside.protocol, port));
    }
}

/// Returns who has a port of the outside address.
#[inline(always)]
pub fn inside_of(outside: &Endpoint) -> Option<Endpoint> {
    let [a, b, c, d, high, low, _, _] = PORTS.get(&port_key(outside.protocol, outside.port))?;
    Some(Endpoint {
        protocol: outside.protocol,
        ip: Ipv4Addr::new(a, b, c, d),
        port: u16::from_be_bytes([high, low]),
    })
}

/// Returns the outside port of an inside endpoint, as long as it is known.
pub fn port_of(inside: &Endpoint) -> Option<u16> {
    NAT.get(&inside.inside_key())
        .map(|value| Mapping::read(&value).port)
}

/// Notes where the later pieces of a packet go.
pub fn remember_fragment(key: &[u8; 8], to: Ipv4Addr, now: u64) {
    FRAGMENTS.retain_some(SEARCHED, |_, value| !is_awaited_no_more(value, now));
    if FRAGMENTS.len() < PACKETS {
        let mut value = [0; 16];
        value[..4].copy_from_slice(&to.octets());
        value[8..].copy_from_slice(&now.to_le_bytes());
        FRAGMENTS.insert(key, value);
    }
}

/// Returns where a later piece goes.
pub fn fragment_goes_to(key: &[u8; 8], now: u64) -> Option<Ipv4Addr> {
    let value = FRAGMENTS
        .get(key)
        .filter(|value| !is_awaited_no_more(value, now))?;
    let [a, b, c, d, ..] = value;
    Some(Ipv4Addr::new(a, b, c, d))
}

fn is_awaited_no_more(value: &[u8; 16], now: u64) -> bool {
    let [_, _, _, _, _, _, _, _, seen @ ..] = *value;
    now.saturating_sub(u64::from_le_bytes(seen)) > PIECES_NS
}
