//! Super-frames cut into the segments that go over a wire (generic segmentation offload).
//!
//! The kernel hands TAP devices and packet sockets TCP and UDP frames of up to 64 KiB with a
//! virtio header that says how to cut them. [`segments`] is that cut in software; its results
//! are whole frames with complete checksums. [`parts`] makes shorter super-frames of a long one.

mod parts;
mod plan;
mod segments;

pub use parts::{Parts, parts};
pub use plan::segments;
pub use segments::Segments;

use core::fmt;

/// Values of [`Offload::gso_type`] (`VIRTIO_NET_HDR_GSO_*`).
pub mod gso_type {
    /// Not a super-frame.
    pub const NONE: u8 = 0;
    /// TCP over IPv4.
    pub const TCPV4: u8 = 1;
    /// UDP, to be cut into IP fragments.
    pub const UDP: u8 = 3;
    /// TCP over IPv6.
    pub const TCPV6: u8 = 4;
    /// UDP, to be cut into datagrams of their own.
    pub const UDP_L4: u8 = 5;
    /// Added to a TCP type: the segments carry ECN marks.
    pub const ECN: u8 = 0x80;
}

/// What a virtio header says of a frame, all lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offload {
    /// One of [`gso_type`].
    pub gso_type: u8,
    /// Payload of each segment, without headers.
    pub gso_size: u16,
    /// The sender's guess at the headers' length; a hint, which nothing here relies on.
    pub hdr_len: u16,
    /// The L4 checksum field holds only the pseudo-header's sum.
    pub needs_csum: bool,
    /// Where the checksum's range starts in the frame.
    pub csum_start: u16,
    /// Where the checksum stands behind `csum_start`.
    pub csum_offset: u16,
}

impl Offload {
    /// Says whether the frame is a super-frame.
    #[must_use]
    pub const fn is_gso(&self) -> bool {
        self.kind() != gso_type::NONE
    }

    /// Returns the type without the ECN bit.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.gso_type & !gso_type::ECN
    }
}

/// A super-frame cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadGso {
    /// The offload type is none of TCPV4, TCPV6 and UDP_L4.
    Type(u8),
    /// The segment size is 0, or makes packets that are longer than IP allows.
    Size(u16),
    /// The headers are not those of the offload type, or cannot be cut.
    Headers(&'static str),
}

impl fmt::Display for BadGso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadGso::Type(kind) => write!(f, "super-frame of offload type {kind} cannot be segmented"),
            BadGso::Size(size) => write!(f, "super-frame has a segment size of {size} bytes"),
            BadGso::Headers(what) => write!(f, "super-frame cannot be segmented: {what}"),
        }
    }
}

impl core::error::Error for BadGso {}
