//! What `vnet capture` does with the stream it gets.

mod blocks;
mod classic;
mod files;
mod lines;
mod pump;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

use vnet::pcap::CaptureError;

use crate::failure::Failure;

pub(crate) use blocks::{Blocks, Kind};
pub(crate) use classic::Classic;
pub(crate) use files::Files;
pub(crate) use lines::Lines;
pub(crate) use pump::{Ended, PATIENCE, Pump};

/// Where a capture goes, block by block.
pub(crate) trait Sink {
    /// Takes a block in; what is for standard output is added to `out`.
    fn take(&mut self, kind: Kind, block: &[u8], out: &mut Vec<u8>) -> Result<(), Failure>;

    /// Has all that was taken reach its file.
    fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The stream as it is, for standard output.
pub(crate) struct Raw;

impl Sink for Raw {
    fn take(&mut self, _kind: Kind, block: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend_from_slice(block);
        Ok(())
    }
}

/// Bytes for a reader, as many as have come: an end that more may follow.
#[derive(Clone, Default)]
struct Feed(Rc<RefCell<VecDeque<u8>>>);

impl Feed {
    fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().extend(bytes);
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

/// Says that the owner of the lab sends what is no capture.
fn damaged(error: &CaptureError) -> Failure {
    Failure::Os {
        what: "read the capture",
        source: io::Error::other(error.to_string()),
    }
}
