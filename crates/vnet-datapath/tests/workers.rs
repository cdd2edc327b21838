//! Workers come with the first pipeline and go with the last.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use support::{frame, port, wait_for};
use vnet_datapath::{MemoryEnd, Pipeline};
use vnet_packet::gso::Offload;

/// Names of this process's threads that carry pipelines.
fn workers() -> Vec<String> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("vnet-worker"))
        .collect()
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn wire() -> (Pipeline, MemoryEnd, MemoryEnd) {
    let ((a, near), (b, far)) = (port("a"), port("b"));
    (Pipeline::wire(a, b).unwrap(), near, far)
}

#[test]
fn many_pipelines_cost_few_threads_and_little_memory_and_leave_nothing() {
    const MANY: usize = 1000;
    let most = std::thread::available_parallelism().unwrap().get();
    assert_eq!(workers(), [""; 0]);
    let first = wire();
    assert_eq!(workers().len(), 1);
    let others: Vec<_> = (0..most).map(|_| wire()).collect();
    assert_eq!(workers().len(), most);
    let before = resident();
    let mut many: Vec<_> = (0..MANY).map(|_| wire()).collect();
    assert_eq!(workers().len(), most);
    for (_, near, far) in &mut many {
        assert!(near.push(&frame(2, 1), Offload::default()));
        assert_eq!(wait_for("a frame", || far.pop()), frame(2, 1));
    }
    let each = resident().saturating_sub(before) / MANY;
    println!("{each} KiB for each of {MANY} wires in memory, its four queues among it");
    // Queues of 4 MiB are touched only as far as they are used.
    assert!(each < 64, "{each} KiB");
    drop((first, others));
    drop(many);
    assert_eq!(workers(), [""; 0]);
    let (pipeline, mut near, mut far) = wire();
    assert!(near.push(&frame(2, 1), Offload::default()));
    assert_eq!(wait_for("a frame", || far.pop()), frame(2, 1));
    drop(pipeline);
    assert_eq!(workers(), [""; 0]);
}
