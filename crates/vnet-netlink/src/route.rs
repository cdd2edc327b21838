use std::net::IpAddr;

use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};

use crate::{Cidr, Netlink, NetlinkError};

impl Netlink {
    /// Adds a route to the main table: `to` a network (0.0.0.0/0 or ::/0 for the
    /// default), through a gateway, an interface, or both.
    ///
    /// # Errors
    /// [`NetlinkError::BadAddress`] when gateway and network are of different
    /// families or neither gateway nor interface is given; [`NetlinkError::Refused`]
    /// with the kernel's sentence, such as `Nexthop has invalid gateway`.
    pub fn add_route(&self, to: Cidr, via: Option<IpAddr>, index: Option<u32>) -> Result<(), NetlinkError> {
        let message = message(to, via, index, None)?;
        self.change(
            || format!("cannot add the route to {to}"),
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Deletes a route that was given the same way.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `ESRCH` when there is none such.
    pub fn del_route(&self, to: Cidr, via: Option<IpAddr>, index: Option<u32>) -> Result<(), NetlinkError> {
        let message = message(to, via, index, None)?;
        self.change(
            || format!("cannot delete the route to {to}"),
            RouteNetlinkMessage::DelRoute(message),
            0,
        )
    }
}

pub(crate) fn message(
    to: Cidr,
    via: Option<IpAddr>,
    index: Option<u32>,
    metric: Option<u32>,
) -> Result<RouteMessage, NetlinkError> {
    let bad = |reason: &str| NetlinkError::BadAddress {
        address: to.to_string(),
        reason: reason.to_owned(),
    };
    let mut builder = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(to.ip, to.prefix)
        .map_err(|e| bad(&e.to_string()))?;
    match via {
        Some(gateway) if gateway.is_ipv4() != to.ip.is_ipv4() => {
            return Err(bad("the gateway is of the other address family"));
        }
        Some(gateway) => builder = builder.gateway(gateway).map_err(|e| bad(&e.to_string()))?,
        None if index.is_none() => return Err(bad("a route needs a gateway or an interface")),
        // What is on the link itself is not beyond it.
        None => builder = builder.scope(RouteScope::Link),
    }
    if let Some(index) = index {
        builder = builder.output_interface(index);
    }
    if let Some(metric) = metric {
        builder = builder.priority(metric);
    }
    Ok(builder.build())
}
