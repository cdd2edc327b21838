//! How a call into a guest failed, in words.

use vnet_abi::export;
use wasmtime::{Trap, WasmBacktrace};

use crate::error::{PluginError, Refusal};
use crate::stats::FaultReport;
use crate::ticker::OutOfTime;

/// Most bytes of a frame in a hexdump.
const DUMPED: usize = 256;

/// Faults that replace an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Trap,
    Timeout,
    /// The plugin answered negatively: its own error.
    Error,
    /// Code outside the engine that judges for a stage raised an exception.
    Exception,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Trap => "trap",
            Kind::Timeout => "timeout",
            Kind::Error => "error",
            Kind::Exception => "exception",
        }
    }
}

/// A failed call.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// An export's name, or `instantiation`.
    pub(crate) step: &'static str,
    pub(crate) message: String,
    pub(crate) backtrace: String,
    timeout: Option<std::time::Duration>,
    refusal: Option<Refusal>,
}

impl Failure {
    /// Puts an error of wasmtime's into words.
    pub(crate) fn of_call(step: &'static str, error: &wasmtime::Error) -> Box<Failure> {
        let timeout = error.downcast_ref::<OutOfTime>().map(|out| out.0);
        let message = match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => "stack overflow".to_owned(),
            Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
            None => error.root_cause().to_string(),
        };
        Box::new(Failure {
            kind: if timeout.is_some() {
                Kind::Timeout
            } else {
                Kind::Trap
            },
            step,
            message,
            backtrace: error
                .downcast_ref::<WasmBacktrace>()
                .map(lines)
                .unwrap_or_default(),
            timeout,
            refusal: None,
        })
    }

    /// Reports a negative answer.
    pub(crate) fn of_answer(step: &'static str, answer: i32) -> Box<Failure> {
        Box::new(Failure {
            kind: Kind::Error,
            step,
            message: format!("{step} answered {answer}, the plugin's own error"),
            backtrace: String::new(),
            timeout: None,
            refusal: None,
        })
    }

    /// Reports a rule that the plugin broke while it was started.
    pub(crate) fn of_refusal(step: &'static str, refusal: Refusal) -> Box<Failure> {
        Box::new(Failure {
            kind: Kind::Error,
            step,
            message: refusal.reason.clone(),
            backtrace: String::new(),
            timeout: None,
            refusal: Some(refusal),
        })
    }

    /// Returns the failure of a start as the error of whoever attaches the plugin.
    pub(crate) fn into_error(self, plugin: &str) -> PluginError {
        if let Some(refusal) = self.refusal {
            return refusal.of(plugin);
        }
        if let Some(budget) = self.timeout {
            return PluginError::Timeout {
                plugin: plugin.to_owned(),
                step: self.step.to_owned(),
                budget,
            };
        }
        PluginError::Trap {
            plugin: plugin.to_owned(),
            message: format!("{} in {}", self.message, self.step),
            backtrace: self.backtrace,
        }
    }

    /// Returns the failure as a stage reports it.
    pub(crate) fn report(&self, frame: &[u8]) -> FaultReport {
        let in_step = match self.step {
            export::ON_BATCH | export::ON_PACKET => self.message.clone(),
            export::SAVE => format!("{} in {}", self.message, self.step),
            step => format!("{} in {step}, while a fresh instance was started", self.message),
        };
        FaultReport {
            kind: self.kind.name().to_owned(),
            message: in_step,
            backtrace: self.backtrace.clone(),
            hexdump: hexdump(&frame[..frame.len().min(DUMPED)]),
        }
    }
}

fn lines(backtrace: &WasmBacktrace) -> String {
    let mut text = String::new();
    for (i, frame) in backtrace.frames().iter().enumerate() {
        let name = frame.func_name().unwrap_or("?");
        let at = frame
            .module_offset()
            .map(|at| format!(" at {at:#x}"))
            .unwrap_or_default();
        text += &format!("{i}: {name} (function {}){at}\n", frame.func_index());
    }
    text
}

/// Returns bytes as 16 a line, with their offsets.
pub(crate) fn hexdump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, row) in bytes.chunks(16).enumerate() {
        text += &format!("{:04x} ", line * 16);
        for byte in row {
            text += &format!(" {byte:02x}");
        }
        text.push('\n');
    }
    text
}
