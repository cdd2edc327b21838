//! Impairments and schedules in lab files and documents, and how a fault in one is told.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use vnet_impair::Impairment;
use vnet_topology::{Changes, Event, Plug, Spec, When};

fn refusal(lab: &str) -> String {
    Spec::from_toml(lab, "lab.toml").unwrap_err().to_string()
}

#[test]
fn each_impairment_is_one_for_both_directions_or_a_pair() {
    let spec = Spec::from_toml(
        r#"
        hosts = ["a", "b"]
        [[links]]
        ends = ["a", "b"]
        delay = ["10ms", 0.02]
        jitter = "1ms"
        loss = ["none", "1% 25%"]
        rate = 10_000_000
        limit = 50
        discipline = "codel"
        big_tcp = true
        busy_poll = "20us"
        schedule = [
            { at = "5s", delay = "50ms", loss = ["2%", "none"] },
            { at = 10, down = true },
            { at = 11, up = true },
            { every = "10s", down = "1s" },
        ]
        "#,
        "lab.toml",
    )
    .unwrap();
    let link = &spec.links[0];
    let [there, back] = &link.impair;
    assert_eq!((there.delay_ns, back.delay_ns), (10_000_000, 20_000_000));
    assert_eq!((there.jitter_ns, back.jitter_ns), (1_000_000, 1_000_000));
    assert!(there.loss.is_none() && !back.loss.is_none());
    assert_eq!(there.rate.unwrap().bits_per_s, 10_000_000);
    assert_eq!(there.queue, back.queue);
    assert!(link.big_tcp);
    assert_eq!(link.busy_poll_ns, Some(20_000));
    let seconds = |count: u64| count * 1_000_000_000;
    let when: Vec<When> = link.schedule.iter().map(|event| event.when).collect();
    assert_eq!(
        when,
        [
            When::At(seconds(5)),
            When::At(seconds(10)),
            When::At(seconds(11)),
            When::Every(seconds(10))
        ]
    );
    let plugs: Vec<Option<Plug>> = link.schedule.iter().map(|event| event.plug).collect();
    assert_eq!(
        plugs,
        [
            None,
            Some(Plug::Down),
            Some(Plug::Up),
            Some(Plug::DownFor(seconds(1)))
        ]
    );
    let mut after = link.impair.clone();
    link.schedule[0].changes.apply("a-b", &mut after).unwrap();
    assert_eq!(
        (after[0].delay_ns, after[1].delay_ns, after[0].jitter_ns),
        (50_000_000, 50_000_000, 1_000_000)
    );
    assert!(!after[0].loss.is_none() && after[1].loss.is_none());
}

#[test]
fn a_wrong_impairment_is_told_with_its_line_and_the_right_form() {
    let link = |line: &str| format!("hosts = [\"a\", \"b\"]\n[[links]]\nends = [\"a\", \"b\"]\n{line}\n");
    for (line, start, then) in [
        (
            "delay = \"10 meters\"",
            "4:9: links[0].delay: \"10 meters\"; expected",
            "\"10ms\"",
        ),
        (
            "delay = [\"1ms\", \"1%\"]",
            "4:17: links[0].delay[1]: \"1%\"; expected",
            "\"10ms\"",
        ),
        (
            "delay = [\"1ms\"]",
            "4:9: links[0].delay: a list of 1",
            "from b to a",
        ),
        ("delay = true", "4:9: links[0].delay: true; expected", "\"10ms\""),
        ("loss = \"1\"", "4:8: links[0].loss: \"1\"", "\"1%\""),
        ("loss = 2", "4:8: links[0].loss: the number 2", "\"1%\""),
        ("rate = \"10Mb\"", "4:8: links[0].rate: \"10Mb\"", "\"10mbit\""),
        (
            "rate = \"1mbit\"\nqueue = 5\nlimit = 6",
            "6:9: links[0].limit: the queue's limit",
            "queue or limit",
        ),
        ("queue = 50", "2:1: links[0]: queue is", "rate=\"10mbit\""),
        (
            "delay = [\"1ms\", \"none\"]\nreorder = \"1%\"",
            "2:1: links[0]: reorder is 1% without delay, from b to a",
            "",
        ),
        (
            "busy_poll = \"20\"",
            "4:13: links[0].busy_poll: \"20\"",
            "\"200us\"",
        ),
        (
            "big_tcp = 1",
            "4:11: links[0].big_tcp: the number 1",
            "true or false",
        ),
        (
            "schedule = 5",
            "4:12: links[0].schedule: the number 5",
            "a list of events",
        ),
        (
            "schedule = [{ delay = \"1ms\" }]",
            "4:13: links[0].schedule[0].at: missing",
            "at = ...",
        ),
        (
            "schedule = [{ at = 1 }]",
            "4:13: links[0].schedule[0]: an event in which nothing",
            "delay",
        ),
        (
            "schedule = [{ at = 1, down = true, up = true }]",
            "4:30: links[0].schedule[0].down: it goes",
            "down or up",
        ),
        (
            "schedule = [{ at = 1, every = 2, down = 1 }]",
            "4:31: links[0].schedule[0].every: its time",
            "at or every",
        ),
        (
            "schedule = [{ every = 2, down = 2 }]",
            "4:23: links[0].schedule[0].every: what happens",
            "shorter",
        ),
        (
            "schedule = [{ every = 2, delay = 2 }]",
            "4:23: links[0].schedule[0].every: what happens",
            "down = ",
        ),
        (
            "schedule = [{ at = 2, mtu = 2 }]",
            "4:23: links[0].schedule[0].mtu: unknown key",
            "at, every, down",
        ),
        (
            "schedule = [{ at = 2, queue = 2 }]",
            "4:13: links[0].schedule[0]: queue is",
            "rate=",
        ),
        (
            "schedule = [{ at = 9, burst = \"9kb\" }, { at = 5, rate = \"1mbit\" }, { at = 10, rate = \"none\", gap = 2 }]",
            "4:68: links[0].schedule[2]: gap is 2",
            "reorder",
        ),
    ] {
        let refused = refusal(&link(line));
        let place = format!("lab.toml:{start}");
        assert!(
            refused.starts_with(&place),
            "{line}\ngave {refused}\nnot  {place}"
        );
        assert!(refused.contains(then), "{line}\ngave {refused}\nnot ... {then}");
    }
}

#[test]
fn changes_are_all_made_or_none() {
    let mut impair = [Impairment::default(), Impairment::default()];
    let set = |text: &str, impair: &mut [Impairment; 2]| {
        let changes = Changes::from_json(text).unwrap();
        changes.apply("l", impair).map_err(|error| error.to_string())
    };
    set(r#"{"queue": 5, "rate": ["1mbit", "2mbit"]}"#, &mut impair).unwrap();
    let before = impair.clone();
    let refused = set(r#"{"delay": "1ms", "rate": "none"}"#, &mut impair).unwrap_err();
    assert!(refused.starts_with("link l: queue is"), "{refused}");
    assert_eq!(impair, before);
    set(r#"{"rate": [5, "none"], "queue": [5, "none"]}"#, &mut impair).unwrap();
    assert!(impair[1].is_none());
    assert_eq!(impair[0].rate.unwrap().bits_per_s, 5);
    for (text, start) in [
        (r#"{"delay": {}}"#, "delay: a table"),
        (r#"{"delay": ["1ms", "x"]}"#, "delay[1]: \"x\""),
        (r#"{"mtu": 5}"#, "mtu: unknown key"),
        ("[]", ": a list"),
    ] {
        let refused = Changes::from_json(text).unwrap_err().to_string();
        assert!(refused.starts_with(start), "{refused}");
    }
    let mut typed = Changes::default();
    typed.set("delay", ["10ms", "none"]).unwrap();
    assert!(typed.set("delay", ["10 meters"; 2]).is_err());
    assert!(Event::list_from_json(r#"[{"at": 1, "down": "2s"}]"#).is_ok());
}
