use serde::Serialize;
use vnet_netlink::{Interface, NetlinkError};

use super::owner::{Life, Owner};
use super::request::Edit;
use crate::{Namespace, SandboxError};

/// An interface whose owner, a vnet process, has died without deleting it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// The interface.
    pub interface: Interface,
    /// The process that made it.
    pub owner: Owner,
}

impl Namespace {
    /// Finds the interfaces dead vnet processes have left in this namespace, by their
    /// alias. Those of a process in another PID namespace are not judged.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn stale(&self) -> Result<Vec<Stale>, SandboxError> {
        Ok(self.links()?.into_iter().filter_map(stale).collect())
    }

    /// Deletes the interfaces [`Namespace::stale`] finds and returns them.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`]; what was deleted by then stays deleted.
    pub fn remove_stale(&self) -> Result<Vec<Stale>, SandboxError> {
        let mut removed = Vec::new();
        for found in self.stale()? {
            // Its other end may have been in the list too, and its number may have been given anew.
            let still = match self.link_by_index(found.interface.index) {
                Ok(interface) => stale(interface).is_some_and(|again| again.owner == found.owner),
                Err(SandboxError::Netlink(NetlinkError::NoSuchInterface { .. })) => false,
                Err(error) => return Err(error),
            };
            if still {
                self.edit(found.interface.index, Edit::Delete)?;
            }
            removed.push(found);
        }
        Ok(removed)
    }
}

fn stale(interface: Interface) -> Option<Stale> {
    let owner: Owner = interface.alias.as_deref()?.parse().ok()?;
    (owner.life() == Life::Dead).then_some(Stale { interface, owner })
}
