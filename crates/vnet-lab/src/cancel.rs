use std::time::Duration;

/// Asked at least every 50 ms by everything that waits; once it says yes, the call ends with
/// [`LabError::Cancelled`](crate::LabError::Cancelled) or with what it has.
pub type Cancel<'a> = &'a dyn Fn() -> bool;

/// Never cancels.
#[must_use]
pub fn never() -> bool {
    false
}

/// The longest wait between two looks at a [`Cancel`].
pub(crate) const LOOK: Duration = Duration::from_millis(50);
