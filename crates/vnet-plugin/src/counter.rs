//! Counters that the host shows beside the plugin's own figures.

/// A named counter: `static ARP: Counter = Counter::new("arp");`.
///
/// Adding is a memory access; the host hears of the sum when the batch ends, so that a counter
/// costs one call a batch and not one a frame. What a batch counted that ends in a trap is lost.
/// The host keeps at most 256 counters with names of at most 64 bytes, and shows those of the
/// manifest's `counters` from the start, the others from their first addition on.
pub struct Counter {
    name: &'static str,
    state: place::State,
}

impl Counter {
    /// Makes a counter.
    #[must_use]
    pub const fn new(name: &'static str) -> Counter {
        Counter {
            name,
            state: place::State::new(),
        }
    }

    /// Adds one.
    #[inline(always)]
    pub fn increment(&'static self) {
        self.add(1);
    }

    /// Adds `n`; the sum wraps.
    #[inline(always)]
    pub fn add(&'static self, n: u64) {
        place::add(self, n);
    }
}

pub(crate) use place::flush;

/// In a guest: sums kept in a list of the counters that the batch touched.
#[cfg(target_arch = "wasm32")]
mod place {
    use core::cell::Cell;
    use core::ptr;

    use super::Counter;
    use crate::imports;

    pub(super) struct State {
        /// The host's id; -1 before the first flush.
        id: Cell<i32>,
        pending: Cell<u64>,
        /// The counter that the batch touched before this one.
        next: Cell<*const Counter>,
    }

    // SAFETY: a guest has one thread.
    unsafe impl Sync for State {}

    impl State {
        pub const fn new() -> State {
            State {
                id: Cell::new(-1),
                pending: Cell::new(0),
                next: Cell::new(ptr::null()),
            }
        }
    }

    struct Head(Cell<*const Counter>);

    // SAFETY: a guest has one thread.
    unsafe impl Sync for Head {}

    static TOUCHED: Head = Head(Cell::new(ptr::null()));

    #[inline(always)]
    pub(super) fn add(counter: &'static Counter, n: u64) {
        let State { pending, next, .. } = &counter.state;
        if n == 0 {
            return;
        }
        if pending.get() == 0 {
            next.set(TOUCHED.0.replace(counter));
        }
        pending.set(pending.get().wrapping_add(n));
    }

    /// Tells the host what was counted since the last call.
    #[inline(always)]
    pub(crate) fn flush() {
        let mut at = TOUCHED.0.replace(ptr::null());
        // SAFETY: the list holds static counters only, and ends with null.
        while let Some(Counter { name, state }) = unsafe { at.as_ref() } {
            at = state.next.replace(ptr::null());
            if state.id.get() < 0 {
                state.id.set(imports::counter(name));
            }
            imports::count(state.id.get(), state.pending.replace(0));
        }
    }
}

/// In a test: the sums go to the thread's host at once.
#[cfg(not(target_arch = "wasm32"))]
mod place {
    use super::Counter;
    use crate::imports;

    pub(super) struct State;

    impl State {
        pub const fn new() -> State {
            State
        }
    }

    pub(super) fn add(counter: &'static Counter, n: u64) {
        let State = counter.state;
        imports::count(imports::counter(counter.name), n);
    }

    pub(crate) const fn flush() {}
}
