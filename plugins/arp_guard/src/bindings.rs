//! Who has which address.

use core::net::IpAddr;

use vnet_plugin::wire::MacAddr;
use vnet_plugin::{Map, State};

use crate::settings::Settings;

/// Most learned bindings; half of the slots stay empty, so that a search ends soon.
const MOST: usize = 4_096;
const SEARCHED: usize = 64;
const PORTS: usize = 1_024;
/// How exactly the time of the last message is kept.
const GRAIN_NS: u64 = 1_000_000_000;

/// Learned bindings, by address and VLAN.
pub static BINDINGS: Map<24, 16, { 2 * MOST }> = Map::new();
/// How many of them each port has.
static BY_PORT: State<[u16; PORTS]> = State::new([0; PORTS]);

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Confirmed,
    Learned,
    /// It is another's, who is named.
    Forged(MacAddr),
    Unknown,
    TooMany,
}

#[derive(Clone, Copy)]
struct Binding {
    mac: MacAddr,
    port: u16,
    seen: u64,
}

impl Binding {
    fn read(value: &[u8; 16]) -> Binding {
        let [a, b, c, d, e, f, low, high, seen @ ..] = *value;
        Binding {
            mac: MacAddr([a, b, c, d, e, f]),
            port: u16::from_le_bytes([low, high]),
            seen: u64::from_le_bytes(seen),
        }
    }

    fn write(self) -> [u8; 16] {
        let mut value = [0; 16];
        value[..6].copy_from_slice(&self.mac.0);
        value[6..8].copy_from_slice(&self.port.to_le_bytes());
        value[8..].copy_from_slice(&self.seen.to_le_bytes());
        value
    }

    fn is_old(&self, now: u64, settings: &Settings) -> bool {
        now.saturating_sub(self.seen) > settings.timeout
    }
}

fn key(ip: IpAddr, vlan: u16) -> [u8; 24] {
    let mapped = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut key = [0; 24];
    key[..16].copy_from_slice(&mapped.octets());
    key[16..18].copy_from_slice(&vlan.to_be_bytes());
    key
}

fn count(port: u16, change: impl FnOnce(u16) -> u16) {
    BY_PORT.with(|counts| {
        if let Some(count) = counts.get_mut(usize::from(port)) {
            *count = change(*count);
        }
    });
}

/// Judges a claim, and learns it where nobody has the address.
pub fn judge(ip: IpAddr, vlan: u16, mac: MacAddr, port: u16, now: u64, settings: &Settings) -> Judgement {
    if let Some(owner) = settings.owner(ip) {
        return if owner.is(mac, port) {
            Judgement::Confirmed
        } else {
            Judgement::Forged(owner.mac)
        };
    }
    let key = key(ip, vlan);
    if let Some(known) = BINDINGS.get(&key).as_ref().map(Binding::read) {
        if known.mac == mac && known.port == port {
            if now.saturating_sub(known.seen) >= GRAIN_NS {
                BINDINGS.insert(&key, Binding { seen: now, ..known }.write());
            }
            return Judgement::Confirmed;
        }
        if !known.is_old(now, settings) {
            return Judgement::Forged(known.mac);
        }
        forget(&key, known.port);
    }
    if !settings.learns {
        return Judgement::Unknown;
    }
    if learn(&key, Binding { mac, port, seen: now }, settings) {
        Judgement::Learned
    } else {
        Judgement::TooMany
    }
}

/// Binds an address to a trusted port's station, whoever had it.
pub fn bind(ip: IpAddr, vlan: u16, mac: MacAddr, port: u16, now: u64, settings: &Settings) {
    if settings.owner(ip).is_some() || !settings.learns {
        return;
    }
    let key = key(ip, vlan);
    if let Some(known) = BINDINGS.get(&key).as_ref().map(Binding::read) {
        if known.mac == mac && known.port == port && now.saturating_sub(known.seen) < GRAIN_NS {
            return;
        }
        forget(&key, known.port);
    }
    learn(&key, Binding { mac, port, seen: now }, settings);
}

fn forget(key: &[u8; 24], port: u16) {
    BINDINGS.remove(key);
    count(port, |count| count.saturating_sub(1));
}

fn learn(key: &[u8; 24], binding: Binding, settings: &Settings) -> bool {
    BINDINGS.retain_some(SEARCHED, |_, value| {
        let known = Binding::read(value);
        let keep = !known.is_old(binding.seen, settings);
        if !keep {
            count(known.port, |count| count.saturating_sub(1));
        }
        keep
    });
    let of_port = BY_PORT.with(|counts| counts.get(usize::from(binding.port)).copied());
    if BINDINGS.len() >= MOST || of_port.is_none_or(|count| count >= settings.most_per_port) {
        return false;
    }
    count(binding.port, |count| count + 1);
    BINDINGS.insert(key, binding.write())
}

/// Says whether a packet's source address is known to be another station's.
pub fn is_anothers(ip: IpAddr, vlan: u16, mac: MacAddr, port: u16, now: u64, settings: &Settings) -> bool {
    if let Some(owner) = settings.owner(ip) {
        return !owner.is(mac, port);
    }
    match BINDINGS.get(&key(ip, vlan)).as_ref().map(Binding::read) {
        Some(known) => !known.is_old(now, settings) && (known.mac != mac || known.port != port),
        None => false,
    }
}
