//! How far a conversation has come, and when a silent one is forgotten: what NAT and firewalls remember of it.

use crate::config::Config;
use crate::map::Map;
use crate::wire::{ip_protocol, tcp_flags};

const SECOND: u64 = 1_000_000_000;

/// Who sent a packet of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that sent the first packet.
    Originator,
    /// The one that answers.
    Responder,
}

/// How far a conversation has come. It fits one byte of a map's value: [`Phase::bits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase(u8);

const ANSWERED: u8 = 1;
const FIN_BY_ORIGINATOR: u8 = 2;
const FIN_BY_RESPONDER: u8 = 4;
const RESET: u8 = 8;
/// The originator's packet after the responder's answer: the third of TCP's handshake.
const CONFIRMED: u8 = 16;

impl Phase {
    /// One packet was seen.
    pub const NEW: Phase = Phase(0);

    /// Takes the phase from a map's value.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Phase {
        Phase(bits)
    }

    /// Returns the phase as a byte: 1 answered, 2 and 4 FIN by originator and responder, 8 reset, 16 confirmed.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns the phase after a further packet; `flags` are those of its TCP header, `None` for other protocols. A SYN after
    /// the end begins another connection.
    #[inline]
    #[must_use]
    pub const fn after(self, side: Side, flags: Option<u8>) -> Phase {
        let mut bits = self.0;
        if let Some(flags) = flags
            && self.is_over()
            && flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN
        {
            bits = 0;
        }
        match side {
            Side::Responder => bits |= ANSWERED,
            Side::Originator if bits & ANSWERED != 0 => bits |= CONFIRMED,
            Side::Originator => {}
        }
        if let Some(flags) = flags {
            if flags & tcp_flags::FIN != 0 {
                bits |= match side {
                    Side::Originator => FIN_BY_ORIGINATOR,
                    Side::Responder => FIN_BY_RESPONDER,
                };
            }
            if flags & tcp_flags::RST != 0 {
                bits |= RESET;
            }
        }
        Phase(bits)
    }

    /// Says whether the responder has sent something.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        self.0 & ANSWERED != 0
    }

    /// Says whether a TCP connection is over: reset, or FIN from both sides.
    #[must_use]
    pub const fn is_over(self) -> bool {
        self.0 & RESET != 0 || self.0 & FIN_BY_ORIGINATOR != 0 && self.0 & FIN_BY_RESPONDER != 0
    }
}

/// After how many nanoseconds of silence a conversation is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP between the handshake and the first FIN.
    pub tcp_established: u64,
    /// TCP in its handshake, and from the first FIN on.
    pub tcp_transitory: u64,
    /// TCP after a reset or both FINs.
    pub tcp_over: u64,
    /// UDP with packets in both directions.
    pub udp_answered: u64,
    /// UDP in one direction.
    pub udp: u64,
    /// ICMP echoes.
    pub icmp: u64,
    /// Any other protocol.
    pub other: u64,
}

impl Timeouts {
    /// What RFC 5382 (TCP), RFC 4787 (UDP) and RFC 5508 (ICMP) ask of a NAT at least; UDP in one direction as Linux.
    pub const DEFAULT: Timeouts = Timeouts {
        tcp_established: 7_440 * SECOND,
        tcp_transitory: 240 * SECOND,
        tcp_over: 10 * SECOND,
        udp_answered: 300 * SECOND,
        udp: 120 * SECOND,
        icmp: 60 * SECOND,
        other: 300 * SECOND,
    };

    /// Reads `tcp_timeout`, `udp_timeout` and `icmp_timeout` of a configuration, in seconds: of established TCP, answered UDP and
    /// echoes. A shorter one shortens those before and after it, too.
    #[must_use]
    pub fn configured(config: &Config<'_>) -> Timeouts {
        let mut timeouts = Timeouts::DEFAULT;
        let seconds = |key| {
            let seconds = u64::try_from(config.int(key)?).ok()?;
            Some(seconds.saturating_mul(SECOND))
        };
        if let Some(timeout) = seconds("tcp_timeout") {
            timeouts.tcp_established = timeout;
            timeouts.tcp_transitory = timeouts.tcp_transitory.min(timeout);
            timeouts.tcp_over = timeouts.tcp_over.min(timeout);
        }
        if let Some(timeout) = seconds("udp_timeout") {
            timeouts.udp_answered = timeout;
            timeouts.udp = timeouts.udp.min(timeout);
        }
        if let Some(timeout) = seconds("icmp_timeout") {
            timeouts.icmp = timeout;
        }
        timeouts
    }

    /// Returns the time-out of a conversation of this protocol.
    #[inline]
    #[must_use]
    pub const fn of(&self, protocol: u8, phase: Phase) -> u64 {
        match protocol {
            ip_protocol::TCP if phase.is_over() => self.tcp_over,
            ip_protocol::TCP if phase.0 == ANSWERED | CONFIRMED => self.tcp_established,
            ip_protocol::TCP => self.tcp_transitory,
            ip_protocol::UDP if phase.is_answered() => self.udp_answered,
            ip_protocol::UDP => self.udp,
            ip_protocol::ICMP | ip_protocol::ICMPV6 => self.icmp,
            _ => self.other,
        }
    }
}

/// Slots that are looked at before something is added to a table.
const LOOK: usize = 8;

/// What may become of a conversation when its table needs room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was silent for too long, or is over: it goes.
    Old,
    /// Nobody has answered: it goes where there is no other room.
    Unanswered,
    /// It stays.
    Alive,
}

impl Standing {
    /// Returns the standing of a conversation that was heard last at `seen`.
    #[inline]
    #[must_use]
    pub const fn of(timeouts: &Timeouts, protocol: u8, phase: Phase, seen: u64, now: u64) -> Standing {
        if now.saturating_sub(seen) > timeouts.of(protocol, phase) {
            Standing::Old
        } else if phase.is_answered() {
            Standing::Alive
        } else {
            Standing::Unanswered
        }
    }
}

/// Makes room for one more conversation in a table of at most `most`; false where there is none.
///
/// A few slots are looked at for what is old, the next ones at the next call, so that no packet pays for the whole table and a
/// flood of packets that begin conversations goes through all of it. Where the table is full, one that nobody has answered
/// gives way, as in Linux: a flood of SYNs shuts nobody out. `forgotten` hears of each that goes.
#[inline(never)]
pub fn make_room<const KEY: usize, const VALUE: usize, const SLOTS: usize>(
    table: &'static Map<KEY, VALUE, SLOTS>,
    most: usize,
    standing: impl Fn(&[u8; KEY], &[u8; VALUE]) -> Standing,
    forgotten: impl Fn(&[u8; KEY], &[u8; VALUE]),
) -> bool {
    let full = table.len() >= most;
    let mut gone = false;
    table.retain_some(if full { 2 * LOOK } else { LOOK }, |key, value| {
        let keep = match standing(key, value) {
            Standing::Alive => true,
            Standing::Unanswered => !full || gone,
            Standing::Old => false,
        };
        if !keep {
            gone = true;
            forgotten(key, value);
        }
        keep
    });
    table.len() < most
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Map<4, 8, 64> = Map::new();

    #[test]
    fn a_full_table_gives_up_what_nobody_answered_and_keeps_the_rest() {
        crate::state::reset();
        let standing = |key: &[u8; 4], _: &[u8; 8]| match key[0] % 4 {
            0 => Standing::Unanswered,
            _ => Standing::Alive,
        };
        for n in 0..32_u32 {
            TABLE.insert(&n.to_le_bytes(), [0; 8]);
        }
        let mut added = 0;
        for n in 0..200_u32 {
            if make_room(&TABLE, 32, standing, |_, _| {}) {
                // An answered one, so that it stays.
                TABLE.insert(&(n * 4 + 101).to_le_bytes(), [0; 8]);
                added += 1;
            }
            assert!(TABLE.len() <= 32);
        }
        assert_eq!(added, 8);
        assert!((0..32_u32).all(|n| TABLE.get(&n.to_le_bytes()).is_some() == (n % 4 != 0)));
        assert!(!make_room(&TABLE, 32, |_, _| Standing::Alive, |_, _| {}));
        let mut tries = 0;
        while !TABLE.is_empty() {
            make_room(&TABLE, 32, |_, _| Standing::Old, |_, _| {});
            tries += 1;
        }
        assert!(tries <= 64 / LOOK);
    }

    const TIMEOUTS: Timeouts = Timeouts::DEFAULT;

    fn tcp(packets: &[(Side, u8)]) -> u64 {
        let phase = packets.iter().fold(Phase::NEW, |phase, (side, flags)| {
            phase.after(*side, Some(*flags))
        });
        TIMEOUTS.of(ip_protocol::TCP, phase)
    }

    #[test]
    fn a_tcp_connection_lives_long_between_handshake_and_fin_only() {
        use Side::{Originator as O, Responder as R};
        use tcp_flags::{ACK, FIN, RST, SYN};
        assert_eq!(tcp(&[(O, SYN)]), TIMEOUTS.tcp_transitory);
        assert_eq!(
            tcp(&[(O, SYN), (O, SYN), (R, SYN | ACK)]),
            TIMEOUTS.tcp_transitory
        );
        let open = [(O, SYN), (R, SYN | ACK), (O, ACK)];
        assert_eq!(tcp(&open), TIMEOUTS.tcp_established);
        let half = [&open[..], &[(R, FIN | ACK), (O, ACK)]].concat();
        assert_eq!(tcp(&half), TIMEOUTS.tcp_transitory);
        assert_eq!(tcp(&[&half[..], &[(O, FIN | ACK)]].concat()), TIMEOUTS.tcp_over);
        assert_eq!(tcp(&[&open[..], &[(O, RST)]].concat()), TIMEOUTS.tcp_over);
        assert_eq!(
            tcp(&[&open[..], &[(O, RST)], &open[..]].concat()),
            TIMEOUTS.tcp_established
        );
    }

    #[test]
    fn an_answer_lengthens_udp_and_a_byte_holds_the_phase() {
        let phase = Phase::NEW.after(Side::Responder, None);
        assert_eq!(TIMEOUTS.of(ip_protocol::UDP, Phase::NEW), TIMEOUTS.udp);
        assert_eq!(TIMEOUTS.of(ip_protocol::UDP, phase), TIMEOUTS.udp_answered);
        assert_eq!(Phase::from_bits(phase.bits()), phase);
        assert_eq!(TIMEOUTS.of(ip_protocol::ICMPV6, phase), TIMEOUTS.icmp);
        assert_eq!(TIMEOUTS.of(47, phase), TIMEOUTS.other);
    }
}
