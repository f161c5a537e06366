//! Ends the waits of running calls, from another thread or from a signal handler.
//!
//! A call enters the socket that it uses into a table, and a cancellation shuts that socket down:
//! every wait for it then ends. So a call that is never cancelled makes no system call for it. A
//! wait without a socket, or for one that is not connected yet, polls a descriptor of the
//! cancellation as well.
//!
//! A descriptor's number may belong to another file as soon as it is closed. So an entry is removed
//! before its socket is closed or used by another call ([`Entry::drop`]), and never while the socket
//! is being shut down.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket;
use once_cell::race::OnceBox;

use super::per_process::PerProcess;
use super::poll::poll_entries;

/// Ends the calls of one handle, now and later.
pub struct Cancellation {
    is_cancelled: AtomicBool,
    /// A forked child has its own, and so does not shut down its parent's sockets.
    process: PerProcess<Running>,
}

/// The calls of one process that are running.
#[derive(Default)]
struct Running {
    sockets: Arc<Table>,
    alarm: OnceBox<Alarm>,
}

/// The number of entries of a table. A handle with more calls at the same time has more tables.
const ENTRIES: usize = 64;

/// Sockets in use. An entry is 0 if it is free, `fd + 1` if it is taken, and the negative of that
/// while a cancellation shuts the socket down.
struct Table {
    entries: [AtomicI32; ENTRIES],
    more: OnceBox<Arc<Table>>,
}

impl Default for Table {
    fn default() -> Table {
        Table { entries: [const { AtomicI32::new(0) }; ENTRIES], more: OnceBox::new() }
    }
}

/// How often a call that has no descriptor to wait for looks whether it was cancelled.
const PAUSE: Duration = Duration::from_millis(10);

impl Cancellation {
    /// Returns one that has not happened. It takes no memory and no descriptor until a call runs.
    pub fn new() -> Cancellation {
        Cancellation { is_cancelled: AtomicBool::new(false), process: PerProcess::new() }
    }

    /// Returns whether it has happened.
    pub fn has_happened(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Ends all waits. Async-signal-safe: it takes no lock and no memory, and restores errno.
    pub fn cancel(&self) {
        let errno = Errno::last_raw();
        self.is_cancelled.store(true, Ordering::Release);
        // A call enters its wait and then looks; this looks at the entries after it has happened.
        // With a fence between the two on both sides, at least one of them sees the other.
        fence(Ordering::SeqCst);
        if let Some(running) = self.process.get() {
            running.sockets.shut_down();
            if let Some(alarm) = running.alarm.get() {
                alarm.ring();
            }
        }
        Errno::set_raw(errno);
    }

    /// Returns whether it has happened, to a call that has just entered a wait.
    fn has_happened_before_the_wait(&self) -> bool {
        fence(Ordering::SeqCst);
        self.has_happened()
    }

    fn running(&self) -> &Running {
        match self.process.get_or_try_init(|| Ok::<_, std::convert::Infallible>(Running::default())) {
            Ok(running) => running,
            Err(never) => match never {},
        }
    }

    /// Enters a connected socket, so that it is shut down at a cancellation. It is shut down at once
    /// if that has happened.
    ///
    /// The entry must be dropped before the socket.
    pub(super) fn enter(&self, socket: RawFd) -> Entry {
        let entry = self.running().sockets.enter(socket);
        if self.has_happened_before_the_wait() {
            let _ = socket::shutdown(socket, socket::Shutdown::Both);
        }
        entry
    }

    /// Returns a descriptor that can be read from the cancellation on. It must not be read.
    pub(super) fn alarm(&self) -> io::Result<BorrowedFd<'_>> {
        let alarm = self.running().alarm.get_or_try_init(|| Alarm::new().map(Box::new))?;
        if self.has_happened_before_the_wait() {
            alarm.ring();
        }
        Ok(alarm.ear.as_fd())
    }

    /// Sleeps until `timeout` has passed or this has happened. Returns whether it has happened.
    pub fn sleep(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        while !self.has_happened() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let polled =
                self.alarm().and_then(|alarm| poll_entries(&mut [PollFd::new(alarm, PollFlags::POLLIN)], left));
            match polled {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // There is no descriptor to wait for.
                Err(_) => thread::sleep(left.min(PAUSE)),
            }
        }
        true
    }
}

impl Table {
    fn enter(self: &Arc<Table>, fd: RawFd) -> Entry {
        let mut table = self;
        loop {
            // Descriptors that are in use differ, so most find a free entry at once. Those of
            // neighbours are in different cache lines.
            let first = (fd as usize % 4) * (ENTRIES / 4) + fd as usize / 4;
            for index in (first..first + ENTRIES).map(|index| index % ENTRIES) {
                let entry = &table.entries[index];
                if entry.compare_exchange(0, fd + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return Entry { table: Arc::clone(table), index: index as u32, fd };
                }
            }
            table = table.more.get_or_init(Box::default);
        }
    }

    fn shut_down(&self) {
        for entry in &self.entries {
            let taken = entry.load(Ordering::Acquire);
            // If another cancellation is at it, that one shuts it down.
            if taken > 0 && entry.compare_exchange(taken, -taken, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                // It fails if the connection has ended by itself.
                let _ = socket::shutdown(taken - 1, socket::Shutdown::Both);
                entry.store(taken, Ordering::Release);
            }
        }
        if let Some(more) = self.more.get() {
            more.shut_down();
        }
    }
}

/// The entry of a socket that a call uses.
pub(super) struct Entry {
    table: Arc<Table>,
    index: u32,
    fd: RawFd,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(entry) = self.table.entries.get(self.index as usize) else { return };
        // A cancellation in another thread is about to shut it down, or just has. (One in a signal
        // handler of this thread ends before this thread goes on.) Sleep, and do not spin: that
        // thread may have a lower priority.
        while entry.compare_exchange(self.fd + 1, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            thread::sleep(Duration::from_micros(50));
        }
    }
}

/// A descriptor that becomes readable, and stays so.
struct Alarm {
    ear: UnixStream,
    bell: UnixStream,
}

impl Alarm {
    fn new() -> io::Result<Alarm> {
        // Closed on exec.
        let (ear, bell) = UnixStream::pair()?;
        Ok(Alarm { ear, bell })
    }

    fn ring(&self) {
        // The end of a stream needs no room in a buffer, unlike a byte.
        let _ = self.bell.shutdown(Shutdown::Write);
    }
}
