//! How far something has come that takes long, told to whoever listens.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::cancel::Cancel;

/// How long something takes before anybody is told of it.
const SILENCE: Duration = Duration::from_secs(1);

/// Time between two tellings.
const PAUSE: Duration = Duration::from_millis(250);

/// What a start does.
pub(crate) const BUILDING: &str = "building the network";

/// How far something that takes longer than a second has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done, such as `building the network`.
    pub what: &'static str,
    /// Steps that are done of `total`.
    pub done: usize,
    /// At least 1.
    pub total: usize,
    /// Since it began.
    pub elapsed: Duration,
    /// Whether it is over, done or not; told once of everything that was told of before.
    pub ended: bool,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100 * self.done / self.total.max(1);
        write!(
            f,
            "{}: {percent} %, {:.1} s",
            self.what,
            self.elapsed.as_secs_f64()
        )
    }
}

/// Hears of progress on the thread that does the work: a second after it began, then at most four times a second.
pub type Listener = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Who hears of a network's progress.
#[derive(Default)]
pub(crate) struct Audience(RwLock<Option<Listener>>);

impl Audience {
    pub(crate) fn set(&self, listener: Option<Listener>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = listener;
    }

    /// Begins to tell of something with so many steps.
    pub(crate) fn begin(&self, what: &'static str, total: usize) -> Teller {
        let listener = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Teller::new(listener, what, total)
    }
}

impl Audience {
    /// Tells of something that takes so long, whenever what is returned is asked in place of `cancel`.
    pub(crate) fn watch<'a>(
        &self,
        what: &'static str,
        duration: Duration,
        cancel: Cancel<'a>,
    ) -> impl Fn() -> bool + use<'a> {
        let milliseconds = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
        let teller = RefCell::new(self.begin(what, milliseconds(duration)));
        move || {
            let mut teller = teller.borrow_mut();
            let passed = milliseconds(teller.started.elapsed());
            teller.at(passed);
            cancel()
        }
    }
}

/// Tells of one piece of work until it is dropped.
pub struct Teller {
    listener: Option<Listener>,
    what: &'static str,
    total: usize,
    done: usize,
    started: Instant,
    told: Option<Instant>,
}

impl Teller {
    /// Begins to tell a listener of something with so many steps.
    #[must_use]
    pub fn new(listener: Option<Listener>, what: &'static str, total: usize) -> Self {
        Teller {
            listener,
            what,
            total: total.max(1),
            done: 0,
            started: Instant::now(),
            told: None,
        }
    }

    /// Tells nobody.
    pub(crate) fn silent() -> Self {
        Teller::new(None, "", 0)
    }

    /// Says that so many steps are done.
    pub fn at(&mut self, done: usize) {
        self.done = done.min(self.total);
        let now = Instant::now();
        let due = self.told.map_or(self.started + SILENCE, |told| told + PAUSE);
        if self.listener.is_some() && now >= due {
            self.told = Some(now);
            self.tell(now, false);
        }
    }

    fn tell(&self, now: Instant, ended: bool) {
        if let Some(listener) = &self.listener {
            listener(&Progress {
                what: self.what,
                done: self.done,
                total: self.total,
                elapsed: now - self.started,
                ended,
            });
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if self.told.is_some() {
            self.tell(Instant::now(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn heard(work: impl FnOnce(&mut Teller)) -> Vec<Progress> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let audience = Audience::default();
        let told = Arc::clone(&heard);
        audience.set(Some(Arc::new(move |progress: &Progress| {
            told.lock().unwrap().push(*progress);
        })));
        let mut teller = audience.begin("counting", 4);
        work(&mut teller);
        drop(teller);
        heard.lock().unwrap().clone()
    }

    #[test]
    fn says_nothing_of_what_is_quick() {
        assert_eq!(heard(|teller| (0..4).for_each(|done| teller.at(done))), []);
    }

    #[test]
    fn tells_of_what_is_slow_now_and_then_and_at_its_end() {
        let told = heard(|teller| {
            teller.started -= SILENCE;
            teller.at(1);
            teller.at(2);
            teller.told = teller.told.map(|told| told - PAUSE);
            teller.at(9);
        });
        let steps: Vec<_> = told.iter().map(|p| (p.done, p.total, p.ended)).collect();
        assert_eq!(steps, [(1, 4, false), (4, 4, false), (4, 4, true)]);
        assert_eq!(told[0].to_string(), "counting: 25 %, 1.0 s");
    }
}
