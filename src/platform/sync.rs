//! What [`in_use`](super::in_use) rests on. The models in `tests/models` replace this file.

use std::thread;
use std::time::Duration;

pub use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};

pub use super::system::shut_down;

/// The number of entries of a table.
pub const ENTRIES: usize = 64;

/// Gives another thread time. It sleeps, because that thread may have a lower priority.
pub fn pause() {
    thread::sleep(Duration::from_micros(50));
}
