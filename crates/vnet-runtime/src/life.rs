//! When a failed plugin gets a fresh instance.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::options::Trip;

/// A second fault within this time waits for its restart.
const WINDOW: Duration = Duration::from_secs(10);
/// How long the second fault waits; each further one twice as long.
const BACKOFF: Duration = Duration::from_millis(10);
/// Faults remembered; with doubling waits no more fit into the window.
const REMEMBERED: usize = 64;

/// What a fault costs, beside the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    /// The making of a fresh instance.
    Instance,
    /// Much more than that: the time of a whole batch, or a fresh instance that does not start.
    Time,
}

/// What a stage does after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Make a fresh instance at once.
    Restart,
    /// Go without for a while.
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Tried again after a trip.
    HalfOpen {
        since: Instant,
    },
    Backoff {
        until: Instant,
    },
    Tripped {
        until: Instant,
    },
}

/// The fault life cycle of one stage.
#[derive(Debug)]
pub(crate) struct Life {
    trip: Option<Trip>,
    faults: VecDeque<Instant>,
    state: State,
}

impl Life {
    pub(crate) fn new(trip: Option<Trip>) -> Life {
        Life {
            trip,
            faults: VecDeque::new(),
            state: State::Running,
        }
    }

    /// Takes note of a fault that costs the instance.
    ///
    /// Without a [`Trip`] there is no pause either, unless the faults would take the packet thread's time from everybody else.
    pub(crate) fn fault(&mut self, now: Instant, price: Price) -> Next {
        if self.trip.is_none() && price == Price::Instance {
            // A fresh instance that does not start is the second fault.
            if self.faults.is_empty() {
                self.faults.push_back(now);
            }
            self.state = State::Running;
            return Next::Restart;
        }
        if let (State::HalfOpen { since }, Some(trip)) = (self.state, self.trip) {
            if now.saturating_duration_since(since) < trip.within {
                self.state = State::Tripped {
                    until: now + trip.retry,
                };
                return Next::Wait;
            }
            self.faults.clear();
        }
        let keep = self.trip.map_or(WINDOW, |trip| trip.within.max(WINDOW));
        self.faults
            .retain(|at| now.saturating_duration_since(*at) <= keep);
        if self.faults.len() == REMEMBERED.max(self.trip.map_or(0, |trip| trip.faults as usize)) {
            self.faults.pop_front();
        }
        self.faults.push_back(now);
        let within = |time: Duration| {
            self.faults
                .iter()
                .filter(|at| now.saturating_duration_since(**at) <= time)
                .count()
        };
        if let Some(trip) = self.trip
            && within(trip.within) >= trip.faults.max(1) as usize
        {
            self.state = State::Tripped {
                until: now + trip.retry,
            };
            return Next::Wait;
        }
        match within(WINDOW) {
            0 | 1 => {
                self.state = State::Running;
                Next::Restart
            }
            several => {
                let wait = BACKOFF.saturating_mul(1 << (several - 2).min(20));
                self.state = State::Backoff { until: now + wait };
                Next::Wait
            }
        }
    }

    /// Says whether a stage without an instance may make one.
    pub(crate) fn due(&self, now: Instant) -> bool {
        match self.state {
            State::Running | State::HalfOpen { .. } => true,
            State::Backoff { until } | State::Tripped { until } => now >= until,
        }
    }

    /// Returns when a stage without an instance may make one, where it has to wait.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        match self.state {
            State::Running | State::HalfOpen { .. } => None,
            State::Backoff { until } | State::Tripped { until } => Some(until),
        }
    }

    /// Takes note that a fresh instance runs.
    pub(crate) fn started(&mut self, now: Instant) {
        self.state = match self.state {
            State::Tripped { .. } => State::HalfOpen { since: now },
            State::Backoff { .. } | State::Running => State::Running,
            half_open => half_open,
        };
    }

    /// Forgets all faults.
    pub(crate) fn reset(&mut self) {
        self.faults.clear();
        self.state = State::Running;
    }

    /// Says whether nothing holds it up.
    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Says whether an instance is tried after a trip.
    #[inline]
    pub(crate) fn is_tried(&self) -> bool {
        matches!(self.state, State::HalfOpen { .. })
    }

    /// Ends the trial of an instance that has worked for long enough; says whether it did.
    pub(crate) fn settle_trial(&mut self, now: Instant) -> bool {
        let State::HalfOpen { since } = self.state else {
            return false;
        };
        let within = self.trip.map_or(Duration::ZERO, |trip| trip.within);
        if now.saturating_duration_since(since) < within {
            return false;
        }
        self.reset();
        true
    }

    /// Says whether the stage is out of service rather than waiting.
    pub(crate) fn tripped(&self) -> bool {
        matches!(self.state, State::Tripped { .. })
    }

    /// Returns the state's name in the statistics.
    pub(crate) fn name(&self, now: Instant) -> &'static str {
        match self.state {
            State::HalfOpen { since }
                if self
                    .trip
                    .is_some_and(|trip| now.saturating_duration_since(since) < trip.within) =>
            {
                "half-open"
            }
            State::Running | State::HalfOpen { .. } => "running",
            State::Backoff { .. } => "backoff",
            State::Tripped { .. } => "tripped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn waits(life: &mut Life, now: &mut Instant) -> Duration {
        let start = *now;
        while !life.due(*now) {
            *now += MS;
        }
        life.started(*now);
        *now - start
    }

    #[test]
    fn restarts_at_once_then_waits_twice_as_long_each_time() {
        let mut life = Life::new(None);
        let mut now = Instant::now();
        assert_eq!(life.fault(now, Price::Time), Next::Restart);
        assert_eq!(life.name(now), "running");
        for wait in [10, 20, 40, 80, 160] {
            now += MS;
            assert_eq!(life.fault(now, Price::Time), Next::Wait);
            assert_eq!(life.name(now), "backoff");
            assert_eq!(waits(&mut life, &mut now), MS * wait);
        }
    }

    #[test]
    fn forgets_faults_that_are_long_ago() {
        let mut life = Life::new(Some(Trip::default()));
        let mut now = Instant::now();
        for _ in 0..20 {
            assert_eq!(life.fault(now, Price::Time), Next::Restart);
            now += Duration::from_secs(11);
        }
    }

    #[test]
    fn trips_after_five_faults_and_tries_again_half_open() {
        let trip = Trip::default();
        let mut life = Life::new(Some(trip));
        let mut now = Instant::now();
        for _ in 0..4 {
            life.fault(now, Price::Time);
            waits(&mut life, &mut now);
        }
        assert_eq!(life.fault(now, Price::Time), Next::Wait);
        assert!(life.tripped());
        assert_eq!(waits(&mut life, &mut now), trip.retry);
        assert_eq!(life.name(now), "half-open");
        assert_eq!(life.fault(now + MS, Price::Time), Next::Wait);
        now += MS;
        assert!(life.tripped());
        assert_eq!(waits(&mut life, &mut now), trip.retry);
        now += trip.within;
        assert_eq!(life.name(now), "running");
        assert_eq!(life.fault(now, Price::Time), Next::Restart);
    }

    #[test]
    fn without_a_trip_cheap_faults_never_wait() {
        let mut life = Life::new(None);
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(life.fault(now, Price::Instance), Next::Restart);
            assert_eq!(life.name(now), "running");
        }
        assert_eq!(life.fault(now, Price::Time), Next::Wait, "it is no cheap one");
        let mut life = Life::new(Some(Trip::default()));
        assert_eq!(life.fault(now, Price::Instance), Next::Restart);
        assert_eq!(life.fault(now, Price::Instance), Next::Wait);
    }

    #[test]
    fn never_trips_when_told_so() {
        let mut life = Life::new(None);
        let mut now = Instant::now();
        for _ in 0..200 {
            life.fault(now, Price::Time);
            assert!(!life.tripped());
            waits(&mut life, &mut now);
        }
    }
}
