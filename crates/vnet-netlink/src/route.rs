use std::net::IpAddr;

use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteMessage, RouteProtocol, RouteScope, RouteType};

use crate::error::errno;
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
        let message = added(to, via, index, None)?;
        self.change(
            || format!("cannot add the route to {to}"),
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Deletes a route of the main table: the first to that network which has what is given of gateway and interface.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchRoute`].
    pub fn del_route(&self, to: Cidr, via: Option<IpAddr>, index: Option<u32>) -> Result<(), NetlinkError> {
        let message = deleted(to, via, index, None)?;
        self.change(
            || format!("cannot delete the route to {to}"),
            RouteNetlinkMessage::DelRoute(message),
            0,
        )
        .map_err(|error| match error {
            // The second for an IPv6 default route (`fib6_del`, net/ipv6/ip6_fib.c).
            NetlinkError::Refused {
                errno: errno::SRCH | errno::NOENT,
                ..
            } => NetlinkError::NoSuchRoute {
                route: to.to_string(),
            },
            other => other,
        })
    }
}

/// Returns the message for a route that is to be.
pub(crate) fn added(
    to: Cidr,
    via: Option<IpAddr>,
    index: Option<u32>,
    metric: Option<u32>,
) -> Result<RouteMessage, NetlinkError> {
    if via.is_none() && index.is_none() {
        return Err(bad(to, "a route needs a gateway or an interface"));
    }
    let mut message = message(to, via, index, metric)?;
    if via.is_none() {
        // What is on the link itself is not beyond it.
        message.header.scope = RouteScope::Link;
    }
    Ok(message)
}

/// Returns the message for a route that is not to be any more, whoever made it.
pub(crate) fn deleted(
    to: Cidr,
    via: Option<IpAddr>,
    index: Option<u32>,
    metric: Option<u32>,
) -> Result<RouteMessage, NetlinkError> {
    let mut message = message(to, via, index, metric)?;
    // These stand for any, as with ip(8).
    message.header.scope = RouteScope::NoWhere;
    message.header.protocol = RouteProtocol::Unspec;
    message.header.kind = RouteType::Unspec;
    Ok(message)
}

fn message(
    to: Cidr,
    via: Option<IpAddr>,
    index: Option<u32>,
    metric: Option<u32>,
) -> Result<RouteMessage, NetlinkError> {
    let bad = |reason: &str| bad(to, reason);
    let mut builder = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(to.ip, to.prefix)
        .map_err(|e| bad(&e.to_string()))?;
    if let Some(gateway) = via {
        if gateway.is_ipv4() != to.ip.is_ipv4() {
            return Err(bad("the gateway is of the other address family"));
        }
        builder = builder.gateway(gateway).map_err(|e| bad(&e.to_string()))?;
    }
    if let Some(index) = index {
        builder = builder.output_interface(index);
    }
    if let Some(metric) = metric {
        builder = builder.priority(metric);
    }
    Ok(builder.build())
}

fn bad(to: Cidr, reason: &str) -> NetlinkError {
    NetlinkError::BadAddress {
        address: to.to_string(),
        reason: reason.to_owned(),
    }
}
