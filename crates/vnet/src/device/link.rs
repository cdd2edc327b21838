//! What `ip` says of and does to a device.

use serde::Serialize;
use vnet_datapath::PipelineStats;
use vnet_netlink::{Cidr, Interface};
use vnet_packet::Layer;
use vnet_sandbox::Namespace;
use vnet_sys::NetNs;

use super::{Device, DeviceKind};
use crate::error::Error;

/// What an interface is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceState {
    /// Whether it was asked to be up.
    pub up: bool,
    /// Whether frames can flow; a TAP has carrier only while somebody holds it.
    pub carrier: bool,
    /// The kernel's word: `up`, `down`, `unknown`, `lowerlayerdown`, ...
    pub operstate: String,
    /// Name of the bridge it is a port of.
    pub bridge: Option<String>,
}

/// The kernel's counters of an interface, from the kernel's point of view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelStats {
    /// Frames the kernel received.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames received with errors.
    pub rx_errors: u64,
    /// Received frames it dropped.
    pub rx_dropped: u64,
    /// Frames the kernel sent; on a TAP those that vnet was handed.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames it could not send.
    pub tx_errors: u64,
    /// Frames it dropped; on a TAP those nobody read in time.
    pub tx_dropped: u64,
}

/// Counters of a device up to one moment.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceStats {
    /// Name of the device.
    pub name: String,
    /// The kernel's.
    pub kernel: KernelStats,
    /// The engine's, once the device was read, written or filtered; those of the wire while it is part of one.
    pub engine: Option<PipelineStats>,
}

impl Device {
    pub(crate) fn interface(&self) -> Result<Interface, Error> {
        self.check_open()?;
        self.lookup()
    }

    /// Looks the interface up without asking whether the device is open, for those who hold its line.
    pub(super) fn lookup(&self) -> Result<Interface, Error> {
        let index = self.inner.index;
        let found = self.in_namespace(|namespace| namespace.link_by_index(index));
        found.map_err(|error| self.link_error(error))
    }

    /// A missing interface means here that it vanished.
    fn link_error(&self, error: Error) -> Error {
        match error {
            Error::NotFound { .. } | Error::System { errno: Some(19), .. } => Error::Gone {
                name: self.inner.name.clone(),
            },
            other => other,
        }
    }

    fn change<T, E: Into<Error>>(
        &self,
        what: impl FnOnce(&Namespace, u32) -> Result<T, E>,
    ) -> Result<T, Error> {
        self.check_open()?;
        let index = self.inner.index;
        self.in_namespace(|namespace| what(namespace, index))
            .map_err(|error| self.link_error(error))
    }

    /// Returns the Ethernet address, such as `02:00:00:00:00:01`; a TUN has none.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Closed`].
    pub fn mac(&self) -> Result<Option<String>, Error> {
        let mac = self.interface()?.mac;
        // What stands for a TUN has one, which is its own affair.
        Ok(mac
            .filter(|_| self.inner.layer == Layer::L2)
            .map(|mac| mac.to_string()))
    }

    /// Returns the MTU in bytes.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Closed`].
    pub fn mtu(&self) -> Result<u32, Error> {
        Ok(self.interface()?.mtu)
    }

    /// Returns the addresses with prefix length, such as `10.0.0.1/24`.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Closed`].
    pub fn addresses(&self) -> Result<Vec<String>, Error> {
        Ok(self
            .interface()?
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect())
    }

    /// Returns whether it is up and has carrier.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Closed`].
    pub fn state(&self) -> Result<DeviceState, Error> {
        let interface = self.interface()?;
        let bridge = match interface.bridge {
            Some(index) => Some(self.change(|namespace, _| namespace.link_by_index(index))?.name),
            None => None,
        };
        Ok(DeviceState {
            up: interface.admin_up,
            carrier: interface.carrier,
            operstate: interface.operstate,
            bridge,
        })
    }

    /// Returns the counters of the kernel and of the engine.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Closed`].
    pub fn stats(&self) -> Result<DeviceStats, Error> {
        let stats = self.interface()?.stats;
        let engine = self.on_present_pipeline(|pipeline, _| Ok(pipeline.stats()?))?;
        Ok(DeviceStats {
            name: self.inner.name.clone(),
            kernel: KernelStats {
                rx_packets: stats.rx_packets,
                rx_bytes: stats.rx_bytes,
                rx_errors: stats.rx_errors,
                rx_dropped: stats.rx_dropped,
                tx_packets: stats.tx_packets,
                tx_bytes: stats.tx_bytes,
                tx_errors: stats.tx_errors,
                tx_dropped: stats.tx_dropped,
            },
            engine,
        })
    }

    /// Brings the interface up.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::Gone`], [`Error::Closed`], [`Error::System`] with the kernel's text.
    pub fn up(&self) -> Result<(), Error> {
        self.change(Namespace::set_up)
    }

    /// Takes the interface down.
    ///
    /// # Errors
    /// As [`Device::up`].
    pub fn down(&self) -> Result<(), Error> {
        self.change(Namespace::set_down)
    }

    /// Sets the MTU in bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the interface cannot have it, else as [`Device::up`].
    pub fn set_mtu(&self, mtu: u32) -> Result<(), Error> {
        self.change(|namespace, index| namespace.set_mtu(index, mtu))?;
        self.on_present_pipeline(|pipeline, port| Ok(pipeline.set_mtu(port, mtu)?))?;
        Ok(())
    }

    /// Adds an address such as `10.0.0.2/24`; a bare address is /32, or /128.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not an address, else as [`Device::up`].
    pub fn add_address(&self, address: &str) -> Result<(), Error> {
        let address = address.parse::<Cidr>()?;
        self.change(|namespace, index| namespace.add_address(index, address))
    }

    /// Deletes an address.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the interface does not have it, else as [`Device::add_address`].
    pub fn del_address(&self, text: &str) -> Result<(), Error> {
        let address = text.parse::<Cidr>()?;
        self.change(|namespace, index| namespace.del_address(index, address))
            .map_err(|error| {
                if error.errno() == Some(99) {
                    return Error::NotFound {
                        what: format!("address {address} does not exist on {self}"),
                        hint: Some("see its addresses for what it has".into()),
                    };
                }
                error
            })
    }

    /// Forgets the ARP and NDP entries learned on the interface.
    ///
    /// # Errors
    /// As [`Device::up`].
    pub fn flush_neighbours(&self) -> Result<(), Error> {
        self.change(Namespace::flush_neighbours)
    }

    /// Makes `port` a port of this bridge.
    ///
    /// # Errors
    /// [`Error::Invalid`] when this is no bridge or `port` lives elsewhere, else as [`Device::up`].
    pub fn add_port(&self, port: &Device) -> Result<(), Error> {
        self.check_bridge()?;
        port.check_open()?;
        port.check_lives_in(
            &self.netns_handle()?,
            &format!("bridge {}", self.name()),
            self.netns(),
        )?;
        self.change(|namespace, index| namespace.add_port(index, port.inner.index))
    }

    /// Takes `port` out of this bridge.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no port of this bridge, else as [`Device::up`].
    pub fn remove_port(&self, port: &Device) -> Result<(), Error> {
        self.check_bridge()?;
        if port.interface()?.bridge != Some(self.inner.index) {
            return Err(Error::Invalid {
                what: format!("{port} is not a port of bridge {}", self.inner.name),
                hint: None,
            });
        }
        self.change(|namespace, _| namespace.remove_port(port.inner.index))
    }

    /// Returns the names of this bridge's ports, in the order of their indexes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when this is no bridge, else as [`Device::up`].
    pub fn ports(&self) -> Result<Vec<String>, Error> {
        self.check_bridge()?;
        let links = self.change(|namespace, _| namespace.links())?;
        let mut ports: Vec<_> = links
            .into_iter()
            .filter(|link| link.bridge == Some(self.inner.index))
            .collect();
        ports.sort_by_key(|link| link.index);
        Ok(ports.into_iter().map(|link| link.name).collect())
    }

    /// Fails unless this device lives in `ns`, where `who` is.
    pub(crate) fn check_lives_in(&self, ns: &NetNs, who: &str, place: &str) -> Result<(), Error> {
        if self.netns_handle()?.same_as(ns) {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!("{self} lives in {} and {who} in {place}", self.netns()),
            hint: Some("a bridge and its ports live in one namespace; join others with a Wire".into()),
        })
    }

    fn check_bridge(&self) -> Result<(), Error> {
        if self.inner.kind == DeviceKind::Bridge {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!("{self} is no bridge"),
            hint: Some("make one with Bridge".into()),
        })
    }
}
