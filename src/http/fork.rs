//! A value for each process: after a fork the child makes its own and never touches its parent's.

use std::mem;

use once_cell::race::OnceBox;

use super::sys;

/// A lazily made value that a forked child does not inherit.
///
/// A child must not use its parent's connections, nor wait for a lock that another thread of its parent held when it
/// forked. So nothing here locks, and what belongs to another process is neither used nor dropped: its insides may have
/// been caught half changed.
///
/// It is a chain with one link for each generation of processes that used it, newest last.
pub(super) struct PerProcess<T> {
    process: u32,
    value: OnceBox<T>,
    next: OnceBox<PerProcess<T>>,
}

impl<T> PerProcess<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        PerProcess { process: sys::process_number(), value: OnceBox::new(), next: OnceBox::new() }
    }

    /// This process's value, made by `make` if there is none. Several threads may make one at the same time; one is kept.
    pub(super) fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let mut link = self;
        while let Some(next) = link.next.get() {
            link = next;
        }
        if link.process != sys::process_number() {
            link = link.next.get_or_init(|| Box::new(PerProcess::new()));
        }
        link.value.get_or_try_init(|| make().map(Box::new))
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        if self.process != sys::process_number() {
            mem::forget(mem::take(&mut self.value));
        }
    }
}
