//! Pipelines that share workers.

use std::time::{Duration, Instant};

use vnet_packet::Layer;
use vnet_packet::gso::Offload;

use super::*;
use crate::port::MemoryEnd;

fn port(name: &str) -> (Port, MemoryEnd) {
    Port::memory(PortInfo {
        name: name.into(),
        layer: Layer::L2,
        mtu: 1500,
    })
    .unwrap()
}

struct Wired {
    pipeline: Pipeline,
    a: MemoryEnd,
    b: MemoryEnd,
}

/// More wires than there can be workers, so that some share one.
fn wires() -> Vec<Wired> {
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    (0..3 * most)
        .map(|_| {
            let ((a, near), (b, far)) = (port("a"), port("b"));
            Wired {
                pipeline: Pipeline::wire(a, b).unwrap(),
                a: near,
                b: far,
            }
        })
        .collect()
}

fn cross(wire: &mut Wired) {
    assert!(wire.a.push(&[2; 60], Offload::default()));
    assert!(wire.b.push(&[4; 60], Offload::default()));
    let deadline = Instant::now() + Duration::from_secs(10);
    for end in [&mut wire.b, &mut wire.a] {
        while end.pop().is_none() {
            assert!(Instant::now() < deadline, "no frame within 10 s");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_panic_ends_the_pipeline_it_happens_in_and_no_other() {
    let mut wires = wires();
    let broken = wires.swap_remove(1);
    let asked = broken
        .pipeline
        .ask(|_| -> () { panic!("what a broken pipeline does") });
    assert!(matches!(asked, Err(EngineError::Ended { .. })));
    assert!(matches!(broken.pipeline.stats(), Err(EngineError::Ended { .. })));
    assert!(matches!(
        broken.pipeline.send(0, &[2; 60]),
        Err(EngineError::Ended { .. })
    ));
    for wire in &mut wires {
        cross(wire);
        assert_eq!(wire.pipeline.stats().unwrap().balance(), 0);
    }
    // Whoever comes next may take its seat, and hears nothing meant for it.
    let ((a, near), (b, far)) = (port("c"), port("d"));
    let mut next = Wired {
        pipeline: Pipeline::wire(a, b).unwrap(),
        a: near,
        b: far,
    };
    assert!(broken.pipeline.stats().is_err());
    cross(&mut next);
    assert!(matches!(
        broken.pipeline.into_parts(),
        Err(EngineError::Ended { .. })
    ));
    for wire in wires.into_iter().chain([next]) {
        assert_eq!(wire.pipeline.into_parts().unwrap().ports.len(), 2);
    }
}

#[test]
fn who_always_has_frames_waiting_does_not_keep_the_others_from_theirs() {
    let mut wires = wires();
    let mut busy: Vec<Wired> = (0..3).map(|_| wires.swap_remove(0)).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for wire in &mut busy {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    for _ in 0..500 {
                        let _full = wire.a.push(&[2; 60], Offload::default());
                    }
                    while wire.b.pop().is_some() {}
                }
            });
        }
        for _ in 0..50 {
            for wire in &mut wires {
                cross(wire);
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for wire in &busy {
        let stats = wire.pipeline.stats().unwrap();
        assert!(stats.ports[0].rx_packets > 1000, "{stats:?}");
    }
}

#[test]
fn cpu_time_is_shared_out_to_who_was_at_work() {
    let mut wires = wires();
    for _ in 0..300 {
        cross(&mut wires[0]);
    }
    let times: Vec<Duration> = wires.iter().map(|w| w.pipeline.cpu_time().unwrap()).collect();
    assert!(times[0] > Duration::ZERO);
    for other in &times[1..] {
        assert!(times[0] > *other * 2, "{times:?}");
    }
}
