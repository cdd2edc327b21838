use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use vnet_netlink::{Batch, Change, LinkSet};
use vnet_sys::namespace::{self, Kind};

use super::isolate::{Own, patiently};
use super::view::{View, resolv_name};
use super::{check, failed, failed_io, not_isolated, refused};
use crate::SandboxError;
use crate::lab::NodeSetup;

/// Number of the loopback interface in every namespace.
const LOOPBACK: u32 = 1;

/// A node: what it has beside its network.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) setup: NodeSetup,
    net: OwnedFd,
    /// Made for its first command.
    view: Option<View>,
}

/// The lab's own namespaces and those of its nodes.
pub(super) struct Nodes {
    pub(super) lab: Own,
    pub(super) nodes: BTreeMap<u32, Node>,
    /// The network namespace this process is in, where it is known, and the socket there.
    here: Option<(u32, Option<Batch>)>,
}

impl Nodes {
    pub(super) fn new(lab: Own) -> Self {
        Self {
            lab,
            nodes: BTreeMap::new(),
            here: Some((0, None)),
        }
    }

    /// Returns the network namespace of a space.
    pub(super) fn net(&self, space: u32) -> Option<BorrowedFd<'_>> {
        if space == 0 {
            return Some(self.lab.net.as_fd());
        }
        self.nodes.get(&space).map(|node| node.net.as_fd())
    }

    /// Moves this process into the network namespace of a space.
    pub(super) fn enter(&mut self, space: u32) -> Result<(), SandboxError> {
        if self.here.as_ref().is_some_and(|(here, _)| *here == space) {
            return Ok(());
        }
        let net = self.net(space).ok_or_else(|| no_such(space))?;
        namespace::enter(net, Kind::Net)
            .map_err(|e| failed(format!("cannot enter the network namespace of space {space}"), e))?;
        self.here = Some((space, None));
        Ok(())
    }

    /// Returns a netlink socket in a space.
    pub(super) fn batch(&mut self, space: u32) -> Result<&mut Batch, SandboxError> {
        self.enter(space)?;
        let (_, batch) = self.here.get_or_insert((space, None));
        if batch.is_none() {
            *batch = Some(Batch::open()?);
        }
        batch.as_mut().ok_or_else(|| no_such(space))
    }

    /// Makes changes in one space; on failure, says which.
    pub(super) fn change(&mut self, space: u32, changes: &[&Change]) -> Result<(), (usize, SandboxError)> {
        self.batch(space).map_err(|error| (0, error))?;
        let (lab, nodes) = (&self.lab, &self.nodes);
        let find = |space: u32| {
            if space == 0 {
                return Some(lab.net.as_fd());
            }
            nodes.get(&space).map(|node| node.net.as_fd())
        };
        let Some((_, Some(batch))) = &mut self.here else {
            return Err((0, no_such(space)));
        };
        batch
            .apply(changes, &find)
            .map_err(|error| (error.at, error.error.into()))
    }

    /// Makes a node.
    pub(super) fn make(&mut self, space: u32, setup: NodeSetup) -> Result<(), SandboxError> {
        check::node(space, &setup)?;
        if self.nodes.contains_key(&space) {
            return Err(refused(format!(
                "there is a node with the number {space} already"
            )));
        }
        // Wherever it fails, this process must not stay where it is, and keep it.
        self.here = None;
        let made = self.make_net(space, &setup);
        let (net, batch) = match made {
            Ok(made) => made,
            Err(error) => {
                self.enter(0)?;
                return Err(error);
            }
        };
        let node = Node {
            setup,
            net,
            view: None,
        };
        self.nodes.insert(space, node);
        self.here = Some((space, Some(batch)));
        Ok(())
    }

    /// Moves this process into a fresh network namespace with a loopback interface that is
    /// up.
    fn make_net(&self, space: u32, setup: &NodeSetup) -> Result<(OwnedFd, Batch), SandboxError> {
        let name = &setup.name;
        let cannot = |what: &str| format!("cannot {what} for node {name}");
        patiently(&[Kind::Net], || namespace::make(Kind::Net))
            .map_err(|e| not_isolated(Kind::Net, name, e))?;
        let net = namespace::own(Kind::Net).map_err(|e| match e {
            Errno::MFILE => failed(cannot("open more files than `ulimit -Hn` allows"), e),
            _ => failed(cannot("hold a network namespace"), e),
        })?;
        let mut batch = Batch::open()?;
        let up = Change::Link {
            index: LOOPBACK,
            set: LinkSet {
                up: Some(true),
                ..LinkSet::default()
            },
        };
        batch
            .apply(&[&up], &|_| None)
            .map_err(|error| SandboxError::from(error.error))?;
        if let Some(text) = &setup.resolv_conf {
            self.lab
                .files
                .write(&resolv_name(space), text)
                .map_err(|e| failed_io(cannot("write the resolv.conf"), e))?;
        }
        Ok((net, batch))
    }

    /// Forgets a node, whose commands have been killed.
    pub(super) fn forget(&mut self, space: u32) -> Result<Node, SandboxError> {
        if !self.nodes.contains_key(&space) {
            return Err(no_such(space));
        }
        // This process and its socket must not keep the namespace.
        self.enter(0)?;
        self.lab.files.remove(&resolv_name(space));
        self.nodes.remove(&space).ok_or_else(|| no_such(space))
    }

    /// Makes sure that a space has what its commands see.
    pub(super) fn prepare(&mut self, space: u32) -> Result<(), SandboxError> {
        if space == 0 {
            return Ok(());
        }
        self.enter(space)?;
        let node = self.nodes.get_mut(&space).ok_or_else(|| no_such(space))?;
        if node.view.is_none() {
            node.view = Some(View::make(&self.lab, space, &node.setup)?);
        }
        Ok(())
    }

    /// Returns what the commands of a space see, once it is prepared.
    pub(super) fn view(&self, space: u32) -> Option<&View> {
        if space == 0 {
            return Some(&self.lab.view);
        }
        self.nodes.get(&space)?.view.as_ref()
    }

    /// Returns the number of the node with a name.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.nodes
            .iter()
            .find(|(_, node)| node.setup.name == name)
            .map(|(space, _)| *space)
    }
}

/// A space that was never made, or is forgotten.
pub(super) fn no_such(space: u32) -> SandboxError {
    refused(format!("the lab has no space with the number {space}"))
}
