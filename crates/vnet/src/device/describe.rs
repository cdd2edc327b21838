//! A device in one line.

use vnet_packet::Layer;

use super::{Device, DeviceKind};
use crate::error::Error;

impl Device {
    /// Returns its state, addresses, MTU, MAC, where it lives and how it is read, in one line without the name.
    ///
    /// # Errors
    /// [`crate::Error::Gone`], [`crate::Error::Closed`].
    pub fn describe(&self) -> Result<String, Error> {
        let interface = self.interface()?;
        let mut words = vec![match (interface.admin_up, interface.carrier) {
            (true, true) => "up".to_owned(),
            (true, false) => "up, no carrier".to_owned(),
            (false, _) => "down".to_owned(),
        }];
        words.extend(interface.addresses.iter().map(ToString::to_string));
        words.push(format!("mtu {}", interface.mtu));
        if let Some(mac) = interface.mac
            && self.inner.layer == Layer::L2
        {
            words.push(format!("mac {mac}"));
        }
        if self.inner.kind == DeviceKind::Bridge {
            words.push(format!("ports [{}]", self.ports()?.join(", ")));
        }
        words.push(format!("in {}", self.netns()));
        words.push(format!("backend {}", self.backend()));
        Ok(words.join(" "))
    }
}
