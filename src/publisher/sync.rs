//! What threads wait with. The models in `tests/models` have a file of this name with other locks in it.

use std::sync::PoisonError;
use std::time::Instant;

pub use std::sync::{Condvar, Mutex, MutexGuard};

/// Locks. A panic within is a bug that is reported where it happened; what it left is no worse for those who come after.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits to be woken.
pub fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits to be woken, or until then; says whether it is then.
pub fn wait_until<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, until: Instant) -> (MutexGuard<'a, T>, bool) {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (guard, true);
    }
    let (guard, _) = condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner);
    (guard, Instant::now() >= until)
}
