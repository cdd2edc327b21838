//! Packets longer than the MTU of the interface they leave by: cut into pieces where IPv4 allows it (RFC 791, section 3.2).

use vnet_plugin::wire::{Ipv4, ip_protocol};
use vnet_plugin::{Flow, Layer, Packet, append_to_with, checksum};

/// Returns the bytes of the longest packet that this one is: of a super-frame, one of its segments.
pub fn longest(pkt: &Packet, flow: &Flow) -> usize {
    let whole = flow.end - flow.ip_at;
    let (Some(size), Some(l4_at)) = (pkt.gso_size(), flow.l4_at) else {
        return whole;
    };
    let l4 = match flow.protocol {
        ip_protocol::TCP => pkt.frame().get(l4_at + 12).map_or(20, |words| usize::from(words >> 4) * 4),
        _ => 8,
    };
    whole.min(l4_at + l4 - flow.ip_at + usize::from(size))
}

/// Says whether a packet may be cut: IPv4 without "don't fragment", and no super-frame, which is many packets.
pub fn may_cut(pkt: &Packet, flow: &Flow) -> bool {
    let packet = pkt.frame().get(flow.ip_at..).unwrap_or_default();
    flow.src.is_ipv4() && pkt.gso_size().is_none() && !Ipv4::new_unchecked(packet).dont_fragment()
}

/// Cuts a packet: it becomes its own first piece, the others leave by port `out` in frames of their own.
///
/// False where the batch has no room for all of them.
pub fn cut(pkt: &mut Packet, flow: &Flow, mtu: usize, out: u16) -> bool {
    if pkt.csum_partial() {
        let frame = pkt.frame_mut();
        if let Some((start, offset)) = checksum::locate(frame, Layer::L2) {
            checksum::complete(frame, start, offset);
        }
        pkt.csum_finished();
    }
    let Some(packet) = pkt.frame().get(flow.ip_at..flow.end) else {
        return false;
    };
    let ip = Ipv4::new_unchecked(packet);
    let (header, more, offset) = (ip.header_len(), ip.more_fragments(), ip.fragment_offset());
    let (Some(payload), Some(headers)) = (packet.get(header..), pkt.frame().get(..flow.ip_at + header)) else {
        return false;
    };
    let step = mtu.saturating_sub(header) & !7;
    if step == 0 {
        return false;
    }
    for (number, bytes) in payload.chunks(step).enumerate().skip(1) {
        let at = number * step;
        let appended = append_to_with(out, headers.len() + bytes.len(), |piece| {
            let frame = piece.frame_mut();
            for (to, from) in frame.iter_mut().zip(headers.iter().chain(bytes)) {
                *to = *from;
            }
            let packet = frame.get_mut(flow.ip_at..).unwrap_or_default();
            finish(packet, more || at + bytes.len() < payload.len(), offset + at);
        });
        if appended.is_err() {
            return false;
        }
    }
    if pkt.set_len(flow.ip_at + header + step).is_err() {
        return false;
    }
    finish(pkt.frame_mut().get_mut(flow.ip_at..).unwrap_or_default(), true, offset);
    true
}

/// Makes a header that of a piece.
fn finish(packet: &mut [u8], more: bool, offset: usize) {
    let len = packet.len();
    let mut ip = Ipv4::new_unchecked(packet);
    ip.set_total_len(len as u16);
    ip.set_fragment(false, more, offset);
    ip.fill_checksum();
}
