use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use vnet_netlink::{Cidr, Interface, Mac, Netlink, NetlinkError};
use vnet_sys::NetNs;

use crate::{Owner, SandboxError};

/// How long a device that was set up may take until frames pass it.
pub const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// A network namespace and a netlink socket in it.
#[derive(Debug)]
pub struct Namespace {
    pub(crate) ns: NetNs,
    pub(crate) netlink: Netlink,
}

impl Namespace {
    /// Takes the namespace of the calling thread.
    ///
    /// # Errors
    /// [`SandboxError::Sys`], [`SandboxError::Netlink`].
    pub fn current() -> Result<Self, SandboxError> {
        Self::at(NetNs::current()?)
    }

    /// Takes the namespace at a path such as `/run/netns/blue`.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when there is none or it may not be entered.
    pub fn at_path(path: &Path) -> Result<Self, SandboxError> {
        Self::at(NetNs::open(path)?)
    }

    /// Takes the namespace behind a descriptor.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when it is something else or may not be entered.
    pub fn at_fd(fd: OwnedFd) -> Result<Self, SandboxError> {
        Self::at(NetNs::from_fd(fd)?)
    }

    /// Takes a namespace that is open.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when it may not be entered.
    pub fn at(ns: NetNs) -> Result<Self, SandboxError> {
        let netlink = Netlink::open(Some(&ns))?;
        Ok(Self { ns, netlink })
    }

    /// Returns the namespace itself.
    #[must_use]
    pub fn netns(&self) -> &NetNs {
        &self.ns
    }

    /// Returns the netlink socket, for everything that is one request: addresses,
    /// MTU, up and down, ports, neighbours, routes, look-ups.
    #[must_use]
    pub fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Deletes an interface this process has made, with the other end if it is a
    /// veth. One that is gone, or that has another name or owner by now, is left
    /// alone and is no error.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn release(&self, interface: &Interface) -> Result<(), SandboxError> {
        let owner = Owner::this_process().to_string();
        let same = |found: &Interface| found.alias.as_deref() == Some(&owner);
        match self.netlink.link_by_index(interface.index) {
            Ok(found) if same(&found) => match self.netlink.delete(found.index) {
                Ok(()) | Err(NetlinkError::NoSuchInterface { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Ok(_) | Err(NetlinkError::NoSuchInterface { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a fresh interface what it was asked to have.
    pub(crate) fn configure(&self, index: u32, wanted: &Wanted<'_>) -> Result<(), SandboxError> {
        if let Some(mac) = wanted.mac {
            self.netlink.set_mac(index, mac)?;
        }
        if let Some(mtu) = wanted.mtu {
            self.netlink.set_mtu(index, mtu)?;
        }
        if wanted.tagged {
            self.netlink
                .set_alias(index, &Owner::this_process().to_string())?;
        }
        for address in wanted.ip {
            self.netlink.add_address(index, *address)?;
        }
        if wanted.up {
            self.netlink.set_up(index)?;
        }
        Ok(())
    }

    /// Says who made the interface that is in the way, where its alias tells.
    pub(crate) fn name_owner(&self, error: NetlinkError) -> SandboxError {
        let NetlinkError::Exists { name, .. } = &error else {
            return error.into();
        };
        let owner = self
            .netlink
            .link(name)
            .ok()
            .and_then(|link| link.alias?.parse::<Owner>().ok())
            .map(|owner| owner.describe())
            .or_else(|| {
                self.ns
                    .run(|| vnet_sys::tun::holder(name))
                    .ok()?
                    .map(|holder| holder.to_string())
            });
        SandboxError::Busy {
            name: name.clone(),
            owner,
        }
    }
}

/// What [`Namespace::configure`] sets.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) ip: &'a [Cidr],
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: Option<u32>,
    pub(crate) up: bool,
    pub(crate) tagged: bool,
}
