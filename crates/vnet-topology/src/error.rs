//! What is wrong with a lab, and where.

use std::fmt;

/// Where in a lab something was declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the lab file and line and column in it, from 1, or 0 where only the file is known; `None` where no file was read.
    pub file: Option<(String, usize, usize)>,
    /// The key there, such as `hosts.h1.ip`; empty for the file as a whole.
    pub key: String,
}

impl Place {
    /// Names a thing that was not read from a file.
    pub(crate) fn named(key: impl Into<String>) -> Self {
        Self {
            file: None,
            key: key.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            None => f.write_str(&self.key),
            Some((file, 0, _)) if self.key.is_empty() => f.write_str(file),
            Some((file, 0, _)) => write!(f, "{file}: {}", self.key),
            Some((file, line, column)) if self.key.is_empty() => write!(f, "{file}:{line}:{column}"),
            Some((file, line, column)) => write!(f, "{file}:{line}:{column}: {}", self.key),
        }
    }
}

/// A lab cannot be as it was declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// The text is no TOML or JSON.
    #[error("{at}: {reason}")]
    Syntax {
        /// Where reading ended.
        at: Place,
        /// What the reader of the format said.
        reason: String,
    },
    /// A key that nothing has.
    #[error("{at}: unknown key; expected one of {expected}")]
    UnknownKey {
        /// The key.
        at: Place,
        /// The keys there are, with commas between them.
        expected: String,
    },
    /// A key that must be there.
    #[error("{at}: missing; expected {expected}")]
    Missing {
        /// The key.
        at: Place,
        /// What it would have to be.
        expected: String,
    },
    /// A value that cannot be.
    #[error("{at}: {found}; expected {expected}")]
    BadValue {
        /// The key.
        at: Place,
        /// The value, or what is wrong with it.
        found: String,
        /// What it would have to be.
        expected: String,
    },
    /// Two things of one name, address or the like.
    #[error("{at}: {what} is taken by {first}; {fix}")]
    Duplicate {
        /// The second one.
        at: Place,
        /// What both have, such as `the name h1`.
        what: String,
        /// The first one.
        first: Box<Place>,
        /// What to do.
        fix: String,
    },
    /// A link to a node that was not declared.
    #[error("{at}: there is no node {name}; {known}")]
    UnknownNode {
        /// The end of the link.
        at: Place,
        /// The name.
        name: String,
        /// Which nodes there are.
        known: String,
    },
    /// A link whose ends are on one node.
    #[error("{at}: a link from {node} to itself; a link joins two nodes")]
    SelfLink {
        /// The link.
        at: Place,
        /// The node.
        node: String,
    },
    /// Networks that overlap in two broadcast domains.
    #[error(
        "{at}: {subnet} overlaps with {other} of {first}, which no switch joins with it; give one of them another network"
    )]
    Overlap {
        /// The later one.
        at: Place,
        /// Its network.
        subnet: String,
        /// The earlier one.
        first: Box<Place>,
        /// Its network.
        other: String,
    },
    /// No address or network is left.
    #[error("{at}: {what}; {fix}")]
    Exhausted {
        /// What was to get one.
        at: Place,
        /// What is used up.
        what: String,
        /// What to do.
        fix: String,
    },
    /// A gateway that is in none of the node's networks.
    #[error("{at}: {via} is in none of the networks of {node}; a gateway is a neighbour's address")]
    NotANeighbour {
        /// The route or gateway.
        at: Place,
        /// Its address.
        via: String,
        /// The node, and its networks in parentheses.
        node: String,
    },
    /// A value that the file format has no form for.
    #[error("{at}: {found} cannot be written to a lab file; {fix}")]
    NoFileForm {
        /// The key.
        at: Place,
        /// The value.
        found: String,
        /// What to do.
        fix: String,
    },
}

impl TopologyError {
    /// Returns where the fault is.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::Missing { at, .. }
            | Self::BadValue { at, .. }
            | Self::Duplicate { at, .. }
            | Self::UnknownNode { at, .. }
            | Self::SelfLink { at, .. }
            | Self::Overlap { at, .. }
            | Self::Exhausted { at, .. }
            | Self::NotANeighbour { at, .. }
            | Self::NoFileForm { at, .. } => at,
        }
    }
}
