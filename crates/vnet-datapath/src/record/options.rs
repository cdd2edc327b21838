//! What a recording takes, and where it goes.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use vnet_packet::Layer;

use super::memory::Memory;
use super::rotate::Rotate;

/// Says of a frame, by its first bytes and its length on the wire, whether it belongs into a recording.
pub type Filter = Arc<dyn Fn(Layer, &[u8], u32) -> bool + Send + Sync>;

/// What a recording takes of the frames it sees.
#[derive(Clone, Default)]
pub struct RecordOptions {
    /// Most bytes of a frame; `None` for all.
    pub snaplen: Option<u32>,
    /// Which frames; `None` for all.
    pub filter: Option<Filter>,
    /// When the next file is begun; `None` for one file.
    pub rotate: Option<Rotate>,
    /// How many files are kept, the newest ones; `None` for all.
    pub keep: Option<usize>,
    /// Whether frames are in it that plugins, lines or the engine dropped.
    pub dropped: bool,
    /// Whether each plugin and each line is an interface of its own.
    pub stages: bool,
}

impl std::fmt::Debug for RecordOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordOptions")
            .field("snaplen", &self.snaplen)
            .field("is_filtered", &self.filter.is_some())
            .field("rotate", &self.rotate)
            .field("keep", &self.keep)
            .field("dropped", &self.dropped)
            .field("stages", &self.stages)
            .finish()
    }
}

/// Where a recording is written.
#[derive(Debug)]
pub enum Output {
    /// A file of this name; where files rotate, `name_00001.pcapng` and so on beside it.
    File(PathBuf),
    /// A pipe or whatever takes a stream; a reader that goes away ends the recording.
    Stream(OwnedFd),
    /// Memory, which keeps the last of it.
    Memory(Memory),
}

impl Output {
    /// Returns the file's path, `-` where it is none.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Output::File(path) => path.clone(),
            Output::Stream(_) | Output::Memory(_) => PathBuf::from("-"),
        }
    }
}

/// What a finished recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Frames written.
    pub frames: u64,
    /// Frames that came faster than they could be written.
    pub lost: u64,
    /// The files that there are, oldest first.
    pub files: Vec<PathBuf>,
}
