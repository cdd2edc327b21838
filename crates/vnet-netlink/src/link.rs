use std::os::fd::{AsFd, AsRawFd};

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};
use vnet_sys::{NetNs, SysError, check_name};

use crate::error::errno;
use crate::{Interface, Mac, Netlink, NetlinkError};

/// The longest alias the kernel takes (`IFALIASZ - 1`, `linux/if.h`).
pub(crate) const ALIAS_MAX: usize = 255;

/// One end of a veth pair.
#[derive(Clone, Debug, Default)]
pub struct VethEnd {
    /// The interface name.
    pub name: String,
    /// The Ethernet address, or one the kernel chooses.
    pub mac: Option<Mac>,
    /// The namespace the end is made in, or that of the socket.
    pub ns: Option<NetNs>,
    /// The interface number, or one the kernel chooses.
    pub index: Option<u32>,
}

/// A pair of Ethernet interfaces, each of which receives what the other sends.
#[derive(Clone, Debug, Default)]
pub struct VethSpec {
    /// One end.
    pub a: VethEnd,
    /// The other end.
    pub b: VethEnd,
    /// Bytes of payload both take, or 1500.
    pub mtu: Option<u32>,
    /// The alias of both ends.
    pub alias: Option<String>,
}

impl VethSpec {
    /// Describes a pair in the socket's namespace, all else left to the kernel.
    #[must_use]
    pub fn new(a: &str, b: &str) -> Self {
        let end = |name: &str| VethEnd {
            name: name.to_owned(),
            ..VethEnd::default()
        };
        Self {
            a: end(a),
            b: end(b),
            ..Self::default()
        }
    }
}

/// A bridge without ports.
#[derive(Clone, Debug, Default)]
pub struct BridgeSpec {
    /// The interface name.
    pub name: String,
    /// The Ethernet address, or the lowest of its ports'.
    pub mac: Option<Mac>,
    /// Bytes of payload, or the smallest of its ports'.
    pub mtu: Option<u32>,
    /// Its alias.
    pub alias: Option<String>,
    /// Its number, or one the kernel chooses.
    pub index: Option<u32>,
}

impl Netlink {
    /// Makes a veth pair, both ends down, and returns them as they are.
    ///
    /// # Errors
    /// [`NetlinkError::Exists`] when one of the names is taken; then, and after any
    /// other failure, neither end is left.
    pub fn create_veth(&self, spec: &VethSpec) -> Result<(Interface, Interface), NetlinkError> {
        let (a, b) = (&spec.a, &spec.b);
        let what = || format!("cannot make the veth pair {} and {}", a.name, b.name);
        for end in [a, b] {
            check_name(&end.name)?;
            end.mac.map_or(Ok(()), Mac::check_unicast)?;
        }
        if let Some(mtu) = spec.mtu {
            check_mtu(&a.name, mtu, 68, 65535)?;
        }
        let of = |end: &VethEnd| Netlink::open(Some(end.ns.as_ref().unwrap_or(&self.ns)));
        let (side_a, side_b) = (of(a)?, of(b)?);
        for (side, end) in [(&side_a, a), (&side_b, b)] {
            side.refuse_taken(&end.name)?;
        }
        if a.name == b.name && side_a.ns == side_b.ns {
            return Err(NetlinkError::Sys(SysError::BadName {
                name: a.name.clone(),
                reason: "both ends of a veth pair in one namespace cannot have it".to_owned(),
            }));
        }
        // The peer may lie elsewhere, and the message goes to side a, so its own end needs no
        // namespace. IFF_UP of the peer in here answers ENOTCONN.
        let mut peer = end_message(b, spec.mtu);
        if side_a.ns != side_b.ns {
            peer = peer.setns_by_fd(side_b.ns.as_fd().as_raw_fd());
        }
        let mut message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .name(a.name.clone())
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
        if let Some(index) = a.index {
            message = message.index(index);
        }
        if let Some(mac) = a.mac {
            message = message.address(mac.0.to_vec());
        }
        if let Some(mtu) = spec.mtu {
            message = message.mtu(mtu);
        }
        side_a.create(what, &a.name, message.build())?;
        let finish = || {
            let (end_a, end_b) = (side_a.link(&a.name)?, side_b.link(&b.name)?);
            if let Some(alias) = &spec.alias {
                side_a.set_alias(end_a.index, alias)?;
                side_b.set_alias(end_b.index, alias)?;
            }
            Ok((
                side_a.link_by_index(end_a.index)?,
                side_b.link_by_index(end_b.index)?,
            ))
        };
        finish().inspect_err(|_| side_a.undo(&a.name))
    }

    /// Makes a bridge, down and without ports, and returns it as it is.
    ///
    /// # Errors
    /// [`NetlinkError::Exists`] when the name is taken.
    pub fn create_bridge(&self, spec: &BridgeSpec) -> Result<Interface, NetlinkError> {
        check_name(&spec.name)?;
        spec.mac.map_or(Ok(()), Mac::check_unicast)?;
        let mut message =
            LinkMessageBuilder::<LinkBridge>::new_with_info_kind(InfoKind::Bridge).name(spec.name.clone());
        if let Some(index) = spec.index {
            message = message.index(index);
        }
        if let Some(mac) = spec.mac {
            message = message.address(mac.0.to_vec());
        }
        if let Some(mtu) = spec.mtu {
            check_mtu(&spec.name, mtu, 68, 65535)?;
            message = message.mtu(mtu);
        }
        self.create(
            || format!("cannot make the bridge {}", spec.name),
            &spec.name,
            message.build(),
        )?;
        let finish = || {
            let bridge = self.link(&spec.name)?;
            if let Some(alias) = &spec.alias {
                self.set_alias(bridge.index, alias)?;
            }
            self.link_by_index(bridge.index)
        };
        finish().inspect_err(|_| self.undo(&spec.name))
    }

    /// Sets the interface up.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`], [`NetlinkError::Privilege`].
    pub fn set_up(&self, index: u32) -> Result<(), NetlinkError> {
        self.set(index, |name| format!("set up {name}"), LinkMessageBuilder::up)
    }

    /// Sets the interface down; the kernel then forgets its IPv6 addresses and routes.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`], [`NetlinkError::Privilege`].
    pub fn set_down(&self, index: u32) -> Result<(), NetlinkError> {
        self.set(index, |name| format!("set down {name}"), LinkMessageBuilder::down)
    }

    /// Decides whether the interface resolves addresses; one that does not (`ip link set arp off`) sends every packet to
    /// its own Ethernet address.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`], [`NetlinkError::Privilege`].
    pub fn set_arp(&self, index: u32, arp: bool) -> Result<(), NetlinkError> {
        self.set(
            index,
            |name| {
                format!(
                    "turn address resolution {} on {name}",
                    if arp { "on" } else { "off" }
                )
            },
            |m| m.arp(arp),
        )
    }

    /// Sets the MTU, in bytes of payload.
    ///
    /// # Errors
    /// [`NetlinkError::BadMtu`] with what the interface takes.
    pub fn set_mtu(&self, index: u32, mtu: u32) -> Result<(), NetlinkError> {
        let interface = self.link_by_index(index)?;
        check_mtu(&interface.name, mtu, interface.min_mtu, interface.max_mtu)?;
        self.set(
            index,
            |name| format!("set the MTU of {name} to {mtu}"),
            |m| m.mtu(mtu),
        )
    }

    /// Sets the Ethernet address.
    ///
    /// # Errors
    /// [`NetlinkError::BadMac`] for a group address or zeros.
    pub fn set_mac(&self, index: u32, mac: Mac) -> Result<(), NetlinkError> {
        mac.check_unicast()?;
        self.set(
            index,
            |name| format!("give {name} the address {mac}"),
            |m| m.address(mac.0.to_vec()),
        )
    }

    /// Makes the interface a port of a bridge, both by number.
    ///
    /// # Errors
    /// [`NetlinkError::NotABridge`]; [`NetlinkError::Refused`] with the kernel's reason:
    /// the port is a bridge itself, another bridge's port, or loopback.
    pub fn add_port(&self, bridge: u32, port: u32) -> Result<(), NetlinkError> {
        let to = self.link_by_index(bridge)?;
        if to.kind.as_deref() != Some("bridge") {
            let found = to.kind.unwrap_or_else(|| "plain interface".to_owned());
            return Err(NetlinkError::NotABridge { name: to.name, found });
        }
        self.set(
            port,
            |name| format!("make {name} a port of the bridge {}", to.name),
            |m| m.controller(bridge),
        )
    }

    /// Takes the interface out of its bridge.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`], [`NetlinkError::Privilege`].
    pub fn remove_port(&self, port: u32) -> Result<(), NetlinkError> {
        self.set(
            port,
            |name| format!("take {name} out of its bridge"),
            LinkMessageBuilder::nocontroller,
        )
    }

    /// Renames the interface.
    ///
    /// # Errors
    /// [`NetlinkError::Exists`]; [`NetlinkError::Refused`] with `EBUSY` on kernels
    /// that rename only what is down.
    pub fn rename(&self, index: u32, name: &str) -> Result<(), NetlinkError> {
        check_name(name)?;
        self.set(index, |old| format!("rename {old} to {name}"), |m| m.name(name))
            .map_err(|e| taken(e, name))
    }

    /// Moves the interface to another namespace. It is down there, without addresses.
    ///
    /// # Errors
    /// [`NetlinkError::Exists`] when its name is taken there.
    pub fn move_to(&self, index: u32, ns: &NetNs) -> Result<(), NetlinkError> {
        let fd = ns.as_fd().as_raw_fd();
        let name = self.link_by_index(index)?.name;
        self.set(
            index,
            |old| format!("move {old} to network namespace {}", ns.inode()),
            |m| m.setns_by_fd(fd),
        )
        .map_err(|e| taken(e, &name))
    }

    /// Sets the alias, a free text of up to 255 bytes; an empty one clears it.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `EINVAL` when it is longer.
    pub fn set_alias(&self, index: u32, alias: &str) -> Result<(), NetlinkError> {
        if alias.len() > ALIAS_MAX {
            let kernel = format!("it has {} bytes and at most {ALIAS_MAX} are taken", alias.len());
            return Err(NetlinkError::refused(
                format!("cannot set the alias of {}", self.shown(index)),
                errno::INVAL,
                Some(kernel),
            ));
        }
        self.set(
            index,
            |name| format!("set the alias of {name}"),
            |m| m.alias(alias),
        )
    }

    /// Deletes the interface; the other end of a veth goes with it.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`]; [`NetlinkError::Refused`] with
    /// `EOPNOTSUPP` for one that cannot be deleted.
    pub fn delete(&self, index: u32) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(index).build();
        self.change(
            || format!("cannot delete {}", self.shown(index)),
            RouteNetlinkMessage::DelLink(message),
            0,
        )
        .map_err(|e| missing(e, index))
    }

    /// Puts the interface into a group, a number that [`delete_group`](Self::delete_group) and `ip link` know.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn set_group(&self, index: u32, group: u32) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(index)
            .append_extra_attribute(LinkAttribute::Group(group))
            .build();
        self.change(
            || format!("cannot put {} into group {group}", self.shown(index)),
            RouteNetlinkMessage::SetLink(message),
            0,
        )
        .map_err(|e| missing(e, index))
    }

    /// Deletes all interfaces of a group at once, which takes the kernel about as long as one; one that is gone meanwhile
    /// is none of them.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `ENODEV` when the group is empty, with `EOPNOTSUPP` when it has an interface that
    /// cannot be deleted; then none is.
    pub fn delete_group(&self, group: u32) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(0)
            .append_extra_attribute(LinkAttribute::Group(group))
            .build();
        self.change(
            || format!("cannot delete the interfaces of group {group}"),
            RouteNetlinkMessage::DelLink(message),
            0,
        )
    }

    fn create(
        &self,
        what: impl Fn() -> String,
        name: &str,
        message: LinkMessage,
    ) -> Result<(), NetlinkError> {
        self.change(
            what,
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|e| taken(e, name))
    }

    fn set(
        &self,
        index: u32,
        what: impl Fn(&str) -> String,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<(), NetlinkError> {
        let message = change(LinkUnspec::new_with_index(index)).build();
        // RTM_NEWLINK without NLM_F_CREATE, as ip(8) does: it takes all of a link's attributes.
        self.change(
            || format!("cannot {}", what(&self.shown(index))),
            RouteNetlinkMessage::NewLink(message),
            0,
        )
        .map_err(|e| missing(e, index))
    }

    /// Names an interface for an error message.
    pub(crate) fn shown(&self, index: u32) -> String {
        match self.find_link(LinkUnspec::new_with_index(index), "") {
            Ok(Some(interface)) => interface.name,
            _ => format!("#{index}"),
        }
    }

    fn refuse_taken(&self, name: &str) -> Result<(), NetlinkError> {
        match self.find_link(LinkUnspec::new_with_name(name), name)? {
            Some(_) => Err(NetlinkError::Exists {
                name: name.to_owned(),
                kernel: None,
            }),
            None => Ok(()),
        }
    }

    /// Deletes what was just made, after a step that followed failed.
    fn undo(&self, name: &str) {
        if let Ok(Some(interface)) = self.find_link(LinkUnspec::new_with_name(name), name) {
            // The error that led here is the one to report.
            drop(self.delete(interface.index));
        }
    }
}

fn end_message(end: &VethEnd, mtu: Option<u32>) -> LinkMessageBuilder<LinkUnspec> {
    let mut message = LinkUnspec::new_with_name(&end.name);
    if let Some(index) = end.index {
        message = message.index(index);
    }
    if let Some(mac) = end.mac {
        message = message.address(mac.0.to_vec());
    }
    if let Some(mtu) = mtu {
        message = message.mtu(mtu);
    }
    message
}

/// A limit of 0 is none.
pub(crate) fn check_mtu(name: &str, mtu: u32, min: u32, max: u32) -> Result<(), NetlinkError> {
    let max = if max == 0 { u32::MAX } else { max };
    if (min..=max).contains(&mtu) {
        return Ok(());
    }
    Err(NetlinkError::BadMtu {
        name: name.to_owned(),
        mtu,
        min,
        max,
    })
}

fn taken(error: NetlinkError, name: &str) -> NetlinkError {
    match error {
        NetlinkError::Refused {
            errno: errno::EXIST,
            kernel,
            ..
        } => NetlinkError::Exists {
            name: name.to_owned(),
            kernel,
        },
        other => other,
    }
}

fn missing(error: NetlinkError, index: u32) -> NetlinkError {
    match error {
        NetlinkError::Refused {
            errno: errno::NODEV, ..
        } => NetlinkError::NoSuchInterface {
            name: format!("#{index}"),
        },
        other => other,
    }
}
