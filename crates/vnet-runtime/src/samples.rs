//! Makes frames that a plugin will meet, and many that it hopefully never does.

use crate::frames::Layer;
use crate::random::Random;

/// Makes frames, the same ones for the same seed.
pub(crate) struct Samples {
    random: Random,
    layer: Layer,
    longest: usize,
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const BROADCAST: [u8; 6] = [0xff; 6];

impl Samples {
    /// Starts a series of frames of at most `longest` bytes.
    pub(crate) fn new(seed: u64, layer: Layer, longest: usize) -> Samples {
        Samples {
            random: Random::new(seed, layer.name(), 0),
            layer,
            longest,
        }
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.random.next() % n.max(1) as u64) as usize
    }

    /// Returns the next frame: a third well formed, a third damaged, a third noise.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut frame = match self.below(6) {
            0 => {
                let len = 1 + self.below(self.longest);
                self.noise(len)
            }
            1 => {
                let len = 1 + self.below(40.min(self.longest));
                self.noise(len)
            }
            kind => {
                let mut frame = self.well_formed();
                if kind >= 4 {
                    self.damage(&mut frame);
                }
                frame
            }
        };
        frame.truncate(self.longest);
        frame
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes);
        bytes
    }

    fn damage(&mut self, frame: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(frame.len().min(60));
            frame[at] = self.random.next() as u8;
        }
        if self.below(2) == 0 {
            let len = 1 + self.below(frame.len());
            frame.truncate(len);
        }
    }

    fn well_formed(&mut self) -> Vec<u8> {
        let (ethertype, packet) = match self.below(7) {
            0 if self.layer == Layer::L2 => (ETHERTYPE_ARP, self.arp()),
            1..=3 => (ETHERTYPE_IPV4, self.ipv4()),
            _ => (ETHERTYPE_IPV6, self.ipv6()),
        };
        match self.layer {
            Layer::L3 => packet,
            Layer::L2 => {
                let mut frame = if self.below(4) == 0 {
                    BROADCAST.to_vec()
                } else {
                    self.mac()
                };
                frame.extend(self.mac());
                for _ in 0..self.below(4).saturating_sub(1) {
                    frame.extend(ETHERTYPE_VLAN.to_be_bytes());
                    frame.extend((self.below(4096) as u16).to_be_bytes());
                }
                frame.extend(ethertype.to_be_bytes());
                frame.extend(packet);
                frame.resize(frame.len().max(60), 0);
                frame
            }
        }
    }

    fn mac(&mut self) -> Vec<u8> {
        vec![2, 0, 0, 0, 0, self.below(8) as u8]
    }

    fn arp(&mut self) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1 + self.below(2) as u8];
        for _ in 0..2 {
            packet.extend(self.mac());
            packet.extend([10, 0, 0, self.below(8) as u8]);
        }
        packet
    }

    fn payload(&mut self) -> Vec<u8> {
        let len = self.below(self.longest.saturating_sub(100).min(1400));
        self.noise(len)
    }

    /// Returns an L4 protocol's number and its message, checksum 0 but for ICMP's.
    fn transport(&mut self, icmp: (u8, u8)) -> (u8, Vec<u8>) {
        let payload = self.payload();
        match self.below(3) {
            0 => {
                let mut message = vec![icmp.1, 0, 0, 0, 0, 1, 0, 1];
                message.extend(payload);
                let sum = checksum(&message);
                message[2..4].copy_from_slice(&sum.to_be_bytes());
                (icmp.0, message)
            }
            1 => {
                let mut message = self.noise(4);
                message.extend((payload.len() as u16 + 8).to_be_bytes());
                message.extend([0, 0]);
                message.extend(payload);
                (17, message)
            }
            _ => {
                let mut message = self.noise(20);
                message[12] = 0x50;
                message.extend(payload);
                (6, message)
            }
        }
    }

    fn ipv4(&mut self) -> Vec<u8> {
        let (protocol, message) = self.transport((1, 8));
        let mut packet = vec![0x45, 0];
        packet.extend((message.len() as u16 + 20).to_be_bytes());
        packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
        packet.extend([10, 0, 0, self.below(8) as u8, 10, 0, 0, self.below(8) as u8]);
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(message);
        packet
    }

    fn ipv6(&mut self) -> Vec<u8> {
        let (protocol, message) = self.transport((58, 128));
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((message.len() as u16).to_be_bytes());
        packet.extend([protocol, 64]);
        for _ in 0..2 {
            packet.extend([
                0xfe,
                0x80,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                self.below(8) as u8,
            ]);
        }
        packet.extend(message);
        packet
    }
}

/// Returns the internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
