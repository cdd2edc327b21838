//! A guest's trap is not the process's: also where the program that embeds the runtime owns the signals.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::process::Command;

use support::*;
use vnet_runtime::{Fate, Reason};

const CHILD: &str = "VNET_TEST_SIGNALS_CHILD";
const SIGNALS: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];

/// Every kind of trap that wasmtime could leave to a signal.
fn traps() -> Vec<String> {
    [
        "unreachable",
        "(i32.load (i32.const -4))",
        "(i32.load offset=0xfffffff0 (i32.const 0x7fffffff))",
        "(i32.store (i32.const 0x7fff0000) (i32.const 1)) (i32.const 0)",
        "(i32.div_u (i32.const 1) (local.get $i))",
        "(i32.div_s (i32.const 0x80000000) (i32.const -1))",
        "(i32.trunc_f32_s (f32.const 1e30))",
        "(call_indirect (result i32) (i32.const 5))",
        "(call_indirect (result i32) (i32.const 0))",
        "(call $deep) (i32.const 0)",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const -1)) (i32.const 0)",
        "(loop $ever (br $ever)) (i32.const 0)",
    ]
    .map(|body| {
        let touch = "(local.set $i (i32.const 0))";
        simple(
            "(table 2 funcref) (func $deep (call $deep))",
            &format!("{touch} {body}"),
        )
    })
    .to_vec()
}

fn trap_everywhere() {
    for text in traps() {
        let mut rig = Rig::new(&text);
        assert_eq!(rig.one(&[1; 60]).fate, Fate::Drop(Reason::Fault), "{text}");
        assert_eq!(rig.fault("trap") + rig.fault("timeout"), 1);
    }
}

fn handler(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: a plain C structure, for which zero bytes are a value.
    let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present action only; `found` has room for it.
    unsafe { libc::sigaction(signal, std::ptr::null(), &mut found) };
    found.sa_sigaction
}

/// Runs in a process of its own: it changes signal handlers.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        println!("not asked for: `a_trap_does_not_kill_the_process` runs this in a process of its own");
        return;
    }
    let before = SIGNALS.map(handler);
    trap_everywhere();
    assert_eq!(SIGNALS.map(handler), before, "the runtime installs no handler");
    for signal in SIGNALS {
        // SAFETY: restores the default action, which kills.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    trap_everywhere();
    std::thread::spawn(trap_everywhere).join().unwrap();
    println!("alive");
}

#[test]
fn a_trap_does_not_kill_the_process() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("alive"),
        "{:?}: {text}",
        output.status
    );
}

#[test]
fn a_forked_child_stops_endless_loops_too() {
    // The parent's epoch thread does not exist in the child.
    Rig::new(&simple("", "(i32.const 0)")).one(&[1; 60]);
    // SAFETY: the child calls only into the runtime, and `_exit`; the locks it needs are not held by this thread, and
    // the other test of this process does not load modules itself.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let stopped = std::panic::catch_unwind(|| {
            let mut rig = Rig::new(&simple("", "(loop $ever (br $ever)) (i32.const 0)"));
            rig.one(&[1; 60]).fate == Fate::Drop(Reason::Fault) && rig.fault("timeout") == 1
        });
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!stopped.unwrap_or(false))) };
    }
    let mut status = 0;
    wait_for("the child's end", || {
        // SAFETY: `status` has room for the answer.
        unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) == pid }
    });
    assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 0));
}
