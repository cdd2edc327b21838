//! Calls a plugin whose timers came, and hands on what it asked for.

use std::time::Instant;

use vnet_abi::export;

use crate::asked::Injected;
use crate::exports::Form;
use crate::failure::Failure;
use crate::guest::allow;
use crate::stage::{BATCH_BUDGET, Stage};

/// Timers called in one go, under one budget of CPU time; those left over are due at once.
const CALLS: usize = 32;

impl Stage {
    /// Says whether the plugin set timers or made frames since [`Stage::next_timer`] and [`Stage::take_injected`].
    #[inline]
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.may_ask && self.host().is_some_and(|host| host.asked.is_any())
    }

    /// Says whether the plugin may set timers.
    #[must_use]
    pub fn may_set_timers(&self) -> bool {
        self.host().is_some_and(|host| host.granted.timer)
    }

    /// Returns when the plugin's first timer comes, given what time it is on the lab's clock.
    pub fn next_timer(&mut self, now: u64) -> Option<u64> {
        let asked = &mut self.host_mut()?.asked;
        asked.is_set = false;
        asked.timers.first(now)
    }

    /// Returns when a plugin with timers may have its next instance, while it has none and waits; `now` is the lab's time.
    ///
    /// It sets its timers anew then, which frames alone would not bring about where none come.
    #[must_use]
    pub fn revival(&self, now: u64) -> Option<u64> {
        if self.instance.is_some() || !self.may_set_timers() {
            return None;
        }
        let left = self.life.due_at()?.saturating_duration_since(Instant::now());
        Some(now.saturating_add(left.as_nanos() as u64))
    }

    /// Calls the plugin for the timers that have come, at most 32 of them; one that has waited for a fresh instance gets it.
    ///
    /// There must be no frames in the arena.
    pub fn fire(&mut self, now: u64) {
        self.runner.enter();
        if self.instance.is_none() && self.may_set_timers() && self.revive_if_due() {
            self.arena = match self.module.form() {
                Form::Simple => vec![0; self.stride * self.slots],
                Form::Batch => Vec::new(),
            };
        }
        let failed = self.call_timers(now);
        if let Some(failure) = failed
            && !self.replace(&failure, &[])
            && self.module.form() == Form::Batch
        {
            self.arena = vec![0; self.stride * self.slots];
        }
        self.runner.leave();
    }

    fn call_timers(&mut self, now: u64) -> Option<Box<Failure>> {
        let instance = self.instance.as_mut()?;
        let on_timer = instance.on_timer.clone()?;
        let store = &mut instance.store;
        store.data_mut().now_ns = now;
        allow(store, BATCH_BUDGET);
        for _ in 0..CALLS {
            let Some(id) = store.data_mut().host.asked.timers.take_due(now) else {
                break;
            };
            self.tally.timer_calls += 1;
            if let Err(error) = on_timer.call(&mut *store, (id as i32, now as i64)) {
                return Some(Failure::of_call(export::ON_TIMER, &error));
            }
        }
        None
    }

    /// Exchanges the frames the plugin made for an empty list.
    pub fn take_injected(&mut self, empty: &mut Injected) {
        if let Some(host) = self.host_mut() {
            std::mem::swap(&mut host.asked.injected, empty);
        }
    }
}
