//! The fates of a line's frames, one after the other.

use super::draws::{Draw, Draws};
use super::event::Event;
use super::gap::Reorder;
use super::gilbert::Channel;
use super::jitter::Delay;
use crate::{Loss, Ready};

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) lost: bool,
    pub(crate) duplicated: bool,
    /// It takes no delay.
    pub(crate) overtakes: bool,
    /// Random bits that choose which of the frame's bits flips.
    pub(crate) flips: Option<u64>,
    pub(crate) delay_ns: u64,
}

impl Fate {
    /// Returns which bit of a frame of this length flips, counted from the first byte's lowest.
    #[inline]
    pub(crate) fn flipped_bit(&self, bytes: u32) -> Option<u32> {
        let bits = bytes.saturating_mul(8);
        self.flips
            .filter(|_| bits > 0)
            .map(|random| ((u128::from(random) * u128::from(bits)) >> 64) as u32)
    }
}

/// Draws the fate of each frame that arrives, in order of arrival.
pub(crate) struct Fates {
    draws: Draws,
    /// The next frame's number.
    next: u64,
    models: Models,
}

impl Fates {
    pub(crate) fn new(key: [u8; 32], ready: &Ready) -> Self {
        Fates {
            draws: Draws::new(key),
            next: 0,
            models: Models::new(ready, None),
        }
    }

    /// Changes what may happen; the frames' numbers and the models' memory go on.
    pub(crate) fn set(&mut self, ready: &Ready) {
        self.models = Models::new(ready, Some(&self.models));
    }

    /// Returns a delay that no frame goes below.
    pub(crate) fn least_delay_ns(&self) -> u64 {
        let constant = !self.models.delay.spreads() && !self.models.reorder.event().is_possible();
        if constant { self.models.delay.mean_ns() } else { 0 }
    }

    /// Returns the fate of the frame that arrives.
    #[inline]
    pub(crate) fn next(&mut self) -> Fate {
        let n = self.next;
        self.next += 1;
        self.models.fate(n, &mut self.draws)
    }
}

/// Everything that can happen to a frame, and what each remembers of the frames before.
struct Models {
    /// Says whether anything is left to chance.
    random: bool,
    loss: Event,
    channel: Option<Channel>,
    duplicate: Event,
    reorder: Reorder,
    corrupt: Event,
    delay: Delay,
}

impl Models {
    fn new(ready: &Ready, before: Option<&Models>) -> Self {
        let asked = ready.impairment();
        let channel_before = before.and_then(|models| models.channel);
        let (chance, channel) = match asked.loss {
            Loss::None => (crate::Chance::default(), None),
            Loss::Random(chance) => (chance, None),
            Loss::GilbertElliott {
                p,
                r,
                one_minus_h,
                one_minus_k,
            } => (
                crate::Chance::default(),
                Some(Channel::new(p, r, one_minus_h, one_minus_k, channel_before)),
            ),
        };
        let loss = Event::new(Draw::Loss, chance, before.map(|models| models.loss));
        let duplicate = Event::new(
            Draw::Duplicate,
            asked.duplicate,
            before.map(|models| models.duplicate),
        );
        let overtaking = Event::new(
            Draw::Reorder,
            asked.reorder,
            before.map(|models| models.reorder.event()),
        );
        let reorder = Reorder::new(overtaking, asked.gap, before.map(|models| models.reorder));
        let corrupt = Event::new(Draw::Corrupt, asked.corrupt, before.map(|models| models.corrupt));
        let delay = Delay::new(ready, before.map(|models| &models.delay));
        let events = [loss, duplicate, overtaking, corrupt];
        let random = channel.is_some() || delay.spreads() || events.iter().any(Event::is_possible);
        Models {
            random,
            loss,
            channel,
            duplicate,
            reorder,
            corrupt,
            delay,
        }
    }

    fn fate(&mut self, n: u64, draws: &mut Draws) -> Fate {
        let delay_ns = self.delay.mean_ns();
        if !self.random {
            return Fate {
                lost: false,
                duplicated: false,
                overtakes: false,
                flips: None,
                delay_ns,
            };
        }
        let block = draws.block(n);
        let lost = match &mut self.channel {
            Some(channel) => channel.loses(block),
            None => self.loss.happens(block),
        };
        Fate {
            lost,
            duplicated: self.duplicate.happens(block),
            overtakes: self.reorder.overtakes(block),
            flips: self.corrupt.happens(block).then(|| block.bits(Draw::Bit)),
            delay_ns: if self.delay.spreads() {
                self.delay.draw(block)
            } else {
                delay_ns
            },
        }
    }
}
