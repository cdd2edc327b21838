//! What happens to plugins and devices, kept for whoever wants to know.
//!
//! The packet path only queues an event; it is taken here when somebody asks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::fork_lock::{ForkLock, Held, lock};
use vnet_runtime::{EventReader, FaultReport, StageEvent};

/// Events kept for those who ask later; the oldest go first.
const KEPT: usize = 4096;
/// How often waiting queues are looked at. The packet thread must not be made to wake anybody for an event.
const LOOK: Duration = Duration::from_millis(20);

/// Whose events are asked for: a plugin's at work, or those of everything on a device, a wire or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(u64);

impl Scope {
    /// Returns the scope of a number that [`Scope::number`] gave.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns a number that no other scope of this process has.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// Ascends over all events of the process.
    pub number: u64,
    /// `fault`, `restarted`, `tripped`, `half-open`, `revived`, `swapped`, `refused` (a watched file), `lost` (events that
    /// nobody took in time) or `gone` (a device).
    pub kind: &'static str,
    /// Name of the plugin; `None` where it is about a device.
    pub plugin: Option<String>,
    /// What the plugin is on, such as `tap0` or `link h1-h2`.
    pub place: String,
    /// What happened, in words.
    pub message: String,
    /// When it happened.
    pub time: SystemTime,
    /// How the plugin failed, where it did.
    pub fault: Option<FaultReport>,
    /// How long a fresh instance took to start, or a swap kept frames waiting.
    pub took: Duration,
    scopes: [u64; 3],
}

/// Whose events are kept.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub plugin: Option<String>,
    pub place: String,
    /// Its own, that of what it is on, and that of what this is in.
    pub scopes: [Scope; 3],
}

struct Source {
    subject: Arc<Mutex<Subject>>,
    reader: EventReader,
    lost: u64,
}

struct Device {
    subject: Subject,
    gone: Arc<AtomicBool>,
}

struct Hub {
    sources: Vec<Source>,
    devices: Vec<Device>,
    kept: VecDeque<Occurrence>,
    number: u64,
}

static HUB: Mutex<Hub> = Mutex::new(Hub {
    sources: Vec::new(),
    devices: Vec::new(),
    kept: VecDeque::new(),
    number: 0,
});

thread_local! {
    static HELD: Held<Hub> = const { RefCell::new(None) };
}

static LOCK: ForkLock<Hub> = ForkLock::new(&HUB, &HELD);

/// Keeps all other threads from the events until [`release`].
pub(crate) fn hold() {
    LOCK.hold();
}

/// Ends [`hold`].
pub(crate) fn release() {
    LOCK.release();
}

/// Waits up to `timeout` for events of a scope, or of all, whose numbers are above `after`; returns them and the number of
/// the last event looked at, from which to go on.
///
/// The last 4,096 events of the process are kept for those who ask later.
#[must_use]
pub fn next_events(after: u64, scope: Option<u64>, timeout: Duration) -> (Vec<Occurrence>, u64) {
    let deadline = Instant::now() + timeout;
    loop {
        let (found, last) = LOCK.with(|hub| {
            hub.collect();
            let is_wanted = |event: &&Occurrence| {
                event.number > after && scope.is_none_or(|scope| event.scopes.contains(&scope))
            };
            let found: Vec<_> = hub.kept.iter().filter(is_wanted).cloned().collect();
            (found, hub.number)
        });
        let left = deadline.saturating_duration_since(Instant::now());
        if !found.is_empty() || left.is_zero() {
            return (found, last);
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// Takes the last events of a plugin that has ended, and lets its queue go.
pub(crate) fn end(subject: &Arc<Mutex<Subject>>) {
    LOCK.with(|hub| {
        let is_known = |source: &Source| Arc::ptr_eq(&source.subject, subject);
        if hub.sources.iter().any(is_known) {
            hub.collect();
            hub.sources.retain(|source| !is_known(source));
        }
    });
}

/// Keeps the events of a plugin at work until [`end`], or as long as its subject lives.
pub(crate) fn follow(subject: &Arc<Mutex<Subject>>, reader: EventReader) {
    let source = Source {
        subject: Arc::clone(subject),
        lost: reader.lost(),
        reader,
    };
    LOCK.with(|hub| {
        // Lets go of those that have ended, should nobody ever ask.
        hub.collect();
        hub.sources.push(source);
    });
}

/// Tells once when a device is found deleted.
pub(crate) fn watch_device(subject: Subject, gone: Arc<AtomicBool>) {
    LOCK.with(|hub| {
        let is_known = |device: &Device| Arc::ptr_eq(&device.gone, &gone);
        if !hub.devices.iter().any(is_known) {
            hub.devices.push(Device { subject, gone });
        }
    });
}

/// Keeps an event that a thread of the control plane reports.
pub(crate) fn report(subject: &Subject, kind: &'static str, message: String, took: Duration) {
    LOCK.with(|hub| {
        // What came before it is told before it.
        hub.collect();
        let event = Occurrence {
            took,
            ..occurrence(subject, kind, message)
        };
        hub.keep(event);
    });
}

fn occurrence(subject: &Subject, kind: &'static str, message: String) -> Occurrence {
    Occurrence {
        number: 0,
        kind,
        plugin: subject.plugin.clone(),
        place: subject.place.clone(),
        message,
        time: SystemTime::now(),
        fault: None,
        took: Duration::ZERO,
        scopes: subject.scopes.map(Scope::number),
    }
}

impl Hub {
    fn keep(&mut self, mut event: Occurrence) {
        self.number += 1;
        event.number = self.number;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    /// Takes what waits in the queues.
    fn collect(&mut self) {
        let mut fresh = Vec::new();
        for source in &mut self.sources {
            let subject = lock(&source.subject).clone();
            while let Some(event) = source.reader.pop() {
                fresh.push(of_stage(&subject, event));
            }
            let lost = source.reader.lost();
            if lost > source.lost {
                let text = format!(
                    "{} events were lost: they came faster than they were taken",
                    lost - source.lost
                );
                fresh.push(occurrence(&subject, "lost", text));
                source.lost = lost;
            }
        }
        // One owner is left: the source itself.
        self.sources
            .retain(|source| Arc::strong_count(&source.subject) > 1);
        self.devices.retain(|device| {
            let is_gone = device.gone.load(Ordering::Relaxed);
            if is_gone {
                let text = format!(
                    "device {} is gone: it was removed by someone else",
                    device.subject.place
                );
                fresh.push(occurrence(&device.subject, "gone", text));
            }
            // Nobody else has the flag of a port that is no more.
            !is_gone && Arc::strong_count(&device.gone) > 1
        });
        fresh.sort_by_key(|event| event.time);
        for event in fresh {
            self.keep(event);
        }
    }
}

fn of_stage(subject: &Subject, event: StageEvent) -> Occurrence {
    Occurrence {
        time: event.ts,
        fault: event.fault,
        took: Duration::from_nanos(event.took_ns),
        ..occurrence(subject, event.kind.name(), event.message)
    }
}
