//! What the client of a lab and its helper say to each other, in JSON.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};
use vnet_netlink::{FdbEntry, Interface, Neighbour, Route};

use super::{LabDescription, SocketSpec, Step};
use crate::device::{DeviceReply, DeviceRequest};
use crate::fault::Fault;

/// The first packet in each direction says this and the [`VERSION`]; what follows is
/// understood only where both agree.
pub(crate) const GREETING: &[u8; 8] = b"vnet lab";

/// The version of everything in this file and of the types it names.
pub(crate) const VERSION: u32 = 1;

/// Text of the operating system, which need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Words {
    fn from(text: &OsStr) -> Self {
        text.to_str().map_or_else(
            || Self::Bytes(text.as_bytes().to_vec()),
            |text| Self::Text(text.to_owned()),
        )
    }
}

impl From<Words> for OsString {
    fn from(words: Words) -> Self {
        match words {
            Words::Text(text) => text.into(),
            Words::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// What a lab is opened with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    pub(crate) name: String,
    pub(crate) rootless: bool,
}

/// What a helper that was asked to open a lab answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Opened {
    Lab(Facts),
    /// A stage of the isolation failed with this errno.
    Failed {
        stage: String,
        errno: i32,
    },
}

/// The stage that fails in a changed root directory.
pub(crate) const IN_CHROOT: &str = "make a lab in a changed root directory";

/// What the kernel granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    pub(crate) fresh_proc: bool,
    pub(crate) fresh_sysfs: bool,
    pub(crate) own_hosts: bool,
    pub(crate) exec_socket: Option<String>,
}

/// What the client that opened the lab asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Request {
    Apply {
        steps: Vec<Step>,
    },
    SetHosts {
        text: String,
    },
    Links {
        space: u32,
    },
    Routes {
        space: u32,
    },
    Neighbours {
        space: u32,
    },
    Fdb {
        bridge: u32,
    },
    Sysctl {
        space: u32,
        key: String,
    },
    Spawn {
        space: u32,
        command: SpawnRequest,
    },
    Signal(SignalRequest),
    Socket {
        space: u32,
        spec: SocketSpec,
    },
    Packet {
        space: u32,
        index: u32,
        options: PacketRequest,
    },
    TakePort {
        lab_end: u32,
        x: u32,
        rcvbuf: usize,
    },
    DropPort {
        x: u32,
    },
    Netns {
        space: u32,
    },
    Device {
        space: u32,
        request: DeviceRequest,
    },
}

/// [`Request::Device`] as it is sent, without owning the request.
#[derive(Debug, Serialize)]
pub(crate) enum DeviceAsk<'a> {
    Device { space: u32, request: &'a DeviceRequest },
}

/// What somebody at the lab's own socket asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum DoorRequest {
    Describe,
    Exec { node: String, command: SpawnRequest },
    Signal(SignalRequest),
}

/// A command; its streams are the first three descriptors of the message and its
/// directory, where there is one outside, the fourth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpawnRequest {
    pub(crate) argv: Vec<Words>,
    pub(crate) env: Vec<(Words, Words)>,
    /// The path of its directory.
    pub(crate) directory: Words,
    /// Whether the directory was asked for by that path, not just where the caller is.
    pub(crate) explicit: bool,
    /// Whether its standard input becomes its controlling terminal.
    pub(crate) terminal: bool,
}

/// A signal for the process group of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalRequest {
    /// The command's process id in the lab.
    pub(crate) pid: u32,
    pub(crate) signal: i32,
}

/// What [`PacketOptions`](vnet_sys::PacketOptions) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PacketRequest {
    pub(crate) vnet_hdr: bool,
    pub(crate) rcvbuf: usize,
    pub(crate) promisc: bool,
    pub(crate) ignore_outgoing: bool,
}

/// What the helper answers; descriptors come with the message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Reply {
    Done,
    Failed(Fault),
    /// The step at this place failed.
    StepFailed {
        at: usize,
        fault: Fault,
    },
    Links(Vec<Interface>),
    Routes(Vec<Route>),
    Neighbours(Vec<Neighbour>),
    Fdb(Vec<FdbEntry>),
    Text(String),
    /// A command runs, with this process id in the lab.
    Spawned {
        pid: u32,
    },
    Description(LabDescription),
    Device(DeviceReply),
}
