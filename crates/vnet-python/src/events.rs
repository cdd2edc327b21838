//! What the Rust side logs, kept until Python's logging thread fetches it.
//!
//! A thread of the engine must never wait for the interpreter, so an event is only put into a queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::convert::unix_seconds;

/// Events kept when nobody fetches them; the oldest go first.
const MOST: usize = 1024;

/// Target, level as plugins have it (0 error, 1 warn, 2 info, 3 debug), message, Unix time in seconds.
type Line = (String, u8, String, f64);

static QUEUE: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

fn queue() -> MutexGuard<'static, VecDeque<Line>> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts to keep warnings and errors. A process that already has a subscriber keeps that.
#[pyfunction]
pub(crate) fn keep_events() {
    // The only error is that there is one already.
    let _ = tracing::subscriber::set_global_default(Keeper);
}

/// Takes what the Rust side logged since the last call.
#[pyfunction]
pub(crate) fn take_events() -> Vec<Line> {
    with_queue(|queue| queue.drain(..).collect())
}

/// Lets `work` have the queue, also in the thread that holds it over a fork.
fn with_queue<T>(work: impl FnOnce(&mut VecDeque<Line>) -> T) -> T {
    HELD.with_borrow_mut(|held| match held {
        Some(queue) => work(queue),
        None => work(&mut queue()),
    })
}

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, VecDeque<Line>>>> = const { RefCell::new(None) };
}

/// Takes the locks that the whole process shares: the thread that is about to fork calls it.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(|| {
        vnet::before_fork();
        HELD.with_borrow_mut(|held| {
            if held.is_none() {
                *held = Some(queue());
            }
        });
    });
}

/// Gives the locks back in the parent.
#[pyfunction]
pub(crate) fn after_fork() {
    HELD.take();
    vnet::after_fork();
}

/// Gives the locks back in the child, and makes the handles it inherited answer that they are closed.
#[pyfunction]
pub(crate) fn forked() {
    HELD.take();
    vnet::forked();
}

struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN && metadata.target().starts_with("vnet")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = u8::from(*event.metadata().level() == Level::WARN);
        let target = event.metadata().target().replace("::", ".");
        with_queue(|queue| {
            if queue.len() == MOST {
                queue.pop_front();
            }
            queue.push_back((target, level, text.0, unix_seconds(SystemTime::now())));
        });
    }

    // Spans are never enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message, then the other fields as `name=value`.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
