//! The header before each frame that says which checksum and segmentation work
//! is left to do (`linux/virtio_net.h`, `struct virtio_net_hdr`).
//!
//! TUN/TAP devices with `IFF_VNET_HDR` and packet sockets with `PACKET_VNET_HDR`
//! both put it before every frame. Its fields have the byte order of the machine
//! (legacy virtio), which is little endian wherever vnet runs today.

/// Bytes of [`VnetHdr`] before a frame.
pub const LEN: usize = 10;

/// `flags`: the checksum at `csum_start` still has to be computed and stored at
/// `csum_start + csum_offset` (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
pub const F_NEEDS_CSUM: u8 = 1;
/// `flags`: the kernel has verified the checksum (`VIRTIO_NET_HDR_F_DATA_VALID`).
pub const F_DATA_VALID: u8 = 2;

/// `gso_type`: the frame is one segment (`VIRTIO_NET_HDR_GSO_NONE`).
pub const GSO_NONE: u8 = 0;
/// `gso_type`: TCP over IPv4 (`VIRTIO_NET_HDR_GSO_TCPV4`).
pub const GSO_TCPV4: u8 = 1;
/// `gso_type`: UDP to be fragmented by IP (`VIRTIO_NET_HDR_GSO_UDP`).
pub const GSO_UDP: u8 = 3;
/// `gso_type`: TCP over IPv6 (`VIRTIO_NET_HDR_GSO_TCPV6`).
pub const GSO_TCPV6: u8 = 4;
/// `gso_type`: UDP datagrams of equal size (`VIRTIO_NET_HDR_GSO_UDP_L4`).
pub const GSO_UDP_L4: u8 = 5;
/// Bit of `gso_type`: the TCP segment has CWR set (`VIRTIO_NET_HDR_GSO_ECN`).
pub const GSO_ECN: u8 = 0x80;

/// The decoded header.
///
/// Offsets count from the first byte of the frame as it stands in the buffer: of
/// a frame whose VLAN tag the kernel has taken out ([`RecvSlot::vlan`]), without
/// that tag. Whoever puts the tag back adds 4 to `csum_start` and `hdr_len`.
///
/// [`RecvSlot::vlan`]: crate::RecvSlot::vlan
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHdr {
    /// [`F_NEEDS_CSUM`], [`F_DATA_VALID`].
    pub flags: u8,
    /// One of the `GSO_*` types, with [`GSO_ECN`] or without.
    pub gso_type: u8,
    /// Bytes of headers before the payload that is to be cut.
    pub hdr_len: u16,
    /// Payload bytes of a segment.
    pub gso_size: u16,
    /// First byte the checksum covers.
    pub csum_start: u16,
    /// Where the checksum lies, from `csum_start` on.
    pub csum_offset: u16,
}

impl VnetHdr {
    /// Decodes the header.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let [flags, gso_type, a, b, c, d, e, f, g, h] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
        }
    }

    /// Encodes the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEN] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_fields_agree() {
        let hdr = VnetHdr {
            flags: F_NEEDS_CSUM,
            gso_type: GSO_TCPV6 | GSO_ECN,
            hdr_len: 0x0102,
            gso_size: 1448,
            csum_start: 54,
            csum_offset: 16,
        };
        assert_eq!(VnetHdr::from_bytes(&hdr.to_bytes()), hdr);
        if cfg!(target_endian = "little") {
            assert_eq!(hdr.to_bytes()[..4], [1, 0x84, 2, 1]);
        }
    }
}
