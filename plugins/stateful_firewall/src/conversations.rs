//! The conversations that have begun.

use core::net::IpAddr;

use vnet_plugin::track::{Phase, Side, Standing, make_room};
use vnet_plugin::wire::{ip_protocol, tcp_flags};
use vnet_plugin::{Flow, Map};

use crate::settings::Settings;

/// Most conversations; half of the slots stay empty, so that a search ends soon.
const MOST: usize = 8_192;
/// How exactly the time of the last packet is kept: most packets then change nothing.
const GRAIN_NS: u64 = 1_000_000_000;

/// Both ends, the lower one first; the phase is that of `vnet_plugin::track`.
pub static CONVERSATIONS: Map<40, 16, { 2 * MOST }> = Map::new();

/// A conversation's ends, and which of them a packet came from.
pub struct Key {
    bytes: [u8; 40],
    /// The packet came from the higher end.
    from_b: bool,
}

impl Key {
    /// Returns the key of a packet; `None` where its ports are cut off, and for ICMP but echoes.
    #[inline(always)]
    pub fn of(flow: &Flow, frame: &[u8]) -> Option<Key> {
        let (sport, dport) = match flow.protocol {
            ip_protocol::TCP | ip_protocol::UDP => flow.ports?,
            ip_protocol::ICMP | ip_protocol::ICMPV6 => {
                let (id, _) = flow.echo(frame)?;
                (id, id)
            }
            _ => flow.ports.unwrap_or_default(),
        };
        let (src, dst) = ((mapped(flow.src), sport), (mapped(flow.dst), dport));
        let from_b = src > dst;
        let (a, b) = if from_b { (dst, src) } else { (src, dst) };
        let mut bytes = [0; 40];
        bytes[0] = flow.protocol;
        bytes[2..4].copy_from_slice(&a.1.to_be_bytes());
        bytes[4..6].copy_from_slice(&b.1.to_be_bytes());
        bytes[8..24].copy_from_slice(&a.0.to_be_bytes());
        bytes[24..].copy_from_slice(&b.0.to_be_bytes());
        Some(Key { bytes, from_b })
    }

    const fn protocol(&self) -> u8 {
        self.bytes[0]
    }
}

/// Returns an address as a number, that of IPv4 in IPv6's mapped form.
pub fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[derive(Clone, Copy)]
struct Conversation {
    phase: Phase,
    begun_by_b: bool,
    seen: u64,
}

impl Conversation {
    #[inline(always)]
    fn read(value: &[u8; 16]) -> Conversation {
        let [phase, begun_by_b, _, _, _, _, _, _, seen @ ..] = *value;
        Conversation {
            phase: Phase::from_bits(phase),
            begun_by_b: begun_by_b != 0,
            seen: u64::from_le_bytes(seen),
        }
    }

    fn write(self) -> [u8; 16] {
        let mut value = [0; 16];
        value[0] = self.phase.bits();
        value[1] = self.begun_by_b.into();
        value[8..].copy_from_slice(&self.seen.to_le_bytes());
        value
    }

    #[inline(always)]
    const fn is_old(&self, protocol: u8, now: u64, settings: &Settings) -> bool {
        now.saturating_sub(self.seen) > settings.timeouts.of(protocol, self.phase)
    }
}

/// What is known of a packet's conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The packet follows from what was before.
    Follows,
    /// No such packet can come in the conversation's phase.
    Contradicts,
    /// There is no conversation, or a finished one that this packet begins anew.
    Nothing,
}

/// Finds a packet's conversation, and notes that it goes on.
#[inline(always)]
pub fn find(key: &Key, flags: Option<u8>, now: u64, settings: &Settings) -> Found {
    let Some(known) = CONVERSATIONS.get(&key.bytes).as_ref().map(Conversation::read) else {
        return Found::Nothing;
    };
    if known.is_old(key.protocol(), now, settings) {
        return Found::Nothing;
    }
    let side = if key.from_b == known.begun_by_b {
        Side::Originator
    } else {
        Side::Responder
    };
    if let Some(flags) = flags {
        let opens = flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN;
        if opens && known.phase.is_over() {
            return Found::Nothing;
        }
        if !known.phase.is_answered() && !may_come_first(side, flags) {
            return Found::Contradicts;
        }
    }
    let phase = known.phase.after(side, flags);
    if phase != known.phase || now.saturating_sub(known.seen) >= GRAIN_NS {
        let on = Conversation {
            phase,
            seen: now,
            ..known
        };
        CONVERSATIONS.insert(&key.bytes, on.write());
    }
    Found::Follows
}

/// Says whether a TCP segment can come before the responder has answered (RFC 9293, 3.5).
const fn may_come_first(side: Side, flags: u8) -> bool {
    if flags & tcp_flags::RST != 0 {
        return true;
    }
    match side {
        // The SYN again.
        Side::Originator => flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::FIN) == tcp_flags::SYN,
        // The answer; a SYN of its own where both open at once.
        Side::Responder => flags & tcp_flags::SYN != 0 && flags & tcp_flags::FIN == 0,
    }
}

/// Says whether the conversation of a packet that an ICMP error quotes is known.
pub fn is_known(key: &Key, now: u64, settings: &Settings) -> bool {
    CONVERSATIONS
        .get(&key.bytes)
        .is_some_and(|value| !Conversation::read(&value).is_old(key.protocol(), now, settings))
}

/// Begins a conversation; false where the table is full of others that were answered.
#[inline(never)]
pub fn begin(key: &Key, flags: Option<u8>, now: u64, settings: &Settings) -> bool {
    let standing = |key: &[u8; 40], value: &[u8; 16]| {
        let known = Conversation::read(value);
        Standing::of(&settings.timeouts, key[0], known.phase, known.seen, now)
    };
    let fresh = Conversation {
        phase: Phase::NEW.after(Side::Originator, flags),
        begun_by_b: key.from_b,
        seen: now,
    };
    let known = CONVERSATIONS.get(&key.bytes).is_some();
    (known || make_room(&CONVERSATIONS, MOST, standing, |_, _| {})) && CONVERSATIONS.insert(&key.bytes, fresh.write())
}
