use vnet_netlink::{Cidr, Interface, Mac};

use crate::namespace::Wanted;
use crate::{Namespace, Owner, READY_TIMEOUT, SandboxError};

/// A bridge to make.
#[derive(Clone, Debug)]
pub struct BridgeSpec {
    /// The interface name.
    pub name: String,
    /// Its IP addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address, or the lowest of its ports'.
    pub mac: Option<Mac>,
    /// Bytes of payload, or the smallest of its ports'.
    pub mtu: Option<u32>,
    /// The interfaces that become its ports, by name.
    pub ports: Vec<String>,
    /// Sets it up, and waits until frames pass if a port has carrier.
    pub up: bool,
    /// Leaves out the alias that names this process, so that nobody takes it for a
    /// leftover; [`Namespace::release`] then does nothing.
    pub persist: bool,
}

impl BridgeSpec {
    /// Describes a bridge that is up and has no port.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ip: Vec::new(),
            mac: None,
            mtu: None,
            ports: Vec::new(),
            up: true,
            persist: false,
        }
    }
}

impl Namespace {
    /// Makes a bridge with its ports and returns it as it then is.
    ///
    /// Once it has ports it has carrier while one of them has. It carries an alias that
    /// names this process; [`Namespace::release`] deletes it.
    ///
    /// # Errors
    /// [`SandboxError::Busy`] when the name is taken; [`SandboxError::Netlink`] when a
    /// port does not exist or cannot be one. Nothing is left behind then.
    pub fn make_bridge(&self, spec: &BridgeSpec) -> Result<Interface, SandboxError> {
        let plain = vnet_netlink::BridgeSpec {
            name: spec.name.clone(),
            mac: spec.mac,
            mtu: spec.mtu,
            alias: (!spec.persist).then(|| Owner::this_process().to_string()),
        };
        let bridge = self
            .netlink
            .create_bridge(&plain)
            .map_err(|error| self.name_owner(error))?;
        let finish = || {
            let mut carrier = false;
            for name in &spec.ports {
                let port = self.netlink.link(name)?;
                self.netlink.add_port(bridge.index, port.index)?;
                carrier |= port.ready();
            }
            self.configure(
                bridge.index,
                &Wanted {
                    ip: &spec.ip,
                    up: spec.up,
                    ..Wanted::default()
                },
            )?;
            Ok(if spec.up && carrier {
                self.netlink.wait_operstate(bridge.index, true, READY_TIMEOUT)?
            } else {
                self.netlink.link_by_index(bridge.index)?
            })
        };
        // The error that led here is the one to report.
        finish().inspect_err(|_| drop(self.netlink.delete(bridge.index)))
    }
}
