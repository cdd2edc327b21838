//! The calling thread: its CPU time and the processors it may use.

use std::time::Duration;

use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};

use crate::SysError;

/// Returns the CPU time the calling thread has used (`CLOCK_THREAD_CPUTIME_ID`).
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    // A CPU clock never runs below zero, nor a nanosecond field above a second.
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Returns the numbers of the processors the calling thread may run on.
///
/// # Errors
/// What `sched_getaffinity(2)` answers.
pub fn affinity() -> Result<Vec<usize>, SysError> {
    let set = rustix::thread::sched_getaffinity(None)
        .map_err(|e| SysError::os("cannot read the CPU affinity", e))?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// Binds the calling thread to the processors given by number.
///
/// # Errors
/// What `sched_setaffinity(2)` answers: `EINVAL` when none of them is usable.
pub fn set_affinity(cpus: &[usize]) -> Result<(), SysError> {
    let mut set = CpuSet::new();
    for &cpu in cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    rustix::thread::sched_setaffinity(None, &set)
        .map_err(|e| SysError::os(format!("cannot bind the thread to CPUs {cpus:?}"), e))
}
