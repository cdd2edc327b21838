//! Counts allocations, but for those of threads that say they are the test's. One test a binary may use it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static TEST: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: everything is handed to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !TEST.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
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

/// Leaves out what the calling thread allocates from here on.
pub fn leave_out_this_thread() {
    TEST.set(true);
}

/// Returns how many allocations `work` makes, by the least of three runs: a thread that the first frames woke, such as
/// the one that counts epochs, may only then get a processor and allocate its name.
pub fn allocations(mut work: impl FnMut()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..3 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        work();
        least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    least
}
