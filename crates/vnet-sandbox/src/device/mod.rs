//! Devices of a namespace: made, found, changed and released.
//!
//! Everything that is asked of a [`Namespace`] is one [`DeviceRequest`]. Where this process may enter the namespace it is
//! carried out here ([`local::Local`]), else by the helper that may, with the same code ([`serve`]).

mod bridge;
mod keep;
mod keeper;
mod local;
mod namespace;
mod owner;
mod packet_tap;
mod port;
mod request;
mod serve;
mod spec;
mod stale;
mod tap;
mod veth;

pub(crate) use keep::keep;
pub use keeper::{after_fork, before_fork};
pub use namespace::{Namespace, READY_TIMEOUT};
pub use owner::Owner;
pub use packet_tap::PacketTap;
pub(crate) use request::{DeviceReply, DeviceRequest};
pub(crate) use serve::serve;
pub use spec::{BridgeSpec, EndSpec, TapSpec, VethSpec};
pub use stale::Stale;
pub use tap::TapDevice;
