use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use vnet_netlink::{Cidr, Interface, Mac, NetlinkError};
use vnet_sys::SysError;
use vnet_sys::tun::{Mode, OffloadMask, TunConfig, TunTap};

use crate::namespace::Wanted;
use crate::{Namespace, READY_TIMEOUT, SandboxError};

/// A TAP or TUN device to make.
#[derive(Clone, Debug)]
pub struct TapSpec {
    /// The interface name.
    pub name: String,
    /// TAP or TUN.
    pub mode: Mode,
    /// Its IP addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address, or a random one; TAP only.
    pub mac: Option<Mac>,
    /// Bytes of payload, or 1500.
    pub mtu: Option<u32>,
    /// Sets it up and waits until frames pass.
    pub up: bool,
    /// Keeps it when the descriptor is closed.
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
    pub offloads: OffloadMask,
    /// The device node.
    pub device: PathBuf,
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
        }
    }
}

/// An open TAP or TUN device.
#[derive(Debug)]
pub struct TapDevice {
    /// Frames are read from and written to it; closing it takes the carrier away
    /// and, unless the device is persistent, the device.
    pub fd: OwnedFd,
    /// The interface as it was when it was ready.
    pub info: Interface,
    /// The offloads the kernel granted.
    pub offloads: OffloadMask,
    /// Whether the interface existed before, persistent, and stays.
    pub adopted: bool,
}

impl Namespace {
    /// Makes a TAP or TUN device in this namespace, or attaches to the persistent
    /// one of that name, and gives it what the specification says.
    ///
    /// # Errors
    /// [`SandboxError::Busy`] naming the holder where /proc tells;
    /// [`SandboxError::Sys`] for the device node, the name, the kind of an interface
    /// in the way, or a missing privilege; [`SandboxError::Netlink`] for a bad MTU,
    /// address or MAC. Nothing is left behind then.
    pub fn make_tap(&self, spec: &TapSpec) -> Result<TapDevice, SandboxError> {
        if let Some(mac) = spec.mac {
            if spec.mode == Mode::Tun {
                return Err(SandboxError::BadArgument {
                    what: format!("the TUN device {} cannot have the MAC address {mac}", spec.name),
                    fix: "it carries IP packets without Ethernet header; leave the address out or make a TAP"
                        .to_owned(),
                });
            }
            mac.check_unicast()?;
        }
        if spec.offloads != OffloadMask::NONE && !spec.vnet_hdr {
            return Err(SandboxError::BadArgument {
                what: format!("{} cannot have offloads without the vnet header", spec.name),
                fix: "turn the vnet header on".to_owned(),
            });
        }
        let config = TunConfig {
            name: spec.name.clone(),
            mode: spec.mode,
            vnet_hdr: spec.vnet_hdr,
            multi_queue: spec.multi_queue,
            persist: spec.persist,
            owner: spec.owner,
            group: spec.group,
            device: spec.device.clone(),
        };
        let tap = self.ns.run(|| TunTap::create(&config))??;
        match self.finish_tap(&tap, spec) {
            Ok((info, offloads)) => Ok(TapDevice {
                adopted: tap.adopted(),
                fd: tap.into_fd(),
                info,
                offloads,
            }),
            Err(error) => {
                if spec.persist && !tap.adopted() {
                    // The error that led here is the one to report.
                    drop(tap.set_persist(false));
                }
                Err(error)
            }
        }
    }

    fn finish_tap(&self, tap: &TunTap, spec: &TapSpec) -> Result<(Interface, OffloadMask), SandboxError> {
        let offloads = if spec.offloads == OffloadMask::NONE {
            OffloadMask::NONE
        } else {
            vnet_sys::tun::set_offload(tap.as_fd(), spec.offloads)?
        };
        let found = self.netlink.link(&spec.name)?;
        // Of an adopted device, what it has already is no error.
        let ip: Vec<_> = spec
            .ip
            .iter()
            .copied()
            .filter(|ip| !found.addresses.contains(ip))
            .collect();
        let wanted = Wanted {
            ip: &ip,
            mac: spec.mac,
            mtu: spec.mtu,
            up: spec.up,
            tagged: !spec.persist && !tap.adopted(),
        };
        self.configure(found.index, &wanted)
            .map_err(|error| explain_adopted(tap, error))?;
        let info = if spec.up {
            self.netlink.wait_operstate(found.index, true, READY_TIMEOUT)?
        } else {
            self.netlink.link_by_index(found.index)?
        };
        Ok((info, offloads))
    }
}

/// An ordinary user may attach to a TAP made for it, and may not configure it.
fn explain_adopted(tap: &TunTap, error: SandboxError) -> SandboxError {
    match error {
        SandboxError::Netlink(NetlinkError::Privilege {
            what, needs, errno, ..
        }) if tap.adopted() => {
            let fix = format!(
                "have root configure it, as with: ip link set {name} up && ip address add ... dev {name}",
                name = tap.name()
            );
            SandboxError::Sys(SysError::Privilege {
                what,
                needs,
                fix,
                errno,
            })
        }
        other => other,
    }
}
