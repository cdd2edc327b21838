//! Kernel bridges.

use std::sync::Arc;

use vnet_packet::Layer;
use vnet_sandbox::BridgeSpec;

use crate::device::{Backend, Device, DeviceKind, Life, Parts, Source};
use crate::error::Error;
use crate::netns::{Netns, addresses};

/// A kernel bridge to make.
#[derive(Clone)]
pub struct Bridge {
    /// Interface name, 1 to 15 bytes.
    pub name: String,
    /// Devices that become its ports; they live in the same namespace.
    pub ports: Vec<Device>,
    /// Addresses of the bridge itself.
    pub ip: Vec<String>,
    /// Ethernet address; the kernel chooses one when `None`.
    pub mac: Option<String>,
    /// MTU in bytes; that of the smallest port, or 1500, when `None`.
    pub mtu: Option<u32>,
    /// Where it is made.
    pub netns: Netns,
    /// Whether it is brought up.
    pub up: bool,
    /// Whether it outlives the process, as after `ip link add`.
    pub persist: bool,
}

impl Bridge {
    /// Describes a bridge without ports that is up and lives in the current namespace.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ports: Vec::new(),
            ip: Vec::new(),
            mac: None,
            mtu: None,
            netns: Netns::Current,
            up: true,
            persist: false,
        }
    }

    /// Adds a port.
    #[must_use]
    pub fn port(mut self, device: &Device) -> Self {
        self.ports.push(device.clone());
        self
    }

    /// Adds an address.
    #[must_use]
    pub fn ip(mut self, address: impl Into<String>) -> Self {
        self.ip.push(address.into());
        self
    }

    /// Chooses the namespace.
    #[must_use]
    pub fn netns(mut self, netns: Netns) -> Self {
        self.netns = netns;
        self
    }

    /// Makes the bridge. Closing it removes it and leaves its ports.
    ///
    /// # Errors
    /// [`Error::Busy`] when the name is taken, [`Error::Privilege`], [`Error::Invalid`] for a bad name, address or size or a
    /// port that lives elsewhere.
    pub fn create(self) -> Result<Device, Error> {
        let home = self.netns.home(&format!("make bridge {}", self.name))?;
        for port in &self.ports {
            port.check_lives_in(
                home.namespace.netns(),
                &format!("bridge {}", self.name),
                &home.place,
            )?;
        }
        let interface = home.namespace.make_bridge(&BridgeSpec {
            name: self.name,
            ip: addresses(&self.ip)?,
            mac: self.mac.as_deref().map(str::parse).transpose()?,
            mtu: self.mtu,
            ports: self.ports.iter().map(|port| port.name().to_owned()).collect(),
            up: self.up,
            persist: self.persist,
            index: None,
        })?;
        let namespace = Arc::new(home.namespace);
        let owned = if self.persist {
            None
        } else {
            Some((Arc::clone(&namespace), Box::new(interface.clone())))
        };
        Ok(Device::new(Parts {
            name: interface.name,
            index: interface.index,
            kind: DeviceKind::Bridge,
            layer: Layer::L2,
            namespace,
            place: home.place,
            backend: Backend::Packet,
            source: Source::Socket,
            held: None,
            life: Life::new(owned),
        }))
    }
}
