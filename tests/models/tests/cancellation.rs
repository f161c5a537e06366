//! Calls and cancellations, in every schedule: no call waits for ever, and no descriptor is shut down
//! that is not, or no longer, that of a call.
#![cfg(not(feature = "shuttle"))]

use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::thread::spawn;
use models::platform::in_use::{Flag, Table};
use models::platform::sync::{Planted, begin, close, open, wait};

/// A handle: its calls, and its cancellation.
struct Handle {
    flag: Flag,
    table: Arc<Table>,
}

/// How a call ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// By itself.
    Alone,
    /// Only by the cancellation.
    Cancelled,
}

impl Handle {
    fn call(&self, fd: RawFd, ends: Ends) {
        open(fd);
        let entry = Table::enter(&self.table, fd, &self.flag);
        if ends == Ends::Cancelled {
            wait(fd);
        }
        drop(entry);
        close(fd);
    }

    fn cancel(&self) {
        self.flag.set();
        self.table.shut_down();
    }
}

/// Runs a model in all schedules, with the calls of each thread and a number of cancellations. Returns
/// the number of schedules.
fn explore(threads: &'static [&'static [(RawFd, Ends)]], cancellations: usize, planted: Planted) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 2000;
    builder.preemption_bound = Some(3);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        begin(planted);
        let handle = Arc::new(Handle { flag: Flag::new(), table: Arc::default() });
        let go = |what: Box<dyn FnOnce(&Handle)>| {
            let handle = Arc::clone(&handle);
            spawn(move || what(&handle))
        };
        let mut running = Vec::new();
        for calls in threads {
            running.push(go(Box::new(|handle| calls.iter().for_each(|(fd, ends)| handle.call(*fd, *ends)))));
        }
        for _ in 1..cancellations {
            running.push(go(Box::new(Handle::cancel)));
        }
        handle.cancel();
        running.into_iter().for_each(|thread| thread.join().expect("a thread"));
    });
    count.load(Ordering::Relaxed)
}

use Ends::{Alone, Cancelled};

/// Threads with their calls, and how many cancellations there are. Numbers are used again.
const MODELS: [(&[&[(RawFd, Ends)]], usize); 5] = [
    (&[&[(1, Cancelled)]], 1),
    (&[&[(1, Cancelled)]], 2),
    (&[&[(1, Alone), (1, Cancelled)]], 1),
    (&[&[(1, Alone)], &[(2, Cancelled)]], 1),
    (&[&[(1, Alone), (1, Alone)]], 2),
];

#[test]
fn every_call_ends_and_only_its_own_descriptor_is_shut_down() {
    for (threads, cancellations) in MODELS {
        let schedules = explore(threads, cancellations, Planted::Nothing);
        println!("{} threads, {cancellations} cancellations: {schedules} schedules", threads.len());
        assert!(schedules > 1, "the threads never interact");
    }
}

#[test]
fn planted_faults_are_found() {
    for planted in [Planted::NoFence, Planted::EarlyRemoval] {
        let is_found = |(threads, cancellations): &(&'static [_], usize)| {
            catch_unwind(AssertUnwindSafe(|| explore(threads, *cancellations, planted))).is_err()
        };
        assert!(MODELS.iter().any(is_found), "{planted:?} is not found");
    }
}
