//! Stages that are judged elsewhere, on wires and switches whose clock the test sets.

use std::time::Duration;

use vnet_impair::{Impairment, key};
use vnet_runtime::{FaultReport, LoadOptions, Module, OnFault, Stage, StageOptions, StageStats, Trip};

use super::rig::{PASS, Rig, text};
use super::{LineAt, Place};
use crate::callout::{Answer, Caller, Verdict, callout};
use crate::stage::{Direction, LinkSide, StageBox, StageId};

const START: u64 = 1_000_000_000;

const BOTH: Place = Place::Wire(Direction::Both);

fn attach(rig: &mut Rig, place: Place, direction: Direction, options: StageOptions) -> (StageId, Caller) {
    let module = Module::load(&text(PASS), &LoadOptions::default()).unwrap();
    let stage = Stage::new(&module, StageOptions { ports: 2, ..options }).unwrap();
    let (seated, caller) = callout(stage).unwrap();
    let id = rig
        .forwarder
        .attach(place, StageBox::new(seated, direction), None);
    (id, caller)
}

fn on_fault(policy: OnFault) -> StageOptions {
    StageOptions {
        on_fault: Some(policy),
        ..StageOptions::default()
    }
}

fn eth(from: u8, to: u8, number: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5];
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

fn pump(rig: &mut Rig, port: usize) {
    while rig.forwarder.pump(port, START) {}
    check(rig);
}

fn check(rig: &mut Rig) {
    assert!(rig.forwarder.is_idle());
    let stats = rig.forwarder.stats();
    assert_eq!(stats.balance(), stats.held as i64, "{stats:?}");
}

/// Answers all that is asked just now, as `judge` says of the number in the frame.
fn answer(rig: &mut Rig, id: StageId, caller: &Caller, judge: impl Fn(u16) -> (Verdict, Option<Vec<u8>>)) {
    for question in caller.next(2000, Some(Duration::ZERO)).unwrap().unwrap() {
        let (verdict, bytes) = judge(u16::from_be_bytes([question.bytes[14], question.bytes[15]]));
        let took = Duration::from_micros(2);
        caller.answer(
            id,
            Answer {
                number: question.number,
                verdict,
                bytes,
                took,
            },
        );
    }
    rig.forwarder.take_answers(id, START);
    check(rig);
}

fn stats(rig: &Rig, id: StageId) -> StageStats {
    let stats = rig.forwarder.stage(id).unwrap().stats();
    assert_eq!(
        stats.packets_in,
        stats.passed + stats.dropped + stats.redirected + stats.tx
    );
    stats
}

#[test]
fn frames_go_on_in_order_behind_it_and_through_the_plugins_on_either_side() {
    let mut rig = Rig::wire();
    let before = rig.attach(BOTH, &text(PASS));
    let (id, caller) = attach(&mut rig, BOTH, Direction::Both, StageOptions::default());
    let behind = rig.attach(BOTH, &text(PASS));
    for n in 0..200 {
        rig.push(0, &eth(1, 2, n));
    }
    pump(&mut rig, 0);
    assert_eq!((rig.forwarder.stats().held, stats(&rig, id).waiting), (200, 200));
    assert_eq!(rig.forwarder.stage(before).unwrap().stats().passed, 200);
    assert_eq!(rig.forwarder.stage(behind).unwrap().stats().packets_in, 0);
    answer(&mut rig, id, &caller, |n| match n % 10 {
        0 => (Verdict::Drop(Some("tenth".into())), None),
        1 => (Verdict::Drop(None), None),
        2 => (Verdict::Pass, Some([&eth(1, 2, n)[..], &[7; 40]].concat())),
        3 => (Verdict::SendBack, None),
        4 => (Verdict::Redirect(1), None),
        _ => (Verdict::Pass, None),
    });
    let told = stats(&rig, id);
    assert_eq!(
        (told.passed, told.dropped, told.tx, told.redirected),
        (120, 40, 20, 20)
    );
    assert_eq!(
        (told.drops["tenth"], told.drops["drop"], told.runs),
        (20, 20, 200)
    );
    assert_eq!((told.form.as_str(), told.waiting), ("python", 0));
    assert!(told.ns_per_packet >= 2000.0);
    let left = rig.left();
    let number = |frame: &Vec<u8>| u16::from_be_bytes([frame[14], frame[15]]);
    let (redirected, others): (Vec<u16>, Vec<u16>) = left[1].iter().map(number).partition(|n| n % 10 == 4);
    let of = |kinds: &[u16]| {
        (0..200)
            .filter(|n| kinds.contains(&(n % 10)))
            .collect::<Vec<u16>>()
    };
    assert_eq!((redirected, others), (of(&[4]), of(&[2, 5, 6, 7, 8, 9])));
    assert!(
        left[1]
            .iter()
            .all(|frame| (frame.len() == 100) == (number(frame) % 10 == 2))
    );
    assert_eq!(left[0].iter().map(number).collect::<Vec<_>>(), of(&[3]));
    // What was redirected has crossed; the rest passed the plugin behind.
    assert_eq!(rig.forwarder.stage(behind).unwrap().stats().packets_in, 120);
}

#[test]
fn it_holds_1024_frames_and_drops_what_comes_beyond_them() {
    let mut rig = Rig::wire();
    let (id, caller) = attach(&mut rig, BOTH, Direction::Both, StageOptions::default());
    for n in 0..1500 {
        rig.push(0, &eth(1, 2, n));
        if n % 64 == 0 {
            pump(&mut rig, 0);
        }
    }
    pump(&mut rig, 0);
    let told = stats(&rig, id);
    assert_eq!(
        (told.waiting, told.dropped, told.drops["stage_full"]),
        (1024, 476, 476)
    );
    answer(&mut rig, id, &caller, |_| (Verdict::Pass, None));
    assert_eq!((rig.forwarder.stats().held, rig.left()[1].len()), (0, 1024));
}

#[test]
fn who_is_taken_off_gives_answered_frames_their_answers_and_the_others_to_the_fault_policy() {
    for policy in [OnFault::Open, OnFault::Closed] {
        let mut rig = Rig::wire();
        let (id, caller) = attach(&mut rig, BOTH, Direction::Both, on_fault(policy));
        for n in 0..10 {
            rig.push(0, &eth(1, 2, n));
        }
        pump(&mut rig, 0);
        for question in caller.next(4, Some(Duration::ZERO)).unwrap().unwrap() {
            let verdict = Verdict::Drop(Some("mine".into()));
            let (number, bytes, took) = (question.number, None, Duration::ZERO);
            caller.answer(
                id,
                Answer {
                    number,
                    verdict,
                    bytes,
                    took,
                },
            );
        }
        let told = rig.forwarder.detach(id).unwrap().stats();
        check(&mut rig);
        assert_eq!((told.drops["mine"], told.waiting), (4, 0));
        let (passed, unanswered) = if policy == OnFault::Open {
            (6, None)
        } else {
            (0, Some(&6))
        };
        assert_eq!((told.passed, told.drops.get("unanswered")), (passed, unanswered));
        assert_eq!(rig.left()[1].len() as u64, passed);
        // Nobody is asked about what is settled, and the end is told.
        assert!(caller.next(64, Some(Duration::ZERO)).unwrap().is_none());
    }
}

#[test]
fn a_fault_is_one_of_a_plugin_and_trips_as_one() {
    let report = || {
        Verdict::Fault(FaultReport {
            kind: "exception".into(),
            message: "ValueError: boom".into(),
            backtrace: String::new(),
            hexdump: String::new(),
        })
    };
    for policy in [OnFault::Open, OnFault::Closed] {
        let mut rig = Rig::wire();
        let trip = Trip {
            faults: 1,
            within: Duration::from_secs(60),
            retry: Duration::from_secs(60),
        };
        let options = StageOptions {
            trip: Some(trip),
            ..on_fault(policy)
        };
        let (id, caller) = attach(&mut rig, BOTH, Direction::Both, options);
        for n in 0..3 {
            rig.push(0, &eth(1, 2, n));
        }
        pump(&mut rig, 0);
        answer(&mut rig, id, &caller, |n| {
            (if n == 1 { report() } else { Verdict::Pass }, None)
        });
        let told = stats(&rig, id);
        assert_eq!((told.faults["exception"], told.state.as_str()), (1, "tripped"));
        rig.push(0, &eth(1, 2, 3));
        pump(&mut rig, 0);
        let told = stats(&rig, id);
        let left = rig.left()[1].len();
        if policy == OnFault::Open {
            assert_eq!((told.passed, told.dropped, left), (4, 0, 4));
        } else {
            assert_eq!((told.drops["fault"], told.drops["tripped"], left), (1, 1, 2));
        }
    }
}

#[test]
fn a_port_that_is_taken_out_takes_what_waits_for_it_along() {
    let mut rig = Rig::new(3);
    let place = Place::Switch(Direction::Ingress);
    let (of_switch, caller) = attach(&mut rig, place, Direction::Ingress, StageOptions::default());
    let link = Place::Link(0, Direction::Both, LinkSide::A);
    let (of_link, _ends_with_it) = attach(&mut rig, link, Direction::Both, on_fault(OnFault::Open));
    rig.push(0, &eth(1, 9, 0));
    rig.push(1, &eth(2, 9, 1));
    pump(&mut rig, 0);
    pump(&mut rig, 1);
    assert_eq!(
        (stats(&rig, of_link).waiting, stats(&rig, of_switch).waiting),
        (1, 1)
    );
    rig.forwarder.remove_port(0);
    check(&mut rig);
    // What the link let go went into the switch before its port did.
    assert_eq!(stats(&rig, of_switch).waiting, 2);
    answer(&mut rig, of_switch, &caller, |_| (Verdict::Pass, None));
    let told = rig.forwarder.stats();
    assert_eq!((told.held, told.drops["gone"]), (0, 1), "{told:?}");
}

#[test]
fn lines_and_callouts_empty_each_other_at_the_end() {
    let mut rig = Rig::wire();
    let (_, _caller) = attach(&mut rig, BOTH, Direction::Both, on_fault(OnFault::Open));
    let place = Place::Port(1, Direction::Egress);
    let (_, _other) = attach(&mut rig, place, Direction::Egress, on_fault(OnFault::Open));
    let slow = Impairment {
        delay_ns: START,
        ..Impairment::default()
    };
    let ready = slow.ready(&mut |_| unreachable!()).unwrap();
    rig.forwarder
        .set_line(LineAt::From(0), key(7, "link", "x"), Some(ready), START);
    for n in 0..5 {
        rig.push(0, &eth(1, 2, n));
    }
    pump(&mut rig, 0);
    rig.forwarder.flush_lines(START);
    check(&mut rig);
    assert_eq!((rig.forwarder.stats().held, rig.left()[1].len()), (0, 5));
}
