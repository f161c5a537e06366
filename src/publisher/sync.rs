//! Locks and condition variables. The models in `tests/models` replace this file by one with the
//! locks of a model checker.

use std::sync::PoisonError;
use std::time::Instant;

pub use std::sync::{Condvar, Mutex, MutexGuard};

use crate::failpoint;
pub use crate::platform::{Descriptor, ReadableFlag};

/// Locks. A panic while the lock is held is reported where it happens, and does not make the state
/// unusable.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    failpoint::hit();
    guard
}

/// Waits to be woken.
pub fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits to be woken, or until a deadline. Returns whether the deadline has passed.
pub fn wait_until<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, until: Instant) -> (MutexGuard<'a, T>, bool) {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (guard, true);
    }
    let (guard, _) = condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner);
    (guard, Instant::now() >= until)
}

/// A set of condition variables to be notified, by number.
pub struct Wakes(u128);

impl Wakes {
    /// The empty set.
    pub const NONE: Wakes = Wakes(0);

    /// Adds a condition variable.
    pub fn add(&mut self, number: usize) {
        self.0 |= 1 << number;
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Returns the set, and leaves an empty one.
    pub fn take(&mut self) -> Wakes {
        Wakes(std::mem::take(&mut self.0))
    }

    /// Notifies the condition variables with these numbers.
    pub fn notify(mut self, conditions: &[Condvar]) {
        while self.0 != 0 {
            let number = self.0.trailing_zeros();
            self.0 &= self.0 - 1;
            conditions[number as usize].notify_all();
        }
    }
}
