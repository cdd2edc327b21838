//! Hot swap: another plugin, or another version of it, in the place of one at work.

use std::cell::Cell;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use vnet_datapath::{EngineError, Pipeline, Replacement};
use vnet_runtime::{CarriedState, Module};

use crate::attachment::{Attachment, Version};
use crate::error::Error;
use crate::events;
use crate::plugin::Plugin;

/// How a plugin took the place of another.
#[derive(Clone, Debug)]
pub struct Swapped {
    /// Name of the plugin at work now.
    pub plugin: String,
    /// Its version, where its manifest gives one.
    pub version: Option<String>,
    /// How long frames waited for the change.
    pub pause: Duration,
    /// What it goes on from.
    pub carried: CarriedState,
}

impl Attachment {
    /// Returns the plugin at work, as it was asked for.
    #[must_use]
    pub fn plugin(&self) -> Plugin {
        self.inner.versions().now.plugin.clone()
    }

    /// Puts another plugin in the place of this one between two batches: no frame is lost, doubled, or judged by both.
    ///
    /// It is loaded, compiled, started and configured before. With `carry` it goes on from what the one before knows: maps and
    /// counters of the same names, and the state that one saves. The numbers of frames go on in any case.
    ///
    /// # Errors
    /// As [`Device::attach`](crate::Device::attach), and [`Error::PluginRejected`] when it does not take over the state. The one
    /// before stays at work then.
    pub fn swap(&self, plugin: &Plugin, carry: bool) -> Result<Swapped, Error> {
        let swapped = swap_all(&[(self.clone(), plugin.clone())], carry)?;
        first(swapped, self)
    }

    /// Puts the plugin that was here before the last swap back to work, with the configuration it had. Doing it again undoes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there was none; else as [`Attachment::swap`].
    pub fn rollback(&self, carry: bool) -> Result<Swapped, Error> {
        let before = self.inner.versions().before.clone();
        let Some(before) = before else {
            return Err(Error::Invalid {
                what: format!(
                    "plugin {} was not swapped: there is nothing to go back to",
                    self.name()
                ),
                hint: None,
            });
        };
        first(put(&[(self.clone(), before)], carry)?, self)
    }

    /// Refuses what no module can take the place of.
    pub(crate) fn check_swappable(&self) -> Result<(), Error> {
        if self.plugin().caller.is_none() {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!(
                "stage {} is a callable outside the engine, which cannot be swapped",
                self.name()
            ),
            hint: Some("attach the other one, then detach this one".into()),
        })
    }

    /// Puts a plugin that failed too often, or waits for its restart, to work at once and forgets its faults.
    ///
    /// # Errors
    /// [`Error::PluginTrap`], [`Error::PluginTimeout`] when it fails as it starts, [`Error::Closed`].
    pub fn reset(&self) -> Result<(), Error> {
        self.inner.on_pipeline(|pipeline, id| Ok(pipeline.reset(id)?))
    }
}

/// Puts other plugins in the places of several of one device, wire, link or switch, all between the same two batches, or none.
///
/// # Errors
/// As [`Attachment::swap`], and [`Error::Invalid`] when they are not all on one device, wire, link or switch.
pub fn swap_all(all: &[(Attachment, Plugin)], carry: bool) -> Result<Vec<Swapped>, Error> {
    let load = |(attachment, plugin): &(Attachment, Plugin)| {
        // It is the one of its number in this place, as the one before.
        let instance = attachment.plugin().instance;
        let version = Version {
            module: plugin.module()?,
            plugin: plugin.numbered(instance),
        };
        Ok((attachment.clone(), version))
    };
    let loaded: Vec<(Attachment, Version)> = all.iter().map(load).collect::<Result<_, Error>>()?;
    put(&loaded, carry)
}

fn first(mut swapped: Vec<Swapped>, of: &Attachment) -> Result<Swapped, Error> {
    swapped.pop().ok_or_else(|| Error::Closed {
        what: format!("what plugin {} was attached to", of.name()),
    })
}

fn put(all: &[(Attachment, Version)], carry: bool) -> Result<Vec<Swapped>, Error> {
    for (attachment, _) in all {
        attachment.check_swappable()?;
    }
    let _one_at_a_time = in_order(all)?;
    let Some((leader, _)) = all.first() else {
        return Ok(Vec::new());
    };
    let mut replacements = Vec::with_capacity(all.len());
    let mut readers = Vec::with_capacity(all.len());
    for (attachment, version) in all {
        let (layer, ports, mtu) = attachment.inner.fit()?;
        let stage = version.plugin.stage_of(&version.module, layer, ports, mtu)?;
        readers.push(stage.logs());
        replacements.push(Replacement {
            id: attachment.inner.id,
            stage,
            carry,
        });
    }
    let replacements = Cell::new(Some(replacements));
    let exchange = |pipeline: &Pipeline| {
        let all = replacements.take().unwrap_or_default();
        pipeline.exchange(all)
    };
    let exchanged = leader.inner.on_pipeline(|pipeline, _| match exchange(pipeline) {
        Err(EngineError::NoSuchStage { .. }) if all.len() > 1 => Err(Error::Invalid {
            what: "these plugins are not all at work on one device, wire, link or switch".into(),
            hint: Some("swap those of each by themselves".into()),
        }),
        other => Ok(other?),
    })?;
    let mut swapped = Vec::with_capacity(all.len());
    for (((attachment, version), logs), carried) in all.iter().zip(readers).zip(exchanged.carried) {
        let inner = &attachment.inner;
        inner.tail.follow_on(logs);
        inner.begin_version(version.clone());
        let result = Swapped {
            plugin: version.module.name().to_owned(),
            version: version.module.manifest().version.clone(),
            pause: exchanged.pause,
            carried,
        };
        let text = in_words(&result, &version.module);
        tracing::info!(target: "vnet::plugin", "{}: {text}", inner.subject().place);
        events::report(&inner.subject(), "swapped", text, exchanged.pause);
        swapped.push(result);
    }
    Ok(swapped)
}

fn in_words(swapped: &Swapped, module: &Module) -> String {
    let version = swapped
        .version
        .as_ref()
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    let carried = &swapped.carried;
    format!(
        "{}{version} is at work after a pause of {} us, with {} map entries, {} bytes of state and {} counters of the one before",
        module.name(),
        swapped.pause.as_micros(),
        carried.entries,
        carried.state_bytes,
        carried.counters.len()
    )
}

/// Keeps others from swapping the same; taken in one order by everybody.
fn in_order(all: &[(Attachment, Version)]) -> Result<Vec<MutexGuard<'_, ()>>, Error> {
    let mut inners: Vec<_> = all.iter().map(|(attachment, _)| &*attachment.inner).collect();
    inners.sort_by_key(|inner| inner.scope.number());
    if let Some(pair) = inners.windows(2).find(|pair| std::ptr::eq(pair[0], pair[1])) {
        return Err(Error::Invalid {
            what: format!("plugin {} is named twice", pair[0].name()),
            hint: Some("give each one plugin that takes its place".into()),
        });
    }
    Ok(inners
        .into_iter()
        .map(|inner| inner.swapping.lock().unwrap_or_else(PoisonError::into_inner))
        .collect())
}
