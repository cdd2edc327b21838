//! TAP and TUN devices.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vnet_datapath::{Port, PortInfo};
use vnet_packet::Layer;
use vnet_sandbox::{SandboxError, TapSpec};
use vnet_sys::SysError;
use vnet_sys::tun::Mode;

use crate::device::{Backend, Device, DeviceKind, Life, Parts, Source, packet_options};
use crate::error::Error;
use crate::netns::{Home, Netns, addresses};

/// A TAP device to make: Ethernet frames of the kernel come here, and frames sent here enter the kernel.
#[derive(Clone, Debug)]
pub struct Tap {
    /// Interface name, 1 to 15 bytes.
    pub name: String,
    /// Addresses such as `10.0.0.1/24`; a bare one is /32, or /128.
    pub ip: Vec<String>,
    /// Ethernet address such as `02:00:00:00:00:01`; the kernel chooses one when `None`.
    pub mac: Option<String>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Where it is made.
    pub netns: Netns,
    /// Whether it outlives the process, as after `ip tuntap add`.
    pub persist: bool,
    /// Whether it is brought up.
    pub up: bool,
    /// User id that may open it without privilege.
    pub owner: Option<u32>,
    /// Group id that may open it without privilege.
    pub group: Option<u32>,
    /// Whether several queues may be opened.
    pub multi_queue: bool,
    /// How long the engine looks for more of its frames before it sleeps: less delay for more CPU time.
    pub busy_poll: Duration,
}

/// A TUN device to make: like [`Tap`] without Ethernet, it carries bare IP packets.
#[derive(Clone, Debug)]
pub struct Tun {
    /// Interface name, 1 to 15 bytes.
    pub name: String,
    /// Addresses such as `10.0.0.1/24`; a bare one is /32, or /128.
    pub ip: Vec<String>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Where it is made.
    pub netns: Netns,
    /// Whether it outlives the process, as after `ip tuntap add`.
    pub persist: bool,
    /// Whether it is brought up.
    pub up: bool,
    /// User id that may open it without privilege.
    pub owner: Option<u32>,
    /// Group id that may open it without privilege.
    pub group: Option<u32>,
    /// Whether several queues may be opened.
    pub multi_queue: bool,
    /// How long the engine looks for more of its frames before it sleeps: less delay for more CPU time.
    pub busy_poll: Duration,
}

impl Tap {
    /// Describes a TAP that is up, has an MTU of 1500 bytes and lives in the current namespace.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ip: Vec::new(),
            mac: None,
            mtu: 1500,
            netns: Netns::Current,
            persist: false,
            up: true,
            owner: None,
            group: None,
            multi_queue: false,
            busy_poll: Duration::ZERO,
        }
    }

    /// Adds an address.
    #[must_use]
    pub fn ip(mut self, address: impl Into<String>) -> Self {
        self.ip.push(address.into());
        self
    }

    /// Sets the Ethernet address.
    #[must_use]
    pub fn mac(mut self, mac: impl Into<String>) -> Self {
        self.mac = Some(mac.into());
        self
    }

    /// Sets the MTU in bytes.
    #[must_use]
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// Chooses the namespace.
    #[must_use]
    pub fn netns(mut self, netns: Netns) -> Self {
        self.netns = netns;
        self
    }

    /// Decides whether it outlives the process.
    #[must_use]
    pub fn persist(mut self, persist: bool) -> Self {
        self.persist = persist;
        self
    }

    /// Decides whether it is brought up.
    #[must_use]
    pub fn up(mut self, up: bool) -> Self {
        self.up = up;
        self
    }

    /// Makes the device; it has carrier from here on until it is closed.
    ///
    /// # Errors
    /// [`Error::Busy`] when the name is taken, [`Error::Privilege`], [`Error::Invalid`] for a bad name, address or size,
    /// [`Error::Unsupported`] when there is no `/dev/net/tun`.
    pub fn create(self) -> Result<Device, Error> {
        let spec = TapSpec {
            ip: addresses(&self.ip)?,
            mac: self.mac.as_deref().map(str::parse).transpose()?,
            mtu: Some(self.mtu),
            up: self.up,
            persist: self.persist,
            owner: self.owner,
            group: self.group,
            multi_queue: self.multi_queue,
            ..TapSpec::new(&self.name, Mode::Tap)
        };
        Ok(create(&spec, &self.netns, DeviceKind::Tap)?.polled(self.busy_poll))
    }
}

impl Tun {
    /// Describes a TUN that is up, has an MTU of 1500 bytes and lives in the current namespace.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let tap = Tap::new(name);
        Self {
            name: tap.name,
            ip: tap.ip,
            mtu: tap.mtu,
            netns: tap.netns,
            persist: tap.persist,
            up: tap.up,
            owner: tap.owner,
            group: tap.group,
            multi_queue: tap.multi_queue,
            busy_poll: tap.busy_poll,
        }
    }

    /// Adds an address.
    #[must_use]
    pub fn ip(mut self, address: impl Into<String>) -> Self {
        self.ip.push(address.into());
        self
    }

    /// Sets the MTU in bytes.
    #[must_use]
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// Chooses the namespace.
    #[must_use]
    pub fn netns(mut self, netns: Netns) -> Self {
        self.netns = netns;
        self
    }

    /// Makes the device; it has carrier from here on until it is closed.
    ///
    /// # Errors
    /// As [`Tap::create`].
    pub fn create(self) -> Result<Device, Error> {
        let spec = TapSpec {
            ip: addresses(&self.ip)?,
            mtu: Some(self.mtu),
            up: self.up,
            persist: self.persist,
            owner: self.owner,
            group: self.group,
            multi_queue: self.multi_queue,
            ..TapSpec::new(&self.name, Mode::Tun)
        };
        Ok(create(&spec, &self.netns, DeviceKind::Tun)?.polled(self.busy_poll))
    }
}

fn create(spec: &TapSpec, netns: &Netns, kind: DeviceKind) -> Result<Device, Error> {
    let home = netns.home(&format!("make {kind} device {}", spec.name))?;
    match home.namespace.make_tap(spec) {
        Ok(tap) => Ok(Device::new(Parts {
            name: tap.info.name,
            index: tap.info.index,
            kind,
            layer: layer(kind),
            namespace: Arc::new(home.namespace),
            place: home.place,
            backend: Backend::Tap,
            held: Some(tap.fd.as_raw_fd()),
            source: Source::Tun(tap.fd),
            // The interface vanishes with its descriptor.
            life: Life::new(None),
        })),
        Err(error) if home.namespace.lab().is_some() && is_about_node(&error, spec) => {
            without_node(home, spec, kind)
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells whether the device node could not be opened, rather than the device not be made.
fn is_about_node(error: &SandboxError, spec: &TapSpec) -> bool {
    match error {
        SandboxError::Sys(SysError::MissingDevice { .. }) => true,
        SandboxError::Sys(SysError::Privilege { what, .. }) => {
            what.contains(&spec.device.display().to_string())
        }
        _ => false,
    }
}

/// Makes the device as one end of a veth pair at whose other end the engine reads and writes.
fn without_node(home: Home, spec: &TapSpec, kind: DeviceKind) -> Result<Device, Error> {
    let tap = home.namespace.make_packet_tap(spec, packet_options())?;
    let held = tap.socket.as_fd().as_raw_fd();
    let info = PortInfo {
        name: tap.info.name.clone(),
        layer: layer(kind),
        mtu: tap.info.mtu,
    };
    let port = match (kind, tap.info.mac) {
        (DeviceKind::Tun, Some(mac)) => Port::packet_l3(tap.socket, info, mac.0),
        _ => Port::packet(tap.socket, info),
    };
    let namespace = Arc::new(home.namespace);
    let owned = Some((Arc::clone(&namespace), Box::new(tap.info.clone())));
    Ok(Device::new(Parts {
        name: tap.info.name,
        index: tap.info.index,
        kind,
        layer: layer(kind),
        namespace,
        place: home.place,
        backend: Backend::Packet,
        held: Some(held),
        source: Source::Port(Box::new(Mutex::new(port))),
        life: Life::new(owned),
    }))
}

fn layer(kind: DeviceKind) -> Layer {
    match kind {
        DeviceKind::Tun => Layer::L3,
        _ => Layer::L2,
    }
}
