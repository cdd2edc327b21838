//! One plugin in a chain: its instance, its faults, its numbers.

use std::time::{Duration, Instant};

use crate::attach::{check_mtu, host, shape};
use crate::error::{PluginError, Refusal};
use crate::event::{EventReader, EventWriter};
use crate::exports::Form;
use crate::frames::{Arena, Frames, Reason, Traits};
use crate::guest::{FUEL, Host};
use crate::instance::Instance;
use crate::judge::Judge;
use crate::life::Life;
use crate::log::LogReader;
use crate::maps::SavedMap;
use crate::module::Module;
use crate::options::{OnFault, StageOptions};
use crate::runtime::Runtime;
use crate::shared::SharedArena;
use crate::stats::{FaultReport, StageStats};
use crate::tally::Tally;
use crate::ticker::Runner;

/// CPU time that one batch may use.
pub(crate) const BATCH_BUDGET: Duration = Duration::from_millis(5);
/// One batch in this many is timed: the clock is read around it.
const TIMED_EVERY: u64 = 32;

/// The first this many are all timed, so that a short run is not judged by its one cold start.
const TIMED_FIRST: u64 = 64;

/// One plugin in a chain. Belongs to one thread at a time.
pub struct Stage {
    pub(crate) module: Module,
    pub(crate) judge: Judge,
    pub(crate) tally: Tally,
    /// Running, unless it failed; then `idle` holds what outlives it.
    pub(crate) instance: Option<Instance>,
    pub(crate) idle: Option<Box<Host>>,
    /// Slots of the simple form, and of the batch form while there is no instance.
    pub(crate) arena: Vec<u8>,
    pub(crate) traits: Traits,
    pub(crate) stride: usize,
    /// All slots, those for appended frames included.
    pub(crate) slots: usize,
    pub(crate) on_fault: OnFault,
    pub(crate) life: Life,
    pub(crate) maps: Vec<SavedMap>,
    pub(crate) last_fault: Option<FaultReport>,
    /// Whose pages the arena is, while others share it.
    pub(crate) shared: Option<SharedArena>,
    /// Whether the plugin may set timers or send frames of its own.
    pub(crate) may_ask: bool,
    pub(crate) events: EventWriter,
    pub(crate) runner: Runner,
    reader: LogReader,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name())
            .field("traits", &self.traits)
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Checks the options against the plugin and starts its first instance.
    ///
    /// # Errors
    ///
    /// [`PluginError::Rejected`] where options or answers break a rule; [`PluginError::Trap`] and
    /// [`PluginError::Timeout`] where the plugin fails while it is started.
    #[expect(clippy::needless_pass_by_value, reason = "options are made for one stage")]
    pub fn new(module: &Module, options: StageOptions) -> Result<Stage, PluginError> {
        let name = module.name();
        let host = host(module, &options).map_err(|refusal| refusal.of(name))?;
        let mut runner = Runtime::get()
            .runner()
            .map_err(|error| Refusal::new(format!("cannot start the epoch thread: {error}")).of(name))?;
        let reader = host.log.reader();
        let may_ask = host.granted.timer || host.granted.inject;
        runner.enter();
        let started = Instance::start(module, Box::new(host));
        runner.leave();
        let instance = started.map_err(|(_, failure)| failure.into_error(name))?;
        let (traits, stride, slots) = shape(&instance);
        check_mtu(module, &traits, options.mtu).map_err(|refusal| refusal.of(name))?;
        let arena = match module.form() {
            Form::Simple => vec![0; stride * slots],
            Form::Batch => Vec::new(),
        };
        Ok(Stage {
            module: module.clone(),
            judge: Judge { ports: options.ports },
            tally: Tally::new(module.manifest().reasons.keys().copied()),
            instance: Some(instance),
            idle: None,
            arena,
            traits,
            stride,
            slots,
            on_fault: options
                .on_fault
                .or(module.manifest().on_fault)
                .unwrap_or_default(),
            life: Life::new(options.trip),
            maps: Vec::new(),
            last_fault: None,
            shared: None,
            may_ask,
            events: EventWriter::new(),
            runner,
            reader,
        })
    }

    /// Returns the plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.module.name()
    }

    /// Returns what happens to frames while the plugin cannot run.
    #[must_use]
    pub fn on_fault(&self) -> OnFault {
        self.on_fault
    }

    /// Returns what the stage can take; it never changes.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// Returns the memory frames are judged in; valid until the next run, also while the plugin is out of service.
    pub fn arena(&mut self) -> Arena<'_> {
        let bytes = match &mut self.instance {
            Some(instance) if self.module.form() == Form::Batch => instance.slots(),
            _ => &mut self.arena[..],
        };
        Arena {
            bytes,
            stride: self.stride,
            slots: self.traits.batch,
        }
    }

    /// Judges frames, which lie in the [`Arena`] in ascending slots, and appends those that the plugin makes.
    ///
    /// Every fate is set afterwards. A run without a fault takes no lock and allocates nothing, provided that
    /// `frames` has room for [`RING_MAX`](vnet_abi::RING_MAX).
    ///
    /// # Panics
    ///
    /// When there are more frames than [`Traits::batch`].
    pub fn run(&mut self, frames: &mut Frames) {
        let n = frames.len();
        assert!(
            n <= self.traits.batch,
            "{n} frames in one run; {} is the most",
            self.traits.batch
        );
        if n == 0 {
            return;
        }
        self.tally.packets_in += n as u64;
        self.runner.enter();
        match self.module.form() {
            Form::Simple => self.run_simple(frames),
            Form::Batch => self.run_batch(frames),
        }
        self.runner.leave();
        if self.life.is_tried() {
            self.settle_trial();
        }
    }

    /// Returns the stage's numbers.
    #[must_use]
    pub fn stats(&self) -> StageStats {
        let tally = &self.tally;
        let ns_per_packet = if tally.timed_packets == 0 {
            0.0
        } else {
            tally.timed_ns as f64 / tally.timed_packets as f64
        };
        let host = self.host();
        StageStats {
            name: self.name().to_owned(),
            version: self.module.manifest().version.clone(),
            form: self.module.form().name().to_owned(),
            state: self.life.name(Instant::now()).to_owned(),
            waiting: 0,
            packets_in: tally.packets_in,
            bytes_in: tally.bytes_in,
            passed: tally.passed,
            dropped: tally.dropped,
            redirected: tally.redirected,
            tx: tally.tx,
            appended: tally.appended,
            drops: tally.drops(&self.module.manifest().reasons),
            injected: host.map_or(0, |host| host.asked.taken),
            timer_calls: tally.timer_calls,
            faults: tally.faults(
                host.map_or(0, |host| host.bad_pointers),
                host.map_or(0, |host| host.asked.full),
            ),
            restarts: tally.restarts,
            swaps: tally.swaps,
            runs: tally.runs,
            guest_ns: (ns_per_packet * tally.packets_in as f64) as u64,
            ns_per_packet,
            counters: host.map(|host| host.counters.values()).unwrap_or_default(),
            logs_lost: self.reader.lost(),
            last_fault: self.last_fault.clone(),
        }
    }

    /// Returns how many instructions the instance has executed; `None` where the module was not loaded to count them.
    #[must_use]
    pub fn instructions(&self) -> Option<u64> {
        let left = self.instance.as_ref()?.store.get_fuel().ok()?;
        Some(FUEL.saturating_sub(left))
    }

    /// Returns the end at which the stage's log lines come out.
    #[must_use]
    pub fn logs(&self) -> LogReader {
        self.reader.clone()
    }

    /// Returns the end at which the stage's events come out.
    #[must_use]
    pub fn events(&self) -> EventReader {
        self.events.reader()
    }

    /// Returns the plugin's module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Returns what is written for a drop: the manifest's text of a plugin's code, else [`Reason::name`].
    #[must_use]
    pub fn reason_text(&self, reason: Reason) -> &str {
        match reason {
            Reason::Plugin(code) if code != 0 => self
                .module
                .manifest()
                .reasons
                .get(&code)
                .map_or("other", String::as_str),
            other => other.name(),
        }
    }

    /// Returns in words the item of the configuration that a drop's reason names: of the reason `rule_3` what comes fourth in
    /// the list `rules`, such as `deny tcp dport 22`. `None` where it names none.
    #[must_use]
    pub fn reason_item(&self, reason: Reason) -> Option<&str> {
        self.host()?.config.item(self.reason_text(reason))
    }

    pub(crate) fn host(&self) -> Option<&Host> {
        match &self.instance {
            Some(instance) => Some(&instance.store.data().host),
            None => self.idle.as_deref(),
        }
    }

    pub(crate) fn host_mut(&mut self) -> Option<&mut Host> {
        match &mut self.instance {
            Some(instance) => Some(&mut instance.store.data_mut().host),
            None => self.idle.as_deref_mut(),
        }
    }

    /// Returns the time now for the runs that are timed, to be given to [`Stage::timed`].
    #[inline]
    pub(crate) fn timer(&mut self) -> Option<Instant> {
        let runs = self.tally.runs;
        let timed = runs < TIMED_FIRST || runs.is_multiple_of(TIMED_EVERY);
        self.tally.runs += 1;
        timed.then(Instant::now)
    }

    /// Takes note of how long a run took.
    #[inline]
    pub(crate) fn timed(&mut self, since: Option<Instant>, frames: usize) {
        if let Some(since) = since {
            self.tally.timed_ns += since.elapsed().as_nanos() as u64;
            self.tally.timed_packets += frames as u64;
        }
    }
}
