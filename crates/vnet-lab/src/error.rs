use std::io;

use vnet_datapath::EngineError;
use vnet_sandbox::SandboxError;
use vnet_topology::TopologyError;

/// What can go wrong with a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The declaration cannot be as it is.
    #[error(transparent)]
    Topology(Box<TopologyError>),
    /// The helper or the kernel refused something that belongs to no single declaration.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The engine refused something.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The kernel refused something that a node or link needs; everything made for the same request was taken back.
    #[error("{of}: {source}")]
    Refused {
        /// The declaration, such as `node h1` or `link h1-s1`.
        of: String,
        /// The helper's or the kernel's answer.
        source: Box<SandboxError>,
    },
    /// A node, link or interface was named that the network does not have.
    #[error("there is no {what} in this network; {hint}")]
    Unknown {
        /// Kind and name of the thing.
        what: String,
        /// What there is instead.
        hint: String,
    },
    /// The arguments cannot work.
    #[error("{what}; {fix}")]
    BadArgument {
        /// What is wrong, and with which thing.
        what: String,
        /// What to do instead.
        fix: String,
    },
    /// The thing has ended.
    #[error("{what} is closed; make a new one")]
    Closed {
        /// The network, or a part of it.
        what: String,
    },
    /// The caller's `cancel` said so.
    #[error("{what} was cancelled")]
    Cancelled {
        /// What was being done.
        what: String,
    },
    /// The kernel refused something to this process.
    #[error("{what}: {source}")]
    Os {
        /// What was attempted.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl From<TopologyError> for LabError {
    fn from(error: TopologyError) -> Self {
        Self::Topology(Box::new(error))
    }
}

impl LabError {
    pub(crate) fn refused(of: impl Into<String>, source: SandboxError) -> Self {
        Self::Refused {
            of: of.into(),
            source: Box::new(source),
        }
    }

    pub(crate) fn os(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os {
            what: what.into(),
            source: source.into(),
        }
    }

    pub(crate) fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::BadArgument {
            what: what.into(),
            fix: fix.into(),
        }
    }
}
