//! Capture files of the tools: read whole into memory, written whole.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use vnet_packet::Layer;
use vnet_packet::pcap::{Linktype, Reader, Writer};

use crate::error::KitError;

const SNAPLEN: u32 = 262_144;

/// A capture's frames, and what they start with.
pub(crate) struct Capture {
    pub layer: Layer,
    pub frames: Vec<Vec<u8>>,
}

/// Reads a capture file, at most `most` frames of it.
pub(crate) fn read(path: &Path, most: usize) -> Result<Capture, KitError> {
    let refuse = |error: String| KitError::invalid(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => KitError::NotFound {
            what: format!("capture {} does not exist", path.display()),
            hint: None,
        },
        _ => KitError::file("open", path, error),
    })?;
    let mut reader = Reader::open(BufReader::new(file)).map_err(|error| refuse(error.to_string()))?;
    let mut capture = Capture {
        layer: Layer::L2,
        frames: Vec::new(),
    };
    let mut bytes = Vec::new();
    while capture.frames.len() < most
        && let Some(record) = reader
            .next(&mut bytes)
            .map_err(|error| refuse(error.to_string()))?
    {
        let layer = record
            .linktype
            .layer()
            .map_err(|error| refuse(error.to_string()))?;
        if capture.frames.is_empty() {
            capture.layer = layer;
        } else if capture.layer != layer {
            return Err(refuse(
                "it holds Ethernet frames and IP packets side by side".into(),
            ));
        }
        capture.frames.push(bytes.clone());
    }
    Ok(capture)
}

/// Writes Ethernet frames, a millisecond apart.
pub(crate) fn write(path: &Path, frames: &[Vec<u8>]) -> Result<(), KitError> {
    let file = File::create(path).map_err(|error| KitError::file("write", path, error))?;
    let failed = |error: vnet_packet::pcap::CaptureError| KitError::file("write", path, error);
    let mut writer = Writer::pcap(BufWriter::new(file), Linktype::ETHERNET, SNAPLEN).map_err(failed)?;
    for (frame, i) in frames.iter().zip(1_u64..) {
        writer
            .write(
                1_700_000_000_000_000_000 + i * 1_000_000,
                frame,
                frame.len() as u32,
                None,
            )
            .map_err(failed)?;
    }
    writer.flush().map_err(failed)
}
