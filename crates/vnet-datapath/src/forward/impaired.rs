//! Lines on the paths of wires and switches whose clock the test sets.

use proptest::prelude::*;
use vnet_impair::{Chance, Discipline, Impairment, Limit, Loss, Rate, Ready, key};

use super::rig::{PASS, Rig, shipped, text};
use super::{LineAt, Place};
use crate::stage::{Direction, LinkSide};

const MS: u64 = 1_000_000;
const START: u64 = 1000 * MS;

fn ready(impairment: &Impairment) -> Ready {
    impairment.ready(&mut |_| unreachable!()).unwrap()
}

fn delay(ns: u64) -> Ready {
    ready(&Impairment {
        delay_ns: ns,
        ..Impairment::default()
    })
}

fn set(rig: &mut Rig, at: LineAt, ready: Option<Ready>, now: u64) {
    let name = format!("{at:?}");
    rig.forwarder.set_line(at, key(7, "link", &name), ready, now);
}

/// A frame of an Ethernet type that nobody knows, from one station to another.
fn eth(from: u8, to: u8, number: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5];
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// Carries what waits at a port; lines may hold some of it.
fn pump(rig: &mut Rig, port: usize, now: u64) {
    while rig.forwarder.pump(port, now) {}
    check(rig);
}

fn check(rig: &mut Rig) {
    assert!(rig.forwarder.is_idle());
    let stats = rig.forwarder.stats();
    assert_eq!(stats.balance(), stats.held as i64, "{stats:?}");
}

/// Releases what is due, and tells what leaves where at what time.
fn run(rig: &mut Rig, until: u64) -> Vec<(u64, usize, Vec<u8>)> {
    let mut all = Vec::new();
    let mut take = |rig: &mut Rig, now| {
        for (port, frames) in rig.left().into_iter().enumerate() {
            all.extend(frames.into_iter().map(|frame| (now, port, frame)));
        }
    };
    while let Some(due) = rig.forwarder.next_due().filter(|due| *due <= until) {
        take(rig, due - 1);
        rig.forwarder.release(due);
        check(rig);
        take(rig, due);
    }
    take(rig, until);
    all
}

#[test]
fn a_wire_delays_each_direction_by_itself_and_to_the_nanosecond() {
    let mut rig = Rig::wire();
    set(&mut rig, LineAt::From(0), Some(delay(10 * MS)), START);
    set(&mut rig, LineAt::From(1), Some(delay(3 * MS)), START);
    rig.push(0, &eth(1, 2, 1));
    rig.push(1, &eth(2, 1, 2));
    pump(&mut rig, 0, START);
    pump(&mut rig, 1, START + 5);
    assert_eq!(rig.forwarder.stats().held, 2);
    assert_eq!(
        run(&mut rig, START + 100 * MS),
        [
            (START + 3 * MS + 5, 0, eth(2, 1, 2)),
            (START + 10 * MS, 1, eth(1, 2, 1)),
        ]
    );
    let stats = rig
        .forwarder
        .line_stats(LineAt::From(0), START + 100 * MS)
        .unwrap();
    assert_eq!((stats.frames_in, stats.frames_out), (1, 1));
    assert_eq!(rig.forwarder.stats().held, 0);
}

#[test]
fn a_frame_crosses_two_lines_of_a_switch_and_both_count_from_when_it_came() {
    let mut rig = Rig::new(3);
    set(&mut rig, LineAt::From(0), Some(delay(4 * MS)), START);
    set(&mut rig, LineAt::To(1), Some(delay(2 * MS)), START);
    rig.push(0, &eth(1, 9, 1));
    pump(&mut rig, 0, START);
    // The engine wakes up a millisecond late for the first line; the second does not add to that.
    rig.forwarder.release(START + 5 * MS);
    check(&mut rig);
    assert_eq!(rig.left(), [vec![], vec![], vec![eth(1, 9, 1)]]);
    assert_eq!(
        run(&mut rig, START + 50 * MS),
        [(START + 6 * MS, 1, eth(1, 9, 1))]
    );
    assert_eq!(
        rig.forwarder.learned(START + 50 * MS).len(),
        1,
        "learned behind the line"
    );
}

#[test]
fn plugins_of_the_link_stand_before_the_line_and_those_of_the_peer_behind() {
    let mut rig = Rig::wire();
    let seen = |rig: &Rig, n: usize| rig.forwarder.all_stats()[n].packets_in;
    rig.attach(Place::Port(0, Direction::Ingress), &text(PASS));
    rig.attach(Place::Wire(Direction::Both), &text(PASS));
    rig.attach(Place::Port(1, Direction::Egress), &text(PASS));
    set(&mut rig, LineAt::From(0), Some(delay(10 * MS)), START);
    rig.push(0, &eth(1, 2, 1));
    pump(&mut rig, 0, START);
    assert_eq!([seen(&rig, 0), seen(&rig, 1), seen(&rig, 2)], [1, 1, 0]);
    // The path is another when it leaves.
    let behind = rig.attach(Place::Port(1, Direction::Egress), &text(PASS));
    rig.attach(Place::Wire(Direction::Both), &text(PASS));
    assert_eq!(run(&mut rig, START + 50 * MS).len(), 1);
    assert_eq!([seen(&rig, 2), seen(&rig, 3), seen(&rig, 4)], [1, 1, 0]);
    rig.forwarder.detach(behind);
}

#[test]
fn what_a_link_plugin_sends_back_has_not_crossed_and_what_it_redirects_does() {
    let verdict = |v: &str| {
        text(&format!(
            r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
              (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const {v})))"#
        ))
    };
    for (fate, out) in [("3", (START, 0)), ("0x102", (START + 10 * MS, 1))] {
        let mut rig = Rig::wire();
        rig.attach(Place::Wire(Direction::Both), &verdict(fate));
        set(&mut rig, LineAt::From(0), Some(delay(10 * MS)), START);
        rig.push(0, &eth(1, 2, 1));
        pump(&mut rig, 0, START);
        let mut left: Vec<_> = rig
            .left()
            .into_iter()
            .enumerate()
            .flat_map(|(port, frames)| frames.into_iter().map(move |frame| (START, port, frame)))
            .collect();
        left.extend(run(&mut rig, START + 50 * MS));
        assert_eq!(left, [(out.0, out.1, eth(1, 2, 1))]);
    }
    // On a switch: redirected up and down, each over its line once.
    let mut rig = Rig::new(2);
    rig.attach(Place::Link(0, Direction::Ingress, LinkSide::A), &verdict("0x102"));
    rig.attach(Place::Link(1, Direction::Egress, LinkSide::A), &verdict("2"));
    set(&mut rig, LineAt::From(0), Some(delay(4 * MS)), START);
    set(&mut rig, LineAt::To(1), Some(delay(2 * MS)), START);
    rig.push(0, &eth(1, 9, 1));
    pump(&mut rig, 0, START);
    assert_eq!(
        run(&mut rig, START + 50 * MS),
        [(START + 6 * MS, 1, eth(1, 9, 1))]
    );
}

#[test]
fn taking_a_line_or_a_port_off_lets_out_in_order_what_it_holds() {
    let mut rig = Rig::new(3);
    for at in [LineAt::From(0), LineAt::To(1), LineAt::To(2)] {
        set(&mut rig, at, Some(delay(10 * MS)), START);
    }
    for n in 0..10 {
        rig.push(0, &eth(1, 9, n));
    }
    pump(&mut rig, 0, START);
    assert_eq!(rig.forwarder.stats().held, 10);
    set(&mut rig, LineAt::From(0), None, START + MS);
    check(&mut rig);
    assert_eq!(rig.forwarder.stats().held, 20, "now in front of both ports");
    set(&mut rig, LineAt::To(1), None, START + MS);
    let numbers = |frames: &[Vec<u8>]| frames.iter().map(|f| f[15]).collect::<Vec<_>>();
    let left = rig.left();
    assert_eq!(numbers(&left[1]), (0..10).collect::<Vec<_>>());
    rig.forwarder.remove_port(2);
    check(&mut rig);
    assert_eq!(numbers(&rig.left()[2]), (0..10).collect::<Vec<_>>());
    assert!(rig.forwarder.line_stats(LineAt::To(1), START).is_none());
    assert_eq!(rig.forwarder.next_due(), None);
}

#[test]
fn what_one_line_drops_doubles_and_breaks_is_counted_by_name() {
    let mut rig = Rig::wire();
    let chance = |p| Chance { p, correlation: 0.0 };
    let impairment = Impairment {
        loss: Loss::Random(chance(0.25)),
        duplicate: chance(0.25),
        corrupt: chance(0.25),
        ..Impairment::default()
    };
    set(&mut rig, LineAt::From(0), Some(ready(&impairment)), START);
    for n in 0..1000 {
        rig.push(0, &eth(1, 2, n));
    }
    pump(&mut rig, 0, START);
    let left = run(&mut rig, START + MS);
    let stats = rig.forwarder.stats();
    let line = rig.forwarder.line_stats(LineAt::From(0), START + MS).unwrap();
    assert!(
        (150..350).contains(&line.lost) && (100..300).contains(&line.duplicated),
        "{line:?}"
    );
    assert_eq!(stats.drops["loss"], line.lost);
    assert_eq!(stats.duplicated, line.duplicated);
    assert_eq!(left.len() as u64, 1000 - line.lost + line.duplicated);
    let broken = left.iter().filter(|(_, _, frame)| {
        let number = u16::from_be_bytes([frame[14], frame[15]]);
        let whole = eth(1, 2, number);
        let differs: u32 = whole.iter().zip(frame).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert!(differs <= 1 || number > 1000, "one bit at most");
        assert_eq!(frame[..14], whole[..14], "behind the Ethernet header");
        differs > 0 || number > 1000
    });
    assert!(broken.count() as u64 >= line.corrupted);
    assert_eq!(stats.held, 0);
}

#[test]
fn a_super_frame_is_cut_before_the_line_and_its_sums_are_finished_where_bits_flip() {
    for corrupts in [false, true] {
        let mut rig = Rig::wire();
        rig.accept_all(0);
        rig.accept_all(1);
        let mut impairment = Impairment {
            delay_ns: 10 * MS,
            ..Impairment::default()
        };
        if corrupts {
            impairment.corrupt = Chance {
                p: 1e-12,
                correlation: 0.0,
            };
        }
        set(&mut rig, LineAt::From(0), Some(ready(&impairment)), START);
        let (frame, offload) = super::copies::tcp(3000);
        assert!(rig.ends[0].push(&frame, offload));
        pump(&mut rig, 0, START);
        assert_eq!(rig.forwarder.stats().held, 3);
        rig.forwarder.release(START + 10 * MS);
        check(&mut rig);
        let left: Vec<_> = std::iter::from_fn(|| rig.ends[1].pop_unfinished()).collect();
        assert_eq!(left.len(), 3);
        assert!(
            left.iter()
                .all(|(frame, todo)| frame.len() <= 1514 && todo.gso_type == 0)
        );
        if corrupts {
            assert!(left.iter().all(|(_, todo)| !todo.needs_csum));
        }
    }
}

#[test]
fn codel_marks_who_knows_ecn_and_drops_the_others() {
    let mut rig = Rig::wire();
    let impairment = Impairment {
        rate: Some(Rate {
            bits_per_s: 1_000_000,
            burst: 0,
            overhead: 0,
        }),
        queue: Some(Limit::Packets(1000)),
        discipline: Discipline::CoDel {
            target_ns: 5 * MS,
            interval_ns: 100 * MS,
            ecn: true,
        },
        ..Impairment::default()
    };
    set(&mut rig, LineAt::From(0), Some(ready(&impairment)), START);
    for n in 0..400u16 {
        let mut frame = eth(1, 2, n);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        frame[14] = 0x45;
        frame[15] = if n % 2 == 0 { 0x02 } else { 0 };
        frame.resize(500, 0);
        rig.push(0, &frame);
    }
    pump(&mut rig, 0, START);
    let left = run(&mut rig, START + 10_000 * MS);
    let line = rig
        .forwarder
        .line_stats(LineAt::From(0), START + 10_000 * MS)
        .unwrap();
    assert!(line.ecn_marked > 0 && line.codel_drops > 0, "{line:?}");
    let marked = left.iter().filter(|(_, _, frame)| frame[15] & 3 == 3).count() as u64;
    assert_eq!(marked, line.ecn_marked);
    assert_eq!(rig.forwarder.stats().drops["codel"], line.codel_drops);
    assert!(left.iter().all(|(_, _, frame)| frame[15] != 1));
}

/// Delays every frame by its 17th byte in milliseconds, and has a verdict by its 18th.
const DELAYING: &str = r#"(module (memory (export "memory") 4)
  (data (i32.const 1024) "VNET\01\00\00\00\28\00\00\00\20\00\00\00\00\08\00\00\00\00\01\00\00\00\02\00\00\00\00\00")
  (func (export "vnet_info") (result i32) (i32.const 1024))
  (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
    (loop $next
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      (i32.store8 offset=12 (local.get $d) (i32.load8_u offset=17 (i32.load (local.get $d))))
      (i32.store16 offset=14 (local.get $d) (i32.or (i32.load16_u offset=14 (local.get $d)) (i32.const 512)))
      (i32.store16 offset=18 (local.get $d) (i32.const 1))
      (i32.store offset=28 (local.get $d) (i32.mul (i32.const 1000) (i32.load8_u offset=16 (i32.load (local.get $d)))))
      (local.set $d (i32.add (local.get $d) (i32.const 40)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next))
    (i32.const 0)))"#;

#[test]
fn what_a_plugin_delays_is_held_at_the_end_of_the_whole_chain() {
    let mut rig = Rig::wire();
    rig.attach(Place::Wire(Direction::Both), &text(DELAYING));
    rig.attach(Place::Port(1, Direction::Egress), &text(PASS));
    let ask = |ms: u8, verdict: u8, n: u16| {
        let mut frame = eth(1, 2, n);
        (frame[16], frame[17]) = (ms, verdict);
        frame
    };
    // PASS, DROP, REDIRECT to the other port, TX.
    for (n, verdict) in [0, 1, 2, 3].into_iter().enumerate() {
        rig.push(0, &ask(20 - n as u8, verdict, n as u16));
    }
    pump(&mut rig, 0, START);
    assert_eq!(
        rig.forwarder.all_stats()[1].packets_in,
        2,
        "the chain judged them at once"
    );
    assert_eq!(
        run(&mut rig, START + 100 * MS),
        [
            (START + 17 * MS, 0, ask(17, 3, 3)),
            (START + 18 * MS, 1, ask(18, 2, 2)),
            (START + 20 * MS, 1, ask(20, 0, 0)),
        ]
    );
    assert_eq!(rig.forwarder.stats().stage_drops, 1);
}

#[test]
fn a_plugin_has_at_most_1024_frames_held() {
    let mut rig = Rig::wire();
    let id = rig.attach(Place::Wire(Direction::Both), &text(DELAYING));
    let other = rig.attach(Place::Port(1, Direction::Ingress), &text(DELAYING));
    let mut frame = eth(1, 2, 0);
    frame[16] = 50;
    for _ in 0..1500 {
        rig.push(0, &frame);
    }
    pump(&mut rig, 0, START);
    let stats = rig.forwarder.stats();
    assert_eq!((stats.held, stats.drops["delay_full"]), (1024, 476));
    // Its frames are due when they are, whether it is still there or not.
    rig.forwarder.detach(id);
    rig.push(1, &frame);
    pump(&mut rig, 1, START);
    assert_eq!(rig.forwarder.stats().held, 1025, "each stage has room of its own");
    rig.forwarder.detach(other);
    assert_eq!(run(&mut rig, START + 100 * MS).len(), 1025);
}

#[derive(Clone, Debug)]
enum Event {
    Frame(usize, u8, u8),
    Later(u64),
    Line(LineAt, Option<(u64, f64, f64, Option<u64>)>),
    Attach(usize),
    Detach,
    Remove(usize),
}

fn event(ports: usize) -> impl Strategy<Value = Event> {
    let at = (0..ports, any::<bool>()).prop_map(|(port, from)| {
        if from {
            LineAt::From(port)
        } else {
            LineAt::To(port)
        }
    });
    let impairment = (
        prop_oneof![Just(0), Just(MS), Just(50 * MS)],
        prop_oneof![Just(0.0), Just(0.2)],
        prop_oneof![Just(0.0), Just(0.3)],
        prop::option::of(prop_oneof![Just(100_000u64), Just(10_000_000)]),
    );
    prop_oneof![
        20 => (0..ports, 0..5u8, 0..5u8).prop_map(|(port, from, to)| Event::Frame(port, from, to)),
        6 => (0..60 * MS).prop_map(Event::Later),
        4 => (at, prop::option::of(impairment)).prop_map(|(at, how)| Event::Line(at, how)),
        1 => (0..5usize).prop_map(Event::Attach),
        1 => Just(Event::Detach),
        1 => (0..ports).prop_map(Event::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_frame_is_held_gone_or_dropped_by_name_whatever_changes(
        events in prop::collection::vec(event(4), 1..150),
    ) {
        let mut rig = Rig::new(4);
        let mut now = START;
        let mut live = [true; 4];
        let mut attached = Vec::new();
        for (n, event) in events.into_iter().enumerate() {
            match event {
                Event::Frame(port, from, to) if live[port] => {
                    rig.push(port, &eth(from, to, n as u16));
                    if n % 3 > 0 {
                        pump(&mut rig, port, now);
                    }
                }
                Event::Later(ns) => {
                    run(&mut rig, now + ns);
                    now += ns;
                }
                Event::Line(at @ (LineAt::From(port) | LineAt::To(port)), how) if live[port] => {
                    let how = how.map(|(delay_ns, loss, twice, rate)| ready(&Impairment {
                        delay_ns,
                        loss: Loss::Random(Chance { p: loss, correlation: 0.0 }),
                        duplicate: Chance { p: twice, correlation: 0.0 },
                        rate: rate.map(|bits_per_s| Rate { bits_per_s, burst: 0, overhead: 0 }),
                        queue: rate.map(|_| Limit::Packets(10)),
                        ..Impairment::default()
                    }));
                    set(&mut rig, at, how, now);
                }
                Event::Attach(0) => attached.push(rig.attach(Place::Switch(Direction::Ingress), &shipped("count.wasm"))),
                Event::Attach(port) if live[port - 1] => {
                    let link = Place::Link(port - 1, Direction::Both, LinkSide::A);
                    attached.push(rig.attach(link, &text(DELAYING)));
                }
                Event::Detach => {
                    if let Some(id) = attached.pop() {
                        rig.forwarder.detach(id);
                    }
                }
                Event::Remove(port) if live[port] => {
                    live[port] = false;
                    rig.forwarder.remove_port(port);
                }
                _ => {}
            }
            check(&mut rig);
        }
        rig.forwarder.flush_lines(now);
        check(&mut rig);
        prop_assert_eq!(rig.forwarder.stats().held, 0);
        prop_assert_eq!(rig.forwarder.next_due(), None);
    }
}
