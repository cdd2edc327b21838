use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::RouteType;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::errno;
use crate::{Mac, Netlink, NetlinkError};

impl Netlink {
    /// Fixes the Ethernet address of a neighbour, so that nobody asks for it
    /// (`ip neigh replace ... nud permanent`).
    ///
    /// # Errors
    /// [`NetlinkError::Refused`], [`NetlinkError::Privilege`].
    pub fn add_neighbour(&self, index: u32, ip: IpAddr, mac: Mac) -> Result<(), NetlinkError> {
        self.change(
            || format!("cannot add the neighbour {ip} to {}", self.shown(index)),
            RouteNetlinkMessage::NewNeighbour(permanent(index, ip, mac)),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// Forgets the neighbours the interface has learnt, but not those that were
    /// fixed (`ip neigh flush dev`).
    ///
    /// Returns how many were forgotten.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`], [`NetlinkError::Privilege`].
    pub fn flush_neighbours(&self, index: u32) -> Result<usize, NetlinkError> {
        let what = || format!("cannot flush the neighbours of {}", self.shown(index));
        let mut learnt = Vec::new();
        let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        self.dump(what, request, |answer| {
            if let RouteNetlinkMessage::NewNeighbour(message) = answer
                && message.header.ifindex == index
                && !matches!(
                    message.header.state,
                    NeighbourState::Permanent | NeighbourState::Noarp
                )
            {
                learnt.push(message);
            }
        })?;
        let mut flushed = 0;
        for neighbour in learnt {
            let mut message = NeighbourMessage::default();
            message.header = neighbour.header;
            message.attributes = neighbour
                .attributes
                .into_iter()
                .filter(|attribute| matches!(attribute, NeighbourAttribute::Destination(_)))
                .collect();
            match self.change(what, RouteNetlinkMessage::DelNeighbour(message), 0) {
                Ok(()) => flushed += 1,
                // The kernel forgot it by itself meanwhile.
                Err(error) if error.errno() == errno::NOENT => {}
                Err(error) => return Err(error),
            }
        }
        Ok(flushed)
    }
}

/// Names a neighbour.
pub(crate) fn message(index: u32, ip: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = if ip.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    message.header.ifindex = index;
    message.header.kind = RouteType::Unspec;
    message.attributes.push(NeighbourAttribute::Destination(match ip {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    }));
    message
}

/// A neighbour whose Ethernet address is fixed.
pub(crate) fn permanent(index: u32, ip: IpAddr, mac: Mac) -> NeighbourMessage {
    let mut message = message(index, ip);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}
