//! A value for each process: after a fork the child makes its own and never touches its parent's.

use std::mem;

use once_cell::race::OnceBox;

use super::number::process_number;

/// A lazily made value that a forked child does not inherit.
///
/// A child must not use its parent's connections, and must not wait for a lock that another thread
/// of its parent held at the fork. So this type takes no lock, and it neither uses nor drops a
/// value of another process: the fork may have caught that value half changed.
///
/// It is a linked list with one entry for each generation of processes that used it, newest last.
pub struct PerProcess<T> {
    process: u32,
    value: OnceBox<T>,
    next: OnceBox<PerProcess<T>>,
}

impl<T> PerProcess<T> {
    /// Returns one without a value.
    pub fn new() -> Self {
        PerProcess { process: process_number(), value: OnceBox::new(), next: OnceBox::new() }
    }

    /// Returns this process's value, if there is one. Async-signal-safe.
    pub fn get(&self) -> Option<&T> {
        let link = self.last();
        link.value.get().filter(|_| link.process == process_number())
    }

    /// Returns this process's value, and calls `make` if there is none. Several threads may make
    /// one at the same time; one of them is kept.
    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let mut link = self.last();
        if link.process != process_number() {
            link = link.next.get_or_init(|| Box::new(PerProcess::new()));
        }
        link.value.get_or_try_init(|| make().map(Box::new))
    }

    fn last(&self) -> &PerProcess<T> {
        let mut link = self;
        while let Some(next) = link.next.get() {
            link = next;
        }
        link
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        if self.process != process_number() {
            mem::forget(mem::take(&mut self.value));
        }
    }
}
