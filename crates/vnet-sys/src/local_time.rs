//! The time of day where this process runs.

use std::mem::MaybeUninit;

/// Returns how many seconds local time is ahead of UTC at a time in seconds since 1970, by TZ or /etc/localtime; 0 where that
/// cannot be told.
#[must_use]
pub fn utc_offset(seconds: i64) -> i64 {
    let mut local = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are of live values; all-zero bytes are a valid tm, whose tm_zone may be null.
    let local = unsafe {
        libc::localtime_r(&seconds, local.as_mut_ptr());
        local.assume_init()
    };
    local.tm_gmtoff
}
