//! Filters of captures that name nodes.

use std::net::IpAddr;
use std::sync::Arc;

use vnet_packet::filter::{self, Names, NoNames};
use vnet_packet::wire::MacAddr;
use vnet_topology::{Resolved, ResolvedInterface};

use super::Network;
use crate::error::Error;
use crate::recording::Filter;

/// The nodes of a network by their names.
struct Nodes(Arc<Resolved>);

impl Nodes {
    fn interfaces(&self, name: &str) -> &[ResolvedInterface] {
        self.0.node(name).map_or(&[], |(_, node)| &node.interfaces)
    }
}

impl Names for Nodes {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let interfaces = self.interfaces(name).iter();
        interfaces
            .flat_map(|interface| interface.addresses.iter().map(|address| address.ip))
            .collect()
    }

    fn lladdrs(&self, name: &str) -> Vec<MacAddr> {
        let interfaces = self.interfaces(name).iter();
        interfaces.map(|interface| MacAddr(interface.mac.0)).collect()
    }

    fn all(&self) -> Vec<String> {
        self.0.nodes.iter().map(|node| node.name.clone()).collect()
    }
}

impl Network {
    /// Reads a filter in the words of pcap-filter(7), in which the names of nodes stand for their addresses. Starts nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the word that is wrong.
    pub fn filter(&self, text: &str) -> Result<Filter, Error> {
        parse(text, &Nodes(self.ours()?.resolved()?))
    }

    /// Returns a filter's text with addresses in place of the names of nodes, as a plugin needs it. Starts nothing.
    ///
    /// # Errors
    /// As [`filter`](Self::filter).
    pub fn plain_filter(&self, text: &str) -> Result<String, Error> {
        Ok(filter::Filter::without_names(
            text,
            &Nodes(self.ours()?.resolved()?),
        )?)
    }
}

/// Reads a filter in the words of pcap-filter(7).
///
/// # Errors
/// [`Error::Invalid`] with the word that is wrong.
pub fn capture_filter(text: &str) -> Result<Filter, Error> {
    parse(text, &NoNames)
}

fn parse(text: &str, names: &dyn Names) -> Result<Filter, Error> {
    let filter = filter::Filter::parse(text, names)?;
    Ok(Arc::new(move |layer, frame, wire_len| {
        filter.matches_cut(layer, frame, wire_len as usize)
    }))
}
