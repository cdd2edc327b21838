use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::SysError;
use crate::error::last_errno;

/// A set of signals by number.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'a>(pub &'a [i32]);

/// A descriptor that receives signals in place of their actions (signalfd(2)).
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks the signals for the calling thread and receives them.
    ///
    /// Programs [`exec`](super::exec) starts have nothing blocked.
    ///
    /// # Errors
    /// [`SysError::Os`].
    pub fn new(signals: Signals<'_>) -> Result<Self, SysError> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set, to which sigaddset adds.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals.0 {
                libc::sigaddset(set.as_mut_ptr(), *signal);
            }
            set.assume_init()
        };
        // SAFETY: the set is initialised and outlives both calls.
        let fd = unsafe {
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(SysError::os("cannot make a signalfd", last_errno()));
        }
        // SAFETY: the kernel has just made `fd` for this process and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes the next signal that came, if any.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: `info` is room for `size` bytes.
        let read = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if usize::try_from(read) != Ok(size) {
            return None;
        }
        // SAFETY: the kernel has filled the whole structure.
        i32::try_from(unsafe { info.assume_init() }.ssi_signo).ok()
    }
}

/// Gives every signal its default action and lets all through to the calling thread.
pub(super) fn reset_all() {
    // `struct kernel_sigaction` on every machine: all zero is SIG_DFL without flags and mask.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // Not signal(2): glibc refuses the two signals it uses itself, which somebody above may
        // have told to be ignored.
        // SAFETY: the structure outlives the call, and a default action runs no code. Signals
        // that have no other are refused.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    unblock_all();
}

/// Lets every signal through to the calling thread.
pub(super) fn unblock_all() {
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, which outlives the call.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
