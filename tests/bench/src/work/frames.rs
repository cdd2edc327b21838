//! The traffic: frames of 64 bytes where they hold what they have to.

use std::net::Ipv4Addr;

use vnet_packet::{Layer, checksum};

/// A frame, and the port it arrives on.
#[derive(Clone)]
pub struct Sent {
    pub port: u16,
    pub bytes: Vec<u8>,
}

pub const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const LEN: usize = 64;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SYN: u8 = 2;
pub const ACK: u8 = 0x10;

impl Sent {
    pub fn on(self, port: u16) -> Sent {
        Sent { port, ..self }
    }

    pub fn to(mut self, station: [u8; 6]) -> Sent {
        self.bytes[..6].copy_from_slice(&station);
        self
    }

    pub fn from(mut self, station: [u8; 6]) -> Sent {
        self.bytes[6..12].copy_from_slice(&station);
        self
    }

    /// Puts a VLAN tag on.
    pub fn tagged(mut self, vlan: u16) -> Sent {
        let [high, low] = vlan.to_be_bytes();
        self.bytes.splice(12..12, [0x81, 0, high, low]);
        self
    }
}

/// An IPv4 packet with its sums, as long as it has to be.
fn ipv4(protocol: u8, src: [u8; 4], dst: [u8; 4], message: &[u8]) -> Sent {
    let mut bytes = [&OTHER[..], &HOST, &[8, 0, 0x45, 0]].concat();
    bytes.extend((20 + message.len() as u16).to_be_bytes());
    bytes.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(src);
    bytes.extend(dst);
    bytes.extend(message);
    checksum::fix(&mut bytes, Layer::L2);
    bytes.resize(bytes.len().max(LEN), 0);
    Sent { port: 0, bytes }
}

pub fn udp(src: ([u8; 4], u16), dst: ([u8; 4], u16), payload: &[u8]) -> Sent {
    let mut datagram = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    ipv4(UDP, src.0, dst.0, &datagram)
}

/// A segment without payload; a SYN names an MSS of 1,460.
pub fn tcp(src: ([u8; 4], u16), dst: ([u8; 4], u16), flags: u8) -> Sent {
    let options: &[u8] = if flags & SYN != 0 {
        &[2, 4, 0x05, 0xb4]
    } else {
        &[]
    };
    let mut segment = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
    segment.extend([0; 8]);
    segment.extend([
        ((5 + options.len() / 4) as u8) << 4,
        flags,
        0xff,
        0xff,
        0,
        0,
        0,
        0,
    ]);
    segment.extend(options);
    ipv4(TCP, src.0, dst.0, &segment)
}

pub fn ping(n: usize) -> Sent {
    ipv4(1, [10, 0, 0, 1], [10, 0, 0, 2], &[8, 0, 0, 0, 0, 1, 0, n as u8])
}

/// A reply that says where an address is.
pub fn arp(station: [u8; 6], ip: [u8; 4], to: ([u8; 6], [u8; 4])) -> Sent {
    let mut bytes = [&to.0[..], &station, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat();
    bytes.extend(station);
    bytes.extend(ip);
    bytes.extend(to.0);
    bytes.extend(to.1);
    bytes.resize(LEN, 0);
    Sent { port: 0, bytes }
}

/// A question for the address of a name.
pub fn dns(n: usize, name: &str) -> Sent {
    let mut query = vec![n as u8, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    udp(([10, 0, 0, 1], 1000 + n as u16), ([10, 0, 0, 2], 53), &query)
}

/// One of a batch's conversations: port 1000 and so on of one host with port 80 of another.
pub fn talk(n: usize) -> Sent {
    udp(([10, 0, 0, 1], 1000 + n as u16), ([10, 0, 0, 2], 80), &[0; 22])
}

/// Address number `n` of a large network.
pub fn many(n: usize) -> [u8; 4] {
    Ipv4Addr::from_bits(0x0a00_0000 + n as u32).octets()
}
