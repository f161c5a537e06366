//! Starting threads in a process that belongs to the host.

#![allow(unsafe_code)]

use std::io;
use std::thread::{self, JoinHandle};

/// Starts a thread of the library. The host's signal handlers never run on it.
pub fn spawn(name: &str, stack_bytes: usize, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
    with_signals_blocked(|| builder.spawn(run))
}

/// Runs `start`, which starts a thread, with signals blocked, because a thread inherits the mask.
///
/// Signals of a crash are not blocked: the host handles a crash on any thread.
fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    const CRASH_SIGNALS: [libc::c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];
    /// Restores the mask, also when `start` panics.
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the C library filled in the set, and the mask is that of the calling thread.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: all zeroes are a value of the type, and the C library initialises both sets before they are used.
    let restore = unsafe {
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut blocked);
        for signal in CRASH_SIGNALS {
            libc::sigdelset(&mut blocked, signal);
        }
        (libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, &mut before) == 0).then_some(Restore(before))
    };
    let started = start();
    drop(restore);
    started
}
