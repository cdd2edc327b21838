//! Reads a capture of either format.

use std::format;
use std::io::Read;
use std::string::String;
use std::vec::Vec;

use super::classic::Classic;
use super::ng::Section;
use super::source::Source;
use super::{CaptureError, Direction, Linktype};

/// Most bytes of a packet in a file; more is taken for damage.
pub(super) const CAPTURED_MAX: u32 = 16 << 20;

/// What a capture says of a frame, besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since 1970; 0 where the file gives no time (pcapng's simple packets).
    pub ts_ns: u64,
    /// Bytes the frame had when it was captured; the file may hold fewer.
    pub orig_len: u32,
    /// The interface's number, counted from 0 through all sections of the file.
    pub interface: u32,
    /// What the frame starts with.
    pub linktype: Linktype,
    /// Which way the frame crossed the interface, where the file says so.
    pub direction: Option<Direction>,
    /// The number that all records of one packet share; 0 where the file gives none.
    pub packet: u64,
    /// The packet's comments, each on a line of its own.
    pub comment: Option<String>,
}

/// A capture that is read frame by frame.
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    format: Format,
    failed: bool,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Ng(Section),
}

impl<R: Read> Reader<R> {
    /// Reads a capture's header and tells its format. Reads are small: give a buffered reader.
    ///
    /// # Errors
    /// [`CaptureError`] where the file is no capture or its header is cut off or damaged.
    pub fn open(read: R) -> Result<Reader<R>, CaptureError> {
        let mut source = Source::new(read);
        let magic = source
            .array("the file header")?
            .ok_or_else(|| CaptureError::NotACapture {
                found: "the file is empty".into(),
            })?;
        let format = if let Some(section) = Section::open(magic, &mut source)? {
            Format::Ng(section)
        } else if let Some(classic) = Classic::open(magic, &mut source)? {
            Format::Classic(classic)
        } else {
            return Err(CaptureError::NotACapture {
                found: describe(magic),
            });
        };
        Ok(Reader {
            source,
            format,
            failed: false,
        })
    }

    /// Returns name and description of an interface by its number in the whole file; empty where the file does not say.
    #[must_use]
    pub fn interface(&self, number: u32) -> (&str, &str) {
        match &self.format {
            Format::Classic(_) => ("", ""),
            Format::Ng(section) => section.named(number),
        }
    }

    /// Replaces the buffer's contents by the next frame, and returns what the file says of it;
    /// `None` at the end of the file, and after an error.
    ///
    /// # Errors
    /// [`CaptureError`] where the file is cut off or damaged, with the byte.
    pub fn next(&mut self, buf: &mut Vec<u8>) -> Result<Option<Record>, CaptureError> {
        buf.clear();
        if self.failed {
            return Ok(None);
        }
        let record = match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.source, buf),
            Format::Ng(section) => section.next(&mut self.source, buf),
        };
        if record.is_err() {
            self.failed = true;
            buf.clear();
        }
        record
    }
}

fn describe(magic: [u8; 4]) -> String {
    match magic {
        [0x1f, 0x8b, ..] => "it is compressed; hint: gunzip it first".into(),
        [0x28, 0xb5, 0x2f, 0xfd] => "it is compressed; hint: unzstd it first".into(),
        [0x34, 0xcd, 0xb2, 0xa1] | [0xa1, 0xb2, 0xcd, 0x34] => {
            "it is Kuznetzov's variant of pcap; hint: convert it with `editcap -F pcap`".into()
        }
        [a, b, c, d] => format!("its first bytes are {a:02x} {b:02x} {c:02x} {d:02x}"),
    }
}
