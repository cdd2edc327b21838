//! Impairments of links: what is asked, and what it needs.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use vnet_impair::Impairment;
use vnet_topology::{Changes, LinkSpec};

use crate::error::LabError;
use crate::lines::{ReadyLines, ready_lines};
use crate::network::{Network, State, unknown_link};

impl Network {
    /// Returns the seed of all that is random in the network: the declared one, or one that was drawn for it.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Returns what befalls the frames of a link just now: from a to b, and from b to a.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Topology`].
    pub fn impairments(&self, link: &str) -> Result<[Impairment; 2], LabError> {
        let resolved = self.inner.open()?.resolved()?;
        let found = resolved.link(link).map(|(_, found)| found.impair.clone());
        found.ok_or_else(|| unknown_link(&resolved, link))
    }

    /// Changes impairments of a link, at once in a started network; what is not named stays. Frames that are under way keep
    /// their time. The engine takes the link over for its first impairment, and gives it back after the last one.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Topology`] with the key, [`LabError::BadArgument`] for a trace or table that cannot be
    /// read, and as [`Network::attach`]. Nothing has changed then.
    pub fn impair(&self, link: &str, changes: &Changes) -> Result<(), LabError> {
        let mut state = self.inner.open()?;
        let at = state.link_at(link)?;
        let mut declared = state.spec.links[at].clone();
        changes.apply(link, &mut declared.impair)?;
        declared.check_schedule()?;
        self.inner.impair_now(&mut state, link, changes)?;
        state.spec.links[at].impair = declared.impair;
        Ok(())
    }
}

impl crate::network::Inner {
    /// Changes what befalls a link's frames, and not what was declared.
    pub(crate) fn impair_now(
        &self,
        state: &mut State,
        link: &str,
        changes: &Changes,
    ) -> Result<(), LabError> {
        let resolved = state.resolved()?;
        let Some((_, found)) = resolved.link(link) else {
            return Err(unknown_link(&resolved, link));
        };
        let mut impair = found.impair.clone();
        changes.apply(link, &mut impair)?;
        if let Some(live) = &mut state.live {
            live.set_lines(link, &ready_lines(link, &impair, self.directory.as_deref())?)?;
        }
        state.change_link(link, |link| link.impair = impair)
    }

    /// Reads what the impairments of these links need from files, before anything is made.
    pub(crate) fn ready<'a>(
        &self,
        links: impl Iterator<Item = &'a LinkSpec>,
    ) -> Result<Vec<(String, ReadyLines)>, LabError> {
        let impaired = links.filter(|link| link.impair.iter().any(|direction| !direction.is_none()));
        impaired
            .filter_map(|link| Some((link.name.clone()?, link)))
            .map(|(name, link)| {
                let lines = ready_lines(&name, &link.impair, self.directory.as_deref())?;
                Ok((name, lines))
            })
            .collect()
    }
}

impl State {
    /// Returns the position of a link in the declaration and in the plan.
    pub(crate) fn link_at(&mut self, link: &str) -> Result<usize, LabError> {
        let resolved = self.resolved()?;
        let found = resolved.link(link).map(|(at, _)| at);
        found.ok_or_else(|| unknown_link(&resolved, link))
    }

    /// Changes what the plan says of a link.
    pub(crate) fn change_link(
        &mut self,
        link: &str,
        change: impl FnOnce(&mut vnet_topology::ResolvedLink),
    ) -> Result<(), LabError> {
        let at = self.link_at(link)?;
        let mut resolved = self.resolved()?;
        let plan = Arc::make_mut(&mut resolved);
        if let Some(found) = plan.links.get_mut(at) {
            change(found);
        }
        // Numbers that were in the way are known to the live plan alone.
        plan.next_id = self.live.as_ref().map_or(plan.next_id, |live| live.plan.next_id);
        if let Some(live) = &mut self.live {
            live.plan = Arc::clone(&resolved);
        }
        self.resolved = Some(resolved);
        Ok(())
    }
}

/// Draws a seed by chance; a lab file can hold it.
#[must_use]
pub fn any_seed() -> u64 {
    // Each state is keyed by the system's random numbers.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        >> 1
}
