//! Runs a plugin's function inside an ordinary test, with a host that really answers.
//!
//! ```
//! use vnet_plugin::testing::Host;
//! use vnet_plugin::{Packet, Verdict};
//!
//! fn drop_bcast(pkt: &mut Packet) -> Verdict {
//!     if pkt.eth().dst().is_broadcast() { Verdict::Drop } else { Verdict::Pass }
//! }
//!
//! let mut host = Host::new(drop_bcast);
//! assert_eq!(host.judge(&[0xff; 60]).verdict, Verdict::Drop);
//! assert_eq!(host.judge(&[0x02; 60]).verdict, Verdict::Pass);
//! ```

pub mod frames;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::string::{String, ToString};
use std::vec::Vec;

use vnet_abi::{Desc, FLOOD, HEADROOM, flags, verdict};

use crate::config::Config;
use crate::memory::{self, Memory};
use crate::packet::Packet;
use crate::rt;
use crate::verdict::Verdict;

const RING: usize = 128;
const BATCH: usize = RING / 2;
const SLOT: usize = 65_856;
const DESC: usize = size_of::<Desc>();
const ARENA: usize = RING * DESC;

/// A function that judges frames.
pub type Judge = fn(&mut Packet) -> Verdict;
/// A function that takes the configuration.
pub type Configure = fn(&Config<'_>) -> Result<(), &'static str>;

/// A frame to be judged.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The frame's bytes, at most 65,728.
    pub bytes: Vec<u8>,
    /// The host's flags: [`flags`].
    pub flags: u16,
    /// Arrival port.
    pub port: u16,
    /// Segment size of a super-frame.
    pub gso_size: u16,
    /// Mark of the chain's earlier plugins.
    pub mark: u32,
    /// Arrival time in nanoseconds.
    pub ts_ns: u64,
}

/// A judged or appended frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What is to become of it.
    pub verdict: Verdict,
    /// Its bytes after the call.
    pub bytes: Vec<u8>,
    /// The mark it carries on.
    pub mark: u32,
    /// Whether the plugin asked for fresh checksums.
    pub csum_dirty: bool,
    /// Whether the checksum is still partial.
    pub csum_partial: bool,
    /// The delay asked for, in microseconds.
    pub delay_us: Option<u32>,
}

/// What a batch became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The frames given, in order.
    pub frames: Vec<Output>,
    /// The frames that the plugin appended, in order.
    pub appended: Vec<Output>,
}

/// One plugin on a host of its own, bound to the thread that made it.
///
/// Log, counters, configuration and every [`State`](crate::State) are the thread's: making
/// another `Host` on the same thread starts them afresh, as a fresh instance does.
pub struct Host {
    judge: Judge,
    memory: Vec<u64>,
    thread: PhantomData<*mut ()>,
}

impl Host {
    /// Starts a plugin without configuration.
    #[must_use]
    pub fn new(judge: Judge) -> Host {
        host::reset();
        crate::state::reset();
        Host {
            judge,
            memory: std::vec![0; (ARENA + RING * SLOT) / size_of::<u64>()],
            thread: PhantomData,
        }
    }

    /// Hands a configuration to the plugin, as the host does before the first frame.
    ///
    /// # Errors
    /// The plugin's own reason for refusing it.
    pub fn configure(&mut self, configure: Configure, json: &str) -> Result<(), String> {
        host::set_config(json);
        configure(&Config::new(json)).map_err(ToString::to_string)
    }

    /// Calls what a timer calls; the timers that were set are those of [`timers`](Host::timers).
    pub fn fire(&mut self, timer: fn(u32, u64), id: u32, now_ns: u64) {
        timer(id, now_ns);
        crate::counter::flush();
    }

    /// Returns the timers that were set, by id, with how long they take in nanoseconds.
    #[must_use]
    pub fn timers(&self) -> BTreeMap<u32, i64> {
        host::timers()
    }

    /// Takes the frames that the plugin sent by itself, each with its port.
    pub fn take_injected(&mut self) -> Vec<(u16, Vec<u8>)> {
        host::take_injected()
    }

    /// Judges one frame that arrived on port 0.
    ///
    /// # Panics
    /// Where the frame does not fit, or the plugin appended others: see [`run`](Host::run).
    pub fn judge(&mut self, frame: &[u8]) -> Output {
        let mut batch = self.run(&[Input {
            bytes: frame.to_vec(),
            ..Input::default()
        }]);
        assert!(
            batch.appended.is_empty(),
            "the plugin appended frames: use Host::run"
        );
        batch.frames.remove(0)
    }

    /// Judges a batch of at most 64 frames.
    ///
    /// # Panics
    /// For more frames, for one that is longer than a slot takes, and where the plugin breaks the
    /// ABI in a way that only unsafe code can.
    pub fn run(&mut self, inputs: &[Input]) -> Batch {
        assert!(inputs.len() <= BATCH, "at most {BATCH} frames a batch");
        let port = inputs.first().map_or(0, |input| input.port);
        for index in 0..RING {
            let off = ARENA + index * SLOT + HEADROOM;
            let mut desc = Desc {
                off: off as u32,
                cap: (SLOT - HEADROOM) as u32,
                port,
                verdict: verdict::UNSET,
                ..Desc::default()
            };
            if let Some(input) = inputs.get(index) {
                assert!(
                    input.bytes.len() <= SLOT - HEADROOM,
                    "the frame does not fit a slot"
                );
                self.bytes_mut()[off..off + input.bytes.len()].copy_from_slice(&input.bytes);
                desc.len = input.bytes.len() as u32;
                desc.flags = input.flags;
                desc.port = input.port;
                desc.gso_size = input.gso_size;
                desc.mark = input.mark;
                desc.ts_ns = input.ts_ns;
            }
            self.write(index, desc);
        }
        let base = self.memory.as_mut_ptr().expose_provenance();
        memory::set(Memory {
            base,
            arena: ARENA as u32,
            slot: SLOT as u32,
            next: 0,
            end: 0,
        });
        // SAFETY: the descriptors just written lie at offset 0 of `self.memory`, 8-aligned, each
        // names bytes of its own slot, and nothing touches the memory during the call.
        let appended = unsafe { rt::on_batch(0, inputs.len() as u32, ARENA as u32, self.judge) };
        let appended = usize::try_from(appended).expect("the SDK reports no error");
        Batch {
            frames: (0..inputs.len()).map(|index| self.output(index)).collect(),
            appended: (inputs.len()..inputs.len() + appended)
                .map(|index| self.output(index))
                .collect(),
        }
    }

    /// Returns the log lines so far: level 0 (error) to 3 (debug), text.
    #[must_use]
    pub fn logs(&self) -> Vec<(i32, String)> {
        host::logs()
    }

    /// Judges one frame that arrived on a port at a time, in nanoseconds; see [`run`](Host::run) for frames appended.
    ///
    /// # Panics
    /// As [`run`](Host::run).
    pub fn judge_at(&mut self, frame: &[u8], port: u16, ts_ns: u64) -> Output {
        let input = Input {
            bytes: frame.to_vec(),
            port,
            ts_ns,
            ..Input::default()
        };
        self.run(&[input]).frames.remove(0)
    }

    /// Returns the counters so far.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        host::counters()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.memory.len() * size_of::<u64>();
        // SAFETY: the vector's memory seen as bytes, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), len) }
    }

    fn write(&mut self, index: usize, desc: Desc) {
        // SAFETY: `index` is below RING, so the place lies in the vector, which is 8-aligned.
        unsafe { self.memory.as_mut_ptr().cast::<Desc>().add(index).write(desc) };
    }

    fn output(&mut self, index: usize) -> Output {
        // SAFETY: as in `write`; the descriptor was written before.
        let desc = unsafe { self.memory.as_ptr().cast::<Desc>().add(index).read() };
        let verdict = match (desc.verdict, desc.out_port, desc.reason) {
            (verdict::PASS, ..) => Verdict::Pass,
            (verdict::DROP, _, 0) => Verdict::Drop,
            (verdict::DROP, _, reason) => Verdict::DropFor(reason),
            (verdict::REDIRECT, FLOOD, _) => Verdict::Flood,
            (verdict::REDIRECT, port, _) => Verdict::Redirect(port),
            (verdict::TX, ..) => Verdict::Tx,
            (other, ..) => panic!("the plugin left verdict {other}"),
        };
        let start = desc.off as usize;
        Output {
            verdict,
            bytes: self.bytes_mut()[start..start + desc.len as usize].to_vec(),
            mark: desc.mark,
            csum_dirty: desc.flags & flags::CSUM_DIRTY != 0,
            csum_partial: desc.flags & flags::CSUM_PARTIAL != 0,
            delay_us: (desc.flags & flags::DELAY != 0).then_some(desc.delay_us),
        }
    }
}

/// The functions that a guest imports, on the state of the thread at hand.
pub(crate) mod host {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use vnet_abi::{CONFIG_VALUE_ABSENT, COUNTER_NAME_MAX, COUNTERS_MAX};

    use crate::config::Config;

    #[derive(Default)]
    struct State {
        config: String,
        logs: Vec<(i32, String)>,
        counters: Vec<(String, u64)>,
        timers: BTreeMap<u32, i64>,
        injected: Vec<(u16, Vec<u8>)>,
        random: u64,
    }

    std::thread_local! {
        static STATE: RefCell<State> = RefCell::default();
    }

    fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
        STATE.with_borrow_mut(f)
    }

    pub(super) fn reset() {
        with(|state| *state = State::default());
    }

    pub(super) fn set_config(json: &str) {
        with(|state| state.config = json.to_string());
    }

    pub(super) fn logs() -> Vec<(i32, String)> {
        with(|state| state.logs.clone())
    }

    pub(super) fn counters() -> BTreeMap<String, u64> {
        with(|state| state.counters.iter().cloned().collect())
    }

    pub(crate) fn log(level: i32, text: &str) {
        with(|state| state.logs.push((level, text.to_string())));
    }

    pub(crate) fn counter(name: &str) -> i32 {
        with(|state| {
            if let Some(id) = state.counters.iter().position(|(known, _)| known == name) {
                return id as i32;
            }
            if name.len() > COUNTER_NAME_MAX || state.counters.len() == COUNTERS_MAX {
                return -1;
            }
            state.counters.push((name.to_string(), 0));
            state.counters.len() as i32 - 1
        })
    }

    pub(crate) fn count(id: i32, n: u64) {
        with(|state| {
            let counter = usize::try_from(id).ok().and_then(|id| state.counters.get_mut(id));
            if let Some((_, sum)) = counter {
                *sum = sum.wrapping_add(n);
            }
        });
    }

    pub(super) fn timers() -> BTreeMap<u32, i64> {
        with(|state| state.timers.clone())
    }

    pub(super) fn take_injected() -> Vec<(u16, Vec<u8>)> {
        with(|state| core::mem::take(&mut state.injected))
    }

    pub(crate) fn timer(id: i32, after_ns: i64) {
        with(|state| {
            if after_ns < 0 {
                state.timers.remove(&(id as u32));
            } else {
                state.timers.insert(id as u32, after_ns);
            }
        });
    }

    pub(crate) fn inject(port: u16, frame: &[u8]) -> i32 {
        with(|state| {
            if frame.len() < 14 || state.injected.len() == 1024 {
                return -1;
            }
            state.injected.push((port, frame.to_vec()));
            0
        })
    }

    /// SplitMix64: the same numbers for every new host.
    pub(crate) fn random() -> u64 {
        with(|state| {
            state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state.random;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    pub(crate) fn config_int(key: &str, otherwise: i64) -> i64 {
        with(|state| {
            let config = Config::new(&state.config);
            config
                .int(key)
                .or_else(|| config.bool(key).map(i64::from))
                .unwrap_or(otherwise)
        })
    }

    pub(crate) fn config_str(key: &str, buf: &mut [u8]) -> i32 {
        with(|state| match Config::new(&state.config).get(key) {
            None => CONFIG_VALUE_ABSENT,
            Some(value) if value.text() == "null" => CONFIG_VALUE_ABSENT,
            Some(value) => {
                let text = unescaped(value.text());
                for (to, from) in buf.iter_mut().zip(text.as_bytes()) {
                    *to = *from;
                }
                text.len() as i32
            }
        })
    }

    /// Returns what a JSON string says, and any other value as it is written.
    fn unescaped(text: &str) -> String {
        let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
            return text.to_string();
        };
        let mut plain = String::with_capacity(inner.len());
        let mut letters = inner.chars();
        while let Some(letter) = letters.next() {
            plain.push(match letter {
                '\\' => match letters.next() {
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    // The host writes so what is no printable character only, none of which takes two.
                    Some('u') => {
                        let digits: String = letters.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).unwrap_or_default();
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                    other => other.unwrap_or('\\'),
                },
                letter => letter,
            });
        }
        plain
    }
}
