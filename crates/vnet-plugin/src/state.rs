//! What a plugin remembers between frames.

/// A static value that a plugin changes: settings, tables, sums.
///
/// ```
/// use vnet_plugin::{Packet, State, Verdict, plugin};
///
/// static SEEN: State<u64> = State::new(0);
///
/// /// Drops every second frame.
/// #[plugin(gso, csum, layers = ["l2", "l3"])]
/// fn drop_half(_: &mut Packet) -> Verdict {
///     SEEN.with(|seen| *seen += 1);
///     if SEEN.get() % 2 == 0 { Verdict::Drop } else { Verdict::Pass }
/// }
/// ```
///
/// In a guest this is the value itself: a guest has one thread. In a test every thread has its
/// own, and making a `testing::Host` on a thread sets its values back, as a fresh instance does.
pub struct State<T: 'static>(place::Cell<T>);

impl<T: Clone + Send + Sync + 'static> State<T> {
    /// Makes a value; a fresh instance of the plugin starts with it.
    #[must_use]
    pub const fn new(initial: T) -> State<T> {
        State(place::Cell::new(initial))
    }

    /// Reads and changes the value.
    ///
    /// # Panics
    /// Inside another `with` of the same value; in a guest that is a trap.
    #[inline(always)]
    pub fn with<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(f)
    }

    /// Does what [`with`](State::with) does for code that uses no state itself: in a guest nothing is written to say that
    /// the value is in use.
    ///
    /// # Safety
    /// `f` uses no state.
    #[inline(always)]
    pub(crate) unsafe fn briefly<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the caller vouches for `f`.
        unsafe { self.0.briefly(f) }
    }

    /// Returns a copy of the value.
    ///
    /// # Panics
    /// As [`with`](State::with).
    #[inline(always)]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        // SAFETY: copying a value uses no state.
        unsafe { self.briefly(|value| *value) }
    }

    /// Sets the value.
    ///
    /// # Panics
    /// As [`with`](State::with).
    #[inline(always)]
    pub fn set(&'static self, value: T) {
        self.with(|place| *place = value);
    }
}

#[cfg(target_arch = "wasm32")]
mod place {
    use core::cell::RefCell;

    pub(super) struct Cell<T: 'static>(RefCell<T>);

    // SAFETY: a guest has one thread.
    unsafe impl<T> Sync for Cell<T> {}

    impl<T> Cell<T> {
        pub const fn new(initial: T) -> Cell<T> {
            Cell(RefCell::new(initial))
        }

        #[inline(always)]
        pub fn with<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
            match self.0.try_borrow_mut() {
                Ok(mut value) => f(&mut value),
                Err(_) => core::arch::wasm32::unreachable(),
            }
        }

        /// # Safety
        /// As that of `State::briefly`.
        #[inline(always)]
        pub unsafe fn briefly<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: the reference is gone before anything else has one.
            if unsafe { self.0.try_borrow_unguarded() }.is_err() {
                core::arch::wasm32::unreachable();
            }
            // SAFETY: nobody has the value, as was just seen, and `f` does not ask for it.
            f(unsafe { &mut *self.0.as_ptr() })
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod place {
    use core::any::Any;
    use core::cell::RefCell;
    use std::boxed::Box;
    use std::collections::HashMap;
    use std::rc::Rc;

    pub(super) struct Cell<T: 'static> {
        initial: T,
        // So that two statics never share an address, not even of values without bytes.
        _distinct: u8,
    }

    type Value = Rc<RefCell<Box<dyn Any>>>;

    std::thread_local! {
        /// The thread's values, by the address of their static.
        static VALUES: RefCell<HashMap<usize, Value>> = RefCell::default();
    }

    impl<T: Clone + 'static> Cell<T> {
        pub const fn new(initial: T) -> Cell<T> {
            Cell {
                initial,
                _distinct: 0,
            }
        }

        /// # Safety
        /// None: it is a guest's.
        pub unsafe fn briefly<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
            self.with(f)
        }

        pub fn with<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
            let key = core::ptr::from_ref(self).addr();
            let value = VALUES.with_borrow_mut(|values| {
                let fresh = || Rc::new(RefCell::new(Box::new(self.initial.clone()) as Box<dyn Any>));
                Rc::clone(values.entry(key).or_insert_with(fresh))
            });
            let mut value = value.borrow_mut();
            f(value.downcast_mut().expect("one static has one type"))
        }
    }

    /// Sets the thread's values back to their initial ones.
    pub(crate) fn reset() {
        VALUES.with_borrow_mut(HashMap::clear);
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use place::reset;
