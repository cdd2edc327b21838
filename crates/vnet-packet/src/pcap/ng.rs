//! The pcapng format: sections of blocks.

use std::format;
use std::io::Read;
use std::string::String;
use std::vec::Vec;

use super::reader::{CAPTURED_MAX, Record};
use super::source::{Order, Source};
use super::timestamp::Resolution;
use super::{CaptureError, Direction, Linktype};
use crate::bytes::{get_array, window};

pub(super) mod block {
    pub const SECTION: u32 = 0x0a0d_0d0a;
    pub const INTERFACE: u32 = 1;
    /// The packet block that preceded the enhanced one.
    pub const OBSOLETE_PACKET: u32 = 2;
    pub const SIMPLE_PACKET: u32 = 3;
    pub const INTERFACE_STATISTICS: u32 = 5;
    pub const ENHANCED_PACKET: u32 = 6;
    /// Type and total length, and the total length again behind the body.
    pub const FRAMING: u32 = 12;
    pub const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
}

pub(super) mod option {
    pub const END: u16 = 0;
    pub const COMMENT: u16 = 1;
    pub const SECTION_USER_APPLICATION: u16 = 4;
    pub const INTERFACE_NAME: u16 = 2;
    pub const INTERFACE_DESCRIPTION: u16 = 3;
    pub const STATISTICS_RECEIVED: u16 = 4;
    pub const STATISTICS_DROPPED: u16 = 5;
    pub const PACKET_ID: u16 = 5;
    pub const PACKET_FLAGS: u16 = 2;
    pub const INTERFACE_RESOLUTION: u16 = 9;
    pub const INTERFACE_OFFSET: u16 = 14;
}

/// Room for a packet, its header and a generous number of options.
const BODY_MAX: u32 = CAPTURED_MAX + (1 << 20);
const INTERFACE_FIXED: usize = 8;
const PACKET_FIXED: usize = 20;
const SIMPLE_FIXED: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Interface {
    linktype: Linktype,
    snaplen: u32,
    resolution: Resolution,
}

/// The section that is being read: its byte order and interfaces.
#[derive(Debug)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before this one.
    earlier: u32,
    /// Name and description of every interface of the file.
    names: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Section {
    /// Reads the section header behind the block type; `None` where that is not pcapng's.
    pub fn open<R: Read>(kind: [u8; 4], source: &mut Source<R>) -> Result<Option<Section>, CaptureError> {
        // A palindrome: the same in either byte order.
        if u32::from_le_bytes(kind) != block::SECTION {
            return Ok(None);
        }
        let mut section = Section {
            order: Order::Little,
            interfaces: Vec::new(),
            earlier: 0,
            names: Vec::new(),
            body: Vec::new(),
        };
        section.start(source)?;
        Ok(Some(section))
    }

    /// Reads a section header behind its block type.
    fn start<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), CaptureError> {
        let offset = source.offset();
        let header: [u8; 8] = source.need("a section header")?;
        let magic = get_array(&header, 4);
        self.order = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.u32(magic) == block::BYTE_ORDER_MAGIC)
            .ok_or_else(|| CaptureError::Damaged {
                offset: offset + 4,
                expected: "the byte-order magic 1a2b3c4d",
                found: format!("{:08x}", u32::from_be_bytes(magic)),
            })?;
        let total = self.order.word(&header, 0);
        self.check_total(offset, total, block::FRAMING + 16)?;
        source.fill(
            &mut self.body,
            (total - block::FRAMING) as usize - 4,
            "a section header",
        )?;
        let major = self.order.u16(get_array(&self.body, 0));
        if major != 1 {
            return Err(CaptureError::Damaged {
                offset: offset + 8,
                expected: "pcapng version 1",
                found: format!("version {major}"),
            });
        }
        self.end_of_block(source, total)?;
        self.earlier = self.earlier.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
        Ok(())
    }

    pub fn next<R: Read>(
        &mut self,
        source: &mut Source<R>,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Record>, CaptureError> {
        loop {
            let Some(kind) = source.array("a block")? else {
                return Ok(None);
            };
            if u32::from_le_bytes(kind) == block::SECTION {
                self.start(source)?;
                continue;
            }
            let offset = source.offset();
            let total = self.order.u32(source.need("a block")?);
            self.check_total(offset, total, block::FRAMING)?;
            let at = source.offset();
            source.fill(&mut self.body, (total - block::FRAMING) as usize, "a block")?;
            self.end_of_block(source, total)?;
            match self.order.u32(kind) {
                block::INTERFACE => self.add_interface(at)?,
                block::ENHANCED_PACKET => {
                    let interface = self.order.word(&self.body, 0);
                    return self.packet(at, interface, buf).map(Some);
                }
                block::OBSOLETE_PACKET => {
                    let interface = self.order.u16(get_array(&self.body, 0));
                    return self.packet(at, interface.into(), buf).map(Some);
                }
                block::SIMPLE_PACKET => return self.simple_packet(at, buf).map(Some),
                _ => {}
            }
        }
    }

    fn add_interface(&mut self, at: u64) -> Result<(), CaptureError> {
        self.check_body(at, INTERFACE_FIXED)?;
        let mut resolution = Resolution::DEFAULT;
        let mut named = (String::new(), String::new());
        let text = |value| String::from_utf8_lossy(value).into_owned();
        for (code, value) in self.options(INTERFACE_FIXED) {
            match (code, value) {
                (option::INTERFACE_NAME, name) => named.0 = text(name),
                (option::INTERFACE_DESCRIPTION, words) => named.1 = text(words),
                (option::INTERFACE_RESOLUTION, &[unit]) => resolution.unit = unit,
                (option::INTERFACE_OFFSET, &[a, b, c, d, e, f, g, h]) => {
                    resolution.offset_s = self.order.u64([a, b, c, d, e, f, g, h]) as i64;
                }
                _ => {}
            }
        }
        self.names.push(named);
        self.interfaces.push(Interface {
            linktype: Linktype(self.order.u16(get_array(&self.body, 0))),
            snaplen: self.order.word(&self.body, 4),
            resolution,
        });
        Ok(())
    }

    /// Enhanced and obsolete packets differ only in their first four bytes.
    fn packet(&self, at: u64, interface: u32, buf: &mut Vec<u8>) -> Result<Record, CaptureError> {
        self.check_body(at, PACKET_FIXED)?;
        let (number, known) = self.interface(at, interface)?;
        let word = |at| self.order.word(&self.body, at);
        let captured = word(12) as usize;
        let Some(data) = self.body.get(PACKET_FIXED..PACKET_FIXED.saturating_add(captured)) else {
            return Err(CaptureError::Damaged {
                offset: at + 12,
                expected: "a packet that ends inside its block",
                found: format!("{captured} bytes in a block of {}", self.body.len()),
            });
        };
        let units = u64::from(word(4)) << 32 | u64::from(word(8));
        let ts_ns = known.resolution.ns(units).ok_or_else(|| CaptureError::Damaged {
            offset: at + 4,
            expected: "a time between 1970 and 2554",
            found: format!("{units} units"),
        })?;
        buf.extend_from_slice(data);
        Ok(Record {
            ts_ns,
            orig_len: word(16),
            interface: number,
            linktype: known.linktype,
            direction: self.direction(PACKET_FIXED + captured.next_multiple_of(4)),
            packet: self.packet_id(PACKET_FIXED + captured.next_multiple_of(4)),
            comment: self.comment(PACKET_FIXED + captured.next_multiple_of(4)),
        })
    }

    fn simple_packet(&self, at: u64, buf: &mut Vec<u8>) -> Result<Record, CaptureError> {
        self.check_body(at, SIMPLE_FIXED)?;
        let (number, known) = self.interface(at, 0)?;
        let orig_len = self.order.word(&self.body, 0);
        let captured = match known.snaplen {
            0 => orig_len,
            snaplen => orig_len.min(snaplen),
        };
        let end = SIMPLE_FIXED.saturating_add(captured as usize);
        let Some(data) = self.body.get(SIMPLE_FIXED..end) else {
            return Err(CaptureError::Damaged {
                offset: at,
                expected: "a packet that ends inside its block",
                found: format!("{captured} bytes in a block of {}", self.body.len()),
            });
        };
        buf.extend_from_slice(data);
        Ok(Record {
            ts_ns: 0,
            orig_len,
            interface: number,
            linktype: known.linktype,
            direction: None,
            packet: 0,
            comment: None,
        })
    }

    /// Returns name and description of an interface by its number in the whole file.
    pub fn named(&self, number: u32) -> (&str, &str) {
        let known = self.names.get(number as usize);
        known.map_or(("", ""), |(name, words)| (name, words))
    }

    fn direction(&self, from: usize) -> Option<Direction> {
        let flags = self
            .options(from)
            .find(|&(code, _)| code == option::PACKET_FLAGS)?;
        match self.order.u32(get_array(flags.1, 0)) & 3 {
            1 => Some(Direction::Inbound),
            2 => Some(Direction::Outbound),
            _ => None,
        }
    }

    fn packet_id(&self, from: usize) -> u64 {
        let id = self.options(from).find(|&(code, _)| code == option::PACKET_ID);
        id.map_or(0, |(_, value)| self.order.u64(get_array(value, 0)))
    }

    /// Returns an interface with its number in the whole file.
    fn interface(&self, at: u64, number: u32) -> Result<(u32, Interface), CaptureError> {
        match self.interfaces.get(number as usize) {
            Some(&known) => Ok((self.earlier.saturating_add(number), known)),
            None => Err(CaptureError::Damaged {
                offset: at,
                expected: "a packet of an interface that was described before it",
                found: format!("interface {number} of {}", self.interfaces.len()),
            }),
        }
    }

    fn comment(&self, from: usize) -> Option<String> {
        let comments = self.options(from).filter(|&(code, _)| code == option::COMMENT);
        comments.fold(None, |all: Option<String>, (_, text)| {
            let text = String::from_utf8_lossy(text);
            Some(match all {
                Some(all) => all + "\n" + &text,
                None => text.into_owned(),
            })
        })
    }

    /// Iterates over the options that start `from` bytes into the body; one that is cut off ends
    /// them.
    fn options(&self, from: usize) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = window(&self.body, from, usize::MAX);
        core::iter::from_fn(move || {
            let header = rest.first_chunk::<4>()?;
            let code = self.order.u16([header[0], header[1]]);
            let len = usize::from(self.order.u16([header[2], header[3]]));
            let value = rest.get(4..4 + len)?;
            rest = window(rest, 4 + len.next_multiple_of(4), usize::MAX);
            (code != option::END).then_some((code, value))
        })
    }

    fn check_total(&self, offset: u64, total: u32, min: u32) -> Result<(), CaptureError> {
        if total < min || !total.is_multiple_of(4) || total > BODY_MAX {
            return Err(CaptureError::Damaged {
                offset,
                expected: "a block length that is a multiple of 4, holds the block and is below 17 MiB",
                found: format!("{total}"),
            });
        }
        Ok(())
    }

    fn check_body(&self, at: u64, min: usize) -> Result<(), CaptureError> {
        if self.body.len() < min {
            return Err(CaptureError::Damaged {
                offset: at,
                expected: "a block that holds its fixed fields",
                found: format!("{} bytes", self.body.len()),
            });
        }
        Ok(())
    }

    fn end_of_block<R: Read>(&self, source: &mut Source<R>, total: u32) -> Result<(), CaptureError> {
        let offset = source.offset();
        let again = self.order.u32(source.need("a block")?);
        if again != total {
            return Err(CaptureError::Damaged {
                offset,
                expected: "the block length again",
                found: format!("{again} instead of {total}"),
            });
        }
        Ok(())
    }
}
