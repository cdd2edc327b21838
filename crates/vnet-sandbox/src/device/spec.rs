use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vnet_netlink::{Cidr, Mac};
use vnet_sys::PacketOptions;
use vnet_sys::tun::{Mode, OffloadMask, TunConfig};

/// A TAP or TUN device to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapSpec {
    /// The interface name.
    pub name: String,
    /// TAP or TUN.
    #[serde(with = "WireMode")]
    pub mode: Mode,
    /// Its IP addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address, or a random one; TAP only.
    pub mac: Option<Mac>,
    /// Bytes of payload, or 1500.
    pub mtu: Option<u32>,
    /// Sets it up and waits until frames pass.
    pub up: bool,
    /// Keeps it when the descriptor is closed; refused in a lab, which keeps nothing.
    pub persist: bool,
    /// The user id that may attach to it without CAP_NET_ADMIN.
    pub owner: Option<u32>,
    /// The group id that may attach to it without CAP_NET_ADMIN.
    pub group: Option<u32>,
    /// Lets several descriptors attach, one queue each.
    pub multi_queue: bool,
    /// Puts a vnet header before every frame.
    pub vnet_hdr: bool,
    /// What the reader can finish itself; needs `vnet_hdr`.
    #[serde(with = "WireOffloadMask")]
    pub offloads: OffloadMask,
    /// The device node.
    pub device: PathBuf,
    /// The interface number, or one that is free.
    pub index: Option<u32>,
}

impl TapSpec {
    /// Describes a device that is up, has the vnet header and no offloads, and is
    /// gone when closed.
    #[must_use]
    pub fn new(name: &str, mode: Mode) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            ip: Vec::new(),
            mac: None,
            mtu: None,
            up: true,
            persist: false,
            owner: None,
            group: None,
            multi_queue: false,
            vnet_hdr: true,
            offloads: OffloadMask::NONE,
            device: TunConfig::new(name, mode).device,
            index: None,
        }
    }
}

/// One end of a veth pair to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndSpec {
    /// The interface name.
    pub name: String,
    /// Its IP addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address, or a random one.
    pub mac: Option<Mac>,
    /// Bytes of payload, where it differs from the pair's.
    pub mtu: Option<u32>,
    /// Resolves no addresses: every packet goes to the end's own Ethernet address.
    pub noarp: bool,
    /// The interface number, or one that is free.
    pub index: Option<u32>,
}

/// A veth pair to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VethSpec {
    /// One end.
    pub a: EndSpec,
    /// The other end.
    pub b: EndSpec,
    /// Bytes of payload both take, or 1500.
    pub mtu: Option<u32>,
    /// Sets both up and waits until frames pass.
    pub up: bool,
    /// Leaves out the alias that names this process, so that nobody takes it for a
    /// leftover; [`Namespace::release`](crate::Namespace::release) then does nothing.
    pub persist: bool,
}

impl VethSpec {
    /// Describes a pair that is up.
    #[must_use]
    pub fn new(a: &str, b: &str) -> Self {
        let end = |name: &str| EndSpec {
            name: name.to_owned(),
            ..EndSpec::default()
        };
        Self {
            a: end(a),
            b: end(b),
            mtu: None,
            up: true,
            persist: false,
        }
    }
}

/// A bridge to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeSpec {
    /// The interface name.
    pub name: String,
    /// Its IP addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address, or the lowest of its ports'.
    pub mac: Option<Mac>,
    /// Bytes of payload, or the smallest of its ports'.
    pub mtu: Option<u32>,
    /// The interfaces that become its ports, by name.
    pub ports: Vec<String>,
    /// Sets it up, and waits until frames pass if a port has carrier.
    pub up: bool,
    /// Leaves out the alias that names this process, so that nobody takes it for a
    /// leftover; [`Namespace::release`](crate::Namespace::release) then does nothing.
    pub persist: bool,
    /// The interface number, or one that is free.
    pub index: Option<u32>,
}

impl BridgeSpec {
    /// Describes a bridge that is up and has no port.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ip: Vec::new(),
            mac: None,
            mtu: None,
            ports: Vec::new(),
            up: true,
            persist: false,
            index: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Mode", rename_all = "lowercase")]
enum WireMode {
    Tap,
    Tun,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OffloadMask")]
pub(super) struct WireOffloadMask(u32);

#[derive(Serialize, Deserialize)]
#[serde(remote = "PacketOptions", deny_unknown_fields)]
pub(super) struct WirePacketOptions {
    vnet_hdr: bool,
    rcvbuf: usize,
    promisc: bool,
    ignore_outgoing: bool,
}
