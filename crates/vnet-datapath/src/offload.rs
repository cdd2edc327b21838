use vnet_packet::gso::{self, Offload};
use vnet_packet::{Layer, checksum};
use vnet_runtime::Frame;
use vnet_sys::vnet_hdr::{F_NEEDS_CSUM, VnetHdr};

use crate::frame::Meta;

/// Reads the kernel's virtio-net header.
pub(crate) fn from_header(h: &VnetHdr) -> Offload {
    Offload {
        gso_type: h.gso_type,
        gso_size: h.gso_size,
        hdr_len: h.hdr_len,
        needs_csum: h.flags & F_NEEDS_CSUM != 0,
        csum_start: h.csum_start,
        csum_offset: h.csum_offset,
    }
}

/// Makes the virtio-net header the kernel is to see before a frame of `len` bytes.
///
/// What the kernel gave as header length is the linear part of its buffer, which may be longer than a frame that a
/// plugin shortened; the kernel refuses that.
pub(crate) fn to_header(o: &Offload, len: usize) -> VnetHdr {
    if o.gso_type == 0 && !o.needs_csum {
        return VnetHdr::default();
    }
    VnetHdr {
        flags: if o.needs_csum { F_NEEDS_CSUM } else { 0 },
        gso_type: o.gso_type,
        hdr_len: o.hdr_len.min(u16::try_from(len).unwrap_or(u16::MAX)),
        gso_size: o.gso_size,
        csum_start: o.csum_start,
        csum_offset: o.csum_offset,
    }
}

/// Moves the offsets with the frame's first byte: `by` is positive when headers were put in front.
pub(crate) fn shift(o: &mut Offload, by: i32) {
    let moved = |v: u16| u16::try_from(i32::from(v) + by).unwrap_or(0);
    if o.needs_csum {
        o.csum_start = moved(o.csum_start);
    }
    if o.gso_type != 0 {
        o.hdr_len = moved(o.hdr_len);
    }
}

/// Brings the work left on a frame in line with what its plugin did to it.
pub(crate) fn settle(bytes: &mut [u8], frame: &Frame, meta: &mut Meta, layer: Layer) {
    let todo = &mut meta.offload;
    let moved = i64::from(meta.off) - i64::from(frame.off);
    if moved != 0 {
        shift(todo, moved as i32);
    }
    if frame.csum_finished {
        todo.needs_csum = false;
    }
    if todo.gso_type != 0 && frame.len < meta.len {
        let packet = &bytes[frame.off as usize..(frame.off + frame.len) as usize];
        // What became another packet, an ICMP error say, has no segments at all.
        let alone = packet.len() <= usize::from(todo.gso_size);
        if gso::segments(packet, layer, todo).map_or(alone, |s| s.count() == 1) {
            todo.gso_type = 0;
            todo.gso_size = 0;
        }
    }
    if frame.csum_dirty {
        let packet = &mut bytes[frame.off as usize..(frame.off + frame.len) as usize];
        if todo.gso_type == 0 {
            // What `fix` leaves alone must not go out with half a sum.
            todo.needs_csum = todo.needs_csum
                && !checksum::complete(
                    packet,
                    usize::from(todo.csum_start),
                    usize::from(todo.csum_offset),
                );
            checksum::fix(packet, layer);
        } else if let Some((start, offset)) = checksum::seed(packet, layer) {
            todo.needs_csum = true;
            todo.csum_start = start as u16;
            todo.csum_offset = offset as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_offload_convert_both_ways() {
        let o = Offload {
            gso_type: 1,
            gso_size: 1448,
            hdr_len: 66,
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
        };
        let back = from_header(&to_header(&o, 1514));
        assert_eq!(
            (
                back.gso_type,
                back.gso_size,
                back.hdr_len,
                back.needs_csum,
                back.csum_start,
                back.csum_offset
            ),
            (1, 1448, 66, true, 34, 16)
        );
    }

    #[test]
    fn a_pushed_tag_moves_the_offsets() {
        let mut o = Offload {
            gso_type: 1,
            gso_size: 1448,
            hdr_len: 66,
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
        };
        shift(&mut o, 4);
        assert_eq!((o.hdr_len, o.csum_start, o.csum_offset), (70, 38, 16));
        shift(&mut o, -4);
        assert_eq!((o.hdr_len, o.csum_start), (66, 34));
    }
}
