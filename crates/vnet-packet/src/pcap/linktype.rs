//! What the frames of a capture start with.

use core::fmt;

use super::CaptureError;
use crate::Layer;

/// A linktype, which says what the frames of a capture start with
/// (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Linktype(pub u16);

impl Linktype {
    /// An Ethernet header.
    pub const ETHERNET: Linktype = Linktype(1);
    /// An IPv4 or IPv6 header; its version field tells which.
    pub const RAW: Linktype = Linktype(101);
    /// Linux's "any" device, version 1.
    pub const LINUX_SLL: Linktype = Linktype(113);
    /// An IPv4 header.
    pub const IPV4: Linktype = Linktype(228);
    /// An IPv6 header.
    pub const IPV6: Linktype = Linktype(229);
    /// Linux's "any" device, version 2.
    pub const LINUX_SLL2: Linktype = Linktype(276);

    /// What some systems write for [`RAW`](Self::RAW).
    const BSD_RAW: Linktype = Linktype(12);

    /// Returns the layer at which the frames start.
    ///
    /// # Errors
    /// [`CaptureError::Linktype`] where that is neither Ethernet nor IP.
    pub fn layer(self) -> Result<Layer, CaptureError> {
        let hint = match self {
            Linktype::ETHERNET => return Ok(Layer::L2),
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype::BSD_RAW => {
                return Ok(Layer::L3);
            }
            Linktype::LINUX_SLL | Linktype::LINUX_SLL2 => {
                "; hint: capture on one interface instead of \"any\""
            }
            _ => "",
        };
        Err(CaptureError::Linktype { linktype: self, hint })
    }
}

impl fmt::Display for Linktype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Linktype::ETHERNET => "ETHERNET",
            Linktype::RAW => "RAW",
            Linktype::LINUX_SLL => "LINUX_SLL",
            Linktype::IPV4 => "IPV4",
            Linktype::IPV6 => "IPV6",
            Linktype::LINUX_SLL2 => "LINUX_SLL2",
            _ => return write!(f, "{}", self.0),
        };
        write!(f, "{} ({name})", self.0)
    }
}
