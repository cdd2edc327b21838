//! Scheduled changes of links: one thread for each network that has some.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vnet_topology::{Changes, Event, Plug, When};

use crate::error::LabError;
use crate::network::{Inner, Network};

/// What is to happen, in its order; the thread begins with the first event and ends with its network.
#[derive(Default)]
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    /// By time, and in the order they were declared.
    due: BTreeMap<(Instant, u64), Due>,
    next: u64,
    ended: bool,
}

/// Something that happens to a link.
#[derive(Clone)]
struct Due {
    link: String,
    what: What,
}

#[derive(Clone)]
enum What {
    /// What was declared, once.
    Once(Option<Plug>, Changes),
    /// A flap: down for the second time, again after the first.
    Flap(Duration, Duration),
    /// The end of one.
    Up,
}

impl Network {
    /// Replaces what is to happen to a link. In a started network times count from the call, else from the start.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Topology`] when impairments would not go together.
    pub fn set_schedule(&self, link: &str, events: Vec<Event>) -> Result<(), LabError> {
        let mut state = self.inner.open()?;
        let at = state.link_at(link)?;
        let mut declared = state.spec.links[at].clone();
        declared.schedule = events;
        declared.check_schedule()?;
        if state.live.is_some() {
            self.inner.schedule(link, &declared.schedule)?;
        }
        state.spec.links[at].schedule = declared.schedule;
        Ok(())
    }
}

impl Inner {
    /// Has the events of a link happen, counted from this moment, in place of those that were to happen.
    pub(crate) fn schedule(self: &Arc<Self>, link: &str, events: &[Event]) -> Result<(), LabError> {
        let mut scheduler = self.scheduler();
        scheduler.shared.forget(link);
        if events.is_empty() {
            return Ok(());
        }
        scheduler.shared.add(link, events);
        if scheduler.thread.is_none() {
            let (network, shared) = (Arc::downgrade(self), Arc::clone(&scheduler.shared));
            let thread = thread::Builder::new()
                .name("vnet-schedule".into())
                .spawn(move || run(&network, &shared));
            scheduler.thread =
                Some(thread.map_err(|error| LabError::os("cannot start the schedule", error))?);
        }
        Ok(())
    }

    /// Has nothing happen to a link that is gone.
    pub(crate) fn unschedule(&self, link: &str) {
        self.scheduler().shared.forget(link);
    }

    /// Ends the thread and waits until it has done what it is at.
    pub(crate) fn end_schedule(&self) {
        let (shared, thread) = {
            let mut scheduler = self.scheduler();
            (Arc::clone(&scheduler.shared), scheduler.thread.take())
        };
        let mut queue = shared.lock();
        queue.ended = true;
        queue.due.clear();
        drop(queue);
        shared.wake.notify_all();
        // The thread itself may have held the last handle of the network.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!(target: "vnet::lab", "the schedule of a network has ended with a panic");
        }
    }

    fn happen(&self, due: &Due) -> Result<(), LabError> {
        let mut state = self.open()?;
        match &due.what {
            What::Once(plug, changes) => {
                if !changes.is_empty() {
                    self.impair_now(&mut state, &due.link, changes)?;
                }
                match plug {
                    None => Ok(()),
                    Some(Plug::Up) => state.plug(&due.link, true, None),
                    Some(Plug::Down | Plug::DownFor(_)) => state.plug(&due.link, false, None),
                }
            }
            What::Flap(..) => state.plug(&due.link, false, None),
            What::Up => state.plug(&due.link, true, None),
        }
    }

    fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, link: &str) {
        self.lock().due.retain(|_, due| due.link != link);
    }

    fn add(&self, link: &str, events: &[Event]) {
        let now = Instant::now();
        let mut queue = self.lock();
        for event in events {
            let (time, what) = match (event.when, event.plug) {
                (When::Every(period), Some(Plug::DownFor(down))) => {
                    let (period, down) = (Duration::from_nanos(period), Duration::from_nanos(down));
                    (period, What::Flap(period, down))
                }
                (When::At(time) | When::Every(time), plug) => (
                    Duration::from_nanos(time),
                    What::Once(plug, event.changes.clone()),
                ),
            };
            queue.put(now + time, link, what);
        }
        drop(queue);
        self.wake.notify_all();
    }

    /// Waits for what is due and takes it; `None` when the network has ended.
    fn next(&self) -> Option<Due> {
        let mut queue = self.lock();
        loop {
            if queue.ended {
                return None;
            }
            let first = queue.due.first_key_value().map(|((time, _), _)| *time);
            let now = Instant::now();
            match first {
                Some(time) if time <= now => {
                    let due = queue.take(now);
                    if due.is_some() {
                        return due;
                    }
                }
                Some(time) => {
                    let waited = self.wake.wait_timeout(queue, time - now);
                    queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Queue {
    fn put(&mut self, time: Instant, link: &str, what: What) {
        self.next += 1;
        let due = Due {
            link: link.to_owned(),
            what,
        };
        self.due.insert((time, self.next), due);
    }

    /// Takes the first one, and puts in what follows from it.
    fn take(&mut self, now: Instant) -> Option<Due> {
        let ((time, _), due) = self.due.pop_first()?;
        match &due.what {
            What::Flap(period, down) => {
                self.put(time + *down, &due.link, What::Up);
                // A machine that slept does not make up for it.
                let mut again = time + *period;
                while again <= now {
                    again += *period;
                }
                self.put(again, &due.link, due.what.clone());
            }
            What::Once(Some(Plug::DownFor(down)), _) => {
                self.put(time + Duration::from_nanos(*down), &due.link, What::Up);
            }
            What::Once(..) | What::Up => {}
        }
        Some(due)
    }
}

fn run(network: &Weak<Inner>, shared: &Shared) {
    while let Some(due) = shared.next() {
        let Some(network) = network.upgrade() else { return };
        match network.happen(&due) {
            Ok(()) | Err(LabError::Closed { .. } | LabError::Unknown { .. }) => {}
            Err(error) => {
                tracing::warn!(target: "vnet::lab", %error, "what was scheduled for link {} has not happened", due.link);
            }
        }
    }
}
