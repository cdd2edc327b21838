//! Connections: which server each client's conversation belongs to.

use core::net::{IpAddr, Ipv6Addr};

use vnet_plugin::Map;
use vnet_plugin::track::{Phase, Standing, Timeouts, make_room};

const SLOTS: usize = 65_536;
/// A quarter of the slots stays empty, so that a search ends soon.
const MOST: usize = SLOTS / 4 * 3;

pub static CONNECTIONS: Map<22, 40, SLOTS> = Map::new();

/// Who talks to the service: protocol, client, its port, port of the service.
#[derive(Clone, Copy)]
pub struct Key {
    pub protocol: u8,
    pub client: IpAddr,
    pub client_port: u16,
    pub service_port: u16,
}

impl Key {
    pub fn bytes(&self) -> [u8; 22] {
        let mut bytes = [0; 22];
        bytes[0] = self.protocol;
        bytes[2..18].copy_from_slice(&octets(self.client));
        bytes[18..20].copy_from_slice(&self.client_port.to_be_bytes());
        bytes[20..].copy_from_slice(&self.service_port.to_be_bytes());
        bytes
    }
}

/// Where a conversation goes, and how far it has come.
#[derive(Clone, Copy)]
pub struct Connection {
    pub server: IpAddr,
    pub port: u16,
    pub phase: Phase,
    pub packets: u64,
    pub seen_ns: u64,
}

impl Connection {
    fn bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&octets(self.server));
        bytes[16..18].copy_from_slice(&self.port.to_be_bytes());
        bytes[18] = self.phase.bits();
        bytes[24..32].copy_from_slice(&self.packets.to_le_bytes());
        bytes[32..].copy_from_slice(&self.seen_ns.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; 40]) -> Connection {
        let word = |at: usize| u64::from_le_bytes(bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; 8]));
        let [ip @ .., _, _, _, _, _, _, _, _] = *bytes.first_chunk::<24>().unwrap_or(&[0; 24]);
        Connection {
            server: Ipv6Addr::from_octets(ip).to_canonical(),
            port: u16::from_be_bytes([bytes[16], bytes[17]]),
            phase: Phase::from_bits(bytes[18]),
            packets: word(24),
            seen_ns: word(32),
        }
    }

    fn is_alive(&self, protocol: u8, now: u64) -> bool {
        now.saturating_sub(self.seen_ns) <= Timeouts::DEFAULT.of(protocol, self.phase)
    }
}

/// Returns an address as maps hold it: IPv4-mapped where it is IPv4.
pub fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Returns a conversation that has not been silent for too long.
pub fn find(key: &Key, now: u64) -> Option<Connection> {
    let found = Connection::read(&CONNECTIONS.get(&key.bytes())?);
    found.is_alive(key.protocol, now).then_some(found)
}

/// Writes a conversation back that [`find`] returned.
pub fn update(key: &Key, connection: &Connection) {
    CONNECTIONS.insert(&key.bytes(), connection.bytes());
}

/// Adds a conversation; false where the table is full of others that were answered.
pub fn add(key: &Key, connection: &Connection, now: u64) -> bool {
    let standing = |key: &[u8; 22], value: &[u8; 40]| {
        let known = Connection::read(value);
        Standing::of(&Timeouts::DEFAULT, key[0], known.phase, known.seen_ns, now)
    };
    make_room(&CONNECTIONS, MOST, standing, |_, _| {}) && CONNECTIONS.insert(&key.bytes(), connection.bytes())
}
