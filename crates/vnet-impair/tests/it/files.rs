//! Traces and tables of users.

use std::io;
use std::path::Path;

use vnet_impair::{Line, Ready};

use crate::drive::{MS, Seen, impairment, send};

/// Makes an impairment ready whose only file holds `text`.
fn with_file(entries: &[(&str, &str)], text: &str) -> Result<Ready, String> {
    impairment(entries)
        .ready(&mut |_| Ok(text.to_owned()))
        .map_err(|error| error.to_string())
}

fn times(entries: &[(&str, &str)], text: &str, count: u64, bytes: u32, every: u64) -> Vec<u64> {
    let ready = with_file(entries, text).expect("the file is right");
    let mut line = Line::new([1; 32], ready, 0);
    send(&mut line, count, bytes, every)
        .iter()
        .filter(|seen| seen.is_out())
        .map(|seen| seen.at / MS)
        .collect()
}

#[test]
fn frames_leave_at_the_traces_opportunities() {
    let trace = [("trace", "lte.up")];
    assert_eq!(times(&trace, "3\n5\n5\n20\n", 6, 1_500, 0), [3, 5, 5, 20, 23, 25]);
    // Six small frames share an opportunity, the seventh needs four bytes of the next.
    assert_eq!(times(&trace, "3\n5\n", 7, 250, 0), [3, 3, 3, 3, 3, 3, 5]);
    // A super-frame takes what it needs.
    assert_eq!(times(&trace, "1\n2\n3\n4\n", 2, 4_512, 0), [3, 6]);
    // Frames 10 ms apart find these free: what came between is lost.
    assert_eq!(times(&trace, "3\n5\n", 3, 1_504, 10 * MS), [3, 10, 20]);
}

#[test]
fn delay_and_queue_go_with_a_trace() {
    let ready =
        with_file(&[("trace", "t"), ("delay", "7ms"), ("queue", "2")], "10\n").expect("the file is right");
    let mut line = Line::new([1; 32], ready, 0);
    let seen = send(&mut line, 5, 1_504, 0);
    // None is on the line before 10 ms, so two wait and three are dropped.
    assert_eq!(
        seen.iter()
            .filter(|seen| seen.is_out())
            .map(|seen| seen.at / MS)
            .collect::<Vec<_>>(),
        [17, 27]
    );
    assert_eq!(line.stats(0).queue_full, 3);
}

#[test]
fn a_change_beside_the_trace_leaves_its_place() {
    let ready =
        |delay| with_file(&[("trace", "t"), ("delay", delay)], "10\n35\n").expect("the file is right");
    let mut line: Line<u64> = Line::new([1; 32], ready("1ms"), 0);
    line.set(ready("2ms"), 20 * MS);
    line.offer(20 * MS, 100u32, 0).expect("it is taken");
    let mut seen: Vec<Seen> = Vec::new();
    crate::drive::run_until(&mut line, u64::MAX, &mut seen);
    assert_eq!(seen[0].at, 37 * MS);
}

#[test]
fn a_table_decides_the_delays() {
    let table = [
        ("delay", "100ms"),
        ("jitter", "10ms"),
        ("distribution", "modem.dist"),
    ];
    let mut seen = times(
        &table,
        "# quarters\n-8192 0\n8192 16384\n",
        10_000,
        100,
        1_000 * MS,
    );
    seen.iter_mut().for_each(|at| *at %= 1_000);
    for at in [90, 100, 110, 120] {
        let count = seen.iter().filter(|seen| **seen == at).count();
        assert!(count.abs_diff(2_500) < 200, "{count} frames take {at} ms");
    }
}

#[test]
fn an_error_names_the_file_and_the_line() {
    let error = |entries: &[(&str, &str)], text| with_file(entries, text).expect_err("the file is wrong");
    assert_eq!(
        error(&[("trace", "a/lte.up")], "1\ntwo\n"),
        "the trace a/lte.up is not right: line 2: `two` is not a whole number of milliseconds"
    );
    assert_eq!(
        error(&[("jitter", "1ms"), ("distribution", "x.dist")], "1 2\n3 4.5\n"),
        "the distribution x.dist is not right: line 2: `4.5` is not a whole number from -32768 to 32767"
    );
    let mut missing = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let error = impairment(&[("trace", "none")])
        .ready(&mut missing)
        .expect_err("there is no such file");
    assert_eq!(error.to_string(), "cannot read the trace none: entity not found");
    let error = with_file(&[("gap", "2")], "").expect_err("it does not go together");
    assert!(
        error.starts_with("gap is 2 without reorder, expected "),
        "{error}"
    );
}
