//! What of a pipeline is recorded, and under which names.

use std::sync::atomic::{AtomicU64, Ordering};

use vnet_packet::pcap;

/// Names one recording in a pipeline for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId(u64);

impl RecordId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The part of a pipeline that a recording is about.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// What the pipeline is: the link or the switch.
    pub whole: String,
    /// The ports that are recorded.
    pub ports: Vec<ScopePort>,
    /// All ports by number, for words.
    pub names: Vec<String>,
}

/// A port that is recorded.
#[derive(Clone, Debug, Default)]
pub struct ScopePort {
    /// Its number.
    pub number: usize,
    /// The interface of the file.
    pub name: String,
    /// The same in words.
    pub description: String,
    /// What stages at the port belong to.
    pub device: String,
    /// The link at the port.
    pub link: String,
    /// Whether the first end of that link is the one behind the port.
    pub is_first: bool,
    /// Whether frames are recorded as they arrive here, which is inbound.
    pub arriving: bool,
    /// Whether frames are recorded as they leave here, and as what.
    pub leaving: Option<pcap::Direction>,
}
