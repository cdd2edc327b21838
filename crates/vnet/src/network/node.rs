//! A host, switch or router of a network.

use std::fmt;
use std::os::fd::OwnedFd;

use vnet_netlink::Cidr;
use vnet_sandbox::SocketSpec;
use vnet_topology::NodeKind;

use super::process::{self, Popen, Process};
use super::{Network, NodeInterface, place};
use crate::attachment::Attachment;
use crate::error::Error;
use crate::netns::Netns;
use crate::plugin::{Direction, Plugin};
use crate::recording::{Output, RecordOptions, Recording};

/// A node of a network. Its first use starts the network. A switch runs nothing in this version: what needs a place to run
/// is [`Error::Unsupported`] there.
#[derive(Clone)]
pub struct Node {
    network: Network,
    name: String,
    kind: NodeKind,
}

impl Node {
    pub(super) fn new(network: Network, name: String, kind: NodeKind) -> Self {
        Self { network, name, kind }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it is.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.kind
    }

    /// Returns the network it is part of.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the interfaces that links gave it, in their order; a switch has none.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was removed, [`Error::Closed`], [`Error::System`].
    pub fn interfaces(&self) -> Result<Vec<NodeInterface>, Error> {
        if self.kind == NodeKind::Switch {
            return Ok(Vec::new());
        }
        let lab = self.network.live()?;
        let live = lab.interfaces(&self.name)?;
        let plan = lab.resolved()?;
        let (_, node) = plan.node(&self.name).ok_or_else(|| self.gone())?;
        let found = node.interfaces.iter().filter_map(|planned| {
            let now = live.iter().find(|interface| interface.name == planned.name)?;
            Some(NodeInterface {
                name: now.name.clone(),
                mac: now.mac.map(|mac| mac.to_string()).unwrap_or_default(),
                mtu: now.mtu,
                up: now.admin_up,
                carrier: now.carrier,
                addresses: now.addresses.iter().map(ToString::to_string).collect(),
                link: plan.links[planned.link].name.clone(),
                stats: now.stats,
            })
        });
        Ok(found.collect())
    }

    /// Returns its namespace, for devices and commands in it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a switch, [`Error::NotFound`] when it was removed, [`Error::Closed`].
    pub fn netns(&self) -> Result<Netns, Error> {
        self.runs_things("has no namespace of its own")?;
        let lab = self.network.live()?;
        Ok(Netns::node(lab.lab()?, lab.space(&self.name)?, &self.name))
    }

    /// Starts a command whose streams are the caller's affair. It lives until it ends or the network is closed.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such program; as [`Node::netns`].
    pub fn popen(&self, command: Popen) -> Result<Process, Error> {
        self.runs_things("runs no programs")?;
        self.network.live()?;
        process::start(&self.network, &self.name, command)
    }

    /// Makes a socket that lives in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for numbers the kernel does not know, [`Error::Busy`], [`Error::System`]; as [`Node::netns`].
    pub fn socket(&self, spec: &SocketSpec) -> Result<OwnedFd, Error> {
        self.runs_things("has no sockets")?;
        let lab = self.network.live()?;
        let socket = lab.lab()?.socket(lab.space(&self.name)?, spec);
        socket.map_err(|error| Error::from(error).of(&self.to_string()))
    }

    /// Puts a plugin on an interface (`None`: the only one; ingress is what the node sends), or on all frames of a switch.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the names when there are several interfaces; as [`Device::attach`](crate::Device::attach).
    pub fn attach(
        &self,
        interface: Option<&str>,
        plugin: &Plugin,
        direction: Direction,
        position: Option<usize>,
    ) -> Result<Attachment, Error> {
        let at = self.at(interface)?;
        place::attach(&self.network, &at, plugin, direction, position)
    }

    /// Copies the frames of its interfaces, all but loopback or those that are named, or of all ports of a switch, to a
    /// capture.
    ///
    /// # Errors
    /// [`Error::System`] when the file cannot be made, [`Error::NotFound`] for an interface that it has not.
    pub fn capture(
        &self,
        interfaces: Option<Vec<String>>,
        output: Output,
        options: RecordOptions,
    ) -> Result<Recording, Error> {
        let what = vnet_lab::Captured::Node {
            node: self.name.clone(),
            interfaces,
        };
        place::capture(&self.network, &what, output, options)
    }

    fn at(&self, interface: Option<&str>) -> Result<vnet_lab::At, Error> {
        self.network.live()?;
        if self.kind == NodeKind::Switch {
            if let Some(name) = interface {
                return Err(Error::Invalid {
                    what: format!("switch {} has ports, and no interface {name}", self.name),
                    hint: Some("attach to the switch, or to one of its links".into()),
                });
            }
            return Ok(place::switch(&self.name));
        }
        Ok(place::interface(&self.name, self.only(interface)?))
    }

    /// Returns the interface that is meant: the named one, or the only one.
    pub(super) fn only(&self, interface: Option<&str>) -> Result<String, Error> {
        let plan = self.network.live()?.resolved()?;
        let (_, node) = plan.node(&self.name).ok_or_else(|| self.gone())?;
        let names: Vec<&str> = node.interfaces.iter().map(|known| known.name.as_str()).collect();
        match (interface, &names[..]) {
            (Some(wanted), _) if names.contains(&wanted) => Ok(wanted.to_owned()),
            (None, [only]) => Ok((*only).to_owned()),
            (Some(wanted), _) => Err(Error::NotFound {
                what: format!("{self} has no interface {wanted}"),
                hint: Some(match names.is_empty() {
                    true => "it has none: link it to another node".into(),
                    false => format!("it has: {}", names.join(", ")),
                }),
            }),
            (None, []) => Err(Error::NotFound {
                what: format!("{self} has no interface"),
                hint: Some("link it to another node".into()),
            }),
            (None, _) => Err(Error::Invalid {
                what: format!("{self} has several interfaces: {}", names.join(", ")),
                hint: Some("name the one that is meant".into()),
            }),
        }
    }

    /// Returns what a switch has learned: Ethernet addresses, and the link each is behind.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another node than a switch.
    pub fn fdb(&self) -> Result<Vec<(String, String)>, Error> {
        let rows = self.network.live()?.fdb(&self.name)?;
        Ok(rows
            .into_iter()
            .map(|row| (row.mac.to_string(), row.port))
            .collect())
    }

    /// Takes it out of the network with its links and everything that runs in it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Closed`].
    pub fn remove(&self) -> Result<(), Error> {
        self.network.remove_node(&self.name)
    }

    /// Returns what a repr shows: its name and addresses, and the state of its network. Starts nothing.
    #[must_use]
    pub fn describe(&self) -> String {
        let plan = self.network.ours().ok().and_then(|lab| lab.resolved().ok());
        let addresses = plan.and_then(|plan| {
            let (_, node) = plan.node(&self.name)?;
            let all = node.interfaces.iter().flat_map(|interface| &interface.addresses);
            Some(
                all.map(|address: &Cidr| format!(" {address}"))
                    .collect::<String>(),
            )
        });
        let state = if self.network.is_closed() {
            " closed"
        } else if self.network.is_started() {
            ""
        } else {
            " declared"
        };
        match addresses {
            Some(addresses) => format!("{}{addresses}{state}", self.name),
            None if self.network.is_closed() => format!("{}{state}", self.name),
            None => format!("{} removed", self.name),
        }
    }

    /// Fails on a switch, naming what it lacks.
    pub(super) fn runs_things(&self, instead: &str) -> Result<(), Error> {
        if self.kind != NodeKind::Switch {
            return Ok(());
        }
        Err(Error::Unsupported {
            what: format!("switch {} {instead} in this version", self.name),
            hint: Some("link a host to it".into()),
        })
    }

    fn gone(&self) -> Error {
        Error::NotFound {
            what: format!("{self} is not in this network any more"),
            hint: None,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
