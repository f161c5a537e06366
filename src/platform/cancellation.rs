//! Ends the waits of running calls, from another thread or from a signal handler.
//!
//! A call enters the socket that it uses into a table, and a cancellation shuts that socket down:
//! every wait for it then ends. So a call that is never cancelled makes no system call for it. A
//! wait without a socket, or for one that is not connected yet, polls a descriptor of the
//! cancellation as well.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;

use super::in_use::{Entry, Flag, Table};
use super::per_process::PerProcess;
use super::readable::ReadableFlag;
use super::readiness::Readiness;
use super::system::{self, PollEntry};

/// Ends the calls of one handle, now and later.
pub struct Cancellation {
    flag: Flag,
    /// A forked child has its own, and so does not shut down its parent's sockets.
    process: PerProcess<Running>,
}

/// The calls of one process that are running.
#[derive(Default)]
struct Running {
    sockets: Arc<Table>,
    alarm: OnceBox<ReadableFlag>,
}

/// How often a call that has no descriptor to wait for looks whether it was cancelled.
const PAUSE: Duration = Duration::from_millis(10);

impl Cancellation {
    /// Returns one that has not happened. It takes no memory and no descriptor until a call runs.
    pub fn new() -> Cancellation {
        Cancellation { flag: Flag::new(), process: PerProcess::new() }
    }

    /// Returns whether it has happened.
    pub fn has_happened(&self) -> bool {
        self.flag.is_set()
    }

    /// Ends all waits. Async-signal-safe: it takes no lock and no memory, and restores errno.
    pub fn cancel(&self) {
        system::keep_errno(|| {
            self.flag.set();
            if let Some(running) = self.process.get() {
                running.sockets.shut_down();
                if let Some(alarm) = running.alarm.get() {
                    alarm.raise();
                }
            }
        });
    }

    fn running(&self) -> &Running {
        match self.process.get_or_try_init(|| Ok::<_, std::convert::Infallible>(Running::default())) {
            Ok(running) => running,
            Err(never) => match never {},
        }
    }

    /// Enters a connected socket by its number, so that it is shut down at a cancellation, or at once if that has
    /// happened. The entry must be dropped before the socket.
    pub(super) fn enter(&self, socket: i32) -> Entry {
        Table::enter(&self.running().sockets, socket, &self.flag)
    }

    /// Waits until one of the entries is ready, `timeout` has passed, or this has happened.
    pub(super) fn poll<'a>(&'a self, entries: &mut Vec<PollEntry<'a>>, timeout: Duration) -> io::Result<()> {
        let alarm = self.running().alarm.get_or_try_init(|| ReadableFlag::new().map(Box::new))?;
        if self.flag.is_set_before_a_wait() {
            return Ok(());
        }
        entries.push(alarm.poll_entry(Readiness::READ));
        system::poll(entries, timeout)?;
        let was_woken = entries.pop().is_some_and(|alarm| system::happened(&alarm).read);
        // If the host has closed the descriptor, polling it again at once would be a busy loop.
        if was_woken && !self.has_happened() {
            thread::sleep(timeout.min(PAUSE));
        }
        Ok(())
    }

    /// Sleeps until `timeout` has passed or this has happened. Returns whether it has happened.
    pub fn sleep(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        while !self.has_happened() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match self.poll(&mut Vec::new(), left) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // There is no descriptor to wait for.
                Err(_) => thread::sleep(left.min(PAUSE)),
            }
        }
        true
    }
}
