//! The switch against a simple model of one, by itself and through plugins.

use std::collections::HashMap;

use proptest::prelude::*;

use super::Place;
use super::rig::{PASS, Rig, shipped, text};
use crate::stage::{Direction, LinkSide};

const SECOND: u64 = 1_000_000_000;
const PORTS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum To {
    Station(u8),
    Broadcast,
    Group,
    LinkLocal,
    Zero,
}

#[derive(Clone, Debug)]
enum Event {
    /// A frame comes by a port: port, sender (0 is a group address), receiver, tag.
    Frame(usize, u8, To, Option<(u16, u16)>),
    /// Whatever came is carried, then some seconds pass.
    Later(u64),
    Add,
    Remove(usize),
}

fn event(comes_and_goes: bool) -> impl Strategy<Value = Event> {
    let to = prop_oneof![
        6 => (1..7u8).prop_map(To::Station),
        1 => Just(To::Broadcast),
        1 => Just(To::Group),
        1 => Just(To::LinkLocal),
        1 => Just(To::Zero),
    ];
    // Untagged, VLANs 1 and 2 with and without priority, and priority alone, which is no VLAN.
    let tag = prop_oneof![
        3 => Just(None),
        1 => (prop_oneof![Just(0x8100), Just(0x88a8)], prop_oneof![Just(1), Just(2), Just(0xe001), Just(0x6000)]).prop_map(Some),
    ];
    let frame =
        (0..PORTS + 2, 0..7u8, to, tag).prop_map(|(port, from, to, tag)| Event::Frame(port, from, to, tag));
    let changes = u32::from(comes_and_goes);
    prop_oneof![
        20 => frame,
        2 => prop_oneof![Just(1), Just(299), Just(301)].prop_map(Event::Later),
        changes => Just(Event::Add),
        changes => (0..PORTS + 2).prop_map(Event::Remove),
    ]
}

fn frame(number: u16, from: u8, to: To, tag: Option<(u16, u16)>) -> Vec<u8> {
    let mut frame = match to {
        To::Station(n) => vec![2, 0, 0, 0, 0, n],
        To::Broadcast => vec![0xff; 6],
        To::Group => vec![1, 0, 0x5e, 0, 0, 1],
        To::LinkLocal => vec![1, 0x80, 0xc2, 0, 0, 0x0e],
        To::Zero => vec![0; 6],
    };
    frame.extend(if from == 0 {
        [3, 0, 0, 0, 0, 1]
    } else {
        [2, 0, 0, 0, 0, from]
    });
    if let Some((kind, tci)) = tag {
        frame.extend(kind.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend([0x88, 0xb5]);
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// A learning switch in the plainest words.
struct Model {
    live: Vec<bool>,
    heard: HashMap<(u8, u16), (usize, u64)>,
}

impl Model {
    fn new() -> Self {
        Self {
            live: vec![true; PORTS],
            heard: HashMap::new(),
        }
    }

    /// Returns the ports a frame leaves by.
    fn forward(&mut self, port: usize, from: u8, to: To, tag: Option<(u16, u16)>, now: u64) -> Vec<usize> {
        let vlan = tag.map_or(0, |(_, tci)| tci & 0xfff);
        if from != 0 {
            self.heard.insert((from, vlan), (port, now));
        }
        let others = |live: &[bool]| (0..live.len()).filter(|p| live[*p] && *p != port).collect();
        match to {
            To::LinkLocal => Vec::new(),
            To::Station(n) => match self.heard.get(&(n, vlan)) {
                Some((out, at)) if now - at <= 300 * SECOND => {
                    Some(*out).filter(|out| *out != port).into_iter().collect()
                }
                _ => others(&self.live),
            },
            To::Broadcast | To::Group | To::Zero => others(&self.live),
        }
    }
}

/// Runs events through a switch and the model, and compares what leaves by each port, in order.
fn compare(rig: &mut Rig, events: &[Event]) {
    let mut model = Model::new();
    let mut now = SECOND;
    let mut expected = vec![Vec::new(); PORTS];
    let mut waiting: Option<usize> = None;
    for (number, event) in events.iter().enumerate() {
        // Frames that come by one port in a row are carried in one batch.
        let joins = matches!(event, Event::Frame(port, ..) if waiting == Some(*port));
        if let Some(port) = waiting.take_if(|_| !joins) {
            rig.pump(port, now);
            assert_eq!(rig.left(), expected);
            expected.iter_mut().for_each(Vec::clear);
        }
        match *event {
            Event::Frame(port, from, to, tag) if model.live.get(port) == Some(&true) => {
                let bytes = frame(number as u16, from, to, tag);
                rig.push(port, &bytes);
                for out in model.forward(port, from, to, tag, now) {
                    expected[out].push(bytes.clone());
                }
                waiting = Some(port);
            }
            Event::Frame(..) => {}
            Event::Later(seconds) => now += seconds * SECOND,
            Event::Add => {
                assert_eq!(rig.add(), model.live.len(), "numbers are never used again");
                model.live.push(true);
                expected.push(Vec::new());
            }
            Event::Remove(port) => {
                if let Some(live) = model.live.get_mut(port).filter(|live| **live) {
                    *live = false;
                    rig.forwarder.remove_port(port);
                    model.heard.retain(|_, (on, _)| *on != port);
                }
            }
        }
    }
    if let Some(port) = waiting {
        rig.pump(port, now);
        assert_eq!(rig.left(), expected);
    }
    let known: Vec<_> = rig
        .forwarder
        .learned(now)
        .iter()
        .map(|entry| ((entry.mac[5], entry.vlan.unwrap_or(0)), entry.port))
        .collect();
    if rig
        .forwarder
        .all_stats()
        .iter()
        .all(|stage| stage.name != "learning_switch")
    {
        let mut heard: Vec<_> = model
            .heard
            .iter()
            .filter(|(_, (_, at))| now - at <= 300 * SECOND)
            .map(|(station, (port, _))| (*station, *port))
            .collect();
        heard.sort_by_key(|((station, vlan), _)| (*vlan, *station));
        assert_eq!(known, heard);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn forwards_as_the_model_does(events in prop::collection::vec(event(true), 1..150)) {
        compare(&mut Rig::new(PORTS), &events);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn plugins_that_let_all_pass_change_nothing(events in prop::collection::vec(event(true), 1..100)) {
        let mut rig = Rig::new(PORTS);
        rig.attach(Place::Port(0, Direction::Both), &text(PASS));
        rig.attach(Place::Port(1, Direction::Egress), &text(PASS));
        rig.attach(Place::Link(1, Direction::Both, LinkSide::A), &text(PASS));
        rig.attach(Place::Link(2, Direction::Both, LinkSide::B), &shipped("count.wasm"));
        rig.attach(Place::Switch(Direction::Ingress), &shipped("count.wasm"));
        compare(&mut rig, &events);
    }

    #[test]
    fn the_shipped_plugin_forwards_as_the_engine_does(events in prop::collection::vec(event(false), 1..150)) {
        let mut rig = Rig::new(PORTS);
        rig.attach(Place::Switch(Direction::Ingress), &shipped("learning_switch.wasm"));
        compare(&mut rig, &events);
        prop_assert!(rig.forwarder.learned(SECOND).is_empty(), "the engine itself decided nothing");
    }
}
