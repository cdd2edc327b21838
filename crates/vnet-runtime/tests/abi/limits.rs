//! Time, stack and size limits.

use std::time::{Duration, Instant};

use vnet_runtime::{Fate, LoadOptions, Module, PluginError, Reason, Source, Stage, StageOptions};

use crate::support::*;

const LOOP: &str = "(loop $ever (br $ever))";

fn start(text: &str) -> Result<Stage, PluginError> {
    Stage::new(&try_load(text)?, StageOptions::default())
}

#[test]
fn endless_loops_are_stopped_while_a_plugin_starts() {
    let cases = [
        ("instantiation", format!("(func $s {LOOP}) (start $s)")),
        ("_initialize", format!("(func (export \"_initialize\") {LOOP})")),
        (
            "vnet_configure",
            format!("(func (export \"vnet_configure\") (param i32 i32) (result i32) {LOOP} (i32.const 0))"),
        ),
        (
            "vnet_maps",
            format!("(func (export \"vnet_maps\") (result i32) {LOOP} (i32.const 0))"),
        ),
        (
            "vnet_frame_cap",
            format!("(func (export \"vnet_frame_cap\") (result i32) {LOOP} (i32.const 0))"),
        ),
    ];
    for (expected, head) in cases {
        let begun = Instant::now();
        match start(&simple(&head, "(i32.const 0)")).err() {
            Some(PluginError::Timeout { step, plugin, budget }) => {
                assert_eq!((step.as_str(), plugin.as_str()), (expected, "test"));
                assert_eq!(budget, Duration::from_millis(500));
            }
            other => panic!("{expected}: {other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let info = Batch::default().text().replace(
        r#"(func (export "vnet_info") (result i32)"#,
        &format!(r#"(func (export "vnet_info") (result i32) {LOOP}"#),
    );
    assert!(matches!(start(&info), Err(PluginError::Timeout { .. })));
}

#[test]
fn an_endless_loop_in_a_batch_is_stopped_after_milliseconds_of_cpu_time() {
    for text in [
        Batch {
            body: format!("{LOOP} (i32.const 0)"),
            ..Batch::default()
        }
        .text(),
        simple("", &format!("{LOOP} (i32.const 0)")),
    ] {
        let mut rig = Rig::new(&text);
        let before = cpu_time();
        assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Fault));
        let used = cpu_time() - before;
        assert!(used >= Duration::from_millis(4), "{used:?}");
        assert!(used < Duration::from_millis(100), "{used:?}");
        assert_eq!(rig.fault("timeout"), 1);
        assert!(rig.stats().last_fault.unwrap().message.contains("5 ms"));
    }
}

#[test]
fn a_loop_over_one_host_call_is_stopped_too() {
    let head = r#"(import "vnet" "config_int" (func $int (param i32 i32 i64) (result i64)))"#;
    let body =
        "(loop $ever (drop (call $int (i32.const 0) (i32.const 4) (i64.const 1))) (br $ever)) (i32.const 0)";
    assert_eq!(
        Rig::new(&simple(head, body)).one(&[1; 60]).fate,
        Fate::Drop(Reason::Fault)
    );
}

#[test]
fn recursion_without_loops_is_stopped() {
    // 2^40 calls, no more than 40 deep.
    let head = r"(func $twice (param i32) (if (local.get 0) (then
        (call $twice (i32.sub (local.get 0) (i32.const 1))) (call $twice (i32.sub (local.get 0) (i32.const 1))))))";
    let mut rig = Rig::new(&simple(head, "(call $twice (i32.const 40)) (i32.const 0)"));
    assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Fault));
    assert_eq!(rig.fault("timeout"), 1);
}

#[test]
fn cpu_time_counts_and_not_waiting() {
    // A busy neighbour on every core makes this thread wait; a batch that needs little CPU time must not be stopped.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // About a millisecond of work for each batch.
        let body = "(loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 300000)))) (i32.const 0)";
        let mut rig = Rig::new(&simple("", body));
        for _ in 0..60 {
            assert_eq!(rig.one(&[1; 60]).fate, Fate::Pass);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn stack_overflow_is_a_trap() {
    match start(&simple(
        "(func $deep (call $deep)) (func (export \"_initialize\") (call $deep))",
        "(i32.const 0)",
    ))
    .err()
    {
        Some(PluginError::Trap {
            message, backtrace, ..
        }) => {
            assert_eq!(message, "stack overflow in _initialize");
            assert!(backtrace.contains("deep"), "{backtrace}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn host_calls_at_the_bottom_of_the_stack_are_safe() {
    let head = r#"(import "vnet" "log" (func $log (param i32 i32 i32)))
        (func $deep (call $log (i32.const 2) (i32.const 0) (i32.const 1024)) (call $deep))"#;
    let mut rig = Rig::new(&simple(head, "(call $deep) (i32.const 0)"));
    assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Fault));
    assert!(rig.stats().last_fault.unwrap().message.contains("stack overflow"));
}

#[test]
fn the_ticker_wakes_again_after_a_pause() {
    let mut rig = Rig::new(&simple(
        "",
        &format!("(if (i32.eq (i32.load8_u (local.get $p)) (i32.const 9)) (then {LOOP})) (i32.const 0)"),
    ));
    rig.one(&[1; 60]);
    // Longer than the ticker stays awake without a guest.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(rig.one(&[9; 60]).fate, Fate::Drop(Reason::Fault));
    assert_eq!(rig.fault("timeout"), 1);
}

#[test]
fn modules_above_the_cap_are_refused_and_the_cap_can_be_raised() {
    let mut wasm = wat(&simple("", "(i32.const 0)"));
    // A custom section of 1 MiB.
    wasm.extend([0, 0x84, 0x80, 0xc0, 0, 3, b'p', b'a', b'd']);
    wasm.extend(vec![0; 1 << 20]);
    let load = |module_cap| {
        let source = Source::Bytes {
            name: "big".into(),
            bytes: wasm.clone(),
        };
        Module::load(
            &source,
            &LoadOptions {
                module_cap,
                ..options()
            },
        )
    };
    let error = load(1 << 20).err().unwrap();
    assert!(error.to_string().contains("1048576 is the most"), "{error}");
    assert!(error.hint().unwrap().contains("raise"), "{error:?}");
    assert_eq!(load(2 << 20).unwrap().size(), wasm.len());
}

#[test]
fn a_function_body_above_the_cap_is_refused_before_it_is_compiled() {
    let body = "(drop (i32.add (i32.load (local.get $p)) (i32.const 5)))".repeat(40_000);
    let begun = Instant::now();
    assert_refused(
        &simple("", &format!("{body} (i32.const 0)")),
        &["a function of", "131072 is the most"],
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn functions_that_would_keep_the_compiler_busy_for_long_are_refused() {
    let loops = "(loop $l (br_if $l (local.get $i)))".repeat(3000);
    assert_refused(
        &simple("", &format!("{loops} (i32.const 0)")),
        &["too long to compile", "function 0", "loops"],
    );
    let branches = "(br_if 0 (local.get 0))".repeat(3000);
    for (params, locals) in [(0, 3500), (900, 2600)] {
        let head = format!(
            "(func (param {}) (local {}) {branches})",
            "i32 ".repeat(params),
            "i32 ".repeat(locals)
        );
        let parts = ["too long to compile", "function 0", "local variables"];
        assert_refused(
            &simple(&head.replace("local.get 0", "i32.const 1"), "(i32.const 0)"),
            &parts,
        );
    }
    let spread = format!(
        "(func (local i32) {})",
        "(loop (br_if 0 (local.get 0)))".repeat(300)
    )
    .repeat(10);
    assert!(try_load(&simple(&spread, "(i32.const 0)")).is_ok());
}

#[test]
fn a_memory_that_starts_above_the_cap_is_refused() {
    assert_refused(
        &Batch {
            pages: 257,
            ..Batch::default()
        }
        .text(),
        &["257 pages", "256"],
    );
    assert!(
        start(
            &Batch {
                pages: 256,
                ..Batch::default()
            }
            .text()
        )
        .is_ok()
    );
}

#[test]
fn tables_above_the_cap_are_refused() {
    assert_refused(
        &simple("(table 10001 funcref)", "(i32.const 0)"),
        &["a table of 10001"],
    );
    assert_refused(
        &simple(&"(table 1 funcref)".repeat(5), "(i32.const 0)"),
        &["more than 4 tables"],
    );
}

#[test]
fn deeply_nested_text_and_code_do_not_exhaust_the_stack() {
    let deep = "(block ".repeat(20_000) + &")".repeat(20_000) + "(i32.const 0)";
    drop(try_load(&simple("", &deep)));
    let open = "(".repeat(500_000);
    assert!(try_load(&open).is_err());
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
