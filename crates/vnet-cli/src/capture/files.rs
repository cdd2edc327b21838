//! A capture in a file, or in several in a row.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use vnet::{Rotate, numbered};

use super::{Kind, Sink};
use crate::failure::Failure;

/// A file, or the newest of several; each is whole by itself.
pub(crate) struct Files {
    path: PathBuf,
    rotate: Option<Rotate>,
    keep: Option<usize>,
    /// What every file begins with: the section and the interfaces so far.
    head: Vec<u8>,
    file: BufWriter<File>,
    bytes: u64,
    begun: Instant,
    number: u32,
    there: VecDeque<PathBuf>,
}

impl Files {
    pub fn create(path: &Path, rotate: Option<Rotate>, keep: Option<usize>) -> Result<Self, Failure> {
        let first = if rotate.is_some() {
            numbered(path, 1)
        } else {
            path.to_owned()
        };
        Ok(Self {
            path: path.to_owned(),
            rotate,
            keep,
            head: Vec::new(),
            file: create(&first)?,
            bytes: 0,
            begun: Instant::now(),
            number: 1,
            there: VecDeque::from([first]),
        })
    }

    fn is_over(&self) -> bool {
        match self.rotate {
            None => false,
            Some(Rotate::Bytes(most)) => self.bytes >= most,
            Some(Rotate::Every(time)) => self.begun.elapsed() >= time,
        }
    }

    fn turn_over(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.number += 1;
        let path = numbered(&self.path, self.number);
        self.file = create(&path)?;
        self.there.push_back(path);
        while self.keep.is_some_and(|keep| self.there.len() > keep) {
            if let Some(oldest) = self.there.pop_front() {
                let _ = std::fs::remove_file(oldest);
            }
        }
        (self.bytes, self.begun) = (0, Instant::now());
        let head = std::mem::take(&mut self.head);
        self.write(&head)?;
        self.head = head;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Failure {
        Failure::File {
            what: "write",
            path: self.there.back().unwrap_or(&self.path).clone(),
            source,
        }
    }
}

impl Sink for Files {
    fn take(&mut self, kind: Kind, block: &[u8], _out: &mut Vec<u8>) -> Result<(), Failure> {
        match kind {
            Kind::Section | Kind::Interface => self.head.extend_from_slice(block),
            Kind::Packet if self.is_over() => self.turn_over()?,
            _ => {}
        }
        self.write(block)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|source| self.failed(source))
    }
}

/// Creates a file, or empties it.
pub(super) fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path).map_err(|source| Failure::File {
        what: "create",
        path: path.to_owned(),
        source,
    })?;
    Ok(BufWriter::with_capacity(256 << 10, file))
}
