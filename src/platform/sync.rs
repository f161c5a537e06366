//! What [`in_use`](super::in_use) rests on. The models in `tests/models` replace this file.

use std::os::fd::RawFd;
use std::thread;
use std::time::Duration;

pub use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};

use nix::sys::socket::{Shutdown, shutdown};

/// The number of entries of a table.
pub const ENTRIES: usize = 64;

/// Shuts a socket down.
pub fn shut_down(fd: RawFd) {
    // It fails if the connection has ended by itself.
    let _ = shutdown(fd, Shutdown::Both);
}

/// Gives another thread time. It sleeps, because that thread may have a lower priority.
pub fn pause() {
    thread::sleep(Duration::from_micros(50));
}
