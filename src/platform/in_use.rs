//! The sockets that calls use, for a cancellation to shut them down.
//!
//! The number of a socket may belong to another file as soon as it is closed. So an entry is removed
//! before its socket is closed or used by another call ([`Entry`]'s drop), and never while the socket
//! is being shut down. The models in `tests/models` run every schedule of these two.

use std::array;
use std::sync::Arc;

use once_cell::race::OnceBox;

use super::sync::{AtomicBool, AtomicI32, ENTRIES, Ordering, fence, pause, shut_down};

/// A flag that is set once, for good.
///
/// A call prepares its wait and then reads the flag. A cancellation sets the flag and then looks for
/// waits. With a fence between the two on both sides, at least one of them sees the other.
pub struct Flag(AtomicBool);

impl Flag {
    /// Returns a flag that is not set.
    pub fn new() -> Flag {
        Flag(AtomicBool::new(false))
    }

    /// Returns whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Returns whether it is set, after a wait was prepared.
    pub fn is_set_before_a_wait(&self) -> bool {
        fence(Ordering::SeqCst);
        self.is_set()
    }

    /// Sets it. The caller then looks for waits.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

/// Sockets in use. An entry is 0 if it is free, `number + 1` if it is taken, and the negative of that
/// while a cancellation shuts the socket down.
pub struct Table {
    entries: [AtomicI32; ENTRIES],
    /// The next table, if there were more calls at the same time.
    more: OnceBox<Arc<Table>>,
}

impl Default for Table {
    fn default() -> Table {
        Table { entries: array::from_fn(|_| AtomicI32::new(0)), more: OnceBox::new() }
    }
}

impl Table {
    /// Enters a socket, and shuts it down if the flag is set.
    pub fn enter(first: &Arc<Table>, number: i32, flag: &Flag) -> Entry {
        let entry = Table::take(first, number);
        if flag.is_set_before_a_wait() {
            shut_down(number);
        }
        entry
    }

    fn take(first: &Arc<Table>, number: i32) -> Entry {
        let mut table = first;
        loop {
            // Numbers that are in use differ, so most find a free entry at once. Those of
            // neighbours are in different cache lines.
            let start = (number as usize % 4) * (ENTRIES / 4) + number as usize / 4;
            for index in (start..start + ENTRIES).map(|index| index % ENTRIES) {
                let entry = &table.entries[index];
                if entry.compare_exchange(0, number + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return Entry { table: Arc::clone(table), index: index as u32, number };
                }
            }
            table = table.more.get_or_init(Box::default);
        }
    }

    /// Shuts all sockets down, after the flag was set. Async-signal-safe.
    pub fn shut_down(&self) {
        for entry in &self.entries {
            let taken = entry.load(Ordering::Acquire);
            // If another cancellation is at it, that one shuts it down.
            if taken > 0 && entry.compare_exchange(taken, -taken, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                shut_down(taken - 1);
                entry.store(taken, Ordering::Release);
            }
        }
        if let Some(more) = self.more.get() {
            more.shut_down();
        }
    }
}

/// The entry of a socket that a call uses.
pub struct Entry {
    table: Arc<Table>,
    index: u32,
    number: i32,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(entry) = self.table.entries.get(self.index as usize) else { return };
        // A cancellation in another thread is about to shut the socket down, or just has. (One in a
        // signal handler of this thread ends before this thread goes on.)
        while entry.compare_exchange(self.number + 1, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            pause();
        }
    }
}
