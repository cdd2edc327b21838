//! A pcapng stream (draft-ietf-opsawg-pcapng) in whole blocks, as its bytes come.

use std::io;

use crate::failure::Failure;

/// Type and length before a block's body, and the length again behind it.
const FRAMING: usize = 12;
/// More is taken for damage: a packet of 16 MiB with its options.
const MOST: usize = 17 << 20;

/// What a block is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The section, which begins a stream.
    Section,
    Interface,
    Packet,
    /// What is said of an interface at the end.
    Statistics,
    Other,
}

/// Bytes that have come and were not taken.
#[derive(Default)]
pub(crate) struct Blocks {
    bytes: Vec<u8>,
    taken: usize,
}

impl Blocks {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next block that is whole.
    pub fn next(&mut self) -> Result<Option<(Kind, &[u8])>, Failure> {
        let rest = &self.bytes[self.taken..];
        let (Some(kind), Some(len)) = (word(rest, 0), word(rest, 4)) else {
            return Ok(None);
        };
        let len = len as usize;
        if !(FRAMING..=MOST).contains(&len) || !len.is_multiple_of(4) {
            return Err(Failure::Os {
                what: "read the capture",
                source: io::Error::other(format!("a block of {len} bytes came")),
            });
        }
        if rest.len() < len {
            return Ok(None);
        }
        let at = self.taken;
        self.taken += len;
        let kind = match kind {
            0x0a0d_0d0a => Kind::Section,
            1 => Kind::Interface,
            5 => Kind::Statistics,
            6 => Kind::Packet,
            _ => Kind::Other,
        };
        Ok(Some((kind, &self.bytes[at..at + len])))
    }
}

/// Returns how many frames of an interface the recorder lost, as its statistics block says (isb_ifdrop).
pub(crate) fn dropped(block: &[u8]) -> Option<u64> {
    const OPTIONS: usize = 8 + 12;
    const DROPPED: u16 = 5;
    let mut rest = block.get(OPTIONS..block.len() - 4)?;
    while let Some([a, b, c, d]) = rest.first_chunk() {
        let (code, len) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        let len = usize::from(len);
        if code == DROPPED {
            return Some(u64::from_le_bytes(*rest.get(4..)?.first_chunk()?));
        }
        rest = rest.get(4 + len.next_multiple_of(4)..)?;
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use vnet::pcap::{Linktype, Statistics, Writer};

    use super::*;

    #[test]
    fn blocks_come_whole_however_their_bytes_do() {
        let mut writer = Writer::pcapng(Vec::new(), Linktype::ETHERNET, 0, "h1-eth0").expect("a header");
        writer.write(1, &[7; 61], 61, Some("said")).expect("a frame");
        writer
            .end_interface(&Statistics {
                dropped: Some(4711),
                received: Some(5000),
                comment: Some("fared well"),
                ..Statistics::default()
            })
            .expect("an end");
        let stream = writer.into_inner().expect("a stream");
        for piece in [1, 7, 64, stream.len()] {
            let (mut blocks, mut seen, mut whole) = (Blocks::default(), Vec::new(), Vec::new());
            for bytes in stream.chunks(piece) {
                blocks.push(bytes);
                while let Some((kind, block)) = blocks.next().expect("no damage") {
                    seen.push(kind);
                    whole.extend_from_slice(block);
                    if kind == Kind::Statistics {
                        assert_eq!(dropped(block), Some(4711));
                    }
                }
            }
            let kinds = [Kind::Section, Kind::Interface, Kind::Packet, Kind::Statistics];
            assert_eq!((seen.as_slice(), &whole), (&kinds[..], &stream), "{piece}");
        }
    }

    #[test]
    fn damage_is_told() {
        let mut blocks = Blocks::default();
        blocks.push(&[6, 0, 0, 0, 3, 0, 0, 0]);
        assert!(blocks.next().is_err());
    }
}
