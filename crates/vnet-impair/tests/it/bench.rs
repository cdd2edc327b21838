//! What a line costs; `cargo test --release -p vnet-impair -- --ignored --nocapture` prints it.

use std::time::Instant;

use vnet_impair::Line;

use crate::drive::{MS, US, ready};

#[test]
#[ignore = "measures, and proves nothing on a busy machine"]
fn cost_of_a_frame() {
    for entries in [
        &[("delay", "100us")][..],
        &[("delay", "100us"), ("loss", "1%")],
        &[("delay", "10ms"), ("loss", "1%")],
        &[("delay", "100us"), ("jitter", "20us"), ("loss", "1%")],
        &[
            ("delay", "100us"),
            ("jitter", "20us"),
            ("distribution", "normal"),
            ("correlation", "25%"),
        ],
        &[("delay", "100us"), ("loss", "1% 25%")],
        &[("delay", "100us"), ("loss", "gemodel 1% 10%")],
        &[("delay", "100us"), ("rate", "20gbit")],
        &[
            ("delay", "100us"),
            ("rate", "12gbit"),
            ("queue", "100"),
            ("discipline", "codel"),
        ],
    ] {
        let mut times: Vec<f64> = (0..21)
            .map(|_| ns_a_frame(Line::new([1; 32], ready(entries), 0)))
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{:6.1} ns a frame (best {:.1})  {entries:?}", times[10], times[0]);
    }
}

/// Offers and polls batches of 32 frames of 1,500 bytes, 1 us apart, which is 12 Gbit/s.
fn ns_a_frame(mut line: Line<[u64; 4]>) -> f64 {
    const FRAMES: u64 = 1 << 17;
    let mut out = 0;
    let start = Instant::now();
    for batch in 0..FRAMES / 32 {
        for n in batch * 32..(batch + 1) * 32 {
            let _ = line.offer(n * US, 1_500u32, [n; 4]);
        }
        line.poll(batch * 32 * US, &mut |_| out += 1);
    }
    let elapsed = start.elapsed();
    line.poll(u64::MAX / 2 + MS, &mut |_| out += 1);
    assert!(out > FRAMES * 8 / 10);
    elapsed.as_nanos() as f64 / FRAMES as f64
}

#[test]
fn an_idle_line_is_small() {
    let entries = [
        ("delay", "10ms"),
        ("jitter", "1ms"),
        ("loss", "1%"),
        ("rate", "10mbit"),
        ("discipline", "codel"),
    ];
    let size = size_of::<Line<[u64; 4]>>();
    // Until a frame comes, a line has nothing on the heap.
    assert!(size < 4_096, "a line takes {size} bytes");
    assert_eq!(Line::<u64>::new([1; 32], ready(&entries), 0).held(), 0);
    println!("{size} bytes");
}
