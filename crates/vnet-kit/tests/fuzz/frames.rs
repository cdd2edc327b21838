//! Frames: well formed ones, answers to earlier ones, damaged ones, noise; the offloads' flags beside them.

use vnet_abi::flags;
use vnet_packet::{Layer, checksum};
use vnet_runtime::Traits;

use crate::bytes::{damage, turn};
use crate::packets::{Packets, Places};
use crate::random::Random;

/// Earlier frames that are answered and damaged.
const KEPT: usize = 256;

/// A frame as it is offered.
#[derive(Clone, Debug)]
pub struct Offered {
    pub bytes: Vec<u8>,
    pub port: u16,
    pub flags: u16,
    pub gso_size: u16,
}

/// Makes the frames of one round.
pub struct Source {
    pub random: Random,
    layer: Layer,
    traits: Traits,
    ports: u16,
    stations: &'static [[u8; 6]],
    places: Places,
    kept: Vec<Vec<u8>>,
}

impl Source {
    pub fn new(
        mut random: Random,
        layer: Layer,
        traits: Traits,
        ports: u16,
        stations: &'static [[u8; 6]],
    ) -> Source {
        Source {
            places: Places::new(&mut random),
            stations,
            random,
            layer,
            traits,
            ports,
            kept: Vec::new(),
        }
    }

    /// Remembers a frame, so that later ones answer it.
    pub fn keep(&mut self, frame: &[u8]) {
        if self.kept.len() < KEPT {
            self.kept.push(frame.to_vec());
        } else {
            let at = self.random.below(KEPT);
            self.kept[at] = frame.to_vec();
        }
    }

    pub fn next(&mut self) -> Offered {
        let longest = self.traits.max_frame as usize;
        let huge = self.traits.gso && self.random.once_in(64);
        let mut bytes = match self.random.below(16) {
            0 => {
                let len = 1 + self.random.below(longest.min(2000));
                self.random.noise(len)
            }
            1..=5 => self.earlier(),
            _ => self.well_formed(if huge { longest } else { longest.min(1500) }),
        };
        if self.random.once_in(4) {
            let other = self.earlier();
            damage(&mut self.random, &mut bytes, &other);
        } else if !self.random.once_in(4) {
            checksum::fix(&mut bytes, self.layer);
        }
        bytes.truncate(longest);
        let mut flags = if self.layer == Layer::L3 { flags::L3 } else { 0 };
        if self.ports == 1 && self.random.once_in(2) {
            flags |= flags::EGRESS;
        }
        if self.random.once_in(16) {
            flags |= flags::INJECTED;
        }
        if self.traits.csum && self.random.once_in(4) {
            flags |= flags::CSUM_PARTIAL;
        }
        let mut gso_size = 0;
        if self.traits.gso && (huge || self.random.once_in(8)) {
            flags |= flags::GSO;
            gso_size = self.random.pick(&[1, 8, 536, 1448, 9000, 65535]);
        }
        let port = self.random.below(self.ports.into());
        if self.layer == Layer::L2
            && !self.stations.is_empty()
            && self.random.once_in(2)
            && let Some(to) = bytes.get_mut(..6)
        {
            to.copy_from_slice(&self.stations[port % self.stations.len()]);
        }
        Offered {
            port: port as u16,
            bytes,
            flags,
            gso_size,
        }
    }

    /// Returns an earlier frame, half of the time as an answer.
    fn earlier(&mut self) -> Vec<u8> {
        if self.kept.is_empty() {
            return self.well_formed(1500);
        }
        let at = self.random.below(self.kept.len());
        let mut frame = self.kept[at].clone();
        if self.random.once_in(2) {
            turn(&mut frame, self.layer == Layer::L3);
        }
        frame
    }

    fn well_formed(&mut self, longest: usize) -> Vec<u8> {
        let mut packets = Packets {
            random: &mut self.random,
            places: &self.places,
            longest: longest.saturating_sub(120),
        };
        let (kind, packet) = match packets.random.below(10) {
            0 => (0x0806, packets.arp()),
            1 if packets.random.once_in(4) => (packets.random.next() as u16, packets.random.noise(46)),
            _ => packets.ip(2),
        };
        if self.layer == Layer::L3 {
            return packet;
        }
        let random = &mut self.random;
        let mut frame = station(random).to_vec();
        frame.extend(station(random));
        for _ in 0..random.below(8).saturating_sub(5) {
            frame.extend(random.pick(&[0x8100_u16, 0x8100, 0x88a8]).to_be_bytes());
            let tag = random.pick(&[0, 1, 10, 20, 42, 4095]) | (random.below(8) as u16) << 13;
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(kind.to_be_bytes());
        frame.extend(packet);
        frame
    }
}

/// A station: hosts, those of the plugins, groups, anything.
fn station(random: &mut Random) -> [u8; 6] {
    match random.below(12) {
        0 => [0xff; 6],
        1 => [0x33, 0x33, 0, 0, 0, 1],
        2 => [0x01, 0x80, 0xc2, 0, 0, random.below(16) as u8],
        3 => random.array(),
        4..=5 => [0x02, 0x76, 0x6e, 0x65, 0x74, random.below(4) as u8],
        6..=7 => [0x02, 0x76, 0x72, 0, 0, random.below(4) as u8],
        _ => [2, 0, 0, 0, 0, random.below(8) as u8],
    }
}
