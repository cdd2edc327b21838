//! The table of flows.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use vnet_plugin::wire::{ip_protocol, tcp_flags};
use vnet_plugin::{Flow, Map, Packet, State, info};

use crate::SECOND;

const SLOTS: usize = 32_768;
/// A quarter of the slots stays empty, so that a search ends soon.
const MOST: usize = SLOTS / 4 * 3;
/// Most slots looked at for one packet.
const WALK_MAX: u64 = 4096;
/// How long a TCP flow may be silent after its FIN or a reset.
const LINGER_NS: u64 = 2 * SECOND;

const KEY: usize = 38;
const VALUE: usize = 40;

pub static FLOWS: Map<KEY, VALUE, SLOTS> = Map::new();
static WALKED_NS: State<u64> = State::new(0);

/// What became of a packet.
pub enum Noted {
    Begun,
    Known,
    Full,
}

/// What is known of a flow.
struct Totals {
    packets: u64,
    bytes: u64,
    first: u64,
    last: u64,
    flags: u8,
}

impl Totals {
    fn read(bytes: &[u8; VALUE]) -> Totals {
        let word = |at: usize| u64::from_le_bytes(bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; 8]));
        Totals {
            packets: word(0),
            bytes: word(8),
            first: word(16),
            last: word(24),
            flags: bytes[32],
        }
    }

    fn bytes(&self) -> [u8; VALUE] {
        let mut bytes = [0; VALUE];
        bytes[..8].copy_from_slice(&self.packets.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last.to_le_bytes());
        bytes[32] = self.flags;
        bytes
    }

    fn has_ended(&self, now: u64, idle_ns: u64) -> bool {
        let over = self.flags & (tcp_flags::FIN | tcp_flags::RST) != 0;
        let wait = if over { idle_ns.min(LINGER_NS) } else { idle_ns };
        now.saturating_sub(self.last) > wait
    }
}

fn key(flow: &Flow) -> [u8; KEY] {
    let octets = |ip| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip),
    };
    let (src, dst) = flow.ports.unwrap_or((0, 0));
    let mut key = [0; KEY];
    key[0] = flow.protocol;
    key[2..18].copy_from_slice(&octets(flow.src));
    key[18..34].copy_from_slice(&octets(flow.dst));
    key[34..36].copy_from_slice(&src.to_be_bytes());
    key[36..].copy_from_slice(&dst.to_be_bytes());
    key
}

/// Adds a packet to its flow.
pub fn note(pkt: &Packet, flow: &Flow) -> Noted {
    let key = key(flow);
    let now = pkt.ts_ns();
    let known = FLOWS.get(&key).map(|value| Totals::read(&value));
    let noted = if known.is_some() { Noted::Known } else { Noted::Begun };
    if known.is_none() && FLOWS.len() >= MOST {
        return Noted::Full;
    }
    let mut totals = known.unwrap_or(Totals {
        packets: 0,
        bytes: 0,
        first: now,
        last: now,
        flags: 0,
    });
    totals.packets = totals.packets.wrapping_add(segments(pkt, flow));
    totals.bytes = totals.bytes.wrapping_add((flow.end - flow.ip_at) as u64);
    totals.last = totals.last.max(now);
    totals.flags |= flow.tcp_flags(pkt.frame()).unwrap_or(0);
    FLOWS.insert(&key, totals.bytes());
    noted
}

/// Returns how many packets a super-frame becomes.
fn segments(pkt: &Packet, flow: &Flow) -> u64 {
    let (Some(size), Some(l4)) = (pkt.gso_size(), flow.l4_at) else {
        return 1;
    };
    let header = match pkt.tcp() {
        Some(tcp) => tcp.header_len(),
        None => 8,
    };
    let payload = flow.end.saturating_sub(l4 + header) as u64;
    payload.div_ceil(u64::from(size).max(1)).max(1)
}

/// Forgets the flows that have ended among the next few, and returns how many: so few or many that the whole table is seen once
/// a second, where packets come often enough.
pub fn end(now: u64, idle_ns: u64, log: bool) -> u64 {
    let passed = now.saturating_sub(WALKED_NS.get()).min(SECOND);
    let slots = (passed * SLOTS as u64 / SECOND).min(WALK_MAX);
    if slots == 0 {
        return 0;
    }
    WALKED_NS.set(now);
    let mut ended = 0;
    FLOWS.retain_some(slots as usize, |key, value| {
        let totals = Totals::read(value);
        if !totals.has_ended(now, idle_ns) {
            return true;
        }
        ended += 1;
        if log {
            let name = Name(key);
            let Totals { packets, bytes, first, last, flags } = totals;
            let ms = last.saturating_sub(first) / 1_000_000;
            info!("flow {name} packets {packets} bytes {bytes} ms {ms} flags {}", Flags(flags));
        }
        false
    });
    ended
}

/// `tcp 10.0.0.1:1234 > 10.0.0.2:80`
struct Name<'a>(&'a [u8; KEY]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        match bytes[0] {
            ip_protocol::TCP => f.write_str("tcp")?,
            ip_protocol::UDP => f.write_str("udp")?,
            ip_protocol::ICMP => f.write_str("icmp")?,
            ip_protocol::ICMPV6 => f.write_str("icmpv6")?,
            other => write!(f, "protocol-{other}")?,
        }
        for (address, port, before) in [(2, 34, " "), (18, 36, " > ")] {
            let octets = bytes.get(address..).and_then(<[u8]>::first_chunk::<16>).copied().unwrap_or([0; 16]);
            let port = bytes.get(port..).and_then(<[u8]>::first_chunk::<2>).copied().unwrap_or([0; 2]);
            let port = u16::from_be_bytes(port);
            f.write_str(before)?;
            match (Ipv6Addr::from(octets).to_canonical(), port) {
                (ip, 0) => write!(f, "{ip}")?,
                (IpAddr::V4(ip), port) => write!(f, "{ip}:{port}")?,
                (IpAddr::V6(ip), port) => write!(f, "[{ip}]:{port}")?,
            }
        }
        Ok(())
    }
}

/// The TCP flags of all packets of a flow: `FSRPAUEC` in the order of their bits, `-` for none.
struct Flags(u8);

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        for (bit, letter) in ["F", "S", "R", "P", "A", "U", "E", "C"].into_iter().enumerate() {
            if self.0 & 1 << bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}
