use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use vnet_packet::pcap::{Linktype, Writer};

use crate::error::EngineError;

/// Longest frame a capture file is told to expect.
pub(crate) const SNAPLEN: u32 = 262_144;

/// Puts a reason in words to a capture file's name.
pub(crate) fn refuse(path: &Path, why: impl Into<String>) -> EngineError {
    EngineError::Capture {
        path: path.display().to_string(),
        why: why.into(),
    }
}

/// Creates a capture file: pcap when its name ends in `.pcap`, else pcapng with one interface of that name.
pub(crate) fn create(
    path: &Path,
    linktype: Linktype,
    interface: &str,
) -> Result<Writer<BufWriter<File>>, EngineError> {
    let file = File::create(path).map_err(|e| refuse(path, format!("cannot create it: {e}")))?;
    let out = BufWriter::new(file);
    let writer = if path.extension().is_some_and(|e| e == "pcap") {
        Writer::pcap(out, linktype, SNAPLEN)
    } else {
        Writer::pcapng(out, linktype, SNAPLEN, interface)
    };
    writer.map_err(|e| refuse(path, e.to_string()))
}
