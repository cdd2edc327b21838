//! What all plugins of a process share: the wasmtime engine and the functions a guest may import.

use std::sync::OnceLock;

use wasmtime::{Config, Engine, Linker, WasmBacktraceDetails};

use crate::guest::Guest;
use crate::imports;
use crate::ticker::Runner;

/// Most bytes of a guest's linear memory.
pub const MEMORY_CAP: usize = 16 << 20;
/// Stack that guest code may use, in bytes. The thread that runs a stage needs 256 KiB beside it.
pub const GUEST_STACK: usize = 512 << 10;

/// The process-wide runtime.
pub struct Runtime {
    engine: Engine,
    linker: Linker<Guest>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Runtime {
    /// Returns the runtime, which is made at the first call. It installs no signal handler.
    ///
    /// # Panics
    ///
    /// When wasmtime refuses its configuration, which depends on nothing but the processor.
    #[must_use]
    pub fn get() -> &'static Runtime {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| Runtime::made(false))
    }

    /// Returns the runtime whose code counts the instructions it executes, which makes it slower.
    pub(crate) fn metered() -> &'static Runtime {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| Runtime::made(true))
    }

    fn made(metered: bool) -> Runtime {
        match Runtime::new(metered) {
            Ok(runtime) => runtime,
            Err(error) => panic!("wasmtime does not run on this machine: {error:#}"),
        }
    }

    fn new(metered: bool) -> wasmtime::Result<Runtime> {
        let mut config = config();
        config.consume_fuel(metered);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        imports::define(&mut linker)?;
        Ok(Runtime { engine, linker })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.linker
    }

    pub(crate) fn runner(&self) -> std::io::Result<Runner> {
        Runner::new(&self.engine)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    // With signal traps, a handler that the embedding program installs later (Python's
    // `faulthandler.enable()`) turns a guest's trap into the death of the process.
    config.signals_based_traps(false);
    config.epoch_interruption(true);
    config.memory_reservation(MEMORY_CAP as u64);
    config.memory_reservation_for_growth(0);
    config.memory_guard_size(0);
    config.guard_before_linear_memory(false);
    config.memory_may_move(false);
    config.max_wasm_stack(GUEST_STACK);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.native_unwind_info(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_relaxed_simd(false);
    config
}
