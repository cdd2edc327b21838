//! The one error of the tools.

use std::fmt::Display;
use std::path::Path;

/// Says what went wrong while a plugin was made, built, tried or measured.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// A name, file or option that cannot be right.
    #[error("{what}")]
    Invalid {
        /// Sentence that names the thing and what was expected.
        what: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// A file, project or program that is not there.
    #[error("{what}")]
    NotFound {
        /// Sentence that names the thing and where it was looked for.
        what: String,
        /// How to get it.
        hint: Option<String>,
    },
    /// The compiler refused the source.
    #[error("{what}")]
    Build {
        /// Which command failed, with what the compiler wrote.
        what: String,
    },
    /// The kernel refused a file.
    #[error("{what}")]
    System {
        /// What was tried, with the kernel's own text.
        what: String,
    },
    /// The plugin cannot be loaded or started.
    #[error(transparent)]
    Plugin(#[from] vnet_runtime::PluginError),
}

impl KitError {
    pub(crate) fn invalid(what: impl Into<String>) -> KitError {
        KitError::Invalid {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn not_found(what: impl Into<String>, hint: impl Into<String>) -> KitError {
        KitError::NotFound {
            what: what.into(),
            hint: Some(hint.into()),
        }
    }

    pub(crate) fn file(tried: &str, path: &Path, error: impl Display) -> KitError {
        KitError::System {
            what: format!("cannot {tried} {}: {error}", path.display()),
        }
    }

    /// Adds what to do about it, where that is not said yet.
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> KitError {
        if let KitError::Invalid { hint, .. } | KitError::NotFound { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}
