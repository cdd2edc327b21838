use std::collections::BTreeMap;

use vnet_impair::Dropped;

/// Why the engine itself, not a plugin, dropped a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device to send on was deleted.
    Gone,
    /// The interface to send on is down.
    Down,
    /// The kernel refused the frame for another reason.
    TxError,
    /// The kernel's send queue stayed full.
    TxFull,
    /// Longer than the sending port's MTU allows.
    TxOversize,
    /// Shorter than the sending port's link layer allows.
    Runt,
    /// Longer than the buffer it was read into.
    Truncated,
    /// Offload fields that do not describe the frame.
    BadOffload,
    /// Longer than the next plugin's buffers.
    Oversize,
    /// Nobody took frames out of the receive queue in time.
    SinkFull,
    /// The queue of frames that turn back held too many.
    TurnFull,
    /// Redirected or flooded where there is no such port.
    NoPort,
    /// For a station on the port of the switch that it came by.
    SamePort,
    /// To an address that no switch forwards: 01:80:c2:00:00:00 to 0f.
    LinkLocal,
    /// Turned round by stages too often.
    Loop,
    /// Neither IPv4 nor IPv6 where bare packets are carried.
    NotIp,
    /// Lost by a line.
    Loss,
    /// The queue in front of a line's rate was full.
    QueueFull,
    /// Dropped by a line's CoDel.
    CoDel,
    /// More bytes were on a line than one keeps.
    FlightFull,
    /// A plugin delays as many frames as it may.
    DelayFull,
    /// All frames that this process holds take up as much memory as they may.
    StoreFull,
}

impl From<Dropped> for Cause {
    fn from(why: Dropped) -> Self {
        match why {
            Dropped::Loss => Cause::Loss,
            Dropped::QueueFull => Cause::QueueFull,
            Dropped::CoDel => Cause::CoDel,
            Dropped::FlightFull => Cause::FlightFull,
        }
    }
}

const NAMES: [&str; 22] = [
    "gone",
    "down",
    "tx_error",
    "tx_full",
    "tx_oversize",
    "runt",
    "truncated",
    "bad_offload",
    "oversize",
    "sink_full",
    "turn_full",
    "no_port",
    "same_port",
    "link_local",
    "loop",
    "not_ip",
    "loss",
    "queue_full",
    "codel",
    "flight_full",
    "delay_full",
    "store_full",
];

impl Cause {
    /// Returns the name under which it is counted.
    pub(crate) fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// Drops by cause, as plain numbers owned by one worker.
#[derive(Clone, Default, Debug)]
pub(crate) struct Causes([u64; NAMES.len()]);

impl Causes {
    pub(crate) fn add(&mut self, cause: Cause) {
        self.0[cause as usize] += 1;
    }

    pub(crate) fn named(&self) -> BTreeMap<String, u64> {
        NAMES
            .iter()
            .zip(self.0)
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| ((*name).to_owned(), n))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_order_of_the_causes() {
        let mut causes = Causes::default();
        causes.add(Cause::Gone);
        causes.add(Cause::SinkFull);
        causes.add(Cause::NoPort);
        causes.add(Cause::NoPort);
        let named = causes.named();
        assert_eq!(named.get("gone"), Some(&1));
        assert_eq!(named.get("sink_full"), Some(&1));
        assert_eq!(named.get("no_port"), Some(&2));
        assert_eq!(named.len(), 3);
        assert_eq!(causes.total(), 4);
        for why in Dropped::ALL {
            let mut causes = Causes::default();
            causes.add(why.into());
            assert_eq!(causes.named().get(why.name()), Some(&1));
        }
    }
}
