//! Echo requests and what answers them, as bytes (RFC 792, RFC 4443).

use vnet_packet::checksum;

/// Bytes of an echo message before its payload.
pub(super) const HEADER: usize = 8;

/// Bytes of the payload that name the ping and the request.
const MARK: usize = 16;

pub(super) mod kind {
    pub(in crate::ping) const REPLY: u8 = 0;
    pub(in crate::ping) const UNREACHABLE: u8 = 3;
    pub(in crate::ping) const REQUEST: u8 = 8;
    pub(in crate::ping) const EXCEEDED: u8 = 11;
    pub(in crate::ping) const UNREACHABLE_V6: u8 = 1;
    pub(in crate::ping) const TOO_BIG_V6: u8 = 2;
    pub(in crate::ping) const EXCEEDED_V6: u8 = 3;
    pub(in crate::ping) const REQUEST_V6: u8 = 128;
    pub(in crate::ping) const REPLY_V6: u8 = 129;
}

/// A message that concerns a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// An answer, with what it carries.
    Reply { id: u16, seq: u16, payload: &'a [u8] },
    /// Somebody could not deliver the request.
    Refusal { id: u16, seq: u16, kind: u8, code: u8 },
}

/// Writes an echo request; the kernel writes the sum of an ICMPv6 one.
pub(super) fn request(ipv6: bool, id: u16, seq: u16, token: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[0] = if ipv6 { kind::REQUEST_V6 } else { kind::REQUEST };
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    bytes[6..8].copy_from_slice(&seq.to_be_bytes());
    bytes.extend(payload(token, seq, size));
    if !ipv6 {
        let sum = checksum::internet(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// What a request carries: its ping, its number, then a pattern.
pub(super) fn payload(token: u64, seq: u16, size: usize) -> impl Iterator<Item = u8> {
    let mut mark = [0; MARK];
    mark[..8].copy_from_slice(&token.to_be_bytes());
    mark[8..].copy_from_slice(&u64::from(seq).to_be_bytes());
    mark.into_iter()
        .chain((MARK..size.max(MARK)).map(|at| at as u8))
        .take(size)
}

/// Reads an ICMP message, without its IP header.
pub(super) fn read(ipv6: bool, bytes: &[u8]) -> Option<Heard<'_>> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let kind = header[0];
    let reply = if ipv6 { kind::REPLY_V6 } else { kind::REPLY };
    if kind == reply {
        let (id, seq) = echo(header)?;
        return Some(Heard::Reply {
            id,
            seq,
            payload: rest,
        });
    }
    let refusals: &[u8] = if ipv6 {
        &[kind::UNREACHABLE_V6, kind::TOO_BIG_V6, kind::EXCEEDED_V6]
    } else {
        &[kind::UNREACHABLE, kind::EXCEEDED]
    };
    if !refusals.contains(&kind) {
        return None;
    }
    // The packet that was refused follows, from its IP header on.
    let (protocol, length, icmp, request) = if ipv6 {
        (*rest.get(6)?, 40, 58, kind::REQUEST_V6)
    } else {
        (*rest.get(9)?, usize::from(rest[0] & 15) * 4, 1, kind::REQUEST)
    };
    let inner = rest.get(length..)?;
    if protocol != icmp || *inner.first()? != request {
        return None;
    }
    let (id, seq) = echo(inner)?;
    Some(Heard::Refusal {
        id,
        seq,
        kind,
        code: header[1],
    })
}

fn echo(header: &[u8]) -> Option<(u16, u16)> {
    let field = |at: usize| Some(u16::from_be_bytes(header.get(at..at + 2)?.try_into().ok()?));
    Some((field(4)?, field(6)?))
}

/// Says why a request was refused.
pub(super) fn reason(ipv6: bool, kind: u8, code: u8) -> &'static str {
    match (ipv6, kind, code) {
        (false, kind::EXCEEDED, 0) | (true, kind::EXCEEDED_V6, 0) => "hop limit exceeded",
        (false, kind::EXCEEDED, _) | (true, kind::EXCEEDED_V6, _) => "fragments missing",
        (true, kind::TOO_BIG_V6, _) | (false, _, 4) => "packet too big",
        (false, _, 0) | (true, _, 0) => "network unreachable",
        (false, _, 1) | (true, _, 3) => "host unreachable",
        (false, _, 2) => "protocol unreachable",
        (false, _, 3) | (true, _, 4) => "port unreachable",
        (false, _, 9 | 10 | 13) | (true, _, 1) => "prohibited",
        _ => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_what_was_asked() {
        let mut bytes = request(false, 7, 9, 0x1122_3344_5566_7788, 56);
        assert_eq!(bytes.len(), HEADER + 56);
        assert_eq!(checksum::internet(&bytes), 0, "a right sum sums up to zero");
        bytes[0] = kind::REPLY;
        let Some(Heard::Reply {
            id,
            seq,
            payload: got,
        }) = read(false, &bytes)
        else {
            panic!("{bytes:?}");
        };
        assert_eq!((id, seq), (7, 9));
        assert!(got.iter().copied().eq(payload(0x1122_3344_5566_7788, 9, 56)));
        assert_eq!(request(true, 1, 2, 3, 0).len(), HEADER);
    }

    #[test]
    fn a_refusal_names_its_request() {
        let mut refusal = vec![kind::EXCEEDED, 0, 0, 0, 0, 0, 0, 0];
        let mut ip = vec![0; 24];
        ip[0] = 0x46;
        ip[9] = 1;
        refusal.extend(ip);
        refusal.extend(&request(false, 5, 6, 1, 56)[..8]);
        let heard = read(false, &refusal);
        assert_eq!(
            heard,
            Some(Heard::Refusal {
                id: 5,
                seq: 6,
                kind: 11,
                code: 0
            })
        );
        assert_eq!(reason(false, 11, 0), "hop limit exceeded");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = request(false, 5, 6, 1, 56);
        for kind in 0..=255 {
            for len in 0..whole.len() {
                for ipv6 in [false, true] {
                    let mut bytes = whole[..len].to_vec();
                    bytes.splice(..len.min(1), [kind].into_iter().take(len.min(1)));
                    read(ipv6, &bytes);
                    bytes.splice(
                        len.min(8)..len.min(9),
                        [0x4f].into_iter().take(len.min(9) - len.min(8)),
                    );
                    read(ipv6, &bytes);
                }
            }
        }
    }
}
