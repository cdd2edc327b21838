//! The cursor over the segments of one super-frame.

use crate::checksum::{fold, pseudo_v4, pseudo_v6, sum};
use crate::wire::{Ipv4, Ipv6, Tcp, Udp, ip_protocol, tcp_flags};

/// A cursor over the segments of one super-frame; it borrows the frame and allocates nothing.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    l3: usize,
    l4: usize,
    ip: Ip,
    transport: Transport,
    count: usize,
    next: usize,
    /// Segments of the wire in one piece; more than 1 where the pieces are super-frames themselves.
    each: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ip {
    V4 { id: u16 },
    V6,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    Tcp { seq: u32, flags: u8 },
    Udp { checksum: bool },
}

impl<'a> Segments<'a> {
    pub(super) fn new(
        headers: &'a [u8],
        payload: &'a [u8],
        size: usize,
        l3: usize,
        l4: usize,
        ip: Ip,
        transport: Transport,
    ) -> Segments<'a> {
        let count = payload.len().div_ceil(size).max(1);
        Segments {
            headers,
            payload,
            size,
            l3,
            l4,
            ip,
            transport,
            count,
            next: 0,
            each: 1,
        }
    }

    /// Makes pieces of as many segments as fit `most` bytes and IP's length field; `None` where none does.
    pub(super) fn merged(mut self, most: usize) -> Option<Self> {
        let most = most.min(self.l3 + usize::from(u16::MAX));
        self.each = most.checked_sub(self.headers.len())? / self.size;
        if self.each == 0 {
            return None;
        }
        self.size *= self.each;
        self.count = self.payload.len().div_ceil(self.size).max(1);
        Some(self)
    }

    /// Whether the checksum of an unfinished piece is left to the device, where its range starts and where it stands in that.
    pub(super) fn partial_checksum(&self) -> (bool, u16, u16) {
        let (has_one, at) = match self.transport {
            Transport::Tcp { .. } => (true, Tcp::<&[u8]>::CHECKSUM_OFFSET),
            Transport::Udp { checksum } => (checksum, Udp::<&[u8]>::CHECKSUM_OFFSET),
        };
        (has_one, self.l4 as u16, at as u16)
    }

    pub(super) fn headers_len(&self) -> usize {
        self.headers.len()
    }

    /// Returns how many segments there are in all, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns how many segments have not been written yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.count - self.next
    }

    /// Returns the bytes of the longest segment, with its headers.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.headers.len() + self.size.min(self.payload.len())
    }

    /// Writes the next segment to the start of `out` and returns its length in bytes.
    ///
    /// Returns `None` after the last one, and where `out` is shorter than the segment: that one
    /// is then still to come, as [`remaining`](Self::remaining) tells. A buffer of
    /// [`longest`](Self::longest) bytes takes every segment.
    pub fn next_into(&mut self, out: &mut [u8]) -> Option<usize> {
        let (len, pseudo) = self.next_headed_into(out)?;
        self.write_checksum(&mut out[..len], pseudo);
        Some(len)
    }

    /// As [`next_into`](Self::next_into), but with the pseudo-header's sum alone in the checksum's place.
    pub(super) fn next_unfinished_into(&mut self, out: &mut [u8]) -> Option<usize> {
        let (len, pseudo) = self.next_headed_into(out)?;
        let l4 = &mut out[self.l4..len];
        match self.transport {
            Transport::Tcp { .. } => Tcp::new_unchecked(l4).set_checksum(fold(pseudo)),
            Transport::Udp { checksum: true } => Udp::new_unchecked(l4).set_checksum(fold(pseudo)),
            Transport::Udp { checksum: false } => {}
        }
        Some(len)
    }

    /// Writes the next segment but for its checksum; returns its length and the pseudo-header's sum.
    fn next_headed_into(&mut self, out: &mut [u8]) -> Option<(usize, u32)> {
        if self.next == self.count {
            return None;
        }
        let at = self.next * self.size;
        let chunk = &self.payload[at..self.payload.len().min(at + self.size)];
        let segment = out.get_mut(..self.headers.len() + chunk.len())?;
        let (headers, payload) = segment.split_at_mut(self.headers.len());
        headers.copy_from_slice(self.headers);
        payload.copy_from_slice(chunk);
        self.fix_transport(segment, at);
        let pseudo = self.fix_ip(segment);
        self.next += 1;
        Some((segment.len(), pseudo))
    }

    fn fix_transport(&self, segment: &mut [u8], at: usize) {
        let l4 = &mut segment[self.l4..];
        match self.transport {
            Transport::Tcp { seq, mut flags } => {
                if self.next != 0 {
                    flags &= !tcp_flags::CWR;
                }
                if self.next != self.count - 1 {
                    flags &= !(tcp_flags::FIN | tcp_flags::PSH);
                }
                let mut tcp = Tcp::new_unchecked(l4);
                tcp.set_seq(seq.wrapping_add(at as u32));
                tcp.set_flags(flags);
                tcp.set_checksum(0);
            }
            Transport::Udp { .. } => {
                let len = l4.len() as u16;
                let mut udp = Udp::new_unchecked(l4);
                udp.set_len(len);
                udp.set_checksum(0);
            }
        }
    }

    /// Writes the IP header and returns the pseudo-header's sum.
    fn fix_ip(&self, segment: &mut [u8]) -> u32 {
        let protocol = match self.transport {
            Transport::Tcp { .. } => ip_protocol::TCP,
            Transport::Udp { .. } => ip_protocol::UDP,
        };
        let l4_len = segment.len() - self.l4;
        let packet = &mut segment[self.l3..];
        let len = packet.len();
        match self.ip {
            Ip::V4 { id } => {
                let mut ip = Ipv4::new_unchecked(packet);
                ip.set_total_len(len as u16);
                ip.set_id(id.wrapping_add((self.next * self.each) as u16));
                ip.fill_checksum();
                pseudo_v4(ip.src(), ip.dst(), protocol, l4_len as u16)
            }
            Ip::V6 => {
                let mut ip = Ipv6::new_unchecked(packet);
                ip.set_payload_len((len - Ipv6::<&[u8]>::HEADER_LEN) as u16);
                pseudo_v6(ip.src(), ip.dst(), protocol, l4_len as u32)
            }
        }
    }

    fn write_checksum(&self, segment: &mut [u8], pseudo: u32) {
        let l4 = &mut segment[self.l4..];
        let value = !fold(pseudo + sum(l4));
        match self.transport {
            Transport::Tcp { .. } => Tcp::new_unchecked(l4).set_checksum(value),
            Transport::Udp { checksum: true } => {
                Udp::new_unchecked(l4).set_checksum(if value == 0 { 0xffff } else { value });
            }
            Transport::Udp { checksum: false } => {}
        }
    }
}
