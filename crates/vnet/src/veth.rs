//! Veth pairs.

use std::sync::Arc;

use vnet_netlink::Interface;
use vnet_packet::Layer;
use vnet_sandbox::{EndSpec, VethSpec};

use crate::device::{Backend, Device, DeviceKind, Life, Parts, Source};
use crate::error::Error;
use crate::netns::{Home, Netns, addresses};

/// A veth pair to make: what goes in at one end comes out at the other.
#[derive(Clone, Debug)]
pub struct Veth {
    /// Name of the first end.
    pub name: String,
    /// Name of the second end.
    pub peer: String,
    /// Addresses of the first end.
    pub ip: Vec<String>,
    /// Addresses of the second end.
    pub peer_ip: Vec<String>,
    /// Ethernet address of the first end; the kernel chooses one when `None`.
    pub mac: Option<String>,
    /// Ethernet address of the second end; the kernel chooses one when `None`.
    pub peer_mac: Option<String>,
    /// MTU of both in bytes.
    pub mtu: u32,
    /// Where the first end is made.
    pub netns: Netns,
    /// Where the second end is made; beside the first when `None`.
    pub peer_netns: Option<Netns>,
    /// Whether both are brought up.
    pub up: bool,
    /// Whether the pair outlives the process, as after `ip link add`.
    pub persist: bool,
}

impl Veth {
    /// Describes a pair that is up, has an MTU of 1500 bytes and lives in the current namespace.
    #[must_use]
    pub fn new(name: impl Into<String>, peer: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            peer: peer.into(),
            ip: Vec::new(),
            peer_ip: Vec::new(),
            mac: None,
            peer_mac: None,
            mtu: 1500,
            netns: Netns::Current,
            peer_netns: None,
            up: true,
            persist: false,
        }
    }

    /// Adds an address to the first end.
    #[must_use]
    pub fn ip(mut self, address: impl Into<String>) -> Self {
        self.ip.push(address.into());
        self
    }

    /// Adds an address to the second end.
    #[must_use]
    pub fn peer_ip(mut self, address: impl Into<String>) -> Self {
        self.peer_ip.push(address.into());
        self
    }

    /// Chooses the namespace of the first end, and of the second unless [`Veth::peer_netns`] says another.
    #[must_use]
    pub fn netns(mut self, netns: Netns) -> Self {
        self.netns = netns;
        self
    }

    /// Chooses the namespace of the second end.
    #[must_use]
    pub fn peer_netns(mut self, netns: Netns) -> Self {
        self.peer_netns = Some(netns);
        self
    }

    /// Makes the pair. It lives and dies as one, as in the kernel: closing either end removes both; dropping one handle
    /// does not.
    ///
    /// # Errors
    /// [`Error::Busy`] when a name is taken, [`Error::Privilege`], [`Error::Invalid`] for a bad name, address or size.
    pub fn create(self) -> Result<(Device, Device), Error> {
        let what = format!("make veth pair {} and {}", self.name, self.peer);
        let home = self.netns.home(&what)?;
        let peer_home = self.peer_netns.as_ref().unwrap_or(&self.netns).home(&what)?;
        let spec = VethSpec {
            a: EndSpec {
                name: self.name,
                ip: addresses(&self.ip)?,
                mac: self.mac.as_deref().map(str::parse).transpose()?,
                ..EndSpec::default()
            },
            b: EndSpec {
                name: self.peer,
                ip: addresses(&self.peer_ip)?,
                mac: self.peer_mac.as_deref().map(str::parse).transpose()?,
                ..EndSpec::default()
            },
            mtu: Some(self.mtu),
            up: self.up,
            persist: self.persist,
        };
        let (a, b) = home.namespace.make_veth(&spec, &peer_home.namespace)?;
        let namespace = Arc::new(home.namespace);
        let life = Life::new(if self.persist {
            None
        } else {
            Some((Arc::clone(&namespace), Box::new(a.clone())))
        });
        let first = end(a, namespace, home.place, &life);
        let Home { namespace, place } = peer_home;
        Ok((first, end(b, Arc::new(namespace), place, &life)))
    }
}

fn end(
    interface: Interface,
    namespace: Arc<vnet_sandbox::Namespace>,
    place: String,
    life: &Arc<Life>,
) -> Device {
    Device::new(Parts {
        name: interface.name,
        index: interface.index,
        kind: DeviceKind::Veth,
        layer: Layer::L2,
        namespace,
        place,
        backend: Backend::Packet,
        source: Source::Socket,
        held: None,
        life: Arc::clone(life),
    })
}
