//! The pcap format: one header, then records.

use std::format;
use std::io::Read;
use std::vec::Vec;

use super::reader::{CAPTURED_MAX, Record};
use super::source::{Order, Source};
use super::{CaptureError, Linktype};

const MAGIC_US: u32 = 0xa1b2_c3d4;
const MAGIC_NS: u32 = 0xa1b2_3c4d;
const VERSION_MAJOR: u16 = 2;
/// Bytes of the file header behind the magic number.
const HEADER_REST: usize = 20;
const RECORD_HEADER: usize = 16;

/// What a pcap file's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic {
    order: Order,
    ns_per_fraction: u64,
    linktype: Linktype,
}

impl Classic {
    /// Reads the header behind the magic number; `None` where that is not pcap's.
    pub fn open<R: Read>(magic: [u8; 4], source: &mut Source<R>) -> Result<Option<Classic>, CaptureError> {
        let found = [Order::Little, Order::Big]
            .into_iter()
            .find_map(|order| match order.u32(magic) {
                MAGIC_US => Some((order, 1_000)),
                MAGIC_NS => Some((order, 1)),
                _ => None,
            });
        let Some((order, ns_per_fraction)) = found else {
            return Ok(None);
        };
        let offset = source.offset();
        let header: [u8; HEADER_REST] = source.need("the file header")?;
        let major = order.u16([header[0], header[1]]);
        if major != VERSION_MAJOR {
            return Err(CaptureError::Damaged {
                offset,
                expected: "pcap version 2",
                found: format!("version {major}"),
            });
        }
        // The high 16 bits say whether frames end with a check sequence.
        let linktype = Linktype(order.word(&header, 16) as u16);
        Ok(Some(Classic {
            order,
            ns_per_fraction,
            linktype,
        }))
    }

    pub fn next<R: Read>(
        &self,
        source: &mut Source<R>,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Record>, CaptureError> {
        let offset = source.offset();
        let Some(header) = source.array::<RECORD_HEADER>("a packet's header")? else {
            return Ok(None);
        };
        let word = |at| self.order.word(&header, at);
        let captured = word(8);
        if captured > CAPTURED_MAX {
            return Err(CaptureError::Damaged {
                offset: offset + 8,
                expected: "a packet of at most 16 MiB",
                found: format!("{captured} bytes"),
            });
        }
        source.fill(buf, captured as usize, "a packet")?;
        let seconds = u64::from(word(0)) * 1_000_000_000;
        Ok(Some(Record {
            ts_ns: seconds + u64::from(word(4)) * self.ns_per_fraction,
            orig_len: word(12),
            interface: 0,
            linktype: self.linktype,
            direction: None,
            packet: 0,
            comment: None,
        }))
    }
}
