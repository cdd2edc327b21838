//! A capture in a file of the older format, which has room for one interface and no comments.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use vnet::pcap::{Linktype, Reader, Writer};

use super::{Feed, Kind, Sink, damaged, files};
use crate::failure::Failure;

/// A pcap file.
pub(crate) struct Classic {
    path: PathBuf,
    feed: Feed,
    reader: Option<Reader<Feed>>,
    /// What the frames of its interface are, once that is known.
    of: Option<(Linktype, u32)>,
    writer: Option<Writer<BufWriter<File>>>,
    frame: Vec<u8>,
}

impl Classic {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            feed: Feed::default(),
            reader: None,
            of: None,
            writer: None,
            frame: Vec::new(),
        }
    }

    /// Learns what its interface's frames are.
    fn describe(&mut self, block: &[u8]) -> Result<(), Failure> {
        if self.of.is_some() {
            return Err(Failure::Vnet(vnet::Error::Invalid {
                what: format!(
                    "{}: a .pcap file cannot tell interfaces apart",
                    self.path.display()
                ),
                hint: Some("name it .pcapng, or name one interface, as h1:eth0".into()),
            }));
        }
        let linktype = block.get(8..10).and_then(|bytes| bytes.first_chunk()).copied();
        let linktype = Linktype(u16::from_le_bytes(linktype.unwrap_or_default()));
        let snaplen = block.get(12..16).and_then(|bytes| bytes.first_chunk()).copied();
        let snaplen = u32::from_le_bytes(snaplen.unwrap_or_default());
        self.of = Some((linktype, snaplen));
        Ok(())
    }

    /// Begins the file, once it is clear that there is one interface: all that there are come before anything else of them.
    fn begin(&mut self) -> Result<(), Failure> {
        if let (None, Some((linktype, snaplen))) = (&self.writer, self.of) {
            let file = files::create(&self.path)?;
            self.writer = Some(Writer::pcap(file, linktype, snaplen).map_err(|error| damaged(&error))?);
        }
        Ok(())
    }
}

impl Sink for Classic {
    fn take(&mut self, kind: Kind, block: &[u8], _out: &mut Vec<u8>) -> Result<(), Failure> {
        match kind {
            Kind::Interface => self.describe(block)?,
            Kind::Section => {}
            Kind::Packet | Kind::Statistics | Kind::Other => self.begin()?,
        }
        self.feed.push(block);
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(Reader::open(self.feed.clone()).map_err(|error| damaged(&error))?),
        };
        while let Some(record) = reader.next(&mut self.frame).map_err(|error| damaged(&error))? {
            if let Some(writer) = &mut self.writer {
                writer
                    .write(record.ts_ns, &self.frame, record.orig_len, None)
                    .map_err(|error| damaged(&error))?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.writer.as_mut().map_or(Ok(()), Writer::flush);
        flushed.map_err(|error| damaged(&error))
    }
}
