//! Which frames take no delay, at least a gap apart.

use super::draws::Block;
use super::event::Event;

/// netem's reordering: the first `gap - 1` frames after one that overtook are delayed, then each overtakes by chance.
///
/// Arrivals are counted, and not only frames that reach the wire as netem does, so that a loss
/// elsewhere does not move which frames overtake.
#[derive(Clone, Copy)]
pub(super) struct Reorder {
    event: Event,
    gap: u32,
    /// Arrivals since the last frame that overtook.
    since: u32,
}

impl Reorder {
    pub(super) fn new(event: Event, gap: u32, before: Option<Reorder>) -> Self {
        Reorder {
            event,
            gap: gap.max(1),
            since: before.map_or(0, |reorder| reorder.since),
        }
    }

    /// Returns the chance behind it, which a changed reordering goes on from.
    pub(super) fn event(&self) -> Event {
        self.event
    }

    /// Says whether the frame with these numbers takes no delay.
    pub(super) fn overtakes(&mut self, block: Block<'_>) -> bool {
        // The event is asked for every frame: what it remembers must not depend on the gap.
        let happens = self.event.happens(block);
        let overtakes = happens && self.since >= self.gap - 1;
        self.since = if overtakes {
            0
        } else {
            self.since.saturating_add(1)
        };
        overtakes
    }
}
