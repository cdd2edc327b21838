use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vnet_netlink::{Cidr, Interface, Mac};
use vnet_sys::PacketOptions;
use vnet_sys::tun::OffloadMask;

use super::spec::{WireOffloadMask, WirePacketOptions};
use super::{BridgeSpec, Owner, TapSpec, VethSpec};
use crate::fault::Fault;

/// One thing to do to the devices of one namespace. None of them waits for a state: the asker does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum DeviceRequest {
    /// Make a TAP or TUN; the descriptor comes with the reply.
    Tap { spec: TapSpec, owner: Owner },
    /// Make a veth pair; `peer` is the number of the namespace its second end lies in.
    Veth {
        spec: VethSpec,
        peer: Option<u32>,
        owner: Owner,
    },
    /// Make a bridge.
    Bridge { spec: BridgeSpec, owner: Owner },
    /// Open a packet socket on an interface; the descriptor comes with the reply.
    Packet {
        name: String,
        #[serde(with = "WirePacketOptions")]
        options: PacketOptions,
    },
    /// Look up one interface by name.
    Link { name: String },
    /// Look up one interface by number.
    LinkByIndex { index: u32 },
    /// Look up all interfaces.
    Links,
    /// Change one interface.
    Edit { index: u32, edit: Edit },
    /// Delete an interface that `owner` has made; one that is gone or another's is left alone.
    Release { index: u32, owner: Owner },
}

impl DeviceRequest {
    /// Tells whether it makes something that neither a descriptor nor its user's wish for persistence keeps.
    pub(super) fn leaves_something(&self) -> bool {
        match self {
            Self::Veth { spec, .. } => !spec.persist,
            Self::Bridge { spec, .. } => !spec.persist,
            _ => false,
        }
    }
}

/// One change of one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Edit {
    Up(bool),
    Mtu(u32),
    AddAddress(Cidr),
    DelAddress(Cidr),
    AddPort { bridge: u32 },
    RemovePort,
    AddNeighbour { ip: IpAddr, mac: Mac },
    FlushNeighbours,
    Alias(String),
    Delete,
}

/// What came of a [`DeviceRequest`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum DeviceReply {
    Done,
    Link(Box<Interface>),
    Links(Vec<Interface>),
    Pair(Box<(Interface, Interface)>),
    /// `carrier` tells whether one of its ports lets frames pass.
    Bridge {
        interface: Box<Interface>,
        carrier: bool,
    },
    Tap {
        interface: Box<Interface>,
        #[serde(with = "WireOffloadMask")]
        offloads: OffloadMask,
        adopted: bool,
    },
    Failed(Fault),
}
