use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};
use vnet_sys::check_name;

use crate::error::errno;
use crate::{Cidr, Interface, Netlink, NetlinkError};

impl Netlink {
    /// Returns all interfaces of the namespace, by number.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`].
    pub fn links(&self) -> Result<Vec<Interface>, NetlinkError> {
        let mut links = Vec::new();
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.dump(
            || "cannot list the interfaces".to_owned(),
            request,
            |answer| {
                if let RouteNetlinkMessage::NewLink(message) = answer {
                    links.push(Interface::from_message(message));
                }
            },
        )?;
        for (index, address) in self.addresses()? {
            if let Some(link) = links.iter_mut().find(|link| link.index == index) {
                link.addresses.push(address);
            }
        }
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// Returns the interface of that name.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`]; [`NetlinkError::Sys`] when it cannot be a
    /// name.
    pub fn link(&self, name: &str) -> Result<Interface, NetlinkError> {
        check_name(name)?;
        self.find(LinkUnspec::new_with_name(name), name)
    }

    /// Returns the interface of that number.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn link_by_index(&self, index: u32) -> Result<Interface, NetlinkError> {
        self.find(LinkUnspec::new_with_index(index), &format!("#{index}"))
    }

    /// Returns the interface of that name, or nothing when there is none.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`]; [`NetlinkError::Sys`] when it cannot be a name.
    pub fn try_link(&self, name: &str) -> Result<Option<Interface>, NetlinkError> {
        match self.link(name) {
            Ok(interface) => Ok(Some(interface)),
            Err(NetlinkError::NoSuchInterface { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn find(&self, which: LinkMessageBuilder<LinkUnspec>, shown: &str) -> Result<Interface, NetlinkError> {
        let missing = || NetlinkError::NoSuchInterface {
            name: shown.to_owned(),
        };
        let mut found = self.find_link(which, shown)?.ok_or_else(missing)?;
        for (index, address) in self.addresses()? {
            if index == found.index {
                found.addresses.push(address);
            }
        }
        Ok(found)
    }

    /// Asks for one interface, without its addresses.
    pub(crate) fn find_link(
        &self,
        which: LinkMessageBuilder<LinkUnspec>,
        shown: &str,
    ) -> Result<Option<Interface>, NetlinkError> {
        let mut found = None;
        let request = RouteNetlinkMessage::GetLink(which.build());
        let result = self.query(
            || format!("cannot find the interface {shown}"),
            request,
            |answer| {
                if let RouteNetlinkMessage::NewLink(message) = answer {
                    found = Some(Interface::from_message(message));
                }
            },
        );
        match result {
            Err(error) if error.errno() == errno::NODEV => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(found),
        }
    }

    /// Returns every address of the namespace with the number of its interface.
    fn addresses(&self) -> Result<Vec<(u32, Cidr)>, NetlinkError> {
        let mut addresses = Vec::new();
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.dump(
            || "cannot list the addresses".to_owned(),
            request,
            |answer| {
                if let RouteNetlinkMessage::NewAddress(message) = answer
                    && let Some(address) = own_address(&message)
                {
                    addresses.push((message.header.index, address));
                }
            },
        )?;
        Ok(addresses)
    }
}

/// Of a point-to-point address, IFA_ADDRESS is the other end and IFA_LOCAL ours.
pub(crate) fn own_address(message: &AddressMessage) -> Option<Cidr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let ip = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(ip) => Some(*ip),
            _ => None,
        })
    })?;
    Cidr::new(ip, message.header.prefix_len).ok()
}
