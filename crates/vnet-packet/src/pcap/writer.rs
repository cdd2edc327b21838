//! Writes a capture of either format.

use std::io::Write;
use std::vec::Vec;

use super::ng::{block, option};
use super::timestamp::Resolution;
use super::{CaptureError, Linktype};

/// Which way a frame crossed an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It came in.
    Inbound,
    /// It went out.
    Outbound,
}

/// Where a frame was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Crossing {
    /// Number of the file's interface, from 0.
    pub interface: u32,
    /// Which way, where that is known; pcap has no place for it.
    pub direction: Option<Direction>,
    /// The number that all records of one packet share; 0 where it has none. pcap has no place for it.
    pub packet: u64,
}

/// What is said of an interface after its last frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics<'a> {
    /// Number of the file's interface.
    pub interface: u32,
    /// When, in nanoseconds since 1970.
    pub ts_ns: u64,
    /// How many frames came for the file.
    pub received: Option<u64>,
    /// How many of these it has not.
    pub dropped: Option<u64>,
    /// What else is to be said.
    pub comment: Option<&'a str>,
}

const PCAP_MAGIC_NS: u32 = 0xa1b2_3c4d;
const PADDING: [u8; 3] = [0; 3];

/// A capture that is written frame by frame, little endian, with nanoseconds.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    format: Format,
    snaplen: u32,
    interfaces: u32,
    /// One record, so that each reaches `out` in one piece.
    record: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Classic,
    Ng,
}

impl<W: Write> Writer<W> {
    /// Starts a pcapng file of one section and one interface.
    ///
    /// Frames are cut off at `snaplen` bytes; 0 means never.
    ///
    /// # Errors
    /// [`CaptureError`] where the writer refuses, or the name is longer than 65,535 bytes.
    pub fn pcapng(
        out: W,
        linktype: Linktype,
        snaplen: u32,
        interface: &str,
    ) -> Result<Writer<W>, CaptureError> {
        let mut writer = Self::section(out, snaplen)?;
        writer.add_interface(linktype, interface)?;
        Ok(writer)
    }

    /// Starts a pcapng file of one section, whose interfaces are added before their first frames.
    ///
    /// # Errors
    /// [`CaptureError`] where the writer refuses.
    pub fn section(out: W, snaplen: u32) -> Result<Writer<W>, CaptureError> {
        let mut writer = Writer {
            out,
            format: Format::Ng,
            snaplen,
            interfaces: 0,
            record: Vec::new(),
        };
        writer.block(block::SECTION, |body| {
            body.extend(block::BYTE_ORDER_MAGIC.to_le_bytes());
            body.extend(1_u16.to_le_bytes());
            body.extend(0_u16.to_le_bytes());
            body.extend((-1_i64).to_le_bytes());
            put_option(
                body,
                option::SECTION_USER_APPLICATION,
                b"vnet",
                "the section's application",
            )?;
            put_option(body, option::END, b"", "the end of options")
        })?;
        Ok(writer)
    }

    /// Adds an interface to a pcapng file and returns its number; a pcap file has one only, and stays as it is.
    ///
    /// # Errors
    /// [`CaptureError`] where the writer refuses, or the name is longer than 65,535 bytes.
    pub fn add_interface(&mut self, linktype: Linktype, name: &str) -> Result<u32, CaptureError> {
        self.describe_interface(linktype, name, "")
    }

    /// Adds an interface with words on what it is, as [`add_interface`](Writer::add_interface) does.
    ///
    /// # Errors
    /// As [`add_interface`](Writer::add_interface).
    pub fn describe_interface(
        &mut self,
        linktype: Linktype,
        name: &str,
        description: &str,
    ) -> Result<u32, CaptureError> {
        if self.format == Format::Classic {
            return Ok(0);
        }
        let snaplen = self.snaplen;
        self.block(block::INTERFACE, |body| {
            body.extend(linktype.0.to_le_bytes());
            body.extend(0_u16.to_le_bytes());
            body.extend(snaplen.to_le_bytes());
            if !name.is_empty() {
                put_option(
                    body,
                    option::INTERFACE_NAME,
                    name.as_bytes(),
                    "the interface's name",
                )?;
            }
            if !description.is_empty() {
                put_option(
                    body,
                    option::INTERFACE_DESCRIPTION,
                    description.as_bytes(),
                    "the interface's description",
                )?;
            }
            let unit = [Resolution::NANOSECONDS.unit];
            put_option(body, option::INTERFACE_RESOLUTION, &unit, "the resolution")?;
            put_option(body, option::END, b"", "the end of options")
        })?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Writes what is to be said of an interface after its last frame; a pcap file has no place for it.
    ///
    /// # Errors
    /// [`CaptureError`] where the writer refuses, or the comment is longer than 65,535 bytes.
    pub fn end_interface(&mut self, said: &Statistics<'_>) -> Result<(), CaptureError> {
        if self.format == Format::Classic {
            return Ok(());
        }
        self.block(block::INTERFACE_STATISTICS, |body| {
            body.extend(said.interface.to_le_bytes());
            body.extend(((said.ts_ns >> 32) as u32).to_le_bytes());
            body.extend((said.ts_ns as u32).to_le_bytes());
            if let Some(comment) = said.comment {
                put_option(body, option::COMMENT, comment.as_bytes(), "a comment")?;
            }
            for (code, count) in [
                (option::STATISTICS_RECEIVED, said.received),
                (option::STATISTICS_DROPPED, said.dropped),
            ] {
                if let Some(count) = count {
                    put_option(body, code, &count.to_le_bytes(), "a count")?;
                }
            }
            put_option(body, option::END, b"", "the end of options")
        })
    }

    /// Starts a pcap file with nanoseconds.
    ///
    /// Frames are cut off at `snaplen` bytes; 0 means never.
    ///
    /// # Errors
    /// [`CaptureError`] where the writer refuses.
    pub fn pcap(out: W, linktype: Linktype, snaplen: u32) -> Result<Writer<W>, CaptureError> {
        let mut writer = Writer {
            out,
            format: Format::Classic,
            snaplen,
            interfaces: 0,
            record: Vec::new(),
        };
        let header = &mut writer.record;
        header.extend(PCAP_MAGIC_NS.to_le_bytes());
        header.extend(2_u16.to_le_bytes());
        header.extend(4_u16.to_le_bytes());
        header.extend([0; 8]);
        // Readers take 0 for damage here.
        let limit = if snaplen == 0 {
            super::reader::CAPTURED_MAX
        } else {
            snaplen
        };
        header.extend(limit.to_le_bytes());
        header.extend(u32::from(linktype.0).to_le_bytes());
        writer.emit()?;
        Ok(writer)
    }

    /// Writes a frame: its time in nanoseconds since 1970, its bytes, how many it had when it was
    /// captured (where that is more), and a comment, for which pcap has no place and which it
    /// leaves out.
    ///
    /// # Errors
    /// [`CaptureError`] where the writer refuses, the frame is longer than 16 MiB, the comment
    /// longer than 65,535 bytes, or pcap's 32 bits do not hold the seconds.
    pub fn write(
        &mut self,
        ts_ns: u64,
        frame: &[u8],
        orig_len: u32,
        comment: Option<&str>,
    ) -> Result<(), CaptureError> {
        self.write_at(Crossing::default(), ts_ns, frame, orig_len, comment)
    }

    /// Writes a frame of one of several interfaces, as [`write`](Writer::write) does, each line of the comment as one of its own.
    ///
    /// # Errors
    /// As [`write`](Writer::write).
    pub fn write_at(
        &mut self,
        at: Crossing,
        ts_ns: u64,
        frame: &[u8],
        orig_len: u32,
        comment: Option<&str>,
    ) -> Result<(), CaptureError> {
        let limit = if self.snaplen == 0 { u32::MAX } else { self.snaplen };
        let data = &frame[..frame.len().min(limit as usize)];
        if data.len() > super::reader::CAPTURED_MAX as usize {
            return Err(CaptureError::TooLarge {
                what: "a frame",
                limit: "16 MiB",
            });
        }
        let whole = u32::try_from(frame.len()).unwrap_or(u32::MAX).max(orig_len);
        match self.format {
            Format::Classic => self.write_classic(ts_ns, data, whole),
            Format::Ng => self.write_ng(at, ts_ns, data, whole, comment),
        }
    }

    /// Writes out what the writer below holds back.
    ///
    /// # Errors
    /// [`CaptureError::Write`] where it refuses.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        self.out.flush().map_err(|source| CaptureError::Write { source })
    }

    /// Returns the writer below.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Flushes and gives the writer below back.
    ///
    /// # Errors
    /// [`CaptureError::Write`] where flushing fails.
    pub fn into_inner(mut self) -> Result<W, CaptureError> {
        self.flush()?;
        Ok(self.out)
    }

    fn write_classic(&mut self, ts_ns: u64, data: &[u8], whole: u32) -> Result<(), CaptureError> {
        let seconds = u32::try_from(ts_ns / 1_000_000_000).map_err(|_| CaptureError::TooLarge {
            what: "a time after 2106",
            limit: "32 bits of seconds; hint: write pcapng",
        })?;
        let record = &mut self.record;
        record.clear();
        record.extend(seconds.to_le_bytes());
        record.extend(((ts_ns % 1_000_000_000) as u32).to_le_bytes());
        record.extend((data.len() as u32).to_le_bytes());
        record.extend(whole.to_le_bytes());
        record.extend(data);
        self.emit()
    }

    fn write_ng(
        &mut self,
        at: Crossing,
        ts_ns: u64,
        data: &[u8],
        whole: u32,
        comment: Option<&str>,
    ) -> Result<(), CaptureError> {
        self.block(block::ENHANCED_PACKET, |body| {
            body.extend(at.interface.to_le_bytes());
            body.extend(((ts_ns >> 32) as u32).to_le_bytes());
            body.extend((ts_ns as u32).to_le_bytes());
            body.extend((data.len() as u32).to_le_bytes());
            body.extend(whole.to_le_bytes());
            put_padded(body, data);
            for line in comment.into_iter().flat_map(|text| text.split('\n')) {
                put_option(body, option::COMMENT, line.as_bytes(), "a comment")?;
            }
            if let Some(direction) = at.direction {
                let flags: u32 = match direction {
                    Direction::Inbound => 1,
                    Direction::Outbound => 2,
                };
                put_option(body, option::PACKET_FLAGS, &flags.to_le_bytes(), "the flags")?;
            }
            if at.packet != 0 {
                put_option(
                    body,
                    option::PACKET_ID,
                    &at.packet.to_le_bytes(),
                    "the packet's number",
                )?;
            }
            if comment.is_some() || at.direction.is_some() || at.packet != 0 {
                put_option(body, option::END, b"", "the end of options")?;
            }
            Ok(())
        })
    }

    fn block(
        &mut self,
        kind: u32,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), CaptureError>,
    ) -> Result<(), CaptureError> {
        let record = &mut self.record;
        record.clear();
        record.extend(kind.to_le_bytes());
        record.extend([0; 4]);
        body(record)?;
        let total = (record.len() as u32 + 4).to_le_bytes();
        record[4..8].copy_from_slice(&total);
        record.extend(total);
        self.emit()
    }

    fn emit(&mut self) -> Result<(), CaptureError> {
        self.out
            .write_all(&self.record)
            .map_err(|source| CaptureError::Write { source })
    }
}

fn put_option(body: &mut Vec<u8>, code: u16, value: &[u8], what: &'static str) -> Result<(), CaptureError> {
    let len = u16::try_from(value.len()).map_err(|_| CaptureError::TooLarge {
        what,
        limit: "65,535 bytes",
    })?;
    body.extend(code.to_le_bytes());
    body.extend(len.to_le_bytes());
    put_padded(body, value);
    Ok(())
}

fn put_padded(body: &mut Vec<u8>, data: &[u8]) {
    body.extend_from_slice(data);
    body.extend_from_slice(&PADDING[..data.len().next_multiple_of(4) - data.len()]);
}
