//! A stage that takes the place of another: what it goes on from.

use vnet_abi::{STATE_MAX, export, log_level};

use crate::error::{PluginError, Refusal};
use crate::exports::Form;
use crate::failure::Failure;
use crate::guest::allow;
use crate::instance::{Entry, Instance, LOAD_BUDGET};
use crate::maps::{self, Moved};
use crate::stage::Stage;

/// What a plugin took over from the one whose place it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CarriedState {
    /// Bytes that the old plugin saved and this one loaded.
    pub state_bytes: u64,
    /// Names of the maps whose entries were inserted.
    pub maps: Vec<String>,
    /// How many entries that were.
    pub entries: u64,
    /// Names of the counters that go on.
    pub counters: Vec<String>,
    /// What was left behind, in words.
    pub left: Vec<String>,
}

/// Whose fault it is that state cannot be carried.
enum Blame {
    Old(Box<Failure>),
    New(Box<Failure>),
}

impl Stage {
    /// Takes over the numbers of the stage whose place this one is about to take and, with `carry`, what its plugin remembers:
    /// counters and maps of the same names, then the state its `vnet_save` writes.
    ///
    /// No frame may be in either arena. Unless this succeeds, the old stage is as it was, but where its plugin failed in
    /// `vnet_save`: that is a fault as any other.
    ///
    /// # Errors
    ///
    /// [`PluginError::Rejected`] where the plugin does not take the state: it keeps another version of it and has no
    /// `vnet_load`, or that refuses. [`PluginError::Trap`] and [`PluginError::Timeout`] where either plugin fails.
    pub fn take_over(&mut self, old: &mut Stage, carry: bool) -> Result<CarriedState, PluginError> {
        let mut carried = CarriedState::default();
        if carry {
            self.check_version(old)
                .map_err(|refusal| refusal.of(self.name()))?;
            carried = self.carry_maps(old);
            carried.state_bytes = self.carry_state(old, &mut carried.left)?;
            if let (Some(ours), Some(theirs)) = (self.host_mut(), old.host()) {
                carried.counters = ours.counters.inherit(&theirs.counters);
            }
        }
        self.tally.inherit(&old.tally, &old.module.manifest().reasons);
        self.last_fault.clone_from(&old.last_fault);
        self.events = old.events.clone();
        if let (Some(host), Some(theirs)) = (self.host_mut(), old.host()) {
            host.bad_pointers += theirs.bad_pointers;
            host.asked.taken += theirs.asked.taken;
            host.asked.full += theirs.asked.full;
            for text in &carried.left {
                host.log.host(log_level::WARN, text);
            }
        }
        Ok(carried)
    }

    /// Refuses state of another version where nobody can tell what it means.
    fn check_version(&self, old: &mut Stage) -> Result<(), Refusal> {
        let (from, to) = (
            old.module.manifest().state_version,
            self.module.manifest().state_version,
        );
        if from == to || self.exports(export::LOAD) || !old.has_state() {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "keeps state of version {to} and has no vnet_load, so it cannot take over the state of version {from} that {} has",
            old.name()
        ))
        .hint("give it a vnet_load that reads the old version, or swap without carrying state: carry=False"))
    }

    fn exports(&self, name: &str) -> bool {
        self.module.exports().iter().any(|export| export == name)
    }

    fn has_state(&mut self) -> bool {
        self.exports(export::SAVE)
            || match &mut self.instance {
                Some(instance) => instance
                    .maps
                    .is_some_and(|table| maps::any(instance.memory(), table)),
                None => !self.maps.is_empty(),
            }
    }

    fn carry_maps(&mut self, old: &mut Stage) -> CarriedState {
        let Some(ours) = &mut self.instance else {
            return CarriedState::default();
        };
        let Some(table) = ours.maps else {
            return CarriedState::default();
        };
        let moved = match &mut old.instance {
            Some(theirs) => match theirs.maps {
                Some(from) => maps::carry(theirs.memory(), from, ours.memory(), table),
                None => Moved::default(),
            },
            // Its instance failed; this is what was saved of it then.
            None => maps::restore(ours.memory(), table, &old.maps),
        };
        let mut carried = CarriedState {
            maps: moved.maps,
            entries: moved.entries,
            ..CarriedState::default()
        };
        if moved.lost > 0 {
            let text = format!(
                "{} map entries were left behind: there is no room for them",
                moved.lost
            );
            carried.left.push(text);
        }
        carried
    }

    /// Has the old plugin save its state and this one load it, piece by piece; returns its size.
    fn carry_state(&mut self, old: &mut Stage, left: &mut Vec<String>) -> Result<u64, PluginError> {
        if !old.exports(export::SAVE) {
            return Ok(0);
        }
        if !self.exports(export::LOAD) {
            left.push(format!(
                "the state of {} was dropped: no vnet_load takes it",
                old.name()
            ));
            return Ok(0);
        }
        let version = old.module.manifest().state_version;
        let (Some(ours), Some(theirs)) = (&mut self.instance, &mut old.instance) else {
            left.push(format!(
                "the state of {} was lost with the instance that failed",
                old.name()
            ));
            return Ok(0);
        };
        self.runner.enter();
        old.runner.enter();
        let result = pass_on(theirs, ours, version);
        ours.store.data_mut().starting = false;
        let result = result.map_err(|blame| match blame {
            Blame::New(failure) => failure.into_error(self.module.name()),
            Blame::Old(failure) => {
                old.replace(&failure, &[]);
                if old.instance.is_none() && old.module.form() == Form::Batch {
                    old.arena = vec![0; old.stride * old.slots];
                }
                failure.into_error(old.module.name())
            }
        });
        old.runner.leave();
        self.runner.leave();
        result
    }
}

/// Where config and state lie in guest memory, and how many bytes of it there may be.
fn buffer(instance: &Instance) -> (usize, usize) {
    match &instance.entry {
        Entry::Simple { buffer, .. } => (buffer.addr as usize, buffer.cap as usize),
        Entry::Batch { ring, .. } => (ring.layout.arena, ring.layout.arena_len),
    }
}

fn pass_on(old: &mut Instance, new: &mut Instance, version: u32) -> Result<u64, Blame> {
    let ((from, room), (to, cap)) = (buffer(old), buffer(new));
    let cap = room.min(cap);
    let failed = |step| move |error: wasmtime::Error| Failure::of_call(step, &error);
    let save = old
        .wasm
        .get_typed_func::<(i32, i32, i32), i32>(&mut old.store, export::SAVE)
        .map_err(failed(export::SAVE))
        .map_err(Blame::Old)?;
    let load = new
        .wasm
        .get_typed_func::<(i32, i32, i32, i32), i32>(&mut new.store, export::LOAD)
        .map_err(failed(export::LOAD))
        .map_err(Blame::New)?;
    // For all pieces together.
    allow(&mut old.store, LOAD_BUDGET);
    allow(&mut new.store, LOAD_BUDGET);
    new.store.data_mut().starting = true;
    new.store.data_mut().last_words = None;
    let mut offset = 0;
    loop {
        let saved = save
            .call(&mut old.store, (offset as i32, from as i32, cap as i32))
            .map_err(failed(export::SAVE))
            .map_err(Blame::Old)?;
        let len = usize::try_from(saved).map_err(|_| Blame::Old(Failure::of_answer(export::SAVE, saved)))?;
        if len > cap || offset + len > STATE_MAX {
            let text = if len > cap {
                format!("vnet_save answered {len}, more than the {cap} bytes it may write")
            } else {
                format!("saves more than {STATE_MAX} bytes of state")
            };
            return Err(Blame::Old(Failure::of_refusal(export::SAVE, Refusal::new(text))));
        }
        let piece = &old.memory.data(&old.store)[from..from + len];
        new.memory.data_mut(&mut new.store)[to..to + len].copy_from_slice(piece);
        let answer = load
            .call(
                &mut new.store,
                (offset as i32, to as i32, len as i32, version as i32),
            )
            .map_err(failed(export::LOAD))
            .map_err(Blame::New)?;
        if answer != 0 {
            let said = new.store.data_mut().last_words.take();
            let said = said.map(|line| format!(": {line}")).unwrap_or_default();
            let refusal = Refusal::new(format!(
                "refused the state of the plugin at work (version {version}) with code {answer}{said}"
            ))
            .hint("swap without carrying state, carry=False, or have its vnet_load take that version");
            return Err(Blame::New(Failure::of_refusal(export::LOAD, refusal)));
        }
        if len == 0 {
            return Ok(offset as u64);
        }
        offset += len;
    }
}
