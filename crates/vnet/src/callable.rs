//! Stages whose frames a function of the user's judges, on a thread of its own.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub use vnet_datapath::{Answer, Question, Verdict};
use vnet_datapath::{Caller, Seated, StageId};
use vnet_runtime::Stage;

use crate::error::Error;
use crate::fork::Generation;
use crate::plugin::Plugin;

/// Lends a callable memory for the largest frames there are; it never runs.
const LENDER: &[u8] = br#"(module (memory (export "memory") 3)
  (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_frame_cap") (result i32) (i32.const 65792))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#;

/// The end at which frames are judged. One thread asks for frames, and answers each in turn.
#[derive(Debug)]
pub struct Callable {
    slot: Arc<CallerSlot>,
    born: Generation,
}

/// Where the caller is put when its stage is made.
#[derive(Debug, Default)]
pub struct CallerSlot {
    caller: OnceLock<Caller>,
    id: OnceLock<StageId>,
    /// Held while it is filled.
    filling: Mutex<()>,
}

impl CallerSlot {
    /// Makes the stage of it.
    pub(crate) fn fill(&self, stage: Stage) -> Result<Seated, Error> {
        let _one = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let (seated, caller) = vnet_datapath::callout(stage)
            .map_err(|error| Error::io("cannot make an event descriptor", &error))?;
        self.caller.set(caller).map_err(|_| Error::Invalid {
            what: "a callable is attached once".into(),
            hint: Some("make another stage of it".into()),
        })?;
        Ok(seated)
    }

    pub(crate) fn begin(&self, id: StageId) {
        // It is filled once, so there is no other.
        let _ = self.id.set(id);
    }
}

impl Callable {
    /// Has a plugin judged here: of `plugin` only its name, its fault policy and its trip count. It can be attached once.
    ///
    /// Frames wait in a queue of 1,024, in the order they came; what comes beyond them is dropped as `stage_full`.
    /// [`Verdict::Fault`] is what a trap is of a plugin.
    #[must_use]
    pub fn of(plugin: Plugin) -> (Plugin, Callable) {
        let slot = Arc::new(CallerSlot::default());
        let plugin = Plugin {
            bytes: Some(LENDER.to_vec()),
            caller: Some(Arc::clone(&slot)),
            ..plugin
        };
        let born = Generation::current();
        (plugin, Callable { slot, born })
    }

    /// Waits for a frame, at most `timeout`, and returns it with those that came right behind it, at most `most`; `None` once
    /// the stage was taken off, or what it was on closed.
    ///
    /// # Errors
    /// [`Error::Closed`] before it is attached and in a forked child, [`Error::System`].
    pub fn next(&self, most: usize, timeout: Option<Duration>) -> Result<Option<Vec<Question>>, Error> {
        let (caller, _) = self.ready()?;
        caller
            .next(most, timeout)
            .map_err(|error| Error::io("cannot wait for a frame", &error))
    }

    /// Answers the oldest question that has no answer yet.
    ///
    /// # Errors
    /// As [`Callable::next`].
    pub fn answer(&self, answer: Answer) -> Result<(), Error> {
        let (caller, id) = self.ready()?;
        caller.answer(id, answer);
        Ok(())
    }

    /// Returns whether a frame's fate was decided without its answer.
    #[must_use]
    pub fn is_settled(&self, number: u64) -> bool {
        self.slot
            .caller
            .get()
            .is_none_or(|caller| caller.is_settled(number))
    }

    /// Has [`Callable::next`] return `None` from here on.
    pub fn close(&self) {
        if let Some(caller) = self.slot.caller.get().filter(|_| self.born.is_ours()) {
            caller.close();
        }
    }

    fn ready(&self) -> Result<(&Caller, StageId), Error> {
        self.born.check("the stage of a callable")?;
        let ready = self.slot.caller.get().zip(self.slot.id.get().copied());
        ready.ok_or_else(|| Error::Closed {
            what: "the stage of a callable that is not attached".into(),
        })
    }
}
