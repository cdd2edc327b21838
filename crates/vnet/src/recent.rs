//! The last frames that a network has seen, kept in memory while it runs.

use std::sync::Arc;

use vnet_datapath::{Memory, Output, RecordOptions, Remembered};
use vnet_lab::{Captured, Recording};
use vnet_packet::summary;
use vnet_packet::walk::Sighting;

use crate::error::Error;
use crate::fork::Generation;
use crate::network::Network;
use crate::packets::Packets;

/// The last frames of a whole network with all its stages, as a capture has them; dropping it ends it.
///
/// It does not keep the network, with which it ends.
pub struct Recent {
    recording: Recording,
    memory: Memory,
    born: Generation,
}

/// A frame among the last ones.
#[derive(Clone, Debug)]
pub struct RecentFrame {
    /// Its number, counted from 0.
    pub number: u64,
    /// The interface that saw it.
    pub interface: Arc<str>,
    /// Whether it left the interface rather than came in.
    pub is_outbound: bool,
    /// Nanoseconds since 1970.
    pub ts_ns: u64,
    /// Its length in bytes.
    pub len: u32,
    /// A line on its headers.
    pub summary: String,
}

impl Network {
    /// Keeps the last frames in memory: so many records, so many bytes, and of each frame its first `snaplen`. Starts it.
    ///
    /// # Errors
    /// As [`Network::start`], and [`Error::System`] where its interfaces cannot be seen.
    pub fn recent(&self, most_records: usize, most_bytes: usize, snaplen: u32) -> Result<Recent, Error> {
        let memory = Memory::new(most_records, most_bytes);
        let options = RecordOptions {
            snaplen: Some(snaplen),
            stages: true,
            dropped: true,
            ..RecordOptions::default()
        };
        let output = Output::Memory(memory.clone());
        let recording = self.live()?.record(&Captured::Network, output, options)?;
        Ok(Recent {
            recording,
            memory,
            born: Generation::current(),
        })
    }
}

impl Recent {
    /// Returns the last `most` frames from a number on that an interface of `wanted` sent or got, the oldest first, and the
    /// number of the next.
    #[must_use]
    pub fn last(&self, from: u64, most: usize, wanted: impl Fn(&str) -> bool) -> (Vec<RecentFrame>, u64) {
        let crossed = |record: &Remembered| record.at.direction.is_some() && wanted(&record.interface);
        let (records, next) = self.memory.last(from, most, crossed);
        let shown = |record: &Arc<Remembered>| RecentFrame {
            number: record.number,
            interface: Arc::clone(&record.interface),
            is_outbound: record.at.direction == Some(crate::CaptureDirection::Outbound),
            ts_ns: record.ts_ns,
            len: record.wire_len,
            summary: summary(&record.frame, record.layer),
        };
        (records.iter().map(shown).collect(), next)
    }

    /// Returns all that is kept, and the place in it of a frame's number; `None` where that one is not kept any more.
    #[must_use]
    pub fn packets(&self, number: u64) -> Option<(Packets, usize)> {
        let records = self.memory.records();
        let at = records.iter().position(|record| record.number == number)?;
        let sightings = records.iter().map(|record| Sighting {
            ts_ns: record.ts_ns,
            interface: Arc::clone(&record.interface),
            direction: record.at.direction,
            packet: record.at.packet,
            comment: record.comment.clone(),
            layer: record.layer,
            frame: record.frame.clone(),
            wire_len: record.wire_len,
        });
        Some((Packets::of(sightings.collect()), at))
    }

    /// Returns how many frames the engine had no room for so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.recording.lost()
    }

    /// Ends it; what is kept stays. Doing it again does nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child, whose it is not.
    pub fn stop(&self) -> Result<(), Error> {
        self.born.check("the last frames of a network")?;
        self.recording.stop()?;
        Ok(())
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        let _ = self.stop();
    }
}
