//! A DNS query: what is asked, and the answer that there is no such name.

use crate::names::Name;

/// Bytes of a message's header.
const HEADER: usize = 12;
/// Type and class of a question, behind its name.
const TYPE_AND_CLASS: usize = 4;
/// Bytes of an OPT record without options (RFC 6891): root, type, size, flags, length.
const OPT: usize = 11;
const OPT_TYPE: [u8; 3] = [0, 0, 41];
/// What we would take over UDP (DNS Flag Day 2020).
const UDP_SIZE: [u8; 2] = 1232_u16.to_be_bytes();

const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;
const NXDOMAIN: u8 = 3;

/// What a message to port 53 is.
pub enum Asked {
    /// A question for one name.
    Name {
        name: Name,
        /// Bytes of header and question.
        len: usize,
        /// The asker speaks EDNS.
        edns: bool,
    },
    /// No question: a response, an update, a notification.
    Other,
    /// No message that a resolver would send.
    Malformed,
}

/// Reads a message.
pub fn read(message: &[u8]) -> Asked {
    let Some([_, _, flags, _, qd0, qd1, an0, an1, _, _, ar0, ar1]) = message.first_chunk::<HEADER>().copied() else {
        return Asked::Malformed;
    };
    if flags & (RESPONSE | OPCODE) != 0 {
        return Asked::Other;
    }
    if (qd0, qd1) != (0, 1) || (an0, an1) != (0, 0) {
        return Asked::Malformed;
    }
    let Some((name, taken)) = message.get(HEADER..).and_then(Name::asked) else {
        return Asked::Malformed;
    };
    let len = HEADER + taken + TYPE_AND_CLASS;
    let Some(rest) = message.get(len..) else {
        return Asked::Malformed;
    };
    let edns = (ar0, ar1) != (0, 0) && rest.len() >= OPT && rest.starts_with(&OPT_TYPE);
    Asked::Name { name, len, edns }
}

/// Turns a query, whose header and question take `len` bytes, into the answer that the name does not exist; returns how long
/// that is, which is never longer.
pub fn deny(message: &mut [u8], len: usize, edns: bool) -> usize {
    let Some([_, _, flags, more, counts @ ..]) = message.first_chunk_mut::<HEADER>() else {
        return 0;
    };
    *flags = RESPONSE | *flags & RECURSION_DESIRED;
    *more = RECURSION_AVAILABLE | NXDOMAIN;
    *counts = [0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    match message.get_mut(len..len + OPT) {
        Some(opt) if edns => {
            opt.fill(0);
            let [_, _, kind, size0, size1, ..] = opt else { return len };
            *kind = 41;
            [*size0, *size1] = UDP_SIZE;
            len + OPT
        }
        _ => len,
    }
}
