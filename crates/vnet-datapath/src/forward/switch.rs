//! The learning switch: where a frame goes that no stage sent elsewhere, and the ports that come and go.

use super::{Forwarder, Parcel};
use crate::cause::Cause;
use crate::fdb::{Learned, Station};
use crate::path::descending;
use crate::port::Port;
use crate::record::Dropper;
use crate::stage::StageBox;

/// Bytes of an Ethernet header.
const HEADER: usize = 14;

/// Tag protocol identifiers of IEEE 802.1Q and 802.1ad.
const TAGGED: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];

/// First five bytes of the addresses that no bridge forwards (IEEE 802.1Q, table 8-1); the sixth is 1 to 15.
const LINK_LOCAL: [u8; 5] = [0x01, 0x80, 0xc2, 0x00, 0x00];

/// Who a frame is from and for, in which VLAN.
struct Heading {
    to: [u8; 6],
    from: [u8; 6],
    /// 0 without a tag.
    vlan: u16,
}

impl Heading {
    fn of(frame: &[u8]) -> Option<Self> {
        let (to, rest) = frame.get(..HEADER)?.split_first_chunk()?;
        let (from, kind) = rest.split_first_chunk()?;
        let vlan = match frame.get(HEADER..HEADER + 2) {
            Some(&[high, low]) if TAGGED.iter().any(|tag| kind == tag) => {
                u16::from_be_bytes([high, low]) & 0x0fff
            }
            _ => 0,
        };
        Some(Self {
            to: *to,
            from: *from,
            vlan,
        })
    }

    fn is_link_local(&self) -> bool {
        // The bridge group address itself goes on, as through a Linux bridge that does no spanning tree.
        self.to[..5] == LINK_LOCAL && (1..16).contains(&self.to[5])
    }
}

impl Forwarder {
    /// Learns from a frame that entered by a port, and forwards it.
    pub(super) fn forward(&mut self, port: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let Some(heading) = Heading::of(&bytes[off..off + len]) else {
            return self.drop_frame(Dropper::Switch, Cause::Runt, &bytes[off..off + len], &parcel);
        };
        let Some(fdb) = &mut self.fdb else { return };
        if let Some(from) = Station::new(heading.from, heading.vlan)
            && !fdb.learn(from, port, self.now)
        {
            self.ledger.unlearned += 1;
        }
        if heading.is_link_local() {
            let frame = &bytes[off..off + len];
            return self.drop_frame(Dropper::Switch, Cause::LinkLocal, frame, &parcel);
        }
        let known = Station::new(heading.to, heading.vlan).and_then(|to| fdb.port_of(to, self.now));
        match known {
            Some(out) if out == port => {
                self.drop_frame(Dropper::Switch, Cause::SamePort, &bytes[off..off + len], &parcel);
            }
            Some(out) => {
                if self.recordings.is_on() {
                    let frame = &bytes[off..off + len];
                    self.recordings
                        .switched(&[out], false, frame, &parcel.meta, parcel.ts_ns);
                }
                self.step(descending(out), 0, bytes, off, len, parcel);
            }
            None => self.flood(port, bytes, off, len, parcel),
        }
    }

    /// Sends a copy out by every port but one, all from the same bytes: no way out changes them.
    pub(super) fn flood(&mut self, but: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let copies = self.live.iter().filter(|port| **port != but).count() as u64;
        if copies == 0 {
            return self.drop_frame(Dropper::Switch, Cause::NoPort, &bytes[off..off + len], &parcel);
        }
        if self.recordings.is_on() {
            let to: Vec<usize> = self.live.iter().copied().filter(|port| *port != but).collect();
            let frame = &bytes[off..off + len];
            self.recordings
                .switched(&to, true, frame, &parcel.meta, parcel.ts_ns);
        }
        self.ledger.flooded += copies - 1;
        for i in 0..self.live.len() {
            let port = self.live[i];
            if port != but {
                self.step(descending(port), 0, bytes, off, len, parcel);
            }
        }
    }

    /// Adds a port under the next number.
    pub(crate) fn add_port(&mut self, port: Port) -> usize {
        let number = self.seat(port);
        self.recordings.mark(&mut self.ports);
        self.rebuild_port(number);
        self.stamp_arrivals();
        number
    }

    /// Takes a port out with the stages attached to it, after what its lines hold, and gives those of its link, too. Its number
    /// stays vacant.
    #[expect(clippy::vec_box, reason = "stages are large and move by pointer")]
    pub(crate) fn remove_port(&mut self, port: usize) -> (Port, Vec<Box<StageBox>>) {
        self.flush_port(port);
        self.flush_callouts_at(port);
        self.unseat(port);
        let link = std::mem::take(&mut self.places.ports[port].link);
        let ended = link
            .into_iter()
            .filter_map(|(stage, ..)| {
                let mut stage = self.stages[stage].take()?;
                stage.stage.unshare_arena();
                Some(stage)
            })
            .collect();
        self.live.retain(|live| *live != port);
        self.forget_learned(port);
        let vacant = self.ports[port].leave();
        let taken = std::mem::replace(&mut self.ports[port], vacant);
        self.rebuild_port(port);
        self.share_arenas();
        (taken, ended)
    }

    /// Forgets what was learned at a port, so that frames for the stations there are flooded and find another way.
    pub(crate) fn forget_learned(&mut self, port: usize) {
        if let Some(fdb) = &mut self.fdb {
            fdb.forget_port(port);
        }
    }

    /// Forgets what was learned at a port whose device has gone down since the last look.
    pub(super) fn note_fall(&mut self, port: usize) {
        if std::mem::take(&mut self.ports[port].fell) {
            self.forget_learned(port);
        }
    }

    /// Returns the stage at the entrance that takes the shortest frames, with their length.
    pub(crate) fn narrowest(&self) -> Option<(&str, u32)> {
        let stages = self
            .places
            .switch
            .iter()
            .filter_map(|stage| self.stages[*stage].as_ref());
        stages
            .map(|stage| (stage.stage.name(), stage.stage.traits().max_frame))
            .min_by_key(|(_, max)| *max)
    }

    /// Learns entries as if their stations had been heard at `now`; those of vacant ports are left out.
    pub(crate) fn seed_fdb(&mut self, entries: &[([u8; 6], Option<u16>, usize)], now: u64) {
        let Some(fdb) = &mut self.fdb else { return };
        for (mac, vlan, port) in entries {
            let is_live = self.ports.get(*port).is_some_and(|p| !p.is_vacant());
            if is_live
                && let Some(station) = Station::new(*mac, vlan.unwrap_or(0) & 0x0fff)
                && !fdb.learn(station, *port, now)
            {
                self.ledger.unlearned += 1;
            }
        }
    }

    pub(crate) fn learned(&self, now: u64) -> Vec<Learned> {
        self.fdb.as_ref().map_or_else(Vec::new, |fdb| fdb.entries(now))
    }

    /// Tells whether a frame may be waiting anywhere between two batches, which must never be.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.is_empty() && self.scratch.turns.list.is_empty()
    }
}
