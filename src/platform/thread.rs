//! Starting threads in a process that belongs to the host.

use std::io;
use std::thread::{self, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Starts a thread of the library. The host's signal handlers never run on it.
pub fn spawn(name: &str, stack_bytes: usize, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
    with_signals_blocked(|| builder.spawn(run))
}

/// Runs `start`, which starts a thread, with signals blocked, because a thread inherits the mask.
///
/// Signals of a crash are not blocked: the host handles a crash on any thread.
fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    const CRASH_SIGNALS: [Signal; 6] =
        [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGABRT];
    /// Restores the mask of the calling thread, also when `start` panics.
    struct Restore(SigSet);
    impl Drop for Restore {
        fn drop(&mut self) {
            // It fails for no mask that the system returned.
            let _ = self.0.thread_set_mask();
        }
    }
    let mut blocked = SigSet::all();
    for signal in CRASH_SIGNALS {
        blocked.remove(signal);
    }
    let restore = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Restore);
    let started = start();
    drop(restore);
    started
}
