use std::os::fd::{AsFd, OwnedFd};

use vnet_netlink::{Interface, NetlinkError};
use vnet_sys::SysError;
use vnet_sys::tun::{Mode, OffloadMask, TunConfig, TunTap};

use super::local::{Answer, Local, Wanted};
use super::request::{DeviceReply, DeviceRequest, Edit};
use super::{Owner, TapSpec};
use crate::{Namespace, SandboxError};

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
        self.refuse_persistent(spec.persist, &spec.name)?;
        let request = DeviceRequest::Tap {
            spec: TapSpec {
                index: self.number(spec.index),
                ..spec.clone()
            },
            owner: Owner::this_process(),
        };
        let (reply, mut fds) = self.ask(&request).map_err(|error| self.name_owner(error))?;
        let (
            DeviceReply::Tap {
                interface,
                offloads,
                adopted,
            },
            Some(fd),
        ) = (reply, fds.pop())
        else {
            return Err(self.misunderstood());
        };
        let index = interface.index;
        let info = if spec.up {
            self.wait_ready(index).inspect_err(|_| {
                if spec.persist && !adopted {
                    // The error that led here is the one to report.
                    drop(self.edit(index, Edit::Delete));
                }
            })?
        } else {
            *interface
        };
        Ok(TapDevice {
            fd,
            info,
            offloads,
            adopted,
        })
    }
}

/// Makes or adopts the device and gives it what it is to have.
pub(super) fn build(local: &Local, spec: &TapSpec, owner: Owner) -> Result<Answer, SandboxError> {
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
        index: spec.index,
    };
    let tap = local.ns.run(|| TunTap::create(&config))??;
    match finish(local, &tap, spec, owner) {
        Ok((interface, offloads)) => {
            let reply = DeviceReply::Tap {
                interface: Box::new(interface),
                offloads,
                adopted: tap.adopted(),
            };
            Ok((reply, vec![tap.into_fd()]))
        }
        Err(error) => {
            if spec.persist && !tap.adopted() {
                // The error that led here is the one to report.
                drop(tap.set_persist(false));
            }
            Err(error)
        }
    }
}

fn finish(
    local: &Local,
    tap: &TunTap,
    spec: &TapSpec,
    owner: Owner,
) -> Result<(Interface, OffloadMask), SandboxError> {
    let offloads = if spec.offloads == OffloadMask::NONE {
        OffloadMask::NONE
    } else {
        vnet_sys::tun::set_offload(tap.as_fd(), spec.offloads)?
    };
    let found = local.netlink.link(&spec.name)?;
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
        owner: (!spec.persist && !tap.adopted()).then_some(owner),
        ..Wanted::default()
    };
    let interface = local
        .configure(found.index, &wanted)
        .map_err(|error| explain_adopted(tap, error))?;
    Ok((interface, offloads))
}

/// An ordinary user may attach to a TAP made for it, and may not configure it.
fn explain_adopted(tap: &TunTap, error: NetlinkError) -> SandboxError {
    match error {
        NetlinkError::Privilege {
            what, needs, errno, ..
        } if tap.adopted() => {
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
        other => other.into(),
    }
}
