//! A run without a fault allocates nothing.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::*;
use vnet_runtime::{Frame, StageOptions};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(rig: &mut Rig, frame: &[u8], runs: usize) -> u64 {
    let stride = rig.stage.arena().stride;
    let n = rig.stage.traits().batch;
    let once = |rig: &mut Rig| {
        rig.frames.clear();
        let arena = rig.stage.arena();
        for i in 0..n {
            let off = i * stride + 128;
            arena.bytes[off..off + frame.len()].copy_from_slice(frame);
            rig.frames.push(Frame {
                off: off as u32,
                len: frame.len() as u32,
                ..Frame::default()
            });
        }
        rig.stage.run(&mut rig.frames);
    };
    once(rig);
    let before = ALLOCATIONS.get();
    for _ in 0..runs {
        once(rig);
    }
    ALLOCATIONS.get() - before
}

#[test]
fn a_run_allocates_nothing() {
    let busy = r#"(import "vnet" "log" (func $log (param i32 i32 i32)))
        (import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
        (import "vnet" "count" (func $count (param i32 i64)))
        (import "vnet" "csum" (func $csum))
        (import "vnet" "set_len" (func $set_len (param i32)))
        (import "vnet" "config_int" (func $int (param i32 i32 i64) (result i64)))
        (data (i32.const 0) "name")"#;
    let body = r"(call $log (i32.const 0) (i32.const 0) (i32.const 9))
        (call $count (call $counter (i32.const 0) (i32.const 2)) (i64.const 1)) (call $csum)
        (call $set_len (i32.const 70)) (drop (call $int (i32.const 0) (i32.const 3) (i64.const 1))) (i32.const 0)";
    let mut appending = drop_bcast();
    appending.body = format!(
        "{} (i32.store offset=324 (local.get $desc) (i32.const 60)) (i32.store8 offset=332 (local.get $desc) (i32.const 3)) (i32.const 1)",
        appending.body.trim_end_matches("(i32.const 0)")
    );
    for text in [drop_bcast().text(), appending.text(), simple(busy, body)] {
        let mut rig = Rig::with(&text, StageOptions::default());
        for frame in [&[0xff; 60], &[1; 60]] {
            assert_eq!(allocations(&mut rig, frame, 200), 0, "{text}");
        }
        assert!(rig.stats().faults.is_empty(), "{:?}", rig.stats().faults);
    }
}
