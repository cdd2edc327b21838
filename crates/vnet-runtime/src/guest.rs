//! What the host keeps for one instance, and what outlives it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Memory, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::asked::{Asked, Granted};
use crate::config::Config;
use crate::counters::Counters;
use crate::log::LogWriter;
use crate::random::Random;
use crate::runtime::MEMORY_CAP;
use crate::ticker::Budget;

/// Most elements of a guest's table, in each of at most [`TABLES`].
pub(crate) const TABLE_ELEMENTS: usize = 10_000;
/// Most tables of a guest.
pub(crate) const TABLES: usize = 4;

/// Instructions that an instance may execute where they are counted.
pub(crate) const FUEL: u64 = 2_000_000_000;

/// What a stage keeps across the instances of its plugin.
pub(crate) struct Host {
    pub(crate) log: LogWriter,
    pub(crate) counters: Counters,
    pub(crate) random: Random,
    pub(crate) config: Arc<Config>,
    /// Capabilities the plugin has.
    pub(crate) granted: Granted,
    /// What it asks for by them.
    pub(crate) asked: Asked,
    /// How many ports it may name.
    pub(crate) ports: u16,
    /// Fewest bytes of a frame it may send.
    pub(crate) frame_min: usize,
    /// Pointers, ids and lengths given to imports that were not valid.
    pub(crate) bad_pointers: u64,
}

/// The frame a simple-form plugin is called with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    /// Whether a call is under way: outside of one, `set_len` and `csum` have no effect.
    pub(crate) active: bool,
    pub(crate) addr: u32,
    pub(crate) cap: u32,
    pub(crate) len: u32,
    pub(crate) csum: bool,
    /// `set_len` was asked for more than the buffer holds.
    pub(crate) overrun: bool,
}

/// The data of a wasmtime store.
pub(crate) struct Guest {
    pub(crate) host: Box<Host>,
    pub(crate) memory: Option<Memory>,
    pub(crate) call: Call,
    /// The lab's clock, as of the batch under way.
    pub(crate) now_ns: u64,
    pub(crate) budget: Budget,
    /// While the plugin starts: its last log line, which tells why it refuses to.
    pub(crate) last_words: Option<String>,
    pub(crate) starting: bool,
    limits: StoreLimits,
}

impl Guest {
    /// Makes a store for one instance, with every limit set.
    pub(crate) fn store(host: Box<Host>, engine: &Engine) -> Store<Guest> {
        let guest = Guest {
            host,
            memory: None,
            call: Call::default(),
            now_ns: 0,
            budget: Budget::new(Duration::ZERO),
            last_words: None,
            starting: true,
            limits: StoreLimitsBuilder::new()
                .memory_size(MEMORY_CAP)
                .memories(1)
                .tables(TABLES)
                .table_elements(TABLE_ELEMENTS)
                .instances(1)
                .build(),
        };
        let mut store = Store::new(engine, guest);
        // Refused, and not needed, where the engine does not count.
        let _ = store.set_fuel(FUEL);
        store.limiter(|guest| &mut guest.limits);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().budget.check()?;
            Ok(UpdateDeadline::Continue(1))
        });
        store
    }
}

/// Gives the next call into the guest a budget of CPU time.
///
/// The budget counts from the first tick within the call, so up to one more millisecond may be used.
#[inline]
pub(crate) fn allow(store: &mut Store<Guest>, limit: Duration) {
    store.data_mut().budget = Budget::new(limit);
    store.set_epoch_deadline(1);
}
