//! Places where a test can make the library panic. They exist only with `--cfg pusher_failpoints`, which no build for use has.

#[cfg(pusher_failpoints)]
use std::panic::resume_unwind;
#[cfg(pusher_failpoints)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(pusher_failpoints)]
use std::sync::{Mutex, PoisonError};
#[cfg(pusher_failpoints)]
use std::thread::{self, ThreadId};

/// The thread that panics, and the number of the place where it does, counted from 1.
#[cfg(pusher_failpoints)]
static ARMED: Mutex<Option<(ThreadId, u32)>> = Mutex::new(None);

/// Whether a test has asked for a panic. Until then nothing takes the lock, which a fork could leave held.
#[cfg(pusher_failpoints)]
static IS_USED: AtomicBool = AtomicBool::new(false);

/// Makes the calling thread panic at its `number`-th place from here on, counted from 1, or at none if that is 0. Returns whether the
/// last one that was asked for is still to come.
#[cfg(pusher_failpoints)]
pub fn arm(number: u32) -> bool {
    IS_USED.store(true, Ordering::Relaxed);
    let next = (number > 0).then(|| (thread::current().id(), number));
    std::mem::replace(&mut *ARMED.lock().unwrap_or_else(PoisonError::into_inner), next).is_some()
}

/// Panics if a test asked for it, without a message on standard error.
#[cfg(pusher_failpoints)]
pub fn hit() {
    if !IS_USED.load(Ordering::Relaxed) {
        return;
    }
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((thread, left)) = *armed else { return };
    if thread != thread::current().id() {
        return;
    }
    *armed = (left > 1).then_some((thread, left - 1));
    drop(armed);
    if left == 1 {
        // No panic hook runs, so that a test sees what the library itself prints.
        resume_unwind(Box::new("planted by a test"));
    }
}

/// Does nothing.
#[cfg(not(pusher_failpoints))]
#[inline(always)]
pub fn hit() {}
