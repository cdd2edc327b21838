use std::os::fd::OwnedFd;

use super::node::no_such;
use super::serve::Server;
use super::{failed, steps};
use crate::SandboxError;
use crate::lab::message::Reply;
use crate::lab::{LabDescription, LabNode};

impl Server<'_> {
    pub(super) fn links(&mut self, space: u32) -> Result<Reply, SandboxError> {
        Ok(Reply::Links(self.nodes.batch(space)?.links()?))
    }

    pub(super) fn routes(&mut self, space: u32) -> Result<Reply, SandboxError> {
        Ok(Reply::Routes(self.nodes.batch(space)?.routes()?))
    }

    pub(super) fn neighbours(&mut self, space: u32) -> Result<Reply, SandboxError> {
        Ok(Reply::Neighbours(self.nodes.batch(space)?.neighbours()?))
    }

    pub(super) fn fdb(&mut self, bridge: u32) -> Result<Reply, SandboxError> {
        Ok(Reply::Fdb(self.nodes.batch(0)?.fdb(bridge)?))
    }

    pub(super) fn sysctl(&mut self, space: u32, key: &str) -> Result<Reply, SandboxError> {
        Ok(Reply::Text(steps::get(&mut self.nodes, space, key)?))
    }

    pub(super) fn netns(&self, space: u32) -> Result<OwnedFd, SandboxError> {
        let net = self.nodes.net(space).ok_or_else(|| no_such(space))?;
        rustix::io::fcntl_dupfd_cloexec(net, 3).map_err(|e| {
            failed(
                format!("cannot hand out the network namespace of space {space}"),
                e,
            )
        })
    }

    pub(super) fn describe(&self) -> LabDescription {
        let nodes = self.nodes.nodes.iter().map(|(space, node)| LabNode {
            name: node.setup.name.clone(),
            space: *space,
            commands: self.commands.count(*space),
        });
        LabDescription {
            name: self.open.name.clone(),
            rootless: self.open.rootless,
            nodes: nodes.collect(),
        }
    }
}
