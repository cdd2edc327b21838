//! What a network lab is made of, and the plan that follows from it: no I/O, no
//! kernel, the same answer every time.
//!
//! ```
//! use vnet_topology::{Spec, resolve};
//!
//! # fn main() -> Result<(), vnet_topology::TopologyError> {
//! let spec = Spec::from_toml(
//!     r#"
//!     hosts = ["h1", "h2"]
//!     switches = ["s1"]
//!     links = [["h1", "s1"], ["h2", "s1"]]
//!     "#,
//!     "lab.toml",
//! )?;
//! let plan = resolve(&spec, None)?;
//! assert_eq!(plan.nodes[1].interfaces[0].addresses[0].to_string(), "10.0.0.2/24");
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//! - A [`Spec`] is what the user declared. It is read from a lab file ([`Spec::from_toml`]), from a
//!   document ([`Spec::from_json`]), or put together node by node, and written the same ways.
//! - A [`Resolved`] is the plan: every name, address and route decided. [`resolve`] makes it of a spec,
//!   and of a spec that has grown makes one in which all that was decided stays as it was.
//! - A link's impairments are crate `vnet_impair`'s, one for each direction; [`Changes`] are some of them to set, and an
//!   [`Event`] sets them, or pulls the link, at its time.
//! - A segment is a broadcast domain. It gets one subnet of each family, from its explicit addresses or
//!   from the pool.
//! - A [`TopologyError`] names the place of the fault: file, line, column and key where there is a file.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod changes;
mod check;
mod error;
mod graph;
mod loops;
mod names;
mod places;
mod read;
mod resolve;
mod resolved;
mod schedule;
mod spec;
mod subnet;
mod write;

pub use changes::{Changes, Wanted};
pub use error::{Place, TopologyError};
pub use graph::{GraphNote, GraphNotes, GraphState, graph_dot, graph_svg, graph_text};
pub use loops::loops;
pub use places::Declared;
pub use resolve::{FORWARDING, resolve};
pub use resolved::{Resolved, ResolvedInterface, ResolvedLink, ResolvedNode, ResolvedRoute, Segment, Slot};
pub use schedule::{Event, Plug, When};
pub use spec::{
    DEFAULT_IPV4, DEFAULT_IPV6, End, EndSpec, Gateway, LinkSpec, NodeKind, NodeSpec, PluginUse, RouteEntry,
    Routing, Spec,
};

/// Reads an address with its prefix length, such as `10.0.0.1/24`.
///
/// # Errors
/// [`TopologyError::BadValue`] for what is no address, and for one without a prefix length: in a lab a single
/// address without neighbours is not what is meant (with `/32` it is).
pub fn parse_address(text: &str) -> Result<vnet_netlink::Cidr, TopologyError> {
    read::address(text).map_err(|found| TopologyError::BadValue {
        at: Place::named("ip"),
        found,
        expected: "an address with its prefix length, such as \"10.0.0.1/24\"".into(),
    })
}
