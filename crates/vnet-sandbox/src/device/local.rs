use std::os::fd::OwnedFd;

use vnet_netlink::{Cidr, Interface, Mac, Netlink, NetlinkError};
use vnet_sys::{NetNs, PacketSocket};

use super::request::{DeviceReply, DeviceRequest, Edit};
use super::{Owner, bridge, tap, veth};
use crate::SandboxError;

/// A namespace this process may enter, with a netlink socket in it: where device requests are carried out.
#[derive(Debug)]
pub(crate) struct Local {
    pub(super) ns: NetNs,
    pub(super) netlink: Netlink,
}

/// What a request gives: words, and descriptors that go with them.
pub(crate) type Answer = (DeviceReply, Vec<OwnedFd>);

impl Local {
    pub(crate) fn open(ns: NetNs) -> Result<Self, SandboxError> {
        let netlink = Netlink::open(Some(&ns))?;
        Ok(Self { ns, netlink })
    }

    /// Carries out a request; `space` finds the namespace a veth pair's second end is to lie in.
    pub(crate) fn execute(
        &self,
        request: &DeviceRequest,
        space: &dyn Fn(u32) -> Option<NetNs>,
    ) -> Result<Answer, SandboxError> {
        let link = |interface| DeviceReply::Link(Box::new(interface));
        let reply = match request {
            DeviceRequest::Tap { spec, owner } => return tap::build(self, spec, *owner),
            DeviceRequest::Packet { name, options } => {
                let interface = self.netlink.link(name)?;
                let socket = self.ns.run(|| PacketSocket::open(interface.index, *options))??;
                return Ok((link(interface), vec![socket.into_fd()]));
            }
            DeviceRequest::Veth { spec, peer, owner } => match peer {
                None => veth::build(self, self, spec, *owner)?,
                Some(number) => {
                    let there = space(*number).ok_or_else(|| unknown_space(&spec.b.name, *number))?;
                    veth::build(self, &Self::open(there)?, spec, *owner)?
                }
            },
            DeviceRequest::Bridge { spec, owner } => bridge::build(self, spec, *owner)?,
            DeviceRequest::Link { name } => link(self.netlink.link(name)?),
            DeviceRequest::LinkByIndex { index } => link(self.netlink.link_by_index(*index)?),
            DeviceRequest::Links => DeviceReply::Links(self.netlink.links()?),
            DeviceRequest::Edit { index, edit } => {
                self.edit(*index, edit)?;
                DeviceReply::Done
            }
            DeviceRequest::Release { index, owner } => {
                self.release(*index, *owner)?;
                DeviceReply::Done
            }
        };
        Ok((reply, Vec::new()))
    }

    fn edit(&self, index: u32, edit: &Edit) -> Result<(), NetlinkError> {
        let netlink = &self.netlink;
        match edit {
            Edit::Up(true) => netlink.set_up(index),
            Edit::Up(false) => netlink.set_down(index),
            Edit::Mtu(mtu) => netlink.set_mtu(index, *mtu),
            Edit::AddAddress(address) => netlink.add_address(index, *address),
            Edit::DelAddress(address) => netlink.del_address(index, *address),
            Edit::AddPort { bridge } => netlink.add_port(*bridge, index),
            Edit::RemovePort => netlink.remove_port(index),
            Edit::AddNeighbour { ip, mac } => netlink.add_neighbour(index, *ip, *mac),
            Edit::FlushNeighbours => netlink.flush_neighbours(index).map(drop),
            Edit::Alias(alias) => netlink.set_alias(index, alias),
            Edit::Delete => netlink.delete(index),
        }
    }

    /// Deletes an interface `owner` has made, and leaves alone what is gone or another's.
    pub(crate) fn release(&self, index: u32, owner: Owner) -> Result<(), NetlinkError> {
        let owner = owner.to_string();
        match self.netlink.link_by_index(index) {
            Ok(found) if found.alias.as_deref() == Some(&owner) => match self.netlink.delete(index) {
                Ok(()) | Err(NetlinkError::NoSuchInterface { .. }) => Ok(()),
                Err(error) => Err(error),
            },
            Ok(_) | Err(NetlinkError::NoSuchInterface { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a fresh interface what it was asked to have, and returns it as it then is.
    pub(super) fn configure(&self, index: u32, wanted: &Wanted<'_>) -> Result<Interface, NetlinkError> {
        let netlink = &self.netlink;
        if let Some(mac) = wanted.mac {
            netlink.set_mac(index, mac)?;
        }
        if let Some(mtu) = wanted.mtu {
            netlink.set_mtu(index, mtu)?;
        }
        if wanted.noarp {
            netlink.set_arp(index, false)?;
        }
        if let Some(owner) = wanted.owner {
            netlink.set_alias(index, &owner.to_string())?;
        }
        for address in wanted.ip {
            netlink.add_address(index, *address)?;
        }
        if wanted.up {
            netlink.set_up(index)?;
        }
        netlink.link_by_index(index)
    }
}

/// What [`Local::configure`] sets.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    pub ip: &'a [Cidr],
    pub mac: Option<Mac>,
    pub mtu: Option<u32>,
    pub noarp: bool,
    pub up: bool,
    pub owner: Option<Owner>,
}

fn unknown_space(name: &str, number: u32) -> SandboxError {
    SandboxError::BadArgument {
        what: format!("cannot make {name}: there is no network namespace with the number {number}"),
        fix: "name one that was made".to_owned(),
    }
}
