//! What a plugin may ask of the host.

use serde_json::json;
use vnet_runtime::{Fate, LogRecord, Reason, StageOptions};

use crate::support::*;

const LOG: &str = r#"(import "vnet" "log" (func $log (param i32 i32 i32)))"#;

#[test]
fn log_lines_reach_the_reader() {
    let head = format!(r#"{LOG} (data (i32.const 0) "hello\ff")"#);
    let body = r"(call $log (i32.const 0) (i32.const 0) (i32.const 5)) (call $log (i32.const 3) (i32.const 0) (i32.const 6))
        (call $log (i32.const 77) (i32.const 0) (i32.const 1)) (i32.const 0)";
    let mut rig = Rig::new(&simple(&head, body));
    rig.one(&[1; 60]);
    let LogRecord {
        stage,
        level,
        message,
        ..
    } = rig.logs.pop().unwrap();
    assert_eq!((stage.as_str(), level, message.as_str()), ("test", 0, "hello"));
    assert_eq!(rig.log_lines(), [(3, "hello\u{fffd}".into()), (3, "h".into())]);
}

#[test]
fn long_lines_are_cut_and_many_lines_are_limited() {
    let mut rig = Rig::new(&simple(
        LOG,
        "(call $log (i32.const 2) (i32.const 0) (i32.const 5000)) (i32.const 0)",
    ));
    rig.one(&[1; 60]);
    assert_eq!(rig.log_lines()[0].1.len(), 1024);
    for _ in 0..20 {
        rig.run(&[&[1; 60][..]; 64]);
    }
    let lines = rig.log_lines().len() as u64;
    assert!((10..=64).contains(&lines), "{lines}");
    assert_eq!(rig.stats().logs_lost, 20 * 64 - lines);
    assert_eq!(rig.stats().passed, 20 * 64 + 1);
}

#[test]
fn log_works_in_the_start_function() {
    let head = format!(
        r#"{LOG} (data (i32.const 0) "up") (func $s (call $log (i32.const 2) (i32.const 0) (i32.const 2))) (start $s)"#
    );
    assert_eq!(
        Rig::new(&simple(&head, "(i32.const 0)")).log_lines(),
        [(2, "up".into())]
    );
}

const COUNTERS: &str = r#"(import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
    (import "vnet" "count" (func $count (param i32 i64)))"#;

#[test]
fn counters_count_and_wrap() {
    let head = format!("{COUNTERS} (data (i32.const 0) \"arpbad\")");
    let body = r"(call $count (call $counter (i32.const 0) (i32.const 3)) (i64.const 5))
        (call $count (call $counter (i32.const 3) (i32.const 3)) (i64.const -1))
        (call $count (call $counter (i32.const 3) (i32.const 3)) (i64.const -1)) (i32.const 0)";
    let mut rig = Rig::new(&simple(&head, body));
    rig.run(&[&[1; 60], &[1; 60]]);
    assert_eq!(
        rig.stats().counters,
        [("arp".to_owned(), 10), ("bad".to_owned(), 4_u64.wrapping_neg())].into()
    );
}

#[test]
fn counters_are_limited_in_number_and_name() {
    // Makes counters named by two bytes until one is refused; the reason says how many.
    let body = r"(loop $more
        (i32.store16 (i32.const 0) (i32.add (i32.const 0x2020) (i32.add (i32.and (local.get $i) (i32.const 31)) (i32.shl (i32.shr_u (local.get $i) (i32.const 5)) (i32.const 8)))))
        (if (i32.ne (call $counter (i32.const 0) (i32.const 2)) (i32.const -1)) (then
          (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $more))))
        (i32.or (i32.const 1) (i32.shl (local.get $i) (i32.const 8)))";
    assert_eq!(
        Rig::new(&simple(COUNTERS, body)).one(&[1; 60]).fate,
        Fate::Drop(Reason::Plugin(256))
    );
    for (len, accepted) in [(64, true), (65, false), (0, false)] {
        let text = format!(
            "(memory.fill (i32.const 0) (i32.const 97) (i32.const 80))
            (i32.eq (call $counter (i32.const 0) (i32.const {len})) (i32.const -1))"
        );
        assert_eq!(
            Rig::new(&simple(COUNTERS, &text)).one(&[1; 60]).fate == Fate::Pass,
            accepted,
            "{len}"
        );
    }
    let invalid = simple(
        &format!("{COUNTERS} (data (i32.const 0) \"\\ff\")"),
        "(i32.eq (call $counter (i32.const 0) (i32.const 1)) (i32.const -1))",
    );
    assert_eq!(Rig::new(&invalid).one(&[1; 60]).fate, PLAIN);
}

#[test]
fn declared_counters_exist_from_the_start() {
    let head = manifest(&json!({ "counters": ["arp", "ip"] })) + COUNTERS;
    let rig = Rig::new(&simple(&head, "(i32.const 0)"));
    assert_eq!(
        rig.stats().counters,
        [("arp".to_owned(), 0), ("ip".to_owned(), 0)].into()
    );
}

/// Answers DROP with a reason: what `config_int` said for the key `key`, 99 when absent.
const INT: &str = r#"(import "vnet" "config_int" (func $int (param i32 i32 i64) (result i64)))
    (data (i32.const 0) "key") (global $v (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $v (i32.wrap_i64 (call $int (i32.const 0) (i32.const 3) (i64.const 99)))))"#;

#[test]
fn config_int_works_from_initialize_on() {
    let text = simple(
        INT,
        "(i32.or (i32.const 1) (i32.shl (i32.and (global.get $v) (i32.const 0xffff)) (i32.const 8)))",
    );
    for (value, expected) in [
        (json!({ "key": 7 }), 7),
        (json!({ "key": -1 }), 0xffff),
        (json!({ "key": true }), 1),
        (json!({ "key": false }), 0),
        (json!({ "key": "7" }), 99),
        (json!({ "key": 1.5 }), 99),
        (json!({ "key": null }), 99),
        (json!({ "other": 7 }), 99),
        (json!({}), 99),
    ] {
        let fate = Rig::with(&text, config(value.clone())).one(&[1; 60]).fate;
        assert_eq!(fate, Fate::Drop(Reason::Plugin(expected)), "{value}");
    }
}

#[test]
fn config_str_gives_the_full_length_and_writes_what_fits() {
    let head = r#"(import "vnet" "config_str" (func $str (param i32 i32 i32 i32) (result i32))) (data (i32.const 0) "key")"#;
    // The frame starts with the capacity; the answer's reason is the length, and the frame shows what was written.
    let body = r"(memory.fill (i32.const 4096) (i32.const 0x2e) (i32.const 8))
        (local.set $i (call $str (i32.const 0) (i32.const 3) (i32.const 4096) (i32.load8_u (local.get $p))))
        (i64.store (local.get $p) (i64.load (i32.const 4096)))
        (i32.store8 offset=8 (local.get $p) (local.get $i)) (i32.const 0)";
    let text = simple(head, body);
    for (value, cap, written, len) in [
        (json!({ "key": "abcdef" }), 8, "abcdef..", 6),
        (json!({ "key": "abcdef" }), 3, "abc.....", 6),
        (json!({ "key": "abcdef" }), 0, "........", 6),
        (json!({ "key": "" }), 8, "........", 0),
        (json!({ "key": 17 }), 8, "17......", 2),
        (json!({ "key": true }), 8, "true....", 4),
        (json!({ "key": [1, 2] }), 8, "[1,2]...", 5),
        (json!({ "key": null }), 8, "........", 0xff),
        (json!({}), 8, "........", 0xff),
    ] {
        let out = Rig::with(&text, config(value.clone())).one(&[cap; 60]);
        assert_eq!(
            (&out.bytes[..8], out.bytes[8]),
            (written.as_bytes(), len),
            "{value} cap {cap}"
        );
    }
}

fn random_options(seed: u64, instance: u32) -> StageOptions {
    StageOptions {
        grants: vec!["random".into()],
        seed,
        instance,
        ..StageOptions::default()
    }
}

fn random_text() -> String {
    let head = manifest(&json!({ "name": "dice", "capabilities": ["random"] }))
        + r#"(import "vnet" "random" (func $random (result i64)))"#;
    simple(&head, "(i64.store (local.get $p) (call $random)) (i32.const 0)")
}

#[test]
fn random_depends_on_seed_and_instance_alone() {
    let text = random_text();
    let roll = |seed, instance| {
        let mut rig = Rig::with(&text, random_options(seed, instance));
        rig.run(&[&[0; 8], &[0; 8], &[0; 8]])
            .into_iter()
            .map(|out| out.bytes)
            .collect::<Vec<_>>()
    };
    assert_eq!(roll(1, 0), roll(1, 0));
    assert_ne!(roll(1, 0), roll(2, 0));
    assert_ne!(roll(1, 0), roll(1, 1));
    let first = roll(1, 0);
    assert!(first[0] != first[1] && first[1] != first[2]);
}

#[test]
fn random_needs_the_manifest_and_the_operator() {
    let error = Rig::try_with(&random_text(), StageOptions::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("not granted"), "{error}");
    assert!(error.hint().unwrap().contains("grant"));
    assert_refused(
        &simple(
            r#"(import "vnet" "random" (func $random (result i64)))"#,
            "(i32.const 0)",
        ),
        &["vnet.random", "manifest"],
    );
    let unknown = StageOptions {
        grants: vec!["root".into()],
        ..StageOptions::default()
    };
    let error = Rig::try_with(&random_text(), unknown).err().unwrap().to_string();
    assert!(error.contains("unknown capability \"root\""), "{error}");
}

const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (data (i32.const 0) "\10\00\00\00\04\00\00\00\14\00\00\00\05\00\00\00one two \n")"#;

/// Answers the value as the reason of a DROP.
fn value_of(body: &str) -> u16 {
    let body = format!("(i32.or (i32.const 1) (i32.shl {body} (i32.const 8)))");
    match Rig::new(&simple(WASI, &body)).one(&[1; 60]).fate {
        Fate::Drop(Reason::Plugin(code)) => code,
        other => panic!("{other:?}: {body}"),
    }
}

#[test]
fn wasi_stubs_answer_as_run_times_expect() {
    for (body, expected) in [
        ("(call $args_sizes (i32.const 64) (i32.const 68))", 0),
        ("(call $args (i32.const 64) (i32.const 68))", 0),
        ("(call $environ_sizes (i32.const 64) (i32.const 68))", 0),
        ("(call $environ (i32.const 64) (i32.const 68))", 0),
        ("(call $fdstat (i32.const 1) (i32.const 64))", 0),
        ("(call $clock (i32.const 0) (i64.const 1) (i32.const 64))", 0),
        ("(call $random (i32.const 64) (i32.const 16))", 0),
        ("(call $yield)", 52),
        (
            "(call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            52,
        ),
        ("(call $prestat (i32.const 3) (i32.const 0))", 8),
        (
            "(call $fd_write (i32.const 5) (i32.const 0) (i32.const 2) (i32.const 64))",
            8,
        ),
        (
            "(call $fd_write (i32.const 1) (i32.const -8) (i32.const 2) (i32.const 64))",
            21,
        ),
        (
            "(call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const -1))",
            21,
        ),
        (
            "(call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 64))",
            28,
        ),
        ("(call $random (i32.const -1) (i32.const 16))", 21),
        ("(call $clock (i32.const 0) (i64.const 1) (i32.const -4))", 21),
    ] {
        assert_eq!(value_of(body), expected, "{body}");
    }
    let sizes = "(block (result i32) (i64.store (i32.const 64) (i64.const -1)) (drop (call $args_sizes (i32.const 64) (i32.const 68)))
        (i64.ne (i64.load (i32.const 64)) (i64.const 0)))";
    assert_eq!(value_of(sizes), 0);
}

#[test]
fn wasi_writes_to_the_log_and_tells_the_labs_time() {
    let body = r"(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 64)))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 68)))
        (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 72)))
        (i64.store (local.get $p) (i64.load (i32.const 64))) (i64.store offset=8 (local.get $p) (i64.load (i32.const 72)))
        (i32.const 0)";
    let mut rig = Rig::new(&simple(WASI, body));
    let out = rig.one(&[1; 60]).bytes;
    assert_eq!(rig.log_lines(), [(2, "one two".into()), (1, "one".into())]);
    assert_eq!((out[0], out[4]), (9, 4), "bytes written");
    assert_eq!(
        u64::from_le_bytes(*out[8..].first_chunk().unwrap()),
        7_000,
        "ts_ns of the batch"
    );
}

#[test]
fn wasi_random_follows_the_grant() {
    let wasi =
        r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let body = "(drop (call $random (local.get $p) (i32.const 8))) (i32.const 0)";
    let plain = simple(wasi, body);
    let asking = simple(&(manifest(&json!({ "capabilities": ["random"] })) + wasi), body);
    let roll = |text: &str, options| Rig::with(text, options).one(&[0; 8]).bytes;
    assert_eq!(
        roll(&plain, random_options(1, 0)),
        roll(&plain, random_options(2, 5)),
        "fixed without the manifest"
    );
    assert_eq!(
        roll(&asking, StageOptions::default()),
        roll(&plain, StageOptions::default()),
        "fixed without the grant"
    );
    assert_ne!(
        roll(&asking, random_options(1, 0)),
        roll(&asking, random_options(2, 0))
    );
    assert_ne!(roll(&plain, StageOptions::default()), [0; 8]);
}

#[test]
fn proc_exit_and_abort_are_traps_with_their_message() {
    let mut rig = Rig::new(&simple(WASI, "(call $exit (i32.const 3)) (i32.const 0)"));
    assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Fault));
    assert!(rig.stats().last_fault.unwrap().message.contains("proc_exit(3)"));

    let utf16 = |text: &str| {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = (units.len() as u32).to_le_bytes().to_vec();
        bytes.extend(units);
        quoted(&bytes)
    };
    let head = format!(
        r#"(import "env" "abort" (func $abort (param i32 i32 i32 i32)))
           (data (i32.const 16) {}) (data (i32.const 256) {})"#,
        utf16("array index out of range"),
        utf16("filter.ts")
    );
    let text = |args: &str| simple(&head, &format!("(call $abort {args}) (i32.const 0)"));
    let message = |args: &str| {
        let mut rig = Rig::new(&text(args));
        assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Fault));
        rig.stats().last_fault.unwrap().message
    };
    let found = message("(i32.const 20) (i32.const 260) (i32.const 12) (i32.const 5)");
    assert!(
        found.contains("abort: array index out of range (filter.ts:12:5)"),
        "{found}"
    );
    for args in [
        "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
        "(i32.const -1) (i32.const 3) (i32.const 0) (i32.const 0)",
    ] {
        assert!(message(args).contains("no message"));
    }
}
