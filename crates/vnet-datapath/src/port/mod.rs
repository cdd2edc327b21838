//! Where frames enter and leave the engine.

mod bare;
mod counters;
mod info;
mod memory;
mod outbox;
mod packet;
mod replay;
mod tap;
mod write;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vnet_sys::packet::PacketSocket;

pub(crate) use counters::Counters;
pub use counters::PortStats;
pub use info::PortInfo;
pub use memory::MemoryEnd;
pub(crate) use outbox::Outbox;
pub use replay::Change;
pub(crate) use replay::{REMEMBERED, Replay};

use crate::clock::Clock;
use crate::error::EngineError;
use crate::frame::{Accepts, BIG_FRAME_MAX, FRAME_MAX, Got, Landing};
use crate::record::{Recording, Recordings};
use crate::stage::StageBox;

/// One end of a pipeline: a device's file descriptor with what the engine knows of it.
///
/// Stages attached to the device travel with it from one pipeline to the next.
pub struct Port {
    pub(crate) info: PortInfo,
    pub(crate) io: Io,
    pub(crate) counters: Counters,
    pub(crate) gone: bool,
    /// The same, for who looks on from another thread.
    gone_flag: Arc<AtomicBool>,
    /// The longest frame it brings and takes.
    pub(crate) longest: usize,
    /// Its device went down or away and nothing has passed since.
    down: bool,
    /// The device did so since somebody last looked.
    pub(crate) fell: bool,
    #[expect(
        clippy::vec_box,
        reason = "stages are large and move between ports and worker by pointer"
    )]
    pub(crate) attached: Vec<Box<StageBox>>,
    /// Recordings that go with it, while it is in no pipeline.
    pub(crate) recorder: Vec<Recording>,
    /// Its number, while anything is recorded in its pipeline.
    pub(crate) recorded: Option<usize>,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port")
            .field("info", &self.info)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

/// The ways a port reads and writes.
pub(crate) enum Io {
    Tap(tap::Tap),
    Packet(packet::Packet),
    Memory(memory::Memory),
    Replay(Box<Replay>),
    /// The port was taken out of its pipeline; its counters stay.
    Vacant,
}

impl Port {
    /// Makes a port of an attached TUN or TAP descriptor opened with IFF_NO_PI and IFF_VNET_HDR, non-blocking.
    #[must_use]
    pub fn tap(fd: OwnedFd, info: PortInfo) -> Self {
        Self::new(Io::Tap(tap::Tap::new(fd)), info)
    }

    /// Makes a port of a bound packet socket with PACKET_VNET_HDR and PACKET_AUXDATA.
    #[must_use]
    pub fn packet(socket: PacketSocket, info: PortInfo) -> Self {
        Self::new(Io::Packet(packet::Packet::new(socket)), info)
    }

    /// Makes a port that carries bare IP packets by a packet socket as for [`Port::packet`], on an interface that resolves no
    /// addresses: Ethernet headers are taken off what is read and put before what is written, addressed to `station`.
    ///
    /// What is no IP packet is dropped (`not_ip`).
    #[must_use]
    pub fn packet_l3(socket: PacketSocket, info: PortInfo, station: [u8; 6]) -> Self {
        Self::new(Io::Packet(packet::Packet::bare(socket, station)), info)
    }

    /// Makes a port of two packet sockets with PACKET_VNET_HDR: frames are read from the first and written to the second.
    ///
    /// The first has PACKET_AUXDATA too and may be bound to another interface; the second never needs to receive.
    #[must_use]
    pub fn pair(rx: PacketSocket, tx: PacketSocket, info: PortInfo) -> Self {
        Self::new(Io::Packet(packet::Packet::pair(rx, tx)), info)
    }

    /// Makes a port that lives in memory, and its other end.
    ///
    /// # Errors
    /// When the kernel gives no event descriptor.
    pub fn memory(info: PortInfo) -> Result<(Self, MemoryEnd), EngineError> {
        let (io, end) = memory::pair().map_err(|source| EngineError::Os {
            what: "make an event descriptor",
            port: info.name.clone(),
            source,
        })?;
        Ok((Self::new(Io::Memory(io), info), end))
    }

    pub(crate) fn replay(replay: Replay, info: PortInfo) -> Self {
        Self::new(Io::Replay(Box::new(replay)), info)
    }

    fn new(io: Io, info: PortInfo) -> Self {
        Self {
            info,
            io,
            counters: Counters::default(),
            gone: false,
            gone_flag: Arc::default(),
            longest: FRAME_MAX,
            down: false,
            fell: false,
            attached: Vec::new(),
            recorder: Vec::new(),
            recorded: None,
        }
    }

    /// Lets the port bring and take super-frames of up to [`BIG_TCP_MAX`](crate::BIG_TCP_MAX) bytes over IPv4: its interface
    /// and its peer's must have GSO sizes to match.
    #[must_use]
    pub fn big(self) -> Self {
        Self {
            longest: BIG_FRAME_MAX,
            ..self
        }
    }

    /// Makes what stays of a port that is taken out of its pipeline: its name and last numbers.
    pub(crate) fn leave(&mut self) -> Self {
        self.stats();
        Self {
            counters: self.counters.clone(),
            gone: true,
            ..Self::new(Io::Vacant, self.info.clone())
        }
    }

    pub(crate) fn is_vacant(&self) -> bool {
        matches!(self.io, Io::Vacant)
    }

    /// Returns what the port knows of its device.
    #[must_use]
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// Takes note of the device's MTU after it changed.
    pub fn set_mtu(&mut self, mtu: u32) {
        self.info.mtu = mtu;
    }

    /// Tells whether the device was deleted while the engine held it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns what is set when the device is found deleted, wherever the port is then.
    #[must_use]
    pub fn gone_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.gone_flag)
    }

    /// Takes note that the device was deleted.
    pub(crate) fn lose(&mut self) {
        self.gone = true;
        self.gone_flag.store(true, Ordering::Relaxed);
    }

    /// Tells whether the port's frames are recorded in whichever pipeline it is put.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        !self.recorder.is_empty()
    }

    /// Tells whether the device may vanish without another word, so that somebody must look from time to time.
    pub(crate) fn must_be_watched(&self) -> bool {
        !self.gone && self.is_silent()
    }

    fn is_silent(&self) -> bool {
        matches!(&self.io, Io::Packet(packet) if packet.is_silent())
    }

    /// Looks whether the device is still there; true when it is not.
    pub(crate) fn has_vanished(&self) -> bool {
        matches!(&self.io, Io::Packet(packet) if packet.has_vanished())
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.io {
            Io::Tap(tap) => Some(tap.fd()),
            Io::Packet(packet) => Some(packet.fd()),
            Io::Memory(memory) => Some(memory.fd()),
            Io::Replay(_) | Io::Vacant => None,
        }
    }

    /// Tells whether a read may leave each frame where the first stage wants it, whatever the frame turns out to be.
    pub(crate) fn reads_in_place(&self, accepts: Accepts, max_frame: usize) -> bool {
        match &self.io {
            // What does not fit would be cut off, not handed to the door that can cut it up.
            _ if self.longest > FRAME_MAX && self.longest > max_frame => false,
            Io::Tap(_) => true,
            // A packet has less room in a stage than the frame it is read with.
            Io::Packet(packet) if packet.is_bare() => false,
            _ => accepts == Accepts::ALL,
        }
    }

    /// What may be written to the port as it is.
    pub(crate) fn accepts(&self) -> Accepts {
        match &self.io {
            Io::Tap(_) | Io::Packet(_) => Accepts::ALL,
            Io::Memory(memory) => memory.accepts,
            Io::Replay(_) | Io::Vacant => Accepts::NONE,
        }
    }

    /// Asks the device for frames that need no more work than `accepts` takes.
    pub(crate) fn negotiate(&mut self, accepts: Accepts) {
        if let Io::Tap(tap) = &mut self.io {
            tap.negotiate(accepts);
        }
    }

    /// Has the kernel say, on a clock, when each frame came, where it can; or no longer.
    pub(crate) fn stamp_arrivals(&mut self, clock: Option<Clock>) {
        if let Io::Packet(packet) = &mut self.io {
            packet.stamp_arrivals(clock);
        }
    }

    pub(crate) fn recv(
        &mut self,
        landing: &mut Landing<'_>,
        spill: &mut [u8],
        recordings: &mut Recordings,
    ) -> Got {
        let before = landing.metas.len();
        let was_silent = self.is_silent();
        let mut got = match &mut self.io {
            Io::Tap(tap) => tap.recv(landing, spill, &mut self.counters),
            Io::Packet(packet) => packet.recv(landing, &mut self.counters),
            Io::Memory(memory) => memory.recv(landing, &mut self.counters),
            Io::Replay(replay) => replay.recv(landing, &mut self.counters),
            Io::Vacant => Got::Gone,
        };
        if matches!(got, Got::Gone) {
            self.lose();
        }
        if landing.metas.len() > before {
            self.down = false;
        }
        if self.gone || (self.is_silent() && !was_silent) {
            self.fall();
        }
        if let Some(number) = self.recorded {
            for (frame, meta) in landing
                .frames
                .as_slice()
                .iter()
                .zip(&mut *landing.metas)
                .skip(before)
            {
                meta.serial = Recordings::number(number);
                let at = frame.off as usize;
                let bytes = &landing.bytes[at..at + frame.len as usize];
                recordings.arrived(number, bytes, meta, frame.ts_ns);
            }
            if let Got::Spilled { at, len, meta } = &mut got {
                meta.serial = Recordings::number(number);
                recordings.arrived(number, &spill[*at..*at + *len], meta, landing.arrival.ts_ns);
            }
        }
        got
    }
}
