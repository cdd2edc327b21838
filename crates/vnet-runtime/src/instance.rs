//! One instance of a plugin, from its start to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vnet_abi::{HEADROOM, SIMPLE_FRAME_CAP, export};
use wasmtime::{Instance as WasmInstance, Memory, Store, TypedFunc, WasmParams, WasmResults};

use crate::error::Refusal;
use crate::exports::Form;
use crate::failure::Failure;
use crate::guest::{Guest, Host, allow};
use crate::layout::Layout;
use crate::maps;
use crate::module::Module;
use crate::record::MapLayout;
use crate::ring::Ring;

/// CPU time that a whole start may use.
pub(crate) const LOAD_BUDGET: Duration = Duration::from_millis(500);
/// Largest frame buffer of a simple-form plugin, in bytes: a 64 KiB packet with its headers.
const FRAME_CAP_MAX: i32 = 65_536 + 256;

/// The function that judges frames: two integers in, one out.
pub(crate) type Judging = TypedFunc<(i32, i32), i32>;

/// A running instance.
pub(crate) struct Instance {
    pub(crate) store: Store<Guest>,
    pub(crate) wasm: WasmInstance,
    pub(crate) memory: Memory,
    pub(crate) entry: Entry,
    /// Address of the table of maps.
    pub(crate) maps: Option<u32>,
    /// What is called when a timer comes, where the plugin has timers.
    pub(crate) on_timer: Option<TypedFunc<(i32, i64), ()>>,
}

/// How an instance is called.
pub(crate) enum Entry {
    Simple { on_packet: Judging, buffer: Buffer },
    Batch { on_batch: Judging, ring: Ring },
}

/// A simple-form plugin's frame buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    pub(crate) addr: u32,
    pub(crate) cap: u32,
}

impl Instance {
    /// Makes an instance and takes it through the start order; the host's part comes back when that fails.
    ///
    /// The ticker must be kept awake meanwhile.
    pub(crate) fn start(module: &Module, host: Box<Host>) -> Result<Instance, (Box<Host>, Box<Failure>)> {
        let mut store = Guest::store(host, module.pre().module().engine());
        match Starting::new(&mut store, module).and_then(Starting::run) {
            Ok((wasm, memory, entry, maps, on_timer)) => {
                store.data_mut().starting = false;
                Ok(Instance {
                    store,
                    wasm,
                    memory,
                    entry,
                    maps,
                    on_timer,
                })
            }
            Err(failure) => Err((store.into_data().host, failure)),
        }
    }

    /// Ends the instance and returns what outlives it.
    pub(crate) fn retire(self) -> Box<Host> {
        self.store.into_data().host
    }

    /// Returns guest memory.
    #[inline]
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// Returns the slots of a batch-form plugin; nothing for a simple one.
    pub(crate) fn slots(&mut self) -> &mut [u8] {
        match &self.entry {
            Entry::Simple { .. } => &mut [],
            Entry::Batch { ring, .. } => {
                let Layout { arena, .. } = ring.layout;
                let end = arena + ring.layout.slots_len();
                &mut self.memory.data_mut(&mut self.store)[arena..end]
            }
        }
    }
}

/// Memory, entry, address of the table of maps, what timers call.
type Started = (
    WasmInstance,
    Memory,
    Entry,
    Option<u32>,
    Option<TypedFunc<(i32, i64), ()>>,
);

struct Starting<'a> {
    store: &'a mut Store<Guest>,
    instance: WasmInstance,
    memory: Memory,
    form: Form,
    maps: &'a BTreeMap<String, MapLayout>,
}

impl<'a> Starting<'a> {
    /// Instantiates the module; its start function, where it has one, runs here.
    fn new(store: &'a mut Store<Guest>, module: &'a Module) -> Result<Starting<'a>, Box<Failure>> {
        const STEP: &str = "instantiation";
        allow(store, LOAD_BUDGET);
        let instance = module
            .pre()
            .instantiate(&mut *store)
            .map_err(|error| Failure::of_call(STEP, &error))?;
        let memory = instance
            .get_memory(&mut *store, export::MEMORY)
            .ok_or_else(|| Failure::of_refusal(STEP, Refusal::new("does not export its memory")))?;
        store.data_mut().memory = Some(memory);
        Ok(Starting {
            store,
            instance,
            memory,
            form: module.form(),
            maps: &module.manifest().maps,
        })
    }

    fn run(mut self) -> Result<Started, Box<Failure>> {
        self.call_if::<(), ()>(export::INITIALIZE, ())?;
        let (entry, config_at, config_cap) = match self.form {
            Form::Simple => {
                let buffer = self.buffer()?;
                let on_packet = self.function(export::ON_PACKET)?;
                (
                    Entry::Simple { on_packet, buffer },
                    buffer.addr,
                    buffer.cap as usize,
                )
            }
            Form::Batch => {
                let info = self.function::<(), i32>(export::INFO)?;
                let ptr = info
                    .call(&mut *self.store, ())
                    .map_err(|error| Failure::of_call(export::INFO, &error))?;
                let layout = Layout::read(self.memory.data(&*self.store), ptr)
                    .map_err(|refusal| Failure::of_refusal(export::INFO, refusal))?;
                let on_batch = self.function(export::ON_BATCH)?;
                (
                    Entry::Batch {
                        on_batch,
                        ring: Ring::new(layout, self.memory.data(&*self.store)),
                    },
                    layout.arena as u32,
                    layout.arena_len,
                )
            }
        };
        self.configure(config_at, config_cap)?;
        let maps = self.call_if::<(), i32>(export::MAPS, ())?.map(|ptr| ptr as u32);
        maps::check(self.memory.data(&*self.store), maps, self.maps)
            .map_err(|refusal| Failure::of_refusal(export::MAPS, refusal))?;
        let on_timer = if self.store.data().host.granted.timer {
            self.instance
                .get_func(&mut *self.store, export::ON_TIMER)
                .map(|_| self.function(export::ON_TIMER))
                .transpose()?
        } else {
            None
        };
        Ok((self.instance, self.memory, entry, maps, on_timer))
    }

    fn function<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &'static str,
    ) -> Result<TypedFunc<P, R>, Box<Failure>> {
        self.instance
            .get_typed_func(&mut *self.store, name)
            .map_err(|error| Failure::of_call(name, &error))
    }

    fn call_if<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &'static str,
        params: P,
    ) -> Result<Option<R>, Box<Failure>> {
        if self.instance.get_func(&mut *self.store, name).is_none() {
            return Ok(None);
        }
        let function = self.function::<P, R>(name)?;
        function
            .call(&mut *self.store, params)
            .map(Some)
            .map_err(|error| Failure::of_call(name, &error))
    }

    fn buffer(&mut self) -> Result<Buffer, Box<Failure>> {
        let refuse = |text: String| Failure::of_refusal(export::FRAME, Refusal::new(text));
        let addr = self
            .instance
            .get_global(&mut *self.store, export::FRAME)
            .and_then(|global| global.get(&mut *self.store).i32())
            .ok_or_else(|| refuse("does not export vnet_frame, a global i32".into()))?;
        let cap = self
            .call_if::<(), i32>(export::FRAME_CAP, ())?
            .unwrap_or(SIMPLE_FRAME_CAP as i32);
        if !(HEADROOM as i32..=FRAME_CAP_MAX).contains(&cap) {
            return Err(refuse(format!(
                "vnet_frame_cap answered {cap}; it must be {HEADROOM} to {FRAME_CAP_MAX}"
            )));
        }
        let (addr, cap) = (addr as u32, cap as u32);
        let memory = self.memory.data_size(&*self.store);
        if u64::from(addr) + u64::from(cap) > memory as u64 {
            return Err(refuse(format!(
                "vnet_frame is at {addr:#x}; {cap} bytes from there leave its memory of {memory:#x} bytes"
            )));
        }
        Ok(Buffer { addr, cap })
    }

    fn configure(&mut self, at: u32, cap: usize) -> Result<(), Box<Failure>> {
        const STEP: &str = export::CONFIGURE;
        if self.instance.get_func(&mut *self.store, STEP).is_none() {
            return Ok(());
        }
        let config = Arc::clone(&self.store.data().host.config);
        let json = config.json.as_bytes();
        if json.len() > cap {
            return Err(Failure::of_refusal(
                STEP,
                Refusal::new(format!(
                    "its config is {} bytes of JSON; its buffer holds {cap}",
                    json.len()
                )),
            ));
        }
        self.memory.data_mut(&mut *self.store)[at as usize..][..json.len()].copy_from_slice(json);
        self.store.data_mut().last_words = None;
        match self.call_if::<_, i32>(STEP, (at as i32, json.len() as i32))? {
            None | Some(0) => Ok(()),
            Some(code) => {
                let said = self.store.data_mut().last_words.take();
                let said = said.map(|line| format!(": {line}")).unwrap_or_default();
                Err(Failure::of_refusal(
                    STEP,
                    Refusal::new(format!("refused its config with code {code}{said}")),
                ))
            }
        }
    }
}
