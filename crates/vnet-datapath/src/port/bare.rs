/// Bytes of an Ethernet header without VLAN tag.
pub(super) const ETHERNET: usize = 14;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// What stands between bare IP packets and an interface with Ethernet headers that resolves no addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare {
    /// The interface that receives what is sent.
    station: [u8; 6],
}

impl Bare {
    pub(super) fn to(station: [u8; 6]) -> Self {
        Self { station }
    }

    /// Tells whether an Ethernet frame carries an IP packet.
    pub(super) fn carries(frame: &[u8]) -> bool {
        frame.len() > ETHERNET && [IPV4, IPV6].iter().any(|kind| frame[12..ETHERNET] == *kind)
    }

    /// Makes the header a packet gets; nothing for what is no IP packet.
    pub(super) fn header(&self, packet: &[u8]) -> Option<[u8; ETHERNET]> {
        let kind = match packet.first()? >> 4 {
            4 => IPV4,
            6 => IPV6,
            _ => return None,
        };
        let mut header = [0; ETHERNET];
        header[..6].copy_from_slice(&self.station);
        // The kernel drops a frame that comes from a group address; this one is locally administered.
        header[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        header[12..].copy_from_slice(&kind);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_what_the_packet_is() {
        let bare = Bare::to([2, 0, 0, 0, 0, 9]);
        for (first, kind) in [(0x45, IPV4), (0x60, IPV6)] {
            let mut packet = vec![0; 40];
            packet[0] = first;
            let mut frame = bare.header(&packet).unwrap().to_vec();
            assert_eq!((&frame[..6], &frame[12..]), (&[2, 0, 0, 0, 0, 9][..], &kind[..]));
            frame.extend(packet);
            assert!(Bare::carries(&frame));
        }
        assert_eq!(bare.header(&[0x12]), None);
        assert_eq!(bare.header(&[]), None);
        assert!(!Bare::carries(&[0; ETHERNET + 20]));
    }
}
