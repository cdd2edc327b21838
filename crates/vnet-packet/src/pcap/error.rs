//! What can be wrong with a capture file.

use std::io;
use std::string::String;

use super::Linktype;

/// A capture file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The operating system refused a read.
    #[error("reading the capture failed at byte {offset}: {source}")]
    Read {
        /// Where in the file.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused a write.
    #[error("writing the capture failed: {source}")]
    Write {
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is no capture, or a kind that is not read.
    #[error("no pcap or pcapng file: {found}")]
    NotACapture {
        /// What the file seems to be, and what to do.
        found: String,
    },
    /// The file ends inside a header, block or packet.
    #[error("capture is cut off at byte {offset}: expected {missing} more bytes of {what}")]
    Truncated {
        /// The file's length.
        offset: u64,
        /// What is not whole.
        what: &'static str,
        /// How many bytes it lacks.
        missing: u64,
    },
    /// The file contradicts its format.
    #[error("capture is damaged at byte {offset}: expected {expected}, found {found}")]
    Damaged {
        /// Where in the file.
        offset: u64,
        /// What the format asks for.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The capture's frames start with a header that is neither Ethernet nor IP.
    #[error(
        "linktype {linktype} is not understood: frames must start with an Ethernet (1) or an IP \
         (101, 228, 229) header{hint}"
    )]
    Linktype {
        /// The linktype.
        linktype: Linktype,
        /// How to get a capture that is understood; empty where nothing is known.
        hint: &'static str,
    },
    /// Something does not fit the file's format.
    #[error("cannot write {what}: the capture's format allows {limit}")]
    TooLarge {
        /// What was to be written.
        what: &'static str,
        /// What the format allows.
        limit: &'static str,
    },
}
