//! What users may write, and what they get when they write something else.

use std::path::PathBuf;

use proptest::prelude::*;
use vnet_impair::{Chance, Discipline, Distribution, Given, Impairment, Limit, Loss, Rate, time, time_text};

use crate::drive::impairment;

#[test]
fn writes_what_was_set_in_canonical_form() {
    let all = impairment(&[
        ("delay", "0.01s"),
        ("jitter", "1000us"),
        ("distribution", "normal"),
        ("correlation", "25%"),
        ("loss", "random 1% 25%"),
        ("duplicate", "0.5%"),
        ("reorder", "25% 50%"),
        ("gap", "5"),
        ("corrupt", "0.1%"),
        ("rate", "10000kbit"),
        ("burst", "3000b"),
        ("overhead", "-14"),
        ("limit", "50"),
        ("discipline", "codel"),
    ]);
    all.check().expect("it all goes together");
    let text: Vec<String> = all
        .entries()
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        text.join(" | "),
        "delay=10ms | jitter=1ms | distribution=normal | correlation=25% | loss=1% 25% | duplicate=0.5% | \
         reorder=25% 50% | gap=5 | corrupt=0.1% | rate=10mbit | burst=3000b | overhead=-14 | queue=50p | \
         discipline=codel 5ms 100ms"
    );
}

#[test]
fn reads_numbers_in_the_units_of_their_keys() {
    let mut numbers = Impairment::default();
    for (key, value) in [
        ("delay", Given::Float(0.01)),
        ("jitter", Given::Float(1e-3)),
        ("loss", Given::Float(0.01)),
        ("duplicate", Given::Integer(0)),
        ("rate", Given::Integer(10_000_000)),
        ("burst", Given::Integer(3_000)),
        ("overhead", Given::Integer(38)),
        ("queue", Given::Integer(50)),
    ] {
        numbers.set(key, Some(value)).expect("the value is right");
    }
    let texts = impairment(&[
        ("delay", "10ms"),
        ("jitter", "1ms"),
        ("loss", "1%"),
        ("rate", "10mbit"),
        ("burst", "3000b"),
        ("overhead", "38"),
        ("queue", "50p"),
    ]);
    assert_eq!(numbers, texts);
}

#[test]
fn knows_netems_words_for_loss_and_queues() {
    let loss = |text| impairment(&[("loss", text)]).loss;
    assert_eq!(
        loss("1%"),
        Loss::Random(Chance {
            p: 0.01,
            correlation: 0.0
        })
    );
    assert_eq!(loss("0%"), Loss::None);
    let model = |p, r, one_minus_h, one_minus_k| Loss::GilbertElliott {
        p,
        r,
        one_minus_h,
        one_minus_k,
    };
    assert_eq!(loss("gemodel 1%"), model(0.01, 0.99, 1.0, 0.0));
    assert_eq!(loss("gemodel 1% 10%"), model(0.01, 0.1, 1.0, 0.0));
    assert_eq!(loss("gemodel 1% 10% 70% 0.1%"), model(0.01, 0.1, 0.7, 0.001));
    let queue = |text| impairment(&[("queue", text)]).queue;
    assert_eq!(queue("50p"), Some(Limit::Packets(50)));
    assert_eq!(queue("50"), Some(Limit::Packets(50)));
    assert_eq!(queue("30kb"), Some(Limit::Bytes(30 * 1024)));
    let discipline = |text| impairment(&[("discipline", text)]).discipline;
    assert_eq!(discipline("droptail"), Discipline::DropTail);
    assert_eq!(discipline("codel"), Discipline::codel());
    let eager = Discipline::CoDel {
        target_ns: 1_000_000,
        interval_ns: 20_000_000,
        ecn: true,
    };
    assert_eq!(discipline("codel 1ms 20ms ecn"), eager);
}

#[test]
fn an_error_names_what_was_found_and_shows_the_right_form() {
    let error = |key: &str, value| {
        let mut impairment = Impairment::default();
        let error = impairment.set(key, Some(value)).expect_err("the value is wrong");
        assert!(impairment.is_none(), "{key} was set all the same");
        error
    };
    let meters = error("delay", Given::Text("10 meters"));
    assert_eq!(meters.found, "delay is 10 meters");
    assert_eq!(
        meters.expected,
        "a time such as \"10ms\", \"200us\", \"1.5s\" or a number of seconds, at most an hour"
    );
    for (key, value, found, example) in [
        ("delay", Given::Text("10"), "delay is 10", "\"10ms\""),
        ("delay", Given::Text(""), "delay is \"\"", "\"10ms\""),
        ("jitter", Given::Integer(-1), "jitter is -1", "\"10ms\""),
        ("loss", Given::Text("1"), "loss is 1", "\"1%\""),
        ("loss", Given::Float(1.5), "loss is 1.5", "from 0 to 1"),
        (
            "loss",
            Given::Text("gemodel 1% 2% 3% 4% 5%"),
            "loss is gemodel",
            "p r 1-h 1-k",
        ),
        ("loss", Given::Text("gemodel"), "loss is gemodel", "p r 1-h 1-k"),
        ("loss", Given::Text("1% 100%"), "loss is 1% 100%", "\"1% 25%\""),
        ("duplicate", Given::Text("1ms"), "duplicate is 1ms", "\"1% 25%\""),
        (
            "correlation",
            Given::Text("100%"),
            "correlation is 100%",
            "below 1",
        ),
        ("gap", Given::Integer(0), "gap is 0", "from 1"),
        ("rate", Given::Text("10mb"), "rate is 10mb", "\"10mbit\""),
        ("rate", Given::Text("10ms"), "rate is 10ms", "\"10mbit\""),
        ("burst", Given::Text("10mbps"), "burst is 10mbps", "\"1500b\""),
        ("overhead", Given::Integer(100_000), "overhead is 100000", "38"),
        ("queue", Given::Integer(0), "queue is 0", "at least 1"),
        ("limit", Given::Text("1s"), "limit is 1s", "\"50p\""),
        (
            "discipline",
            Given::Text("fq_codel"),
            "discipline is fq_codel",
            "\"codel 5ms 100ms ecn\"",
        ),
        (
            "discipline",
            Given::Text("codel 0ms"),
            "discipline is codel 0ms",
            "\"droptail\"",
        ),
        (
            "distribution",
            Given::Text("gauss"),
            "distribution is gauss",
            "\"normal\"",
        ),
        ("trace", Given::Text(""), "trace is \"\"", "mahimahi"),
        ("speed", Given::Text("1"), "speed is 1", "delay, jitter"),
    ] {
        let error = error(key, value);
        assert!(error.found.starts_with(found), "{}", error.found);
        assert!(error.expected.contains(example), "{}", error.expected);
    }
}

#[test]
fn refuses_what_does_not_go_together() {
    for (entries, found) in [
        (&[("gap", "5")][..], "gap is 5 without reorder"),
        (&[("reorder", "25%")], "reorder is 25% without delay"),
        (&[("burst", "3000b")], "burst is 3000b without rate"),
        (&[("overhead", "14")], "overhead is 14 without rate"),
        (&[("rate", "1mbit"), ("trace", "t")], "rate stands beside trace"),
        (&[("queue", "50")], "queue is 50p without rate or trace"),
        (
            &[("discipline", "codel")],
            "discipline is codel 5ms 100ms without rate or trace",
        ),
        (
            &[("delay", "1ms"), ("distribution", "normal")],
            "distribution is normal without jitter",
        ),
        (
            &[("delay", "1ms"), ("correlation", "25%")],
            "correlation is 25% without jitter",
        ),
    ] {
        let error = impairment(entries).check().expect_err("it does not go together");
        assert_eq!(error.found, found);
        assert!(!error.expected.is_empty());
    }
    for entries in [
        &[][..],
        &[("jitter", "1ms")],
        &[("delay", "1ms"), ("reorder", "25%"), ("gap", "5")],
        &[("trace", "t"), ("queue", "50"), ("discipline", "codel")],
    ] {
        assert_eq!(impairment(entries).check(), Ok(()), "{entries:?}");
    }
}

#[test]
fn checks_what_was_not_read_from_text() {
    let none = Impairment::default;
    let chance = |p, correlation| Chance { p, correlation };
    let rate = |bits_per_s, burst| {
        Some(Rate {
            bits_per_s,
            burst,
            overhead: 0,
        })
    };
    for wrong in [
        Impairment {
            delay_ns: u64::MAX,
            ..none()
        },
        Impairment {
            loss: Loss::Random(chance(f64::NAN, 0.0)),
            ..none()
        },
        Impairment {
            duplicate: chance(0.5, 1.0),
            ..none()
        },
        Impairment {
            corrupt: chance(1.5, 0.0),
            ..none()
        },
        Impairment {
            rate: rate(0, 0),
            ..none()
        },
        Impairment {
            rate: rate(u64::MAX, 0),
            ..none()
        },
        Impairment {
            rate: rate(1, u64::MAX),
            ..none()
        },
        Impairment {
            rate: rate(1, 0),
            queue: Some(Limit::Packets(0)),
            ..none()
        },
        Impairment {
            rate: rate(1, 0),
            discipline: Discipline::CoDel {
                target_ns: 0,
                interval_ns: 1,
                ecn: false,
            },
            ..none()
        },
    ] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_key_taken_back_takes_along_what_needs_it() {
    let mut impairment = impairment(&[
        ("delay", "10ms"),
        ("jitter", "1ms"),
        ("distribution", "normal"),
        ("correlation", "25%"),
        ("reorder", "1%"),
        ("gap", "5"),
        ("rate", "1mbit"),
        ("burst", "3000b"),
    ]);
    for key in ["jitter", "reorder", "rate"] {
        impairment.set(key, None).expect("there is such a key");
    }
    assert_eq!(impairment.entries(), [("delay", "10ms".to_owned())]);
    for key in Impairment::KEYS {
        impairment.set(key, None).expect("there is such a key");
    }
    assert!(impairment.is_none());
    assert!(impairment.set("speed", None).is_err());
}

#[test]
fn burst_may_come_before_its_rate() {
    let rate = impairment(&[("burst", "3000b"), ("rate", "1mbit")]);
    assert_eq!(rate, impairment(&[("rate", "1mbit"), ("burst", "3000b")]));
    rate.check().expect("it goes together");
}

#[test]
fn serialises_as_a_map_of_text() {
    let link = impairment(&[("delay", "10ms"), ("loss", "1%")]);
    let json = serde_json::to_string(&link).expect("it serialises");
    assert_eq!(json, r#"{"delay":"10ms","loss":"1%"}"#);
    let read = |json| serde_json::from_str::<Impairment>(json);
    assert_eq!(read(&json).expect("it reads back"), link);
    assert_eq!(
        read(r#"{"delay":0.01,"loss":0.01}"#).expect("numbers are fine"),
        link
    );
    assert!(read(r#"{"delay":"10"}"#).is_err());
    assert!(read(r#"{"gap":5}"#).is_err());
}

#[test]
fn times_stand_alone_for_schedules() {
    assert_eq!(time(Given::Text("20us")), Ok(20_000));
    assert_eq!(time_text(20_000), "20us");
    let error = time(Given::Text("20")).expect_err("it has no unit");
    assert_eq!(error.found, "time is 20");
}

fn chances() -> impl Strategy<Value = Chance> {
    let p = prop_oneof![
        0.0..=1.0,
        Just(1.0),
        (0u32..1000).prop_map(|p| f64::from(p) / 1000.0)
    ];
    (p, prop_oneof![Just(0.0), 0.0..1.0]).prop_map(|(p, correlation)| {
        if p == 0.0 {
            Chance::default()
        } else {
            Chance { p, correlation }
        }
    })
}

fn losses() -> impl Strategy<Value = Loss> {
    prop_oneof![
        Just(Loss::None),
        chances().prop_map(|chance| if chance.is_none() {
            Loss::None
        } else {
            Loss::Random(chance)
        }),
        (0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0).prop_map(|(p, r, one_minus_h, one_minus_k)| {
            Loss::GilbertElliott {
                p,
                r,
                one_minus_h,
                one_minus_k,
            }
        }),
    ]
}

fn impairments() -> impl Strategy<Value = Impairment> {
    let distribution = prop_oneof![
        Just(Distribution::Uniform),
        Just(Distribution::Normal),
        Just(Distribution::Pareto),
        Just(Distribution::ParetoNormal),
        Just(Distribution::Table(PathBuf::from("my tables/modem.dist"))),
    ];
    let hour = 3_600_000_000_000u64;
    let delay = (
        0..=hour,
        0..=hour,
        distribution,
        prop_oneof![Just(0.0), 0.0..1.0],
        chances(),
        0u32..10,
    );
    let rate = (1..100_000_000_000_000u64, 0..1u64 << 30, -65_536..65_536i32).prop_map(
        |(bits_per_s, burst, overhead)| Rate {
            bits_per_s,
            burst,
            overhead,
        },
    );
    let queue = prop_oneof![
        (1..=1_000_000u64).prop_map(Limit::Packets),
        (1..1u64 << 30).prop_map(Limit::Bytes)
    ];
    let discipline = prop_oneof![
        Just(Discipline::DropTail),
        (1..=hour, 1..=hour, any::<bool>()).prop_map(|(target_ns, interval_ns, ecn)| Discipline::CoDel {
            target_ns,
            interval_ns,
            ecn
        }),
    ];
    let paced = (
        prop::option::of(rate),
        prop::option::of(queue),
        discipline,
        any::<bool>(),
    );
    (delay, losses(), chances(), chances(), paced).prop_map(|(delay, loss, duplicate, corrupt, paced)| {
        let (delay_ns, jitter_ns, distribution, correlation, reorder, gap) = delay;
        let (rate, queue, discipline, traced) = paced;
        let trace = traced.then(|| PathBuf::from("traces/lte.up"));
        Impairment {
            delay_ns,
            jitter_ns,
            distribution,
            correlation,
            loss,
            duplicate,
            reorder,
            gap,
            corrupt,
            rate,
            queue,
            discipline,
            trace,
        }
    })
}

proptest! {
    #[test]
    fn entries_read_back_as_the_same(impairment in impairments()) {
        let mut back = Impairment::default();
        for (key, text) in impairment.entries() {
            back.set(key, Some(Given::Text(&text))).map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
        prop_assert_eq!(back, impairment);
    }

    #[test]
    fn no_text_makes_it_panic(key in prop::sample::select(Impairment::KEYS), text in "[0-9. a-z%-]{0,20}") {
        let mut impairment = Impairment::default();
        if impairment.set(key, Some(Given::Text(&text))).is_ok() {
            for (key, text) in impairment.entries() {
                prop_assert!(Impairment::default().set(key, Some(Given::Text(&text))).is_ok(), "{} {}", key, text);
            }
        }
    }
}
