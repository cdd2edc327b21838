//! Carrying frames allocates nothing on the worker's thread.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::{allocations, leave_out_this_thread};
use support::{PASS, batch, frame, port, stage, wait_for};
use vnet_datapath::{Direction, MemoryEnd, Pipeline, Place};
use vnet_packet::gso::Offload;

/// Sends 500 frames through, each answered by another, and some of our own.
fn carry(pipeline: &Pipeline, near: &mut MemoryEnd, far: Option<&mut MemoryEnd>) {
    for n in 0..250 {
        assert!(near.push(&frame(2, n), Offload::default()));
        assert!(near.push(&frame(0xee, n), Offload::default()));
        pipeline.send(0, &frame(4, n)).unwrap();
    }
    let mut far = far;
    for _ in 0..250 {
        match far.as_deref_mut() {
            Some(far) => assert_eq!(wait_for("frame at b", || far.pop())[0], 2),
            None => assert_eq!(pipeline.recv(None).unwrap().unwrap().bytes[0], 2),
        }
    }
    for _ in 0..500 {
        wait_for("frame at a", || near.pop());
    }
}

/// Sends frames that begin with 0xee back.
const BACK: &str = r"(i32.store8 offset=12 (local.get $d)
    (select (i32.const 3) (i32.const 0) (i32.eq (i32.load8_u (i32.load (local.get $d))) (i32.const 0xee))))";

#[test]
fn the_worker_allocates_nothing_while_frames_flow() {
    leave_out_this_thread();
    for wired in [false, true] {
        let ((a, mut ea), (b, mut eb)) = (port("a"), port("b"));
        let pipeline = if wired {
            Pipeline::wire(a, b).unwrap()
        } else {
            Pipeline::sink(a).unwrap()
        };
        let place = |direction| Place::Port(0, direction);
        let attach = |wat: &str, direction| pipeline.attach(place(direction), stage(wat, 1), None).unwrap();
        attach(PASS, Direction::Both);
        attach(&batch(3, BACK), Direction::Ingress);
        let mut carry = || carry(&pipeline, &mut ea, wired.then_some(&mut eb));
        carry();
        assert_eq!(allocations(carry), 0, "wired: {wired}");
    }
}
