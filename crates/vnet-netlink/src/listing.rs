use std::collections::HashMap;

use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteHeader, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::decode::{fdb_entry, neighbour, push_routes};
use crate::error::errno;
use crate::exchange::Failure;
use crate::query::own_address;
use crate::{Batch, Cidr, FdbEntry, Interface, Neighbour, NetlinkError, Route};

impl Batch {
    /// Returns all interfaces of the namespace, by number, with their addresses.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]; [`NetlinkError::Socket`] when the kernel's answer is
    /// not to be understood.
    pub fn links(&mut self) -> Result<Vec<Interface>, NetlinkError> {
        let failed = |failure: Failure| failure.into_error("cannot list the interfaces");
        let mut addresses: HashMap<u32, Vec<Cidr>> = HashMap::new();
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        for answer in self.exchange.list(&request).map_err(failed)? {
            if let RouteNetlinkMessage::NewAddress(message) = answer
                && let Some(address) = own_address(&message)
            {
                addresses.entry(message.header.index).or_default().push(address);
            }
        }
        let mut links = Vec::new();
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        for answer in self.exchange.list(&request).map_err(failed)? {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                let mut link = Interface::from_message(message);
                link.addresses = addresses.remove(&link.index).unwrap_or_default();
                links.push(link);
            }
        }
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// Returns the routes of the main table, IPv4 first, in the kernel's order.
    ///
    /// # Errors
    /// As [`Batch::links`].
    pub fn routes(&mut self) -> Result<Vec<Route>, NetlinkError> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.header.table = RouteHeader::RT_TABLE_MAIN;
            let answers = match self.exchange.list(&RouteNetlinkMessage::GetRoute(message)) {
                // The kernel makes the table with its first route.
                Err(Failure::Refused(errno::NOENT, _)) => Vec::new(),
                answers => answers.map_err(|failure| failure.into_error("cannot list the routes"))?,
            };
            for answer in answers {
                if let RouteNetlinkMessage::NewRoute(message) = answer {
                    push_routes(&message, &mut routes);
                }
            }
        }
        Ok(routes)
    }

    /// Returns the neighbours of all interfaces, IPv4 and IPv6, as `ip neighbour`
    /// shows them: without the entries the kernel keeps for groups and loopback.
    ///
    /// # Errors
    /// As [`Batch::links`].
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>, NetlinkError> {
        let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        let answers = self
            .exchange
            .list(&request)
            .map_err(|failure| failure.into_error("cannot list the neighbours"))?;
        let known = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(message) => neighbour(&message),
            _ => None,
        });
        Ok(known.collect())
    }

    /// Returns the addresses a bridge knows, learnt and its own.
    ///
    /// # Errors
    /// As [`Batch::links`].
    pub fn fdb(&mut self, bridge: u32) -> Result<Vec<FdbEntry>, NetlinkError> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.attributes.push(NeighbourAttribute::Controller(bridge));
        let answers = match self.exchange.list(&RouteNetlinkMessage::GetNeighbour(message)) {
            Ok(answers) => answers,
            Err(failure) => {
                let what = format!("cannot list what the bridge {} has learnt", self.shown(bridge));
                return Err(failure.into_error(&what));
            }
        };
        let known = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(message) => fdb_entry(&message, bridge),
            _ => None,
        });
        Ok(known.collect())
    }

    /// Names an interface for an error message.
    pub(crate) fn shown(&mut self, index: u32) -> String {
        self.name_of(numbered(index))
            .unwrap_or_else(|| format!("#{index}"))
    }

    pub(crate) fn has_name(&mut self, name: &str) -> bool {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.name_of(message).is_some()
    }

    pub(crate) fn has_number(&mut self, index: u32) -> bool {
        self.name_of(numbered(index)).is_some()
    }

    fn name_of(&mut self, which: LinkMessage) -> Option<String> {
        let mut name = None;
        let request = RouteNetlinkMessage::GetLink(which);
        let asked = self.exchange.request(request, 0, |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                name = Some(Interface::from_message(message).name);
            }
        });
        asked.ok().and(name)
    }
}

fn numbered(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}
