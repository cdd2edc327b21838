//! Checksums that a sender left for the device to finish (virtio's NEEDS_CSUM).

use super::{fold, pseudo_v4, pseudo_v6, sum};
use crate::Layer;
use crate::bytes::put;
use crate::headers::{IpVersion, ipv6_upper_layer, network};
use crate::wire::{Ipv4, Ipv6, Tcp, Udp, ip_protocol};

/// Finishes a partial checksum: sums the frame from `csum_start` to its end, where the field
/// already holds the pseudo-header's sum, and writes the result `csum_offset` bytes behind
/// `csum_start`. Both are in bytes; where UDP's comes out as 0, 0xffff is written.
///
/// Returns false, and leaves the frame alone, where the field lies outside the frame.
pub fn complete(frame: &mut [u8], csum_start: usize, csum_offset: usize) -> bool {
    let Some(covered) = frame.get_mut(csum_start..) else {
        return false;
    };
    if csum_offset.checked_add(2).is_none_or(|end| end > covered.len()) {
        return false;
    }
    let mut value = !fold(sum(covered));
    if value == 0 && csum_offset == Udp::<&[u8]>::CHECKSUM_OFFSET {
        value = 0xffff;
    }
    put(covered, csum_offset, value.to_be_bytes());
    true
}

/// Makes a frame's TCP or UDP checksum partial: recomputes the IPv4 header's own, and writes the sum of the
/// pseudo-header where [`complete`], or the kernel when it cuts a super-frame, will finish it.
///
/// Returns what [`locate`] returns.
pub fn seed(frame: &mut [u8], layer: Layer) -> Option<(usize, usize)> {
    let (start, offset) = locate(frame, layer)?;
    let len = frame.len() - start;
    let (version, l3) = network(frame, layer)?;
    let protocol = if offset == Udp::<&[u8]>::CHECKSUM_OFFSET {
        ip_protocol::UDP
    } else {
        ip_protocol::TCP
    };
    let pseudo = match version {
        IpVersion::V4 => {
            let mut ip = Ipv4::new_checked(&mut frame[l3..]).ok()?;
            ip.fill_checksum();
            // A super-frame beyond 64 KiB (BIG TCP) has all of its length in the sum, as the kernel has.
            pseudo_v4(ip.src(), ip.dst(), protocol, 0) + (len as u32 >> 16) + (len as u32 & 0xffff)
        }
        IpVersion::V6 => {
            let ip = Ipv6::new_checked(&frame[l3..]).ok()?;
            pseudo_v6(ip.src(), ip.dst(), protocol, len as u32)
        }
    };
    put(frame, start + offset, fold(pseudo).to_be_bytes());
    Some((start, offset))
}

/// Returns `(csum_start, csum_offset)` of a frame's TCP or UDP checksum, in bytes, through up to
/// two VLAN tags and any IPv6 extension headers; `None` for another protocol, a fragment, or a
/// header that is cut off.
#[must_use]
pub fn locate(frame: &[u8], layer: Layer) -> Option<(usize, usize)> {
    let (protocol, at) = match network(frame, layer)? {
        (IpVersion::V4, l3) => {
            let ip = Ipv4::new_checked(&frame[l3..]).ok()?;
            if ip.is_fragment() {
                return None;
            }
            (ip.protocol(), l3 + ip.header_len())
        }
        (IpVersion::V6, l3) => {
            let upper = ipv6_upper_layer(frame, l3, frame.len())?;
            if upper.fragment {
                return None;
            }
            (upper.protocol, upper.at)
        }
    };
    let (header_len, offset) = match protocol {
        ip_protocol::TCP => (Tcp::<&[u8]>::HEADER_LEN_MIN, Tcp::<&[u8]>::CHECKSUM_OFFSET),
        ip_protocol::UDP => (Udp::<&[u8]>::HEADER_LEN, Udp::<&[u8]>::CHECKSUM_OFFSET),
        _ => return None,
    };
    (frame.len() >= at + header_len).then_some((at, offset))
}
