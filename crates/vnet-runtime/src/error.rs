//! Why a plugin cannot be used.

use std::time::Duration;

/// Says why a plugin was refused, or how it failed before it saw a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The module, its manifest, its configuration or its answers break a rule.
    #[error("plugin {plugin}: {reason}")]
    Rejected {
        /// Name of the plugin.
        plugin: String,
        /// The broken rule, with the value found and the value expected.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The guest trapped while it was started.
    #[error("plugin {plugin} trapped: {message}")]
    Trap {
        /// Name of the plugin.
        plugin: String,
        /// Which step, and the trap in words.
        message: String,
        /// The guest's stack, innermost frame first, one frame a line; may be empty.
        backtrace: String,
    },
    /// The guest used more CPU time than the step it was in may use.
    #[error("plugin {plugin} did not end {step} within {} ms of CPU time", .budget.as_millis())]
    Timeout {
        /// Name of the plugin.
        plugin: String,
        /// The step: an export's name, or `instantiation`.
        step: String,
        /// CPU time the step may use.
        budget: Duration,
    },
}

impl PluginError {
    /// Returns what to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            PluginError::Rejected { hint, .. } => hint.as_deref(),
            PluginError::Trap { .. } => Some("run `vnet plugin check` on it, and read its log lines"),
            PluginError::Timeout { .. } => Some("look for a loop that does not end"),
        }
    }

    /// Returns the plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &str {
        match self {
            PluginError::Rejected { plugin, .. }
            | PluginError::Trap { plugin, .. }
            | PluginError::Timeout { plugin, .. } => plugin,
        }
    }
}

/// A rule that was broken, before it is known to which plugin it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub reason: String,
    pub hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(reason: impl Into<String>) -> Refusal {
        Refusal {
            reason: reason.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn of(self, plugin: &str) -> PluginError {
        PluginError::Rejected {
            plugin: plugin.to_owned(),
            reason: self.reason,
            hint: self.hint,
        }
    }
}
