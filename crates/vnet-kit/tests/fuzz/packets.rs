//! IP packets and what they carry, well formed but for what chance says.

use crate::random::Random;

/// Addresses that the configurations name, and their neighbours: conversations meet.
const V4: [[u8; 4]; 16] = [
    [10, 0, 0, 1],
    [10, 0, 0, 2],
    [10, 0, 0, 11],
    [10, 0, 0, 12],
    [10, 0, 0, 100],
    [10, 1, 0, 1],
    [10, 1, 0, 2],
    [10, 2, 0, 1],
    [10, 2, 0, 2],
    [203, 0, 113, 1],
    [198, 51, 100, 7],
    [192, 0, 2, 1],
    [192, 0, 2, 2],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
    [0, 0, 0, 0],
];

const V6: [[u8; 16]; 9] = [
    v6(0xfd, 0, 1),
    v6(0xfd, 0, 2),
    v6(0xfd, 0, 11),
    v6(0xfd, 0, 100),
    v6(0xfd, 1, 1),
    v6(0xfd, 1, 2),
    v6(0xfd, 2, 2),
    v6(0xff, 2, 1),
    [0; 16],
];

const fn v6(first: u8, net: u8, host: u8) -> [u8; 16] {
    let mut ip = [0; 16];
    ip[0] = first;
    ip[if first == 0xff { 1 } else { 3 }] = net;
    ip[15] = host;
    ip
}

const PORTS: [u16; 12] = [0, 22, 53, 80, 443, 1000, 1001, 4789, 5353, 8080, 49152, 65535];

/// Names that are asked for: some are blocked.
const NAMES: [&[&[u8]]; 4] = [
    &[b"ads", b"example"],
    &[b"www", b"tracker", b"example"],
    &[b"good", b"example"],
    &[b"a", b"b", b"c", b"d", b"e", b"f"],
];

/// Makes packets.
pub struct Packets<'a> {
    pub random: &'a mut Random,
    pub places: &'a Places,
    /// Most bytes of a payload.
    pub longest: usize,
}

/// The few addresses of one round: of few, many conversations meet.
pub struct Places {
    v4: [[u8; 4]; 5],
    v6: [[u8; 16]; 4],
}

impl Places {
    pub fn new(random: &mut Random) -> Places {
        Places {
            v4: std::array::from_fn(|_| random.pick(&V4)),
            v6: std::array::from_fn(|_| random.pick(&V6)),
        }
    }
}

impl Packets<'_> {
    pub fn v4_address(&mut self) -> [u8; 4] {
        match self.random.below(8) {
            0 => [10, 0, self.random.below(8) as u8, self.random.below(256) as u8],
            1 if self.random.once_in(4) => self.random.array(),
            1..=3 => self.random.pick(&V4),
            _ => self.random.pick(&self.places.v4),
        }
    }

    pub fn v6_address(&mut self) -> [u8; 16] {
        match self.random.below(16) {
            0 => self.random.array(),
            1..=4 => self.random.pick(&V6),
            _ => self.random.pick(&self.places.v6),
        }
    }

    fn port(&mut self) -> [u8; 2] {
        let port = match self.random.below(4) {
            0 => self.random.next() as u16,
            _ => self.random.pick(&PORTS),
        };
        port.to_be_bytes()
    }

    fn payload(&mut self) -> Vec<u8> {
        let len = match self.random.below(8) {
            0 => self.random.below(self.longest),
            _ => self.random.below(64),
        };
        self.random.noise(len)
    }

    pub fn ip(&mut self, depth: usize) -> (u16, Vec<u8>) {
        if self.random.once_in(3) {
            (0x86dd, self.v6(depth))
        } else {
            (0x0800, self.v4(depth))
        }
    }

    pub fn v4(&mut self, depth: usize) -> Vec<u8> {
        let (protocol, message) = self.message(false, depth);
        let options = if self.random.once_in(8) {
            4 * self.random.below(11)
        } else {
            0
        };
        let mut packet = vec![0x45 + (options / 4) as u8, self.random.next() as u8];
        packet.extend(((20 + options + message.len()) as u16).to_be_bytes());
        packet.extend([0, self.random.below(4) as u8]);
        // Most are whole; a first piece, a later one, the last.
        let piece = [0x4000_u16, 0, 0, 0x4000, 0x2000, 0x2001, 0x00b9];
        packet.extend(self.random.pick(&piece).to_be_bytes());
        packet.extend([self.random.pick(&[0, 1, 2, 64, 64, 255]), protocol, 0, 0]);
        packet.extend(self.v4_address());
        packet.extend(self.v4_address());
        packet.extend(self.random.noise(options));
        packet.extend(message);
        packet
    }

    pub fn v6(&mut self, depth: usize) -> Vec<u8> {
        let (protocol, message) = self.message(true, depth);
        let mut next = protocol;
        let mut extensions = Vec::new();
        for _ in 0..self.random.below(12).saturating_sub(8) {
            let kind = self.random.pick(&[0, 43, 44, 60, 51, 135]);
            let words = if kind == 44 { 0 } else { self.random.below(3) };
            let mut header = vec![next, if kind == 51 { 4 } else { words as u8 }];
            header.extend(if kind == 44 {
                let piece = self.random.pick(&[0_u16, 1, 8, 0xfff8]).to_be_bytes();
                [piece[0], piece[1], 0, 0, 0, self.random.below(4) as u8].to_vec()
            } else {
                self.random.noise(if kind == 51 { 22 } else { 6 + 8 * words })
            });
            header.extend(extensions);
            extensions = header;
            next = kind;
        }
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(((extensions.len() + message.len()) as u16).to_be_bytes());
        packet.extend([next, self.random.pick(&[0, 1, 2, 64, 255, 255])]);
        packet.extend(self.v6_address());
        packet.extend(self.v6_address());
        packet.extend(extensions);
        packet.extend(message);
        packet
    }

    fn message(&mut self, six: bool, depth: usize) -> (u8, Vec<u8>) {
        match self.random.below(10) {
            0..=2 => (6, self.tcp()),
            3..=5 => (17, self.udp(depth)),
            6..=8 if six => (58, self.icmpv6(depth)),
            6..=8 => (1, self.icmp(depth)),
            _ => (
                self.random.pick(&[0, 2, 6, 17, 47, 50, 59, 132, 255]),
                self.payload(),
            ),
        }
    }

    fn tcp(&mut self) -> Vec<u8> {
        let mut options = match self.random.below(4) {
            0 => vec![2, 4, 5, 0xb4, 1, 1, 4, 2],
            1 => vec![1, 3, 3, 7, 2, 4, 0xff, 0xff, 0],
            2 => self.random.noise(12),
            _ => Vec::new(),
        };
        options.resize(options.len().next_multiple_of(4), 0);
        let mut segment = self.port().to_vec();
        segment.extend(self.port());
        segment.extend(self.random.array::<8>());
        segment.push((5 + (options.len() / 4) as u8) << 4);
        // Each flag by itself and in its usual company.
        segment.push(
            self.random
                .pick(&[2, 2, 2, 0x12, 0x12, 0x10, 0x18, 0x11, 4, 0x14, 1, 0, 3, 0xff]),
        );
        segment.extend([0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(options);
        segment.extend(self.payload());
        segment
    }

    fn udp(&mut self, depth: usize) -> Vec<u8> {
        let (port, payload) = match self.random.below(4) {
            0 => (53, self.dns()),
            1 if depth > 0 => (4789, self.vxlan(depth - 1)),
            _ => (0, self.payload()),
        };
        let port = if port == 0 {
            self.port()
        } else {
            u16::to_be_bytes(port)
        };
        let mut datagram = self.port().to_vec();
        datagram.extend(port);
        datagram.extend(((payload.len() + 8) as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        datagram
    }

    fn dns(&mut self) -> Vec<u8> {
        let mut query = self.random.array::<2>().to_vec();
        query.extend([
            self.random.pick(&[1, 1, 1, 0, 0x80, 0x28]),
            self.random.pick(&[0, 0, 0x20]),
        ]);
        query.extend([
            0,
            self.random.pick(&[1, 1, 1, 1, 0, 2]),
            0,
            0,
            0,
            0,
            0,
            self.random.below(2) as u8,
        ]);
        for label in self.random.pick(&NAMES) {
            query.push(label.len() as u8);
            for byte in *label {
                query.push(if self.random.once_in(3) {
                    byte.to_ascii_uppercase()
                } else {
                    *byte
                });
            }
        }
        // The end of the name, a pointer in its place, a label too long.
        query.extend(self.random.pick(&[&[0][..], &[0], &[0], &[0xc0, 12], &[63]]));
        query.extend([0, self.random.pick(&[1, 28, 255]), 0, 1]);
        query.extend(
            self.random
                .pick(&[&[][..], &[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]]),
        );
        query
    }

    fn vxlan(&mut self, depth: usize) -> Vec<u8> {
        let mut datagram = vec![
            self.random.pick(&[8, 8, 8, 0, 0xff]),
            0,
            0,
            0,
            0,
            0,
            self.random.pick(&[0, 42, 43]),
            0,
        ];
        datagram.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        let (kind, packet) = self.ip(depth);
        datagram.extend(kind.to_be_bytes());
        datagram.extend(packet);
        datagram
    }

    /// An echo, or an error that quotes a packet or a part of one.
    fn icmp(&mut self, depth: usize) -> Vec<u8> {
        if depth == 0 || self.random.once_in(2) {
            let mut echo = vec![self.random.pick(&[8, 8, 0, 0, 13, 14]), 0, 0, 0];
            echo.extend([0, self.random.below(4) as u8, 0, 1]);
            echo.extend(self.payload());
            return echo;
        }
        let mut error = vec![
            self.random.pick(&[3, 3, 11, 12, 5, 4]),
            self.random.below(16) as u8,
            0,
            0,
        ];
        error.extend(self.random.array::<4>());
        let quoted = self.v4(depth - 1);
        let len = if self.random.once_in(2) {
            28
        } else {
            self.random.below(quoted.len() + 1)
        };
        error.extend(&quoted[..len.min(quoted.len())]);
        error
    }

    fn icmpv6(&mut self, depth: usize) -> Vec<u8> {
        let kind = self
            .random
            .pick(&[128, 129, 133, 134, 135, 136, 137, 143, 1, 2, 3, 4]);
        let mut message = vec![kind, 0, 0, 0];
        message.extend(self.random.array::<4>());
        match kind {
            1..=4 if depth > 0 => {
                let quoted = self.v6(depth - 1);
                let len = self.random.below(quoted.len() + 1);
                message.extend(&quoted[..len]);
            }
            134 => message.extend([0; 8]),
            135..=137 => message.extend(self.v6_address()),
            _ => message.extend(self.payload()),
        }
        if matches!(kind, 133..=137) && self.random.once_in(2) {
            message.extend([self.random.pick(&[1, 2, 3]), self.random.pick(&[1, 1, 1, 0, 4])]);
            message.extend([2, 0, 0, 0, 0, self.random.below(8) as u8]);
        }
        message
    }

    pub fn arp(&mut self) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, self.random.pick(&[1, 1, 2, 2, 3])];
        for _ in 0..2 {
            packet.extend([2, 0, 0, 0, 0, self.random.below(8) as u8]);
            packet.extend(self.v4_address());
        }
        packet
    }
}
