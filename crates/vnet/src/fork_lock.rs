//! A lock of the whole process that a fork leaves usable in the child.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::LocalKey;

/// The guard of a thread that is about to fork, or has just done so.
pub(crate) type Held<T> = RefCell<Option<MutexGuard<'static, T>>>;

/// A static value behind a lock: whoever forks takes it before, so that no other thread holds it in the child for ever.
pub(crate) struct ForkLock<T: 'static> {
    value: &'static Mutex<T>,
    held: &'static LocalKey<Held<T>>,
}

impl<T> ForkLock<T> {
    pub(crate) const fn new(value: &'static Mutex<T>, held: &'static LocalKey<Held<T>>) -> Self {
        Self { value, held }
    }

    /// Keeps all other threads out until [`ForkLock::release`].
    pub(crate) fn hold(&self) {
        self.held.with_borrow_mut(|held| {
            if held.is_none() {
                *held = Some(lock(self.value));
            }
        });
    }

    /// Ends [`ForkLock::hold`].
    pub(crate) fn release(&self) {
        self.held.take();
    }

    /// Lets `work` have the value. It may run between `hold` and `release`, when a garbage collector drops something; it must
    /// not be nested.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        self.held.with_borrow_mut(|held| match held {
            Some(value) => work(value),
            None => work(&mut lock(self.value)),
        })
    }
}

/// Locks; what a thread left that panicked is as good as ever.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
