//! The extended acknowledgement at the end of an error message
//! (`linux/netlink.h`, `enum nlmsgerr_attrs`).

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Flag of the error message: the request's payload is left out.
const NLM_F_CAPPED: u16 = 0x100;
/// Flag of the error message: attributes follow.
const NLM_F_ACK_TLVS: u16 = 0x200;
/// The kernel's sentence.
const NLMSGERR_ATTR_MSG: u16 = 1;
/// The attribute type without its two flag bits.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Finds the kernel's sentence in what follows the error code: the request's
/// header, the request's payload unless it is capped, and the attributes.
pub(crate) fn message(flags: u16, payload: &[u8]) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = if flags & NLM_F_CAPPED == 0 {
        usize::try_from(u32::from_ne_bytes(payload.get(..4)?.try_into().ok()?)).ok()?
    } else {
        HEADER
    };
    let mut rest = payload.get(align(request)..)?;
    while let Some(header) = rest.get(..4) {
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let value = rest.get(4..len)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = String::from_utf8_lossy(value);
            return Some(text.trim_end_matches('\0').trim_end_matches('.').to_owned());
        }
        rest = rest.get(align(len)..)?;
    }
    None
}

fn align(len: usize) -> usize {
    len.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(request: &[u8], text: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + request.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(request);
        bytes.resize(align(bytes.len()), 0);
        // An attribute of another kind first: NLMSGERR_ATTR_OFFS.
        bytes.extend_from_slice(&[8, 0, 2, 0, 1, 2, 3, 4]);
        bytes.extend_from_slice(&u16::try_from(4 + text.len()).unwrap().to_ne_bytes());
        bytes.extend_from_slice(&NLMSGERR_ATTR_MSG.to_ne_bytes());
        bytes.extend_from_slice(text);
        bytes
    }

    #[test]
    fn finds_the_sentence_behind_a_whole_and_a_capped_request() {
        let whole = reply(b"request payload", b"mtu too large\0");
        assert_eq!(message(NLM_F_ACK_TLVS, &whole).as_deref(), Some("mtu too large"));
        let capped = reply(b"", b"no such thing.\0");
        assert_eq!(
            message(NLM_F_ACK_TLVS | NLM_F_CAPPED, &capped).as_deref(),
            Some("no such thing")
        );
        assert_eq!(message(0, &capped), None);
    }

    #[test]
    fn every_truncation_is_survived() {
        let whole = reply(b"request payload", b"mtu too large\0");
        for end in 0..whole.len() {
            assert_eq!(message(NLM_F_ACK_TLVS, &whole[..end]), None);
        }
    }
}
