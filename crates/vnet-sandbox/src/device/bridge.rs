use vnet_netlink::Interface;

use super::local::{Local, Wanted};
use super::request::{DeviceReply, DeviceRequest};
use super::{BridgeSpec, Owner};
use crate::{Namespace, SandboxError};

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
        self.refuse_persistent(spec.persist, &spec.name)?;
        let request = DeviceRequest::Bridge {
            spec: BridgeSpec {
                index: self.number(spec.index),
                ..spec.clone()
            },
            owner: Owner::this_process(),
        };
        let (reply, _) = self.ask(&request).map_err(|error| self.name_owner(error))?;
        let DeviceReply::Bridge { interface, carrier } = reply else {
            return Err(self.misunderstood());
        };
        if !(spec.up && carrier) {
            return Ok(*interface);
        }
        // The error that led here is the one to report.
        self.wait_ready(interface.index)
            .inspect_err(|_| drop(self.undo(&interface, spec.persist)))
    }
}

/// Makes the bridge, takes in its ports and gives it what it is to have.
pub(super) fn build(local: &Local, spec: &BridgeSpec, owner: Owner) -> Result<DeviceReply, SandboxError> {
    let netlink = &local.netlink;
    let bridge = netlink.create_bridge(&vnet_netlink::BridgeSpec {
        name: spec.name.clone(),
        mac: spec.mac,
        mtu: spec.mtu,
        alias: (!spec.persist).then(|| owner.to_string()),
        index: spec.index,
    })?;
    let finish = || {
        let mut carrier = false;
        for name in &spec.ports {
            let port = netlink.link(name)?;
            netlink.add_port(bridge.index, port.index)?;
            carrier |= port.ready();
        }
        let wanted = Wanted {
            ip: &spec.ip,
            up: spec.up,
            ..Wanted::default()
        };
        let interface = Box::new(local.configure(bridge.index, &wanted)?);
        Ok(DeviceReply::Bridge { interface, carrier })
    };
    // The error that led here is the one to report.
    finish().inspect_err(|_: &SandboxError| drop(netlink.delete(bridge.index)))
}
