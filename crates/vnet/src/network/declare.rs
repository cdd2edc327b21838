//! Declaring nodes and links, and taking them away.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use vnet_netlink::Cidr;
use vnet_topology::{
    Changes, EndSpec, Event, Gateway, LinkSpec, NodeKind, NodeSpec, PluginUse, RouteEntry, Routing, Spec,
    parse_address,
};

use super::{Link, Network, Node};
use crate::error::Error;

/// What may be said of a node, as texts; everything that is left out is automatic.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// Addresses of its first interface, with prefix length.
    pub ip: Vec<String>,
    /// Ethernet address of its first interface.
    pub mac: Option<String>,
    /// Neighbours its default routes lead through; an empty list: it has none; `None`: the first router beside it.
    pub gateway: Option<Vec<String>>,
    /// Further routes: destination and neighbour.
    pub routes: Vec<(String, String)>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Kernel settings by name.
    pub sysctls: BTreeMap<String, String>,
    /// Directories that are empty and its own in this node, absolute.
    pub private_dirs: Vec<PathBuf>,
    /// Whether a router gets shortest-path routes; `None`: as the network says.
    pub routing: Option<String>,
    /// Shell commands to start in it when the network is up.
    pub run: Vec<String>,
    /// Plugins of a switch.
    pub plugins: Vec<PluginUse>,
}

/// What may be said of a link, as texts; pairs are for the ends a and b.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// Its name; made of those of its nodes when `None`.
    pub name: Option<String>,
    /// Names of its interfaces.
    pub interfaces: [Option<String>; 2],
    /// Addresses of its interfaces, with prefix length.
    pub ip: [Vec<String>; 2],
    /// Ethernet addresses of its interfaces.
    pub mac: [Option<String>; 2],
    /// MTU of both ends in bytes.
    pub mtu: Option<u32>,
    /// Whether it is pulled from the start.
    pub down: bool,
    /// Its impairments.
    pub impair: Changes,
    /// What happens to it at its time.
    pub schedule: Vec<Event>,
    /// Whether both its ends may send IPv4 super-frames of up to 180,000 bytes (BIG TCP).
    pub big_tcp: bool,
    /// How long the engine polls for more of its frames after a wake-up; `None`: as the network says.
    pub busy_poll: Option<Duration>,
    /// Plugins that judge its frames.
    pub plugins: Vec<PluginUse>,
}

impl NodeOptions {
    /// Reads the texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the value.
    pub fn declare(self, name: impl Into<String>, kind: NodeKind) -> Result<NodeSpec, Error> {
        let gateway = match self.gateway {
            None => Gateway::Auto,
            Some(list) if list.is_empty() => Gateway::None,
            Some(list) => Gateway::Via(list.iter().map(|text| ip(text)).collect::<Result<_, _>>()?),
        };
        let routes = self.routes.iter().map(|(to, via)| {
            let via = ip(via)?;
            Ok::<_, Error>(RouteEntry {
                to: destination(to, Some(via))?,
                via,
            })
        });
        Ok(NodeSpec {
            ip: addresses(&self.ip)?,
            mac: self.mac.as_deref().map(str::parse).transpose()?,
            gateway,
            routes: routes.collect::<Result<_, _>>()?,
            dns: self.dns.iter().map(|text| ip(text)).collect::<Result<_, _>>()?,
            sysctls: self.sysctls,
            private_dirs: self.private_dirs,
            routing: self.routing.as_deref().map(routing).transpose()?,
            run: self.run,
            plugins: self.plugins,
            ..NodeSpec::new(name, kind)
        })
    }
}

impl LinkOptions {
    /// Reads the texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the value.
    pub fn declare(self, a: impl Into<String>, b: impl Into<String>) -> Result<LinkSpec, Error> {
        let [name_a, name_b] = self.interfaces;
        let [ip_a, ip_b] = self.ip;
        let [mac_a, mac_b] = self.mac;
        let end = |node: String, interface, ip: Vec<String>, mac: Option<String>| {
            Ok::<_, Error>(EndSpec {
                node,
                interface,
                ip: addresses(&ip)?,
                mac: mac.as_deref().map(str::parse).transpose()?,
            })
        };
        let (a, b) = (a.into(), b.into());
        let name = self.name.clone().unwrap_or_else(|| format!("{a}-{b}"));
        let mut impair = Default::default();
        self.impair.apply(&name, &mut impair)?;
        Ok(LinkSpec {
            name: self.name,
            a: end(a, name_a, ip_a, mac_a)?,
            b: end(b, name_b, ip_b, mac_b)?,
            mtu: self.mtu,
            up: !self.down,
            impair,
            schedule: self.schedule,
            big_tcp: self.big_tcp,
            busy_poll_ns: self.busy_poll.map(nanoseconds),
            plugins: self.plugins,
        })
    }
}

impl Network {
    /// Adds a node, at once when the network runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad or taken name, [`Error::Closed`], [`Error::System`].
    pub fn add_node(&self, spec: NodeSpec) -> Result<Node, Error> {
        let (name, kind) = (spec.name.clone(), spec.kind);
        self.ours()?.add_node(spec)?;
        let node = Node::new(self.clone(), name, kind);
        if self.is_started()
            && let Err(error) = self.begin_node(node.name())
        {
            self.inner.lab.remove_node(node.name())?;
            return Err(error);
        }
        Ok(node)
    }

    /// Adds a link, at once when the network runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown node, a link of a node to itself, or addresses that cannot be; [`Error::Closed`],
    /// [`Error::System`].
    pub fn add_link(&self, spec: LinkSpec) -> Result<Link, Error> {
        let (a, b) = (spec.a.node.clone(), spec.b.node.clone());
        let name = self.ours()?.add_link(spec)?;
        if self.is_started()
            && let Err(error) = self.begin_link(&name)
        {
            self.inner.lab.remove_link(&name)?;
            return Err(error);
        }
        Ok(Link::new(self.clone(), name, a, b))
    }

    /// Takes a node away with its links and everything that runs in it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Closed`].
    pub fn remove_node(&self, name: &str) -> Result<(), Error> {
        Ok(self.ours()?.remove_node(name)?)
    }

    /// Takes a link away with its interfaces.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Closed`].
    pub fn remove_link(&self, name: &str) -> Result<(), Error> {
        Ok(self.ours()?.remove_link(name)?)
    }

    /// Returns the node of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the names there are.
    pub fn node(&self, name: &str) -> Result<Node, Error> {
        let spec = self.spec()?;
        let found = spec.nodes.iter().find(|node| node.name == name);
        let found =
            found.ok_or_else(|| unknown("node", name, spec.nodes.iter().map(|node| node.name.as_str())))?;
        Ok(Node::new(self.clone(), found.name.clone(), found.kind))
    }

    /// Returns the link of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the names there are.
    pub fn link(&self, name: &str) -> Result<Link, Error> {
        let spec = self.spec()?;
        let found = spec.links.iter().find(|link| link.name.as_deref() == Some(name));
        match found {
            Some(link) => Ok(Link::new(
                self.clone(),
                name.to_owned(),
                link.a.node.clone(),
                link.b.node.clone(),
            )),
            None => Err(unknown(
                "link",
                name,
                spec.links.iter().filter_map(|link| link.name.as_deref()),
            )),
        }
    }

    /// Returns all nodes in the order of their declaration.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        let Spec { nodes, .. } = self.spec()?;
        let node = |node: NodeSpec| Node::new(self.clone(), node.name, node.kind);
        Ok(nodes.into_iter().map(node).collect())
    }

    /// Returns all links in the order of their declaration.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn links(&self) -> Result<Vec<Link>, Error> {
        let links = self.spec()?.links.into_iter();
        let handle = |link: LinkSpec| {
            let (a, b) = (link.a.node, link.b.node);
            link.name.map(|name| Link::new(self.clone(), name, a, b))
        };
        Ok(links.filter_map(handle).collect())
    }
}

/// Counts a time in nanoseconds; one too long to count is as good as for ever.
#[must_use]
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<_> = known.take(20).collect();
    Error::NotFound {
        what: format!("there is no {what} {name:?} in this network"),
        hint: Some(match known.is_empty() {
            true => format!("it has no {what} yet"),
            false => format!("it has: {}", known.join(", ")),
        }),
    }
}

pub(super) fn addresses(texts: &[String]) -> Result<Vec<Cidr>, Error> {
    texts.iter().map(|text| Ok(parse_address(text)?)).collect()
}

/// Reads an address without prefix length.
pub(super) fn ip(text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| Error::Invalid {
        what: format!("{text:?} is not an IP address"),
        hint: Some("write 10.0.0.1 or fd00::1, without a prefix length".into()),
    })
}

/// Reads where a route leads: a network, a single address, or `default` in the family of `via`.
pub(super) fn destination(text: &str, via: Option<IpAddr>) -> Result<Cidr, Error> {
    let default = if via.is_some_and(|via| via.is_ipv6()) {
        "::/0"
    } else {
        "0.0.0.0/0"
    };
    Ok(if text == "default" { default } else { text }.parse()?)
}

/// Reads the pools of automatic addresses: `None` is the usual one, `off` none at all.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no network of the family.
pub fn pools(ipv4: Option<&str>, ipv6: Option<&str>) -> Result<(Option<Cidr>, Option<Cidr>), Error> {
    let usual = Spec::default();
    Ok((pool(ipv4, usual.ipv4, false)?, pool(ipv6, usual.ipv6, true)?))
}

fn pool(text: Option<&str>, usual: Option<Cidr>, is_ipv6: bool) -> Result<Option<Cidr>, Error> {
    match text {
        None => Ok(usual),
        Some("off") => Ok(None),
        Some(text) => {
            let pool = parse_address(text)?;
            if pool.ip.is_ipv6() == is_ipv6 {
                return Ok(Some(pool));
            }
            Err(Error::Invalid {
                what: format!("{text} is no {} network", if is_ipv6 { "IPv6" } else { "IPv4" }),
                hint: None,
            })
        }
    }
}

/// Reads whether routers get shortest-path routes: `static`, or `none`.
///
/// # Errors
/// [`Error::Invalid`].
pub fn routing(text: &str) -> Result<Routing, Error> {
    match text {
        "static" => Ok(Routing::Static),
        "none" => Ok(Routing::None),
        other => Err(Error::Invalid {
            what: format!("{other:?} is no way of routing"),
            hint: Some("write static, or none for a routing daemon of your own".into()),
        }),
    }
}
