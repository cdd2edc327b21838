//! What happens to a link at its time.

use vnet_impair::Impairment;

use crate::changes::Changes;
use crate::error::{Place, TopologyError};
use crate::read;
use crate::spec::LinkSpec;

/// Something that happens to a link; times are nanoseconds since the network's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub when: When,
    /// Whether it is pulled or plugged in; `None`: neither.
    pub plug: Option<Plug>,
    /// What changes of its impairments.
    pub changes: Changes,
}

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once, at this time.
    At(u64),
    /// Again and again, first after this time.
    Every(u64),
}

/// What becomes of a link's carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plug {
    /// It comes.
    Up,
    /// It goes.
    Down,
    /// It goes and comes back after this time.
    DownFor(u64),
}

impl LinkSpec {
    /// Checks that the impairments go together from the start, and after each event of the schedule.
    ///
    /// # Errors
    /// [`TopologyError::BadValue`].
    pub fn check_schedule(&self) -> Result<(), TopologyError> {
        let name = self.name.as_deref().unwrap_or("without a name");
        check(&self.schedule, &self.impair, |number| {
            Place::named(format!("schedule[{number}] of link {name}"))
        })
    }
}

impl Event {
    /// Reads a JSON list of events, in the form a lab file has them.
    ///
    /// # Errors
    /// [`TopologyError`] with the key, and what was expected there.
    pub fn list_from_json(text: &str) -> Result<Vec<Self>, TopologyError> {
        read::events(text)
    }
}

/// Checks that the impairments go together after each event, in the order they happen.
///
/// # Errors
/// [`TopologyError::BadValue`] with the event's position as `place` names it.
pub(crate) fn check(
    events: &[Event],
    impair: &[Impairment; 2],
    place: impl Fn(usize) -> Place,
) -> Result<(), TopologyError> {
    let mut ordered: Vec<(u64, usize)> = events
        .iter()
        .enumerate()
        .map(|(number, event)| match event.when {
            When::At(time) | When::Every(time) => (time, number),
        })
        .collect();
    ordered.sort_unstable();
    let mut impair = impair.clone();
    for (_, number) in ordered {
        events[number].changes.apply_at(&mut impair, |_| place(number))?;
    }
    Ok(())
}
