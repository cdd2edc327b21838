//! A stream that knows at which byte it is.

use std::io::{ErrorKind, Read};
use std::vec::Vec;

use super::CaptureError;

#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    offset: u64,
}

impl<R: Read> Source<R> {
    pub fn new(inner: R) -> Source<R> {
        Source { inner, offset: 0 }
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills the array, or returns `None` where the file ends before its first byte.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<Option<[u8; N]>, CaptureError> {
        let mut out = [0; N];
        let mut have = 0;
        while have < N {
            match self.inner.read(&mut out[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(self.truncated(what, N - have)),
                Ok(n) => {
                    have += n;
                    self.offset += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(CaptureError::Read {
                        offset: self.offset,
                        source,
                    });
                }
            }
        }
        Ok(Some(out))
    }

    /// Fills the array.
    pub fn need<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CaptureError> {
        self.array(what)?.ok_or_else(|| self.truncated(what, N))
    }

    /// Replaces the buffer's contents by the next `len` bytes.
    pub fn fill(&mut self, buf: &mut Vec<u8>, len: usize, what: &'static str) -> Result<(), CaptureError> {
        buf.clear();
        // Reserves no more than is there, whatever a damaged length field says.
        let read = self.inner.by_ref().take(len as u64).read_to_end(buf);
        self.offset += buf.len() as u64;
        read.map_err(|source| CaptureError::Read {
            offset: self.offset,
            source,
        })?;
        if buf.len() < len {
            return Err(self.truncated(what, len - buf.len()));
        }
        Ok(())
    }

    fn truncated(&self, what: &'static str, missing: usize) -> CaptureError {
        CaptureError::Truncated {
            offset: self.offset,
            what,
            missing: missing as u64,
        }
    }
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        }
    }

    pub fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Order::Little => u64::from_le_bytes(bytes),
            Order::Big => u64::from_be_bytes(bytes),
        }
    }

    /// Returns the word at a multiple of 4 of a header that is known to be long enough.
    pub fn word(self, header: &[u8], at: usize) -> u32 {
        self.u32(crate::bytes::get_array(header, at))
    }
}
