//! Where the standard streams of a command lead.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use vnet_sandbox::Stdio;

use crate::error::Error;

/// Where a standard stream of a command leads.
#[derive(Debug, Default)]
pub enum Stream {
    /// To /dev/null.
    #[default]
    Null,
    /// Where the caller's own leads.
    Inherit,
    /// To a pipe whose other end the caller gets.
    Pipe,
    /// Where standard output leads; for standard error alone.
    Stdout,
    /// To this descriptor.
    Fd(OwnedFd),
}

/// The caller's ends of a command's streams; `None` where no pipe was asked for, or it was taken.
#[derive(Debug, Default)]
pub struct Pipes {
    /// What is written here the command reads.
    pub stdin: Option<OwnedFd>,
    /// What the command writes.
    pub stdout: Option<OwnedFd>,
    /// What it writes to standard error.
    pub stderr: Option<OwnedFd>,
}

/// Returns what a command reads from, and keeps the caller's end of a pipe in `ours`.
pub(super) fn input(stream: Stream, ours: &mut Option<OwnedFd>) -> Result<Stdio, Error> {
    if let Stream::Pipe = stream {
        let (reader, writer) = pipe()?;
        *ours = Some(writer);
        return Ok(Stdio::Fd(reader));
    }
    plain(stream)
}

/// Returns what a command writes to, and keeps the caller's end of a pipe in `ours`.
pub(super) fn output(stream: Stream, ours: &mut Option<OwnedFd>) -> Result<Stdio, Error> {
    if let Stream::Pipe = stream {
        let (reader, writer) = pipe()?;
        *ours = Some(reader);
        return Ok(Stdio::Fd(writer));
    }
    plain(stream)
}

fn plain(stream: Stream) -> Result<Stdio, Error> {
    match stream {
        Stream::Null => Ok(Stdio::Null),
        Stream::Inherit => Ok(Stdio::Inherit),
        Stream::Fd(fd) => Ok(Stdio::Fd(fd)),
        Stream::Pipe | Stream::Stdout => Err(Error::Invalid {
            what: "only standard error can lead where standard output does".into(),
            hint: None,
        }),
    }
}

/// Leads standard error where standard output does.
pub(super) fn copy(stdout: &Stdio) -> Result<Stdio, Error> {
    let copied = |error: io::Error| Error::io("cannot duplicate a descriptor", &error);
    Ok(match stdout {
        Stdio::Fd(fd) => Stdio::Fd(fd.try_clone().map_err(copied)?),
        Stdio::Null => Stdio::Null,
        Stdio::Inherit => Stdio::Fd(io::stdout().as_fd().try_clone_to_owned().map_err(copied)?),
    })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let (reader, writer) = io::pipe().map_err(|error| Error::io("cannot make a pipe", &error))?;
    Ok((reader.into(), writer.into()))
}
