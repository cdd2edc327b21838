use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use vnet_netlink::{Change, Interface, LinkSet};
use vnet_sys::tun::Mode;
use vnet_sys::{PacketOptions, PacketSocket};

use super::{EndSpec, TapSpec, VethSpec};
use crate::{Namespace, SandboxError, Space, Step};

/// Counts the far ends this process has made, for their names.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The largest MTU of a veth: a far end must take whatever the near one sends.
const FAR_MTU: u32 = 65_535;

/// What stands for a TAP or TUN where /dev/net/tun cannot be opened: a veth end, whose other end is read.
#[derive(Debug)]
pub struct PacketTap {
    /// The interface that was asked for, as it was when it was ready.
    pub info: Interface,
    /// Reads and writes at its other end, which lies in the lab's own namespace: what the kernel sends comes here, and what
    /// is sent here the kernel receives. Frames wait here from now on.
    pub socket: PacketSocket,
}

impl Namespace {
    /// Makes a veth pair that behaves as a TAP or TUN would; only in a lab.
    ///
    /// In place of a TUN it resolves no addresses. [`Namespace::release`] of the interface deletes both ends.
    ///
    /// # Errors
    /// [`SandboxError::BadArgument`] outside of a lab and for what only a TAP can have, else as
    /// [`Namespace::make_veth`].
    pub fn make_packet_tap(&self, spec: &TapSpec, options: PacketOptions) -> Result<PacketTap, SandboxError> {
        let bad = |what: &str, fix: &str| SandboxError::BadArgument {
            what: format!("{} {what}", spec.name),
            fix: fix.to_owned(),
        };
        let Some((lab, _)) = self.lab() else {
            return Err(bad("is not in a sandbox", "make a veth pair"));
        };
        if spec.multi_queue || spec.owner.is_some() || spec.group.is_some() {
            return Err(bad(
                "cannot have an owner, a group or several queues: it is a veth, since /dev/net/tun cannot be opened",
                "leave those out, or see `vnet doctor` for how to open /dev/net/tun",
            ));
        }
        if spec.mode == Mode::Tun
            && let Some(mac) = spec.mac
        {
            return Err(bad(
                &format!("is a TUN device and cannot have the MAC address {mac}"),
                "it carries IP packets without Ethernet header; leave the address out or make a TAP",
            ));
        }
        let middle = Self::in_lab(Arc::clone(lab), Space::LAB)?;
        let far = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let pair = VethSpec {
            a: EndSpec {
                name: spec.name.clone(),
                ip: spec.ip.clone(),
                mac: spec.mac,
                noarp: spec.mode == Mode::Tun,
                index: spec.index,
                mtu: None,
            },
            b: EndSpec {
                name: far.clone(),
                noarp: true,
                mtu: Some(FAR_MTU),
                ..EndSpec::default()
            },
            mtu: spec.mtu,
            up: false,
            persist: spec.persist,
        };
        let (near, end) = self.make_veth(&pair, &middle)?;
        let finish = || {
            // Open before anything is up, so that no frame is missed.
            let (socket, _) = middle.packet_port(&far, options)?;
            // A kernel that refuses this has no IPv6 to be silenced.
            drop(lab.apply(&[quiet(end.index)]));
            middle.set_up(end.index)?;
            let info = if spec.up {
                self.set_up(near.index)?;
                self.wait_ready(near.index)?
            } else {
                self.link_by_index(near.index)?
            };
            Ok(PacketTap { info, socket })
        };
        // The error that led here is the one to report.
        finish().inspect_err(|_: &SandboxError| drop(self.release(&near)))
    }
}

/// Keeps the kernel from speaking IPv6 on a far end by itself.
fn quiet(index: u32) -> Step {
    let set = LinkSet {
        addrgen: Some(false),
        ..LinkSet::default()
    };
    Step::Net {
        space: Space::LAB.0,
        change: Change::Link { index, set },
    }
}
