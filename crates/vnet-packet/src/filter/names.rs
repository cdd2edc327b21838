//! What the words of a filter that are no keywords stand for.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::wire::MacAddr;

/// Tells the addresses of the names that a filter may use: a lab's nodes.
pub trait Names {
    /// Returns every IP address of a node; nothing where no node is called so.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;

    /// Returns every Ethernet address of a node, for `ether host h1`.
    fn lladdrs(&self, name: &str) -> Vec<MacAddr> {
        let _ = name;
        Vec::new()
    }

    /// Returns all names there are, for an error that knows better.
    fn all(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Where no names are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
}
