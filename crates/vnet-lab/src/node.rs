//! What can be set in a running node as `ip` and `sysctl` do it; none of it enters the declaration.

use std::net::IpAddr;

use vnet_netlink::{Change, Cidr, Interface, Mac, Neighbour, Route, RouteSpec};
use vnet_sandbox::{Space, Step};

use crate::cancel::never;
use crate::error::LabError;
use crate::network::{Live, Network, one_of};
use crate::numbers::in_node;

impl Network {
    /// Gives an interface of a node an address.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Refused`] when it is there already, and as [`Network::start`].
    pub fn add_address(&self, node: &str, interface: &str, address: Cidr) -> Result<(), LabError> {
        self.set(node, |live, space| {
            let index = live.interface(node, space, interface)?;
            Ok(Change::AddAddress { index, address })
        })
    }

    /// Takes an address from an interface of a node.
    ///
    /// # Errors
    /// As [`Network::add_address`], when it is not there.
    pub fn del_address(&self, node: &str, interface: &str, address: Cidr) -> Result<(), LabError> {
        self.set(node, |live, space| {
            let index = live.interface(node, space, interface)?;
            Ok(Change::DelAddress { index, address })
        })
    }

    /// Gives a node a route by a gateway, an interface or both, in place of the one to the same network with the same metric.
    ///
    /// # Errors
    /// As [`Network::add_address`].
    pub fn add_route(
        &self,
        node: &str,
        to: Cidr,
        via: Option<IpAddr>,
        interface: Option<&str>,
        metric: Option<u32>,
    ) -> Result<(), LabError> {
        self.set(node, |live, space| {
            let index = live.leaving(node, space, interface)?;
            Ok(Change::AddRoute(RouteSpec {
                to,
                via,
                index,
                metric,
            }))
        })
    }

    /// Takes a route from a node that was given the same way.
    ///
    /// # Errors
    /// As [`Network::add_address`], when it is not there.
    pub fn del_route(
        &self,
        node: &str,
        to: Cidr,
        via: Option<IpAddr>,
        interface: Option<&str>,
        metric: Option<u32>,
    ) -> Result<(), LabError> {
        self.set(node, |live, space| {
            let index = live.leaving(node, space, interface)?;
            Ok(Change::DelRoute(RouteSpec {
                to,
                via,
                index,
                metric,
            }))
        })
    }

    /// Fixes the Ethernet address of a neighbour of a node.
    ///
    /// # Errors
    /// As [`Network::add_address`].
    pub fn add_neighbour(&self, node: &str, interface: &str, ip: IpAddr, mac: Mac) -> Result<(), LabError> {
        self.set(node, |live, space| {
            let index = live.interface(node, space, interface)?;
            Ok(Change::AddNeighbour { index, ip, mac })
        })
    }

    /// Has a node forget a neighbour.
    ///
    /// # Errors
    /// As [`Network::add_address`].
    pub fn del_neighbour(&self, node: &str, interface: &str, ip: IpAddr) -> Result<(), LabError> {
        self.set(node, |live, space| {
            let index = live.interface(node, space, interface)?;
            Ok(Change::DelNeighbour { index, ip })
        })
    }

    /// Returns a kernel setting of a node's network, such as `net.ipv4.ip_forward`.
    ///
    /// # Errors
    /// [`LabError::Sandbox`] for one that this kernel does not have, [`LabError::Unknown`].
    pub fn sysctl(&self, node: &str, key: &str) -> Result<String, LabError> {
        self.look(node, |live, space| Ok(live.lab.sysctl(space, key)?))
    }

    /// Changes a kernel setting of a node's network.
    ///
    /// # Errors
    /// [`LabError::Refused`] for one that this kernel does not have or a value it does not take, [`LabError::Unknown`].
    pub fn set_sysctl(&self, node: &str, key: &str, value: &str) -> Result<(), LabError> {
        self.look(node, |live, space| {
            let step = Step::Sysctl {
                space: space.0,
                key: key.to_owned(),
                value: value.to_owned(),
            };
            live.step(node, &step)
        })
    }

    /// Returns the interfaces of a node as they are.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Sandbox`].
    pub fn interfaces(&self, node: &str) -> Result<Vec<Interface>, LabError> {
        self.look(node, |live, space| Ok(live.lab.links(space)?))
    }

    /// Returns the routes of a node as they are.
    ///
    /// # Errors
    /// As [`Network::interfaces`].
    pub fn routes(&self, node: &str) -> Result<Vec<Route>, LabError> {
        self.look(node, |live, space| Ok(live.lab.routes(space)?))
    }

    /// Returns the neighbours a node knows.
    ///
    /// # Errors
    /// As [`Network::interfaces`].
    pub fn neighbours(&self, node: &str) -> Result<Vec<Neighbour>, LabError> {
        self.look(node, |live, space| Ok(live.lab.neighbours(space)?))
    }

    fn look<T>(
        &self,
        node: &str,
        use_it: impl FnOnce(&Live, Space) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        self.inner.live(&never, |live, _| {
            let space = live.space(node)?;
            use_it(live, space)
        })
    }

    fn set(
        &self,
        node: &str,
        change: impl FnOnce(&Live, Space) -> Result<Change, LabError>,
    ) -> Result<(), LabError> {
        self.look(node, |live, space| {
            let step = Step::Net {
                space: space.0,
                change: change(live, space)?,
            };
            live.step(node, &step)
        })
    }
}

impl Live {
    fn step(&self, node: &str, step: &Step) -> Result<(), LabError> {
        self.lab
            .apply(std::slice::from_ref(step))
            .map_err(|refused| LabError::refused(format!("node {node}"), refused.error))
    }

    /// The number of an interface of a node, one of the plan's or one that was made in it since.
    pub(crate) fn interface(&self, node: &str, space: Space, name: &str) -> Result<u32, LabError> {
        let planned = self
            .plan
            .node(node)
            .and_then(|(_, found)| found.interfaces.iter().find(|interface| interface.name == name));
        if let Some(interface) = planned {
            return Ok(in_node(interface));
        }
        let links = self.lab.links(space)?;
        links
            .iter()
            .find(|link| link.name == name)
            .map(|link| link.index)
            .ok_or_else(|| LabError::Unknown {
                what: format!("interface {name} of {node}"),
                hint: one_of("interfaces", links.iter().map(|link| link.name.as_str())),
            })
    }

    fn leaving(&self, node: &str, space: Space, interface: Option<&str>) -> Result<Option<u32>, LabError> {
        interface
            .map(|name| self.interface(node, space, name))
            .transpose()
    }
}
