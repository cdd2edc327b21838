use rtrb::{Consumer, Producer, RingBuffer};
use vnet_packet::gso::Offload;

/// What travels beside a frame's bytes through a [`ring`].
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tag {
    pub ts_ns: u64,
    pub port: u16,
    pub offload: Offload,
    /// Host flags, and the number of the frame, where somebody is asked about it.
    pub flags: u16,
    pub number: u64,
}

const HEADER: usize = 40;

impl Tag {
    fn encode(&self, len: u32) -> [u8; HEADER] {
        let o = &self.offload;
        let mut h = [0; HEADER];
        h[0..4].copy_from_slice(&len.to_le_bytes());
        h[4..12].copy_from_slice(&self.ts_ns.to_le_bytes());
        h[12..14].copy_from_slice(&self.port.to_le_bytes());
        h[14] = o.gso_type;
        h[15] = u8::from(o.needs_csum);
        h[16..18].copy_from_slice(&o.gso_size.to_le_bytes());
        h[18..20].copy_from_slice(&o.hdr_len.to_le_bytes());
        h[20..22].copy_from_slice(&o.csum_start.to_le_bytes());
        h[22..24].copy_from_slice(&o.csum_offset.to_le_bytes());
        h[24..26].copy_from_slice(&self.flags.to_le_bytes());
        h[32..40].copy_from_slice(&self.number.to_le_bytes());
        h
    }

    fn decode(h: &[u8; HEADER]) -> (u32, Tag) {
        let u16_at = |i: usize| u16::from_le_bytes([h[i], h[i + 1]]);
        let len = u32::from_le_bytes([h[0], h[1], h[2], h[3]]);
        let u64_at = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&h[i..i + 8]);
            u64::from_le_bytes(bytes)
        };
        let offload = Offload {
            gso_type: h[14],
            needs_csum: h[15] != 0,
            gso_size: u16_at(16),
            hdr_len: u16_at(18),
            csum_start: u16_at(20),
            csum_offset: u16_at(22),
        };
        (
            len,
            Tag {
                ts_ns: u64_at(4),
                port: u16_at(12),
                offload,
                flags: u16_at(24),
                number: u64_at(32),
            },
        )
    }
}

/// Makes a bounded queue of frames between two threads: no lock, no allocation per frame.
///
/// `bytes` bounds the sum of all queued frames with 40 bytes of header each.
pub(crate) fn ring(bytes: usize) -> (FrameSender, FrameReceiver) {
    let (tx, rx) = RingBuffer::new(bytes);
    (FrameSender(tx), FrameReceiver(rx))
}

pub(crate) struct FrameSender(Producer<u8>);

impl FrameSender {
    /// Tells whether nobody will ever take what is queued.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }

    /// Queues a frame; false, with nothing queued, when it does not fit.
    #[must_use]
    pub(crate) fn push(&mut self, tag: &Tag, frame: &[u8]) -> bool {
        let Ok(len) = u32::try_from(frame.len()) else {
            return false;
        };
        let Ok(mut chunk) = self.0.write_chunk(HEADER + frame.len()) else {
            return false;
        };
        let (a, b) = chunk.as_mut_slices();
        copy_split(a, b, 0, &tag.encode(len));
        copy_split(a, b, HEADER, frame);
        chunk.commit_all();
        true
    }
}

fn copy_split(a: &mut [u8], b: &mut [u8], at: usize, data: &[u8]) {
    if at >= a.len() {
        let at = at - a.len();
        b[at..at + data.len()].copy_from_slice(data);
    } else {
        let n = data.len().min(a.len() - at);
        a[at..at + n].copy_from_slice(&data[..n]);
        b[..data.len() - n].copy_from_slice(&data[n..]);
    }
}

pub(crate) struct FrameReceiver(Consumer<u8>);

impl FrameReceiver {
    /// Takes the oldest frame: `take` is called with its tag and length and gives the buffer of that length to fill.
    pub(crate) fn pop_with<R>(
        &mut self,
        take: impl FnOnce(Tag, usize, &mut dyn FnMut(&mut [u8])) -> R,
    ) -> Option<R> {
        let mut header = [0; HEADER];
        {
            let chunk = self.0.read_chunk(HEADER).ok()?;
            let (a, b) = chunk.as_slices();
            header[..a.len()].copy_from_slice(a);
            header[a.len()..].copy_from_slice(b);
        }
        let (len, tag) = Tag::decode(&header);
        let len = len as usize;
        let chunk = self.0.read_chunk(HEADER + len).ok()?;
        let (a, b) = chunk.as_slices();
        let result = take(tag, len, &mut |out: &mut [u8]| {
            let n = out.len().min(len);
            let (head, tail) = split(a, b, HEADER, n);
            out[..head.len()].copy_from_slice(head);
            out[head.len()..n].copy_from_slice(tail);
        });
        chunk.commit_all();
        Some(result)
    }

    /// Takes the oldest frame into a vector of its own.
    pub(crate) fn pop(&mut self) -> Option<(Tag, Vec<u8>)> {
        self.pop_with(|tag, len, read| {
            let mut bytes = vec![0; len];
            read(&mut bytes);
            (tag, bytes)
        })
    }

    /// Tells whether nobody will queue anything any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn split<'a>(a: &'a [u8], b: &'a [u8], at: usize, n: usize) -> (&'a [u8], &'a [u8]) {
    if at >= a.len() {
        let at = at - a.len();
        (&b[at..at + n], &[])
    } else {
        let first = n.min(a.len() - at);
        (&a[at..at + first], &b[..n - first])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_and_in_order_across_the_wrap() {
        let (mut tx, mut rx) = ring(1000);
        let mut sent = 0u8;
        let mut got = 0u8;
        for _ in 0..500 {
            let frame: Vec<u8> = (0..usize::from(sent) % 120 + 1)
                .map(|i| sent.wrapping_add(i as u8))
                .collect();
            if tx.push(
                &Tag {
                    ts_ns: u64::from(sent),
                    port: u16::from(sent),
                    ..Tag::default()
                },
                &frame,
            ) {
                sent = sent.wrapping_add(1);
            } else {
                while let Some((tag, bytes)) = rx.pop() {
                    assert_eq!(tag.ts_ns, u64::from(got));
                    assert_eq!(bytes.len(), usize::from(got) % 120 + 1);
                    assert!(
                        bytes
                            .iter()
                            .enumerate()
                            .all(|(i, b)| *b == got.wrapping_add(i as u8))
                    );
                    got = got.wrapping_add(1);
                }
                assert!(rx.is_empty());
            }
        }
        assert!(sent > 50);
    }

    #[test]
    fn refuses_what_does_not_fit_and_keeps_the_rest() {
        let (mut tx, mut rx) = ring(108);
        assert!(!tx.push(&Tag::default(), &[1; 80]));
        assert!(tx.push(&Tag::default(), &[2; 68]));
        assert!(!tx.push(&Tag::default(), &[3; 1]));
        assert_eq!(rx.pop().map(|(_, b)| b), Some(vec![2; 68]));
        assert!(rx.pop().is_none());
    }
}
