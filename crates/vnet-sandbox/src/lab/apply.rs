use super::message::{Reply, Request};
use super::{ApplyError, Lab, Step};
use crate::SandboxError;

/// The most bytes of steps in one request, so that the helper sees to its other duties
/// in between. A step larger than this goes alone.
const ROUND: usize = 128 << 10;

impl Lab {
    /// Makes the steps in their order and stops at the first that fails; undoing the
    /// others is the caller's.
    ///
    /// # Errors
    /// [`ApplyError`]: which step failed, and why.
    pub fn apply(&self, steps: &[Step]) -> Result<(), ApplyError> {
        let mut done = 0;
        while done < steps.len() {
            let count = fitting(&steps[done..]);
            let request = Request::Apply {
                steps: steps[done..done + count].to_vec(),
            };
            let failed = |at, error| Err(ApplyError { at: done + at, error });
            match self.connection.ask(&request, &[]) {
                Ok((Reply::Done, _)) => done += count,
                Ok((Reply::StepFailed { at, fault }, _)) => return failed(at, fault.into()),
                Ok(_) => return failed(0, self.connection.confused()),
                Err(error) => return failed(0, error),
            }
        }
        Ok(())
    }

    /// Rewrites the /etc/hosts of all nodes that have the lab's.
    ///
    /// # Errors
    /// [`SandboxError::BadArgument`] where [`LabInfo::own_hosts`](crate::LabInfo) is
    /// false.
    pub fn set_hosts(&self, text: &str) -> Result<(), SandboxError> {
        let request = Request::SetHosts {
            text: text.to_owned(),
        };
        self.connection.ask(&request, &[]).map(drop)
    }
}

/// Returns how many of the steps make one request, at least one.
fn fitting(steps: &[Step]) -> usize {
    let mut room = ROUND;
    for (count, step) in steps.iter().enumerate() {
        // What cannot be written as JSON is told by the request itself.
        let size = serde_json::to_vec(step).map_or(ROUND, |bytes| bytes.len());
        if size > room {
            return count.max(1);
        }
        room -= size;
    }
    steps.len()
}
