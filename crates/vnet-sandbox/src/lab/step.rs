use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vnet_netlink::Change;

use crate::SandboxError;

/// A network namespace of a lab, by number: 0 is the lab's own, the others are nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Space(pub u32);

impl Space {
    /// The lab's own namespace, in which the lab ends of all links lie.
    pub const LAB: Self = Self(0);
}

/// One step of building or changing a lab; see [`Lab::apply`](crate::Lab::apply).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Step {
    /// Makes a node with nothing in it but a loopback interface, which is up.
    Node {
        /// Its number, from 1, chosen by who builds the lab.
        space: u32,
        /// What its commands will see.
        spec: NodeSetup,
    },
    /// Forgets a node. Its commands are killed, and its namespace with all that is in
    /// it goes as soon as nobody holds it.
    DropNode {
        /// Its number.
        space: u32,
    },
    /// Changes the network of a space.
    Net {
        /// The space's number.
        space: u32,
        /// The change.
        change: Change,
    },
    /// Sets a kernel parameter of a space's network.
    Sysctl {
        /// The space's number.
        space: u32,
        /// Its name with dots, such as `net.ipv4.ip_forward`.
        key: String,
        /// What is written.
        value: String,
    },
}

/// What the commands of a node see besides its network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSetup {
    /// The name [`LabEntry::exec`](crate::LabEntry::exec) finds it by: letters,
    /// digits, `.`, `_` and `-`, at most 63 bytes.
    pub name: String,
    /// Its host name, of the same characters.
    pub hostname: String,
    /// Existing directories in whose place the node has empty ones of its own, such
    /// as `/tmp` (mode 1777; all others 0755, owned by the user).
    pub private_dirs: Vec<PathBuf>,
    /// The text of its /etc/resolv.conf, or the machine's.
    pub resolv_conf: Option<String>,
    /// Whether its /etc/hosts is the lab's; see
    /// [`Lab::set_hosts`](crate::Lab::set_hosts).
    pub hosts: bool,
}

/// A step could not be made: those before it are done, those behind it are not.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ApplyError {
    /// The place of the step that failed, from 0.
    pub at: usize,
    /// Why it failed.
    #[source]
    pub error: SandboxError,
}
