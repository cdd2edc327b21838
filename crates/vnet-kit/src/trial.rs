//! A plugin that judges frames in memory, one after the other: what tests are made of.

use serde_json::Value;
use vnet_abi::{HEADROOM, RING_MAX, flags};
use vnet_packet::{Layer, checksum};
use vnet_runtime::{Fate, Frame, Frames, Injected, Module, PluginError, Stage, StageOptions, StageStats};

/// Says how the plugin of a trial is started.
#[derive(Clone, Debug)]
pub(crate) struct TrialOptions {
    pub config: Value,
    pub grants: Vec<String>,
    pub layer: Layer,
    pub ports: u16,
    pub mtu: u32,
}

/// What a plugin made of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// `pass`, `drop`, `redirect`, `flood` or `tx`.
    pub verdict: &'static str,
    pub out_port: Option<u16>,
    pub reason: Option<String>,
    /// The frame as it goes on, its checksums recomputed where the plugin asked for that.
    pub bytes: Vec<u8>,
    pub appended: bool,
}

/// A started plugin with nothing around it.
pub(crate) struct Trial {
    stage: Stage,
    layer: Layer,
    /// The lab's clock in nanoseconds.
    now_ns: u64,
}

impl Trial {
    pub fn new(module: &Module, options: TrialOptions) -> Result<Trial, PluginError> {
        let TrialOptions {
            config,
            grants,
            layer,
            ports,
            mtu,
        } = options;
        let options = StageOptions {
            config,
            grants,
            layer: runtime_layer(layer),
            ports,
            mtu,
            trip: None,
            ..StageOptions::default()
        };
        let mut stage = Stage::new(module, options)?;
        // Timers that were set while it started count from here.
        stage.next_timer(0);
        Ok(Trial {
            stage,
            layer,
            now_ns: 0,
        })
    }

    /// Judges frames that arrive together, as far as one run takes them; the appended ones of a run follow its own.
    ///
    /// # Errors
    /// A sentence where a frame does not fit the plugin's buffer.
    pub fn judge(&mut self, frames: &[Vec<u8>], port: u16, ts_ns: u64) -> Result<Vec<Judged>, String> {
        let most = self.stage.traits().max_frame as usize;
        if let Some(long) = frames.iter().find(|frame| frame.len() > most) {
            return Err(format!(
                "the frame has {} bytes, and the plugin takes {most}",
                long.len()
            ));
        }
        let mut judged = Vec::new();
        self.wait(ts_ns, &mut judged)?;
        for batch in frames.chunks(self.stage.traits().batch) {
            self.run(batch, port, ts_ns, &mut judged);
        }
        Ok(judged)
    }

    /// Lets time pass: timers come, each at its own time, and what the plugin sends then is among what it made.
    fn wait(&mut self, until_ns: u64, judged: &mut Vec<Judged>) -> Result<(), String> {
        const CALLS_MAX: usize = 100_000;
        for _ in 0..CALLS_MAX {
            let due = self.stage.next_timer(self.now_ns).filter(|due| *due <= until_ns);
            let Some(due) = due else {
                self.now_ns = self.now_ns.max(until_ns);
                return Ok(());
            };
            self.now_ns = self.now_ns.max(due);
            self.stage.fire(self.now_ns);
            let mut sent = Injected::default();
            self.stage.take_injected(&mut sent);
            judged.extend(sent.iter().map(|(port, bytes)| Judged {
                verdict: "redirect",
                out_port: Some(port),
                reason: None,
                bytes: bytes.to_vec(),
                appended: true,
            }));
        }
        Err(format!(
            "its timers came {CALLS_MAX} times before {} s: let less time pass",
            until_ns as f64 / 1e9
        ))
    }

    fn run(&mut self, batch: &[Vec<u8>], port: u16, ts_ns: u64, judged: &mut Vec<Judged>) {
        let mut frames = Frames::with_capacity(RING_MAX);
        let arena = self.stage.arena();
        for (i, bytes) in batch.iter().enumerate() {
            let off = i * arena.stride + HEADROOM;
            arena.bytes[off..off + bytes.len()].copy_from_slice(bytes);
            frames.push(Frame {
                off: off as u32,
                len: bytes.len() as u32,
                port,
                flags: if self.layer == Layer::L3 { flags::L3 } else { 0 },
                ts_ns,
                ..Frame::default()
            });
        }
        self.stage.run(&mut frames);
        for frame in frames.as_slice() {
            let (verdict, out_port, reason) = match frame.fate {
                Fate::Unset | Fate::Pass => ("pass", None, None),
                Fate::Tx => ("tx", None, None),
                Fate::Redirect(vnet_abi::FLOOD) => ("flood", None, None),
                Fate::Redirect(port) => ("redirect", Some(port), None),
                Fate::Drop(reason) => ("drop", None, Some(self.stage.reason_text(reason).to_owned())),
            };
            let start = frame.off as usize;
            let arena = self.stage.arena();
            let mut bytes = arena
                .bytes
                .get(start..start + frame.len as usize)
                .unwrap_or_default()
                .to_vec();
            if frame.csum_dirty {
                checksum::fix(&mut bytes, self.layer);
            }
            judged.push(Judged {
                verdict,
                out_port,
                reason,
                bytes,
                appended: frame.appended,
            });
        }
    }

    pub fn stats(&self) -> StageStats {
        self.stage.stats()
    }
}

pub(crate) fn runtime_layer(layer: Layer) -> vnet_runtime::Layer {
    match layer {
        Layer::L2 => vnet_runtime::Layer::L2,
        Layer::L3 => vnet_runtime::Layer::L3,
    }
}
