//! Addresses, routes, neighbours and kernel settings of a node, as `ip` and `sysctl` change them while it runs.
//!
//! None of it enters the declaration of the network.

use rustix::io::Errno;
use vnet_lab::LabError;

use super::Node;
use super::declare::{destination, ip};
use crate::error::Error;

impl Node {
    /// Adds an address with prefix length to an interface (`None`: the only one).
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::System`] when it is there already.
    pub fn add_address(&self, interface: Option<&str>, address: &str) -> Result<(), Error> {
        let (lab, address) = (self.configured()?, vnet_topology::parse_address(address)?);
        Ok(lab.add_address(self.name(), &self.only(interface)?, address)?)
    }

    /// Deletes an address of an interface (`None`: the only one).
    ///
    /// # Errors
    /// [`Error::NotFound`] when the interface does not have it.
    pub fn del_address(&self, interface: Option<&str>, address: &str) -> Result<(), Error> {
        let (lab, address) = (self.configured()?, vnet_topology::parse_address(address)?);
        lab.del_address(self.name(), &self.only(interface)?, address)
            .map_err(|error| missing(error, Errno::ADDRNOTAVAIL))
    }

    /// Adds or replaces a route to a network, an address, or `default`.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a neighbour or an interface, [`Error::System`] with the kernel's words.
    pub fn add_route(
        &self,
        to: &str,
        via: Option<&str>,
        interface: Option<&str>,
        metric: Option<u32>,
    ) -> Result<(), Error> {
        let (lab, via) = (self.configured()?, via.map(ip).transpose()?);
        self.leads_somewhere(to, via.is_some() || interface.is_some())?;
        Ok(lab.add_route(self.name(), destination(to, via)?, via, interface, metric)?)
    }

    /// Deletes a route.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none such.
    pub fn del_route(
        &self,
        to: &str,
        via: Option<&str>,
        interface: Option<&str>,
        metric: Option<u32>,
    ) -> Result<(), Error> {
        let (lab, via) = (self.configured()?, via.map(ip).transpose()?);
        lab.del_route(self.name(), destination(to, via)?, via, interface, metric)
            .map_err(|error| missing(error, Errno::SRCH))
    }

    fn leads_somewhere(&self, to: &str, leads: bool) -> Result<(), Error> {
        if leads {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!("the route of {self} to {to} leads nowhere"),
            hint: Some("name the neighbour it goes through, or the interface".into()),
        })
    }

    /// Says which Ethernet address belongs to a neighbour behind an interface (`None`: the only one).
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::System`].
    pub fn add_neighbour(&self, interface: Option<&str>, address: &str, mac: &str) -> Result<(), Error> {
        let lab = self.configured()?;
        Ok(lab.add_neighbour(self.name(), &self.only(interface)?, ip(address)?, mac.parse()?)?)
    }

    /// Forgets which Ethernet address belongs to a neighbour.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not known.
    pub fn del_neighbour(&self, interface: Option<&str>, address: &str) -> Result<(), Error> {
        let lab = self.configured()?;
        lab.del_neighbour(self.name(), &self.only(interface)?, ip(address)?)
            .map_err(|error| missing(error, Errno::NOENT))
    }

    /// Returns a kernel setting such as `net.ipv4.ip_forward`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key outside `net.`, [`Error::NotFound`] for one this kernel does not have.
    pub fn sysctl(&self, key: &str) -> Result<String, Error> {
        let value = self.configured()?.sysctl(self.name(), key);
        value.map_err(|error| missing(error, Errno::NOENT).of(&self.to_string()))
    }

    /// Sets a kernel setting.
    ///
    /// # Errors
    /// As [`Node::sysctl`], and [`Error::System`] when the kernel refuses the value.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), Error> {
        let set = self.configured()?.set_sysctl(self.name(), key, value);
        set.map_err(|error| missing(error, Errno::NOENT))
    }

    fn configured(&self) -> Result<&vnet_lab::Network, Error> {
        self.runs_things("has no addresses, routes or settings of its own")?;
        self.network().live()
    }
}

/// Makes an error of a refusal; the kernel says with `errno` that there is no such thing.
fn missing(error: LabError, errno: Errno) -> Error {
    match Error::from(error) {
        Error::System {
            what,
            errno: Some(found),
            ..
        } if found == errno.raw_os_error() => Error::NotFound { what, hint: None },
        other => other,
    }
}
