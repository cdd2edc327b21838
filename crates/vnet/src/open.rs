//! Existing interfaces.

use std::sync::Arc;

use vnet_packet::Layer;

use crate::device::{Backend, Device, DeviceKind, Life, Parts, Source};
use crate::error::Error;
use crate::netns::Netns;

/// Takes an existing interface as a device; closing it leaves the interface as it is.
///
/// The engine reads a copy of the frames that arrive there: a plugin that drops them keeps them from `recv` and from a wire,
/// not from the kernel.
///
/// # Errors
/// [`Error::NotFound`] when there is no such interface, [`Error::Privilege`], [`Error::Unsupported`] when it carries
/// neither Ethernet frames nor is a TUN.
pub fn open(name: &str, netns: &Netns) -> Result<Device, Error> {
    let home = netns.home(&format!("open interface {name}"))?;
    let interface = home.namespace.link(name)?;
    let layer = match (interface.mac, interface.kind.as_deref()) {
        (Some(_), _) => Layer::L2,
        (None, Some("tun")) => Layer::L3,
        (None, kind) => {
            return Err(Error::Unsupported {
                what: format!(
                    "interface {name} ({}) carries no Ethernet frames",
                    kind.unwrap_or("unknown kind")
                ),
                hint: None,
            });
        }
    };
    Ok(Device::new(Parts {
        name: interface.name,
        index: interface.index,
        kind: DeviceKind::Existing,
        layer,
        namespace: Arc::new(home.namespace),
        place: home.place,
        backend: Backend::Packet,
        source: Source::Socket,
        held: None,
        life: Life::new(None),
    }))
}
