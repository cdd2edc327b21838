//! Damage to the bytes of a frame.

use crate::random::Random;

/// Numbers at which lengths and offsets go wrong.
const EDGES: [u16; 14] = [
    0, 1, 4, 5, 7, 8, 0x0f, 0x45, 0x7f, 0xff, 0x7fff, 0x8000, 0xfffe, 0xffff,
];

/// Damages a frame in one to four places, of which most are headers.
pub fn damage(random: &mut Random, frame: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let reach = if random.once_in(4) {
            frame.len()
        } else {
            frame.len().min(100)
        };
        if reach < 2 {
            return;
        }
        let at = random.below(reach);
        match random.below(8) {
            0 => frame[at] ^= 1 << random.below(8),
            1 => frame[at] = random.next() as u8,
            2 => frame[at] = random.pick(&EDGES) as u8,
            3 => {
                let at = at.min(frame.len() - 2);
                frame[at..at + 2].copy_from_slice(&random.pick(&EDGES).to_be_bytes());
            }
            4 => frame.truncate(at.max(1)),
            5 => {
                let more = random.below(40);
                let noise = random.noise(more);
                frame.splice(at..at, noise);
            }
            6 => {
                let end = (at + 1 + random.below(20)).min(frame.len());
                frame.drain(at..end);
            }
            _ => {
                frame.truncate(at);
                frame.extend(other.get(at..).unwrap_or_default());
            }
        }
        if frame.is_empty() {
            frame.push(0);
        }
    }
}

/// Turns a frame into an answer to it: stations, addresses and ports exchanged, as far as its headers are plain.
pub fn turn(frame: &mut [u8], l3: bool) {
    let mut at = 0;
    if !l3 {
        if frame.len() < 14 {
            return;
        }
        let (dst, rest) = frame.split_at_mut(6);
        dst.swap_with_slice(&mut rest[..6]);
        at = 14;
        while frame.len() >= at + 4 && matches!(frame[at - 2..at], [0x81, 0] | [0x88, 0xa8]) {
            at += 4;
        }
    }
    let Some(packet) = frame.get_mut(at..) else { return };
    let (addresses, width, ports) = match packet.first().map(|first| first >> 4) {
        Some(4) => (12, 4, usize::from(packet[0] & 15) * 4),
        Some(6) => (8, 16, 40),
        _ => return,
    };
    let exchange = |packet: &mut [u8], at: usize, width: usize| {
        if let Some(both) = packet.get_mut(at..at + 2 * width) {
            let (a, b) = both.split_at_mut(width);
            a.swap_with_slice(b);
        }
    };
    exchange(packet, addresses, width);
    let protocol = if width == 4 { packet.get(9) } else { packet.get(6) };
    match protocol {
        Some(6 | 17) => exchange(packet, ports, 2),
        Some(1) => exchange_echo(packet, ports, 8, 0),
        Some(58) => exchange_echo(packet, ports, 128, 129),
        _ => {}
    }
}

fn exchange_echo(packet: &mut [u8], at: usize, request: u8, reply: u8) {
    if let Some(kind) = packet.get_mut(at)
        && *kind == request
    {
        *kind = reply;
    }
}
