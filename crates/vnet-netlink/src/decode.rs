//! Routes, neighbours and bridge entries as the kernel's messages tell them.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteVia,
};

use crate::{Cidr, FdbEntry, Mac, Neighbour, Route};

/// Where a route leads: its next hop by gateway and interface.
type Hop = (Option<IpAddr>, Option<u32>);

/// Appends the routes of the main table that a message stands for, one a next hop.
pub(crate) fn push_routes(message: &RouteMessage, routes: &mut Vec<Route>) {
    let header = &message.header;
    let mut route = Route {
        to: Cidr {
            ip: match header.address_family {
                AddressFamily::Inet6 => IpAddr::from([0_u8; 16]),
                _ => IpAddr::from([0_u8; 4]),
            },
            prefix: header.destination_prefix_length,
        },
        via: None,
        index: None,
        metric: 0,
        source: None,
        protocol: protocol_name(header.protocol),
        kind: format!("{:?}", header.kind).to_ascii_lowercase(),
    };
    let mut table = u32::from(header.table);
    let mut hops: Vec<Hop> = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => route.to.ip = ip(to).unwrap_or(route.to.ip),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::PrefSource(source) => route.source = ip(source),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::MultiPath(next) => hops.extend(next.iter().map(|one| {
                let (via, _) = hop(&one.attributes);
                (via, Some(one.interface_index))
            })),
            _ => {}
        }
    }
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) {
        return;
    }
    if hops.is_empty() {
        hops.push(hop(&message.attributes));
    }
    for (via, index) in hops {
        routes.push(Route {
            via,
            index,
            ..route.clone()
        });
    }
}

fn hop(attributes: &[RouteAttribute]) -> Hop {
    let mut hop = (None, None);
    for attribute in attributes {
        match attribute {
            RouteAttribute::Gateway(gateway) => hop.0 = ip(gateway),
            RouteAttribute::Via(RouteVia::Inet(gateway)) => hop.0 = Some((*gateway).into()),
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => hop.0 = Some((*gateway).into()),
            RouteAttribute::Oif(index) => hop.1 = Some(*index),
            _ => {}
        }
    }
    hop
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

fn protocol_name(protocol: RouteProtocol) -> String {
    match protocol {
        RouteProtocol::Other(number) => number.to_string(),
        RouteProtocol::IcmpRedirect => "redirect".to_owned(),
        named => format!("{named:?}").to_ascii_lowercase(),
    }
}

/// An entry of the kernel's own, such as that of a group, is none.
pub(crate) fn neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    if matches!(message.header.state, NeighbourState::Noarp | NeighbourState::None) {
        return None;
    }
    let mut ip = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => ip = Some((*address).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => ip = Some((*address).into()),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = mac_of(bytes),
            _ => {}
        }
    }
    Some(Neighbour {
        index: message.header.ifindex,
        ip: ip?,
        mac,
        state: format!("{:?}", message.header.state).to_ascii_lowercase(),
    })
}

/// Entries of other bridges, and those a port keeps for itself (`NTF_SELF`), have
/// another bridge's number or none.
pub(crate) fn fdb_entry(message: &NeighbourMessage, bridge: u32) -> Option<FdbEntry> {
    if message.header.flags.contains(NeighbourFlags::Own) {
        return None;
    }
    let mut mac = None;
    let mut vlan = None;
    let mut of = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = mac_of(bytes),
            NeighbourAttribute::Vlan(id) => vlan = Some(*id),
            NeighbourAttribute::Controller(index) => of = Some(*index),
            _ => {}
        }
    }
    if of != Some(bridge) {
        return None;
    }
    Some(FdbEntry {
        mac: mac?,
        port: message.header.ifindex,
        vlan,
        is_local: message.header.state == NeighbourState::Permanent,
    })
}

fn mac_of(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}
