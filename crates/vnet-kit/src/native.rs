//! Native twins of shipped plugins: the same rules in Rust, compiled for this machine, which `bench` measures beside them.
//!
//! They judge the same frames at the same addresses and write the same verdicts, so that the difference is what the sandbox
//! costs. A test holds each against the plugin it is the twin of.

use serde_json::Value;
use vnet_abi::flags;
use vnet_packet::Layer;
use vnet_packet::filter::{Filter, NoNames};
use vnet_runtime::{Fate, Frame, Frames, Reason};

/// Bytes of an Ethernet header.
const HEADER: usize = 14;

/// Slots of the table of stations, half of which the plugin fills at most.
const SLOTS: usize = 16_384;
const STATIONS: usize = SLOTS / 2;
const AGEING_NS: u64 = 300_000_000_000;

/// A rule compiled for this machine.
pub(crate) enum Native {
    /// `drop_bcast`
    Broadcast,
    /// `learning_switch`
    Switch(Box<Stations>),
    /// `filter`, and whether it drops what matches.
    Filter(Box<Filter>, bool),
}

impl Native {
    /// Returns the twin of a plugin that ships, where it has one; but for that of `filter` they know the default configuration alone.
    pub fn of(name: &str, config: &Value) -> Option<Native> {
        if name == "filter" {
            let filter = Filter::parse(config["expression"].as_str()?, &NoNames).ok()?;
            return Some(Native::Filter(Box::new(filter), config["action"] == "drop"));
        }
        if config.as_object().is_some_and(|config| !config.is_empty()) {
            return None;
        }
        match name {
            "drop_bcast" => Some(Native::Broadcast),
            "learning_switch" => Some(Native::Switch(Box::default())),
            _ => None,
        }
    }

    /// Judges every frame, as a stage would.
    pub fn run(&mut self, frames: &mut Frames, arena: &[u8]) {
        match self {
            Native::Broadcast => each(frames, arena, |_, bytes| match bytes {
                [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, rest @ ..] if rest.len() >= HEADER - 6 => {
                    Fate::Drop(Reason::Plugin(1))
                }
                _ => Fate::Pass,
            }),
            Native::Switch(stations) => each(frames, arena, |frame, bytes| stations.judge(frame, bytes)),
            Native::Filter(filter, drops) => each(frames, arena, |frame, bytes| {
                let layer = if frame.flags & flags::L3 != 0 {
                    Layer::L3
                } else {
                    Layer::L2
                };
                match (filter.matches(layer, bytes), *drops) {
                    (true, true) => Fate::Drop(Reason::Plugin(2)),
                    (false, false) => Fate::Drop(Reason::Plugin(1)),
                    _ => Fate::Pass,
                }
            }),
        }
    }
}

fn each(frames: &mut Frames, arena: &[u8], mut judge: impl FnMut(&Frame, &[u8]) -> Fate) {
    for frame in frames.as_mut_slice() {
        let start = frame.off as usize;
        let bytes = arena.get(start..start + frame.len as usize).unwrap_or_default();
        frame.fate = judge(frame, bytes);
    }
}

/// Where stations were last heard.
pub(crate) struct Stations {
    slots: Vec<Option<Heard>>,
    count: usize,
}

#[derive(Clone, Copy)]
struct Heard {
    station: u64,
    port: u16,
    at_ns: u64,
}

impl Default for Stations {
    fn default() -> Stations {
        Stations {
            slots: vec![None; SLOTS],
            count: 0,
        }
    }
}

impl Stations {
    fn judge(&mut self, frame: &Frame, bytes: &[u8]) -> Fate {
        if bytes.len() < HEADER {
            return Fate::Drop(Reason::Plugin(3));
        }
        let vlan = match bytes[12..] {
            [0x81, 0x00, high, low, ..] | [0x88, 0xa8, high, low, ..] => {
                u16::from_be_bytes([high, low]) & 0x0fff
            }
            _ => 0,
        };
        let (to, from) = (number(&bytes[..6], vlan), number(&bytes[6..12], vlan));
        if let Some(from) = from {
            self.learn(from, frame.port, frame.ts_ns);
        }
        if bytes.starts_with(&[0x01, 0x80, 0xc2, 0, 0]) && (1..16).contains(&bytes[5]) {
            return Fate::Drop(Reason::Plugin(2));
        }
        match to.and_then(|to| self.slots[self.place(to)]) {
            Some(heard) if frame.ts_ns.saturating_sub(heard.at_ns) <= AGEING_NS => match heard.port {
                port if port == frame.port => Fate::Drop(Reason::Plugin(1)),
                port => Fate::Redirect(port),
            },
            _ => Fate::Redirect(vnet_abi::FLOOD),
        }
    }

    /// Returns the slot of a station, or the one it would take: half of them stay empty.
    fn place(&self, station: u64) -> usize {
        // Fibonacci hashing: the product's high bits depend on all of the factor's.
        let hash = station.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        let mut at = hash as usize & (SLOTS - 1);
        while self.slots[at].is_some_and(|heard| heard.station != station) {
            at = (at + 1) & (SLOTS - 1);
        }
        at
    }

    fn learn(&mut self, station: u64, port: u16, at_ns: u64) {
        let at = self.place(station);
        if self.slots[at].is_none() {
            if self.count == STATIONS {
                return;
            }
            self.count += 1;
        }
        self.slots[at] = Some(Heard { station, port, at_ns });
    }
}

/// A station in its VLAN as one number; `None` for group addresses and for all zeros, which no station has.
fn number(mac: &[u8], vlan: u16) -> Option<u64> {
    let mac = mac
        .iter()
        .fold(0, |number, octet| number << 8 | u64::from(*octet));
    (mac >> 40 & 1 == 0 && mac != 0).then_some(mac << 16 | u64::from(vlan))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use vnet_abi::HEADROOM;
    use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};

    use super::*;

    /// Frames of few stations, some of them cut short, with and without a VLAN tag.
    fn frame() -> impl Strategy<Value = (Vec<u8>, u16)> {
        let mac = prop_oneof![
            Just([0xff; 6]),
            Just([0; 6]),
            (0_u8..20).prop_map(|last| [0x01, 0x80, 0xc2, 0, 0, last]),
            (0_u8..4).prop_map(|last| [2, 0, 0, 0, 0, last]),
            any::<[u8; 6]>(),
        ];
        let kind = prop_oneof![Just(vec![8, 0]), (0_u8..3).prop_map(|id| vec![0x81, 0, 0xe0, id])];
        (mac.clone(), mac, kind, 0_usize..50, 0_u16..2).prop_map(|(to, from, kind, cut, port)| {
            let mut bytes = [&to[..], &from, &kind, &[0; 44]].concat();
            if cut < 20 {
                bytes.truncate(cut);
            }
            bytes.resize(bytes.len().max(1), 0);
            (bytes, port)
        })
    }

    fn fates(name: &str, config: &Value, frames: &[(Vec<u8>, u16)]) -> (Vec<Fate>, Vec<Fate>) {
        let path = format!("{}/../../plugins/shipped/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        let module = Module::load(&Source::File(path.into()), &LoadOptions::default()).unwrap();
        let mut stage = Stage::new(
            &module,
            StageOptions {
                config: config.clone(),
                ports: 2,
                mtu: 1500,
                ..StageOptions::default()
            },
        )
        .unwrap();
        let mut native = Native::of(name, config).unwrap();
        let (mut guest, mut own) = (Vec::new(), Vec::new());
        for (bytes, port) in frames {
            let mut batch = Frames::with_capacity(8);
            stage.arena().bytes[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            let frame = Frame {
                off: HEADROOM as u32,
                len: bytes.len() as u32,
                port: *port,
                ts_ns: 1,
                ..Frame::default()
            };
            batch.push(frame);
            native.run(&mut batch, stage.arena().bytes);
            own.push(batch.as_slice()[0].fate);
            batch.clear();
            batch.push(frame);
            stage.run(&mut batch);
            guest.push(batch.as_slice()[0].fate);
        }
        (own, guest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn twins_judge_as_the_plugins_do(frames in proptest::collection::vec(frame(), 1..60)) {
            for (name, config) in [
                ("drop_bcast", json!({})),
                ("learning_switch", json!({})),
                ("filter", json!({"expression": "ip and not ether multicast or vlan 1"})),
                ("filter", json!({"expression": "ether src 02:00:00:00:00:01 or less 40", "action": "drop"})),
            ] {
                let (own, guest) = fates(name, &config, &frames);
                prop_assert_eq!(own, guest, "{}", name);
            }
        }
    }
}
