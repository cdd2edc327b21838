//! `vnet plugin check`: does a plugin keep the rules on thousands of good, damaged and random frames?

use std::collections::BTreeMap;

use serde_json::Value;
use vnet_abi::{HEADROOM, flags};

use crate::asked::Injected;
use crate::config::Config;
use crate::error::PluginError;
use crate::failure::hexdump;
use crate::frames::{Fate, Frame, Frames, Layer, Reason};
use crate::module::Module;
use crate::options::StageOptions;
use crate::samples::Samples;
use crate::stage::Stage;
use crate::stats::StageStats;

/// What time it is, always.
const NOW_NS: u64 = 1_000_000_000;

/// An hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Problems after which the rest is not looked at.
const PROBLEMS_MAX: usize = 20;

/// Timeouts after which the rest is not looked at: each costs its whole budget of CPU time.
const TIMEOUTS_MAX: u64 = 50;

/// Says what a check does.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckOptions {
    /// Frames offered on each layer the plugin understands.
    pub frames: usize,
    /// Seed of the frames and of the plugin's `random`.
    pub seed: u64,
    /// The plugin's configuration.
    pub config: Value,
    /// Capabilities granted beside those the plugin asks for.
    pub grants: Vec<String>,
    /// Largest packet offered in bytes, without the Ethernet header.
    pub mtu: u32,
}

impl Default for CheckOptions {
    fn default() -> CheckOptions {
        CheckOptions {
            frames: 10_000,
            seed: 1,
            config: Value::Object(serde_json::Map::new()),
            grants: Vec::new(),
            mtu: 1500,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct CheckReport {
    /// Name of the plugin.
    pub plugin: String,
    /// `simple` or `batch`.
    pub form: String,
    /// Layers that frames were made for: `l2`, `l3`.
    pub layers: Vec<String>,
    /// Bytes of the module.
    pub size: usize,
    /// Frames offered.
    pub frames: u64,
    /// Frames by verdict: `pass`, `drop`, `redirect`, `tx`; appended ones too, which `appended` counts.
    pub verdicts: BTreeMap<String, u64>,
    /// Drops by reason.
    pub drops: BTreeMap<String, u64>,
    /// Broken rules by name.
    pub faults: BTreeMap<String, u64>,
    /// Nanoseconds per frame.
    pub ns_per_packet: f64,
    /// What the plugin did wrong; empty when it passed.
    pub problems: Vec<Problem>,
    /// What its manifest says and the module does not do, or the other way round.
    pub warnings: Vec<String>,
}

/// One thing a plugin did wrong, with the first frame it did it with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// `l2` or `l3`.
    pub layer: String,
    /// Name of the broken rule: `start`, a fault's name, or `pure`.
    pub rule: String,
    /// What happened, in words.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// The frame as it was offered; empty where none was.
    pub frame: String,
}

impl CheckReport {
    /// Says whether the plugin did nothing wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Offers a plugin good, damaged and random frames on every layer it understands, and reports what it does wrong.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "options are made for one check")]
pub fn check(module: &Module, options: CheckOptions) -> CheckReport {
    let layers = module.manifest().layers.clone();
    let mut report = CheckReport {
        plugin: module.name().to_owned(),
        form: module.form().name().to_owned(),
        layers: layers.iter().map(|layer| layer.name().to_owned()).collect(),
        size: module.size(),
        ..CheckReport::default()
    };
    let mut timed = (0, 0);
    for layer in layers {
        let mut check = Check {
            module,
            options: &options,
            layer,
            report: &mut report,
            timed: &mut timed,
        };
        check.run();
    }
    report.warnings = warnings(module, &report);
    if timed.1 > 0 {
        report.ns_per_packet = timed.0 as f64 / timed.1 as f64;
    }
    report
}

/// Holds the manifest against the module.
fn warnings(module: &Module, report: &CheckReport) -> Vec<String> {
    let manifest = module.manifest();
    let imports = |name: &str| {
        module
            .imports()
            .iter()
            .any(|import| *import == format!("vnet.{name}"))
    };
    let exports = |name: &str| module.exports().iter().any(|export| export == name);
    let mut warnings = Vec::new();
    if !manifest.present {
        warnings.push("it has no manifest: nobody reads its name, reasons and configuration".to_owned());
    }
    for capability in manifest
        .capabilities
        .iter()
        .filter(|capability| !imports(capability))
    {
        warnings.push(format!(
            "its manifest asks for {capability}, which the module does not use"
        ));
    }
    if let Some(error) = manifest.schema.as_ref().and_then(|schema| {
        let defaults = manifest.config.as_ref().map(defaults).unwrap_or_default();
        Config::new(&defaults, Some(schema)).err()
    }) && manifest
        .config
        .as_ref()
        .is_some_and(|schema| schema.get("required").is_none())
    {
        warnings.push(format!(
            "its configuration's schema refuses the defaults that it names: {}",
            error.of(module.name())
        ));
    }
    if let Some(n) = report.drops.get("other") {
        warnings.push(format!(
            "it dropped {n} frames for reasons that its manifest does not declare: they are counted as `other`"
        ));
    }
    if manifest.state_version != 0 && !exports(vnet_abi::export::LOAD) && !exports(vnet_abi::export::MAPS) {
        warnings.push(
            "its manifest has a state_version, and the module has no state: no vnet_load, no maps".to_owned(),
        );
    }
    warnings
}

/// The configuration that a schema's defaults make.
fn defaults(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let defaults = properties.into_iter().flatten().filter_map(|(key, property)| {
        let default = property.get("default")?;
        Some((key.clone(), default.clone()))
    });
    Value::Object(defaults.collect())
}

struct Check<'a> {
    module: &'a Module,
    options: &'a CheckOptions,
    layer: Layer,
    report: &'a mut CheckReport,
    /// Nanoseconds and frames.
    timed: &'a mut (u64, u64),
}

impl Check<'_> {
    fn problem(&mut self, rule: &str, message: &str, frame: &[u8]) {
        let known = self
            .report
            .problems
            .iter()
            .any(|p| p.rule == rule && p.message == message);
        if !known {
            self.report.problems.push(Problem {
                layer: self.layer.name().to_owned(),
                rule: rule.to_owned(),
                message: message.to_owned(),
                hint: if message.contains("hint: ") {
                    ""
                } else {
                    advice(rule)
                }
                .to_owned(),
                frame: hexdump(frame),
            });
        }
    }

    fn stage(&mut self) -> Option<Stage> {
        let options = StageOptions {
            config: self.options.config.clone(),
            grants: self.grants(),
            seed: self.options.seed,
            layer: self.layer,
            ports: 2,
            mtu: self.options.mtu,
            trip: None,
            ..StageOptions::default()
        };
        match Stage::new(self.module, options) {
            Ok(stage) => Some(stage),
            Err(error) => {
                // A trap's hint is to run this check.
                let hint = match &error {
                    PluginError::Trap { .. } => String::new(),
                    _ => error
                        .hint()
                        .map(|hint| format!("; hint: {hint}"))
                        .unwrap_or_default(),
                };
                self.problem("start", &format!("{error}{hint}"), &[]);
                None
            }
        }
    }

    /// A check shows what a plugin does with all it may be given.
    fn grants(&self) -> Vec<String> {
        let asked = &self.module.manifest().capabilities;
        self.options.grants.iter().chain(asked).cloned().collect()
    }

    fn run(&mut self) {
        let Some(mut stage) = self.stage() else { return };
        let ethernet = if self.layer == Layer::L2 { 14 } else { 0 };
        let longest = (self.options.mtu as usize + ethernet).min(stage.traits().max_frame as usize);
        let mut samples = Samples::new(self.options.seed, self.layer, longest);
        let mut offered = 0;
        while offered < self.options.frames && !self.is_hopeless() {
            let n = (1 + samples.below(stage.traits().batch)).min(self.options.frames - offered);
            let batch: Vec<_> = (0..n).map(|_| samples.next()).collect();
            let port = samples.below(2) as u16;
            self.offer(&mut stage, &batch, port);
            offered += n;
            if stage.stats().state != "running" {
                self.add(&stage.stats());
                match self.stage() {
                    Some(fresh) => stage = fresh,
                    None => return,
                }
            }
        }
        self.add(&stage.stats());
    }

    fn is_hopeless(&self) -> bool {
        let timeouts = self.report.faults.get("timeout").copied().unwrap_or(0);
        self.report.problems.len() >= PROBLEMS_MAX || timeouts >= TIMEOUTS_MAX
    }

    /// Offers one batch and looks at every answer.
    fn offer(&mut self, stage: &mut Stage, batch: &[Vec<u8>], port: u16) {
        let before = stage.stats();
        let frames = run(stage, batch, port, self.layer);
        // Whatever timers it set come at once, an hour later, and nobody wants the frames it sends.
        stage.next_timer(NOW_NS);
        stage.fire(NOW_NS + HOUR_NS);
        stage.take_injected(&mut Injected::default());
        let after = stage.stats();
        for (rule, count) in &after.faults {
            if before.faults.get(rule) == Some(count) {
                continue;
            }
            let fault = after.last_fault.as_ref().filter(|fault| fault.kind == *rule);
            let culprit = frames.as_slice().iter().position(|frame| broke(frame.fate, rule));
            let frame = culprit.and_then(|i| batch.get(i)).map_or(&[][..], Vec::as_slice);
            let message = fault.map_or_else(|| words(rule).to_owned(), |fault| fault.message.clone());
            self.problem(rule, &message, frame);
        }
        if stage.traits().pure && after.faults.is_empty() {
            self.purity(stage, batch, port, &frames);
        }
    }

    /// A PURE plugin gives each frame the verdict it gave in the batch, and leaves the bytes alone.
    fn purity(&mut self, stage: &mut Stage, batch: &[Vec<u8>], port: u16, frames: &Frames) {
        let stride = stage.arena().stride;
        for (i, frame) in frames.as_slice().iter().take(batch.len()).enumerate() {
            let bytes = &stage.arena().bytes[i * stride + HEADROOM..][..batch[i].len()];
            if bytes != batch[i] || frame.len as usize != batch[i].len() {
                self.problem("pure", "it declares PURE and rewrites frames", &batch[i]);
            }
        }
        let fates: Vec<_> = frames.as_slice().iter().map(|frame| frame.fate).collect();
        for (frame, fate) in batch.iter().zip(fates).take(1) {
            let again = run(stage, std::slice::from_ref(frame), 1 - port, self.layer);
            if again.as_slice().first().is_some_and(|again| again.fate != fate) {
                self.problem(
                    "pure",
                    "it declares PURE and judges the same frame differently on another port",
                    frame,
                );
            }
        }
    }

    fn add(&mut self, stats: &StageStats) {
        let report = &mut *self.report;
        report.frames += stats.packets_in;
        let verdicts = [
            ("pass", stats.passed),
            ("drop", stats.dropped),
            ("redirect", stats.redirected),
            ("tx", stats.tx),
            ("appended", stats.appended),
        ];
        for (name, n) in verdicts {
            *report.verdicts.entry(name.to_owned()).or_insert(0) += n;
        }
        for (name, n) in &stats.drops {
            *report.drops.entry(name.clone()).or_insert(0) += n;
        }
        for (name, n) in &stats.faults {
            *report.faults.entry(name.clone()).or_insert(0) += n;
        }
        self.timed.0 += stats.guest_ns;
        self.timed.1 += stats.packets_in;
    }
}

fn run(stage: &mut Stage, batch: &[Vec<u8>], port: u16, layer: Layer) -> Frames {
    let mut frames = Frames::with_capacity(vnet_abi::RING_MAX);
    let arena = stage.arena();
    let flags = if layer == Layer::L3 { flags::L3 } else { 0 };
    for (i, bytes) in batch.iter().enumerate() {
        let off = i * arena.stride + HEADROOM;
        arena.bytes[off..off + bytes.len()].copy_from_slice(bytes);
        let (off, len) = (off as u32, bytes.len() as u32);
        frames.push(Frame {
            off,
            len,
            port,
            flags,
            ts_ns: NOW_NS,
            ..Frame::default()
        });
    }
    stage.run(&mut frames);
    frames
}

fn broke(fate: Fate, rule: &str) -> bool {
    match fate {
        Fate::Drop(Reason::Fault) => matches!(rule, "trap" | "timeout" | "error"),
        Fate::Drop(reason) => reason.name() == rule,
        _ => false,
    }
}

/// What an author does about a broken rule.
fn advice(rule: &str) -> &'static str {
    match rule {
        "start" => "mend what vnet_info, vnet_configure and the manifest say: `vnet plugin inspect` shows it",
        "trap" => "read no byte before its place was compared with the frame's length",
        "timeout" => "bound every loop whose length a frame decides: a call has 5 ms",
        "error" => "return the number of appended frames, 0 or more",
        "bad_desc" => {
            "keep off and len inside the frame's slot: write at most cap bytes from the original off on"
        }
        "bad_verdict" => "answer PASS, DROP, REDIRECT or TX; REDIRECT, TX or PASS for an appended frame",
        "bad_port" => "redirect to a port that exists and is not the arrival one; 0xffff is every other port",
        "bad_append" => "append at most ring_len - n frames",
        "bad_pointer" => "give imports addresses inside the memory, and ids that `counter` returned",
        "pure" => "leave PURE out of vnet_info's flags, or judge by the frame's bytes alone",
        _ => "",
    }
}

fn words(rule: &str) -> &'static str {
    match rule {
        "bad_desc" => "it moved a frame out of its slot, or gave it a length that does not fit",
        "bad_verdict" => "it answered a verdict that does not exist, or UNSET or DROP for an appended frame",
        "bad_port" => "it redirected a frame to a port that does not exist, or to the arrival port",
        "bad_append" => "it appended more frames than there are descriptors left",
        "bad_pointer" => {
            "it gave an import a pointer outside its memory, or a counter id that does not exist"
        }
        _ => "it broke a rule",
    }
}
