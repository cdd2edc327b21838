//! What can be said against a spec without making a plan of it.

mod address;
mod node;

use std::collections::HashMap;
use std::net::IpAddr;

use vnet_netlink::Mac;

use crate::changes;
use crate::check::address::is_unicast;
use crate::error::TopologyError;
use crate::names::{
    INTERFACE_NAME_RULE, LINK_NAME_RULE, NODE_NAME_RULE, is_interface_name, is_link_name, is_node_name,
};
use crate::places::{Places, Subject};
use crate::schedule;
use crate::spec::{End, EndSpec, LinkSpec, NodeKind, NodeSpec, Spec};
use crate::subnet::{Family, Subnet};

/// What the kernel gives a veth (ETH_MIN_MTU and ETH_MAX_MTU).
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;

impl Spec {
    /// Checks everything that does not depend on how the network is joined together.
    ///
    /// # Errors
    /// The first fault: a name, address or value that cannot be, two things of one name or address, a link to a node
    /// that is not there or to itself.
    pub fn check(&self) -> Result<(), TopologyError> {
        self.check_at(&Places::default())
    }

    pub(crate) fn check_at(&self, places: &Places) -> Result<(), TopologyError> {
        let check = Check { spec: self, places };
        check.lab()?;
        check.nodes()?;
        check.links()?;
        check.unique_names()?;
        check.unique_addresses()
    }
}

struct Check<'a> {
    spec: &'a Spec,
    places: &'a Places,
}

impl Check<'_> {
    fn bad(&self, subject: Subject, found: impl Into<String>, expected: impl Into<String>) -> TopologyError {
        TopologyError::BadValue {
            at: self.places.of(self.spec, subject),
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn lab(&self) -> Result<(), TopologyError> {
        let spec = self.spec;
        if let Some(name) = spec.name.as_deref().filter(|name| !is_node_name(name)) {
            return Err(self.bad(Subject::Lab("name"), format!("{name:?}"), NODE_NAME_RULE));
        }
        if let Some(seed) = spec.seed.filter(|seed| i64::try_from(*seed).is_err()) {
            let expected = format!("a number from 0 to {}", i64::MAX);
            return Err(self.bad(Subject::Lab("seed"), seed.to_string(), expected));
        }
        for (pool, family, key, most, example) in [
            (spec.ipv4, Family::V4, "ipv4", 30, "10.0.0.0/8"),
            (spec.ipv6, Family::V6, "ipv6", 64, "fd00::/48"),
        ] {
            let Some(pool) = pool else { continue };
            let subject = Subject::Lab(key);
            let expected =
                format!("an {family} network with a prefix length of at most {most}, such as \"{example}\"");
            if Family::of(pool.ip) != family || pool.prefix > most || !is_unicast(Subnet::of(pool).cidr().ip)
            {
                return Err(self.bad(subject, pool.to_string(), expected));
            }
            let network = Subnet::of(pool).cidr();
            if network != pool {
                return Err(self.bad(
                    subject,
                    format!("{pool} has host bits"),
                    format!("the network {network}"),
                ));
            }
        }
        Ok(())
    }

    fn links(&self) -> Result<(), TopologyError> {
        let nodes: HashMap<&str, &NodeSpec> = self
            .spec
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), node))
            .collect();
        for (at, link) in self.spec.links.iter().enumerate() {
            if let Some(name) = link.name.as_deref().filter(|name| !is_link_name(name)) {
                return Err(self.bad(Subject::LinkKey(at, "name"), format!("{name:?}"), LINK_NAME_RULE));
            }
            for end in End::BOTH {
                let declared = link.end(end);
                let Some(node) = nodes.get(declared.node.as_str()) else {
                    return Err(TopologyError::UnknownNode {
                        at: self.places.of(self.spec, Subject::EndKey(at, end, "node")),
                        name: declared.node.clone(),
                        known: self.known_nodes(),
                    });
                };
                self.end(at, end, declared, node.kind)?;
            }
            if link.a.node == link.b.node {
                return Err(TopologyError::SelfLink {
                    at: self.places.of(self.spec, Subject::Link(at)),
                    node: link.a.node.clone(),
                });
            }
            self.mtu(at, link)?;
            changes::check(&link.impair, || self.places.of(self.spec, Subject::Link(at)))?;
            schedule::check(&link.schedule, &link.impair, |number| {
                self.places.of(self.spec, Subject::LinkEvent(at, number))
            })?;
            self.plugins(&link.plugins, Subject::LinkKey(at, "plugins"))?;
        }
        Ok(())
    }

    fn end(&self, at: usize, end: End, declared: &EndSpec, kind: NodeKind) -> Result<(), TopologyError> {
        if let Some(name) = declared
            .interface
            .as_deref()
            .filter(|name| !is_interface_name(name))
        {
            let subject = Subject::EndKey(at, end, "interface");
            return Err(self.bad(subject, format!("{name:?}"), INTERFACE_NAME_RULE));
        }
        if kind == NodeKind::Switch {
            for (key, has) in [("ip", !declared.ip.is_empty()), ("mac", declared.mac.is_some())] {
                if has {
                    let found = format!("a switch has no {key} in this version");
                    return Err(self.bad(Subject::EndKey(at, end, key), found, "it at a host or router"));
                }
            }
        }
        self.addresses(&declared.ip, Subject::EndKey(at, end, "ip"))?;
        self.mac(declared.mac, Subject::EndKey(at, end, "mac"))
    }

    fn mtu(&self, at: usize, link: &LinkSpec) -> Result<(), TopologyError> {
        let Some(mtu) = link.mtu else { return Ok(()) };
        let subject = Subject::LinkKey(at, "mtu");
        if !MTU.contains(&mtu) {
            let expected = format!("a number of bytes from {} to {}", MTU.start(), MTU.end());
            return Err(self.bad(subject, mtu.to_string(), expected));
        }
        Ok(())
    }

    fn known_nodes(&self) -> String {
        const SHOWN: usize = 12;
        let nodes = &self.spec.nodes;
        if nodes.is_empty() {
            return "no node is declared".into();
        }
        let names: Vec<&str> = nodes.iter().take(SHOWN).map(|node| node.name.as_str()).collect();
        let more = nodes.len().saturating_sub(SHOWN);
        let rest = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("the nodes are {}{rest}", names.join(", "))
    }

    fn unique_names(&self) -> Result<(), TopologyError> {
        let nodes = self.spec.nodes.iter().enumerate();
        let nodes = nodes.map(|(at, node)| (node.name.as_str(), Subject::Node(at)));
        let links = self.spec.links.iter().enumerate();
        let links =
            links.filter_map(|(at, link)| Some((link.name.as_deref()?, Subject::LinkKey(at, "name"))));
        let mut seen: HashMap<String, Subject> = HashMap::new();
        for (name, subject) in nodes.chain(links) {
            // Host names are the same without regard to case (RFC 4343), in /etc/hosts too.
            if let Some(first) = seen.insert(name.to_ascii_lowercase(), subject) {
                return Err(TopologyError::Duplicate {
                    at: self.places.of(self.spec, subject),
                    what: format!("the name {name}"),
                    first: Box::new(self.places.of(self.spec, first)),
                    fix: "take another name".into(),
                });
            }
        }
        Ok(())
    }

    fn unique_addresses(&self) -> Result<(), TopologyError> {
        let mut ips: HashMap<IpAddr, (Subject, &str)> = HashMap::new();
        let mut macs: HashMap<Mac, (Subject, &str)> = HashMap::new();
        let duplicate = |subject, what: String, first| TopologyError::Duplicate {
            at: self.places.of(self.spec, subject),
            what,
            first: Box::new(self.places.of(self.spec, first)),
            fix: "take another, or leave it out".into(),
        };
        let nodes = self.spec.nodes.iter().enumerate().map(|(at, node)| {
            let keys = (Subject::NodeKey(at, "ip"), Subject::NodeKey(at, "mac"));
            (node.name.as_str(), &node.ip, node.mac, keys)
        });
        let ends = self.spec.links.iter().enumerate().flat_map(|(at, link)| {
            End::BOTH.map(|end| {
                let declared = link.end(end);
                let keys = (Subject::EndKey(at, end, "ip"), Subject::EndKey(at, end, "mac"));
                (declared.node.as_str(), &declared.ip, declared.mac, keys)
            })
        });
        for (name, addresses, mac, (ip_key, mac_key)) in nodes.chain(ends) {
            for address in addresses {
                // A node and the end of its first link may say the same.
                match ips.insert(address.ip, (ip_key, name)) {
                    Some((first, owner)) if owner != name => {
                        return Err(duplicate(ip_key, format!("the address {}", address.ip), first));
                    }
                    Some(_) | None => {}
                }
            }
            if let Some(mac) = mac {
                match macs.insert(mac, (mac_key, name)) {
                    Some((first, owner)) if owner != name => {
                        return Err(duplicate(mac_key, format!("the Ethernet address {mac}"), first));
                    }
                    Some(_) | None => {}
                }
            }
        }
        Ok(())
    }
}
