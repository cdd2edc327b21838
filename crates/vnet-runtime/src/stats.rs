//! Numbers of one stage, by value.

use std::collections::BTreeMap;

/// What the engine and the plugin did with a stage's frames.
///
/// `packets_in + appended == passed + dropped + redirected + tx` always holds.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct StageStats {
    /// Name of the plugin.
    pub name: String,
    /// The plugin's own version, where its manifest gives one.
    pub version: Option<String>,
    /// `simple` or `batch`; `python` where a Python callable judges, which is slow.
    pub form: String,
    /// `running`, `backoff` (waits for a restart), `tripped` (out of service), or `half-open` (tried again after a trip).
    pub state: String,
    /// Frames that wait for a Python callable's answer just now.
    pub waiting: u64,
    /// Frames handed to the stage.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames that went on.
    pub passed: u64,
    /// Frames dropped, for whatever reason.
    pub dropped: u64,
    /// Frames sent to a port by REDIRECT.
    pub redirected: u64,
    /// Frames sent back by TX.
    pub tx: u64,
    /// Frames the plugin made, those dropped for a bad descriptor included.
    pub appended: u64,
    /// Frames the plugin sent by `inject`.
    pub injected: u64,
    /// Calls for timers.
    pub timer_calls: u64,
    /// Drops by reason: the manifest's text of a plugin's code, `drop` for none, `other` for an undeclared one, and the host's own reasons.
    pub drops: BTreeMap<String, u64>,
    /// Broken rules: `trap`, `timeout` and `error` (negative answer), which replace the instance; `bad_desc`,
    /// `bad_verdict`, `bad_port`, `bad_append` and `bad_pointer`, which do not, and `inject_full`; `exception` of a Python callable.
    pub faults: BTreeMap<String, u64>,
    /// Fresh instances made after a fault.
    pub restarts: u64,
    /// How often another plugin took the place of the one before; all numbers but those of time go on over it.
    pub swaps: u64,
    /// Batches offered to the plugin.
    pub runs: u64,
    /// Time spent in the plugin in nanoseconds, estimated from the first 64 batches and every eighth of the rest.
    pub guest_ns: u64,
    /// The same per frame, in nanoseconds.
    pub ns_per_packet: f64,
    /// The plugin's counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Log lines lost to the rate limit or to a full queue.
    pub logs_lost: u64,
    /// The last fault that replaced the instance.
    pub last_fault: Option<FaultReport>,
}

/// How an instance failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FaultReport {
    /// `trap`, `timeout` or `error`.
    pub kind: String,
    /// What happened, in words.
    pub message: String,
    /// The guest's stack, innermost frame first, one frame a line; may be empty.
    pub backtrace: String,
    /// The first bytes of the frame the guest had, as it left them; empty when it had none.
    pub hexdump: String,
}
